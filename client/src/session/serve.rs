//! One connection's time: subscribing on it, and handing out what it brings.

use std::{collections::VecDeque, future::poll_fn, iter::repeat_n, pin::pin, time::SystemTime};

use carillon_proto::resp::Protocol;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep},
};

use super::{
    Name, Session,
    commands::{self, Outcome, UnderWay, What},
    names::Choice,
};
use crate::{
    ClientError, Connection, ConnectionLost, Event, Gap, GapCause, Message, RequestError, Subscriber,
    SubscriptionKind, Via, connection_settings::NEVER, driver::Driver, message::Pushed, outlet,
    queue::QueueSender,
};

/// Serves the session's subscriptions until the connection is lost, which is returned; `None` if it is to be replaced, or
/// not needed any more.
///
/// The connection is driven here, too. In a task of its own it would have to wake this one for every message, which costs more
/// than everything else that is done with it. Not so a node in the same process: there the wake-up comes from the node's thread
/// whoever is woken, and a task between the two gathers messages for one turn of this one.
pub(super) async fn serve(
    session: &mut Session,
    connection: &Connection,
    driver: Driver,
) -> Option<ConnectionLost> {
    let (subscriber, queue) = connection.empty_subscriber();
    let mut serving = Serving {
        session,
        connection,
        subscriber,
        queue: Some(queue),
        is_numbered: connection.protocol() == Protocol::Resp3,
        is_resuming: false,
        one_by_one: false,
        under_way: None,
        backlog: VecDeque::new(),
    };
    serving.begin();
    if driver.is_in_process() {
        tokio::spawn(driver.run());
        return serving.run().await;
    }
    let mut driving = Box::pin(driver.run());
    // Not stopped by tokio's bound on what a task does at a time: a socket that always has more would use it up. What there
    // is to do here has an end, as nothing is read meanwhile.
    let mut serving = pin!(tokio::task::unconstrained(serving.run()));
    let mut is_over = false;
    let lost = poll_fn(|context| {
        // What it has read is handed out below, without another turn of the task.
        is_over = is_over || driving.as_mut().poll(context).is_ready();
        serving.as_mut().poll(context)
    })
    .await;
    if !is_over {
        // It receives the answers to what was asked last, and ends: a socket with something unread would be reset.
        tokio::spawn(driving);
    }
    lost
}

struct Serving<'a> {
    session: &'a mut Session,
    connection: &'a Connection,
    subscriber: Subscriber,
    /// Goes with the first command.
    queue: Option<QueueSender>,
    /// The server has numbers, as far as is known.
    is_numbered: bool,
    /// What was missed is coming.
    is_resuming: bool,
    /// A command for all was refused, so that it has to be found out whose fault it was.
    one_by_one: bool,
    under_way: Option<UnderWay>,
    /// What is to be handed out next. While there is no room for it, nothing is read.
    backlog: VecDeque<(u64, Message)>,
}

/// What ends a connection's time.
enum End {
    Lost(ConnectionLost),
    NotNeeded,
}

impl Serving<'_> {
    fn begin(&mut self) {
        if self.is_numbered && self.session.seen.is_known() {
            let names = self.session.names.request(Choice::Again);
            if !names.is_empty() {
                self.is_resuming = true;
                let is_strict = self.session.strict_left > 0;
                self.send(What::Resume { is_strict }, names);
            }
        }
    }

    async fn run(&mut self) -> Option<ConnectionLost> {
        let mut timer = pin!(sleep(NEVER));
        loop {
            self.send_next();
            if self.session.subs.is_empty() {
                return None;
            }
            if self.queue.is_some() && self.connection.is_over() {
                // Nothing was sent on it, so nothing will tell.
                return Some(self.connection.lost());
            }
            // As in the connection's driver, a timer is not set for every message.
            let deadline = self.session.deadline;
            if let Some(deadline) = deadline.filter(|deadline| *deadline < timer.deadline()) {
                timer.as_mut().reset(deadline);
            }
            let is_blocked = !self.backlog.is_empty();
            let room = self
                .backlog
                .front()
                .and_then(|(id, message)| Some(self.session.subs.get(id)?.wanted.outlet.room(message)));
            let result = tokio::select! {
                biased;
                room = async { room?.await }, if is_blocked => {
                    self.unblock(room);
                    Ok(())
                }
                order = self.session.orders.recv() => match order {
                    Some(order) => {
                        self.session.obey(order);
                        // The subscription that blocked may be gone.
                        self.hand_out();
                        Ok(())
                    }
                    None => Err(End::NotNeeded),
                },
                outcome = outcome(&mut self.under_way), if self.under_way.is_some() => {
                    self.under_way = None;
                    self.came(outcome)
                }
                pushed = self.subscriber.next_pushed(), if !is_blocked => match pushed {
                    Ok(pushed) => {
                        self.take_all(pushed);
                        Ok(())
                    }
                    Err(lost) => Err(End::Lost(lost)),
                },
                () = &mut timer, if deadline.is_some() => {
                    self.session.expire(|patience| ClientError::NotConfirmed { patience });
                    timer.as_mut().reset(Instant::now() + NEVER);
                    Ok(())
                }
            };
            match result {
                Ok(()) => {}
                Err(End::NotNeeded) => return None,
                Err(End::Lost(lost)) => return Some(lost),
            }
        }
    }

    fn send(&mut self, what: What, names: Vec<Name>) {
        let command = commands::send(self.connection, what, names, &self.session.seen, self.queue.take());
        self.under_way = Some(command);
    }

    /// Sends what has gathered, if nothing is under way.
    fn send_next(&mut self) {
        // What is asked for behind the connection's end would look as if it had been asked for before it.
        if self.under_way.is_some() || self.connection.is_over() {
            return;
        }
        if let Some(names) = self.session.names.take_unwanted() {
            return self.send(What::Unsubscribe, names);
        }
        let (names, alone) = self.next_names();
        if !names.is_empty() {
            self.session.alone = alone;
            self.send(What::Subscribe { is_numbered: self.is_numbered }, names);
        }
    }

    /// Names to subscribe to next, and whose they are, if they are those of one subscription.
    fn next_names(&mut self) -> (Vec<Name>, Option<u64>) {
        let Session { names, is_careful, .. } = &mut *self.session;
        if *is_careful && !self.one_by_one {
            // They have been there before, and need not wait for the others' trial.
            let again = names.request(Choice::Again);
            if !again.is_empty() {
                return (again, None);
            }
        }
        if !*is_careful && !self.one_by_one {
            return (names.request(Choice::All), None);
        }
        let alone = names.next_due();
        *is_careful &= alone.is_some();
        (alone.map_or_else(Vec::new, |sub| names.request(Choice::Of(sub))), alone)
    }

    /// A command is answered.
    fn came(&mut self, outcome: Outcome) -> Result<(), End> {
        let Outcome { what, names, result } = outcome;
        match (what, result) {
            // An end that is refused had nothing to end; a loss is told by the subscriber, behind all that came before.
            (What::Unsubscribe, _) | (_, Err(RequestError::Lost(_))) => {}
            (_, Ok(())) => {
                self.session.strict_left = 0;
                let subs = self.session.names.confirmed(&names);
                let is_resumed = matches!(what, What::Resume { .. });
                subs.into_iter().for_each(|id| self.session.confirm(id, !is_resumed));
            }
            (What::Resume { is_strict: true }, Err(RequestError::Refused { reply, .. }))
                if reply.starts_with("GAP") =>
            {
                self.session.strict_left -= 1;
                if self.session.strict_left > 0 {
                    // Another server may have more.
                    self.session.dialer.failed(&self.connection.endpoint().to_string());
                    self.session.names.put_back(&names);
                    return Err(End::NotNeeded);
                }
                self.send(What::Resume { is_strict: false }, names);
            }
            (What::Resume { is_strict: false }, Err(RequestError::Refused { reply, .. }))
                if reply.starts_with("GAP") =>
            {
                // It has numbers, but does not know how to go on from those of before.
                self.is_resuming = false;
                self.session.names.put_back(&names);
            }
            (What::Resume { .. } | What::Subscribe { is_numbered: true }, Err(_)) => {
                // It has no numbers, or not for this user.
                (self.is_numbered, self.is_resuming) = (false, false);
                self.session.names.put_back(&names);
            }
            (What::Subscribe { .. }, Err(error)) => self.refused(&names, &error),
        }
        Ok(())
    }

    /// A server refuses to subscribe to these.
    fn refused(&mut self, names: &[Name], error: &RequestError) {
        let mut subs: Vec<u64> =
            names.iter().flat_map(|name| self.session.names.subs(name).to_vec()).collect();
        subs.sort_unstable();
        subs.dedup();
        self.session.names.put_back(names);
        if self.one_by_one {
            // Others may share some of its names with it, and are asked for next.
            subs.retain(|sub| self.session.alone == Some(*sub));
        } else if subs.len() > 1 {
            self.one_by_one = true;
            return;
        }
        for id in subs {
            self.session.end(id, ClientError::Request(error.clone()));
        }
    }

    /// Takes in what was pushed, and what has come behind it, for as long as there is room to hand it out.
    fn take_all(&mut self, first: Pushed) {
        self.take(first);
        while self.backlog.is_empty()
            && let Some(pushed) = self.subscriber.next_pushed_now()
        {
            self.take(pushed);
        }
    }

    fn take(&mut self, pushed: Pushed) {
        match pushed {
            Pushed::Message(message) => self.route(message),
            Pushed::Numbered { stamp, messages } => {
                if self.session.seen.note(&stamp) {
                    messages.into_iter().for_each(|message| self.route(message));
                }
            }
            Pushed::Gap => self.tell_forgotten(),
            Pushed::Position(position) => {
                self.session.seen.take(position);
                if std::mem::take(&mut self.is_resuming) {
                    self.resumed();
                }
            }
        }
        self.hand_out();
    }

    fn route(&mut self, mut message: Message) {
        // The name is lent for the search: a first copy of bytes that nobody shares yet would need memory.
        let (kind, name) = match &mut message.via {
            Via::Channel => (SubscriptionKind::Channel, &mut message.channel),
            Via::Shard => (SubscriptionKind::Shard, &mut message.channel),
            Via::Pattern(pattern) => (SubscriptionKind::Pattern, pattern),
        };
        let wanted = (kind, std::mem::take(name));
        let subs = self.session.names.subs(&wanted);
        *name = wanted.1;
        self.backlog.extend(subs.iter().copied().zip(repeat_n(message, subs.len())));
    }

    /// Hands out what there is room for.
    fn hand_out(&mut self) {
        while let Some((id, message)) = self.backlog.pop_front() {
            let Some(sub) = self.session.subs.get_mut(&id) else { continue };
            if !self.is_resuming
                && let Some(missed) = &mut sub.missed
            {
                // It comes behind the gap, of which the end is known when all names are confirmed.
                let (since, until) = (missed.since, SystemTime::now());
                (missed.since, missed.was_told) = (until, true);
                let cause = GapCause::Reconnected(missed.lost.clone());
                sub.wanted.outlet.tell(Event::Gap(Gap { since, until, cause }));
            }
            match sub.wanted.outlet.push(message) {
                outlet::Pushed::Taken => {}
                outlet::Pushed::Blocked(message) => return self.backlog.push_front((id, message)),
                outlet::Pushed::Ended => self.session.forget(id),
            }
        }
    }

    fn unblock(&mut self, room: Option<OwnedSemaphorePermit>) {
        if let (Some((id, message)), Some(room)) = (self.backlog.pop_front(), room)
            && let Some(sub) = self.session.subs.get_mut(&id)
        {
            sub.wanted.outlet.push_with(message, room);
        }
        self.hand_out();
    }

    /// What the server keeps does not reach back.
    fn tell_forgotten(&mut self) {
        for sub in self.session.subs.values_mut() {
            if let Some(missed) = &mut sub.missed
                && !missed.was_told
            {
                let (since, until) = (missed.since, SystemTime::now());
                let cause = GapCause::Forgotten(missed.lost.clone());
                missed.was_told = true;
                sub.wanted.outlet.tell(Event::Gap(Gap { since, until, cause }));
            }
        }
    }

    /// All that was missed has come, but for what was told as a gap.
    fn resumed(&mut self) {
        for sub in self.session.subs.values_mut() {
            if let Some(missed) = sub.missed.take()
                && !missed.was_told
            {
                sub.wanted.outlet.tell(Event::Resumed);
            }
        }
    }
}

async fn outcome(under_way: &mut Option<UnderWay>) -> Outcome {
    match under_way {
        Some(command) => command.await,
        None => std::future::pending().await,
    }
}
