//! The task that keeps a client's subscriptions, whatever becomes of its connections.
//!
//! All subscriptions share one connection. When it is lost, all names are subscribed to again on the next one: with
//! numbers, if the server has them, from where the client was; without, and with a gap, if not. One command is under way
//! at a time, so that what is subscribed to and unsubscribed from keeps its order; what has gathered meanwhile goes
//! together. A server that ends the connection whenever it is asked for some name must not end everyone's time after time: what
//! was being asked for when a connection was lost is asked for by itself. The same task drives the connection: from the socket to its subscription a message is in one pair of hands.

mod commands;
mod names;
mod position;
mod serve;

use std::{collections::HashMap, sync::Arc, time::Duration, time::SystemTime};

use bytes::Bytes;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, sleep_until},
};

use crate::{
    ClientError, ConnectError, Connection, ConnectionLost, Event, SubscriptionKind,
    connection_settings::NEVER,
    dialer::{Dialer, Failed},
    driver::Driver,
    outlet::Outlet,
};
use names::Names;
use position::Seen;

/// A name and its kind.
pub(crate) type Name = (SubscriptionKind, Bytes);

/// So often a server may end the connection while nothing but one subscription is asked for, before that is given up. Less, and
/// a server that dies at the wrong moment would be taken for one that refuses.
const TURNED_AWAY_MAX: u32 = 3;

/// What subscriptions want.
#[derive(Debug)]
pub(crate) enum Order {
    Subscribe { id: u64, wanted: Wanted },
    Unsubscribe { id: u64 },
}

/// A new subscription.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) names: Vec<Name>,
    pub(crate) outlet: Outlet,
    /// Told once all names are confirmed.
    pub(crate) done: Option<oneshot::Sender<Result<(), ClientError>>>,
    /// How long that may take.
    pub(crate) patience: Duration,
}

#[derive(Debug)]
struct Sub {
    wanted: Wanted,
    deadline: Instant,
    missed: Option<Missed>,
    /// Connections that were lost while this was asked for, and nothing else.
    turned_away: u32,
}

/// What a subscription may be missing.
#[derive(Debug)]
struct Missed {
    since: SystemTime,
    lost: ConnectionLost,
    /// A gap was told, up to `since`.
    was_told: bool,
    /// That no server could be reached was told.
    is_unreachable: bool,
}

struct Session {
    dialer: Arc<Dialer>,
    orders: mpsc::UnboundedReceiver<Order>,
    subs: HashMap<u64, Sub>,
    names: Names,
    seen: Seen,
    /// Servers that may still be asked for all that was missed before a gap is put up with.
    strict_left: usize,
    /// Attempts that have failed, and connections that were soon lost, without one between them that lasted.
    failures: u32,
    /// The connection before was lost while new names were asked for: whose fault it was is found out by asking for one
    /// subscription at a time.
    is_careful: bool,
    /// The one subscription whose names were asked for last, if it was one alone.
    alone: Option<u64>,
    last_error: Option<Arc<ConnectError>>,
    /// When to look next whether a subscription has waited long enough for its beginning.
    deadline: Option<Instant>,
}

/// Starts the task; it ends when nobody can give it orders any more.
pub(crate) fn start(dialer: Arc<Dialer>, orders: mpsc::UnboundedReceiver<Order>) {
    let session = Session {
        dialer,
        orders,
        subs: HashMap::new(),
        names: Names::default(),
        seen: Seen::default(),
        strict_left: 0,
        failures: 0,
        is_careful: false,
        alone: None,
        last_error: None,
        deadline: None,
    };
    tokio::spawn(session.run());
}

impl Session {
    async fn run(mut self) {
        loop {
            while self.subs.is_empty() {
                self.seen = Seen::default();
                self.names = Names::default();
                // Whoever comes next has nothing to do with what went wrong before.
                (self.failures, self.is_careful, self.last_error) = (0, false, None);
                match self.orders.recv().await {
                    Some(order) => self.obey(order),
                    None => return,
                }
            }
            let Some((connection, driver)) = self.connect().await else { continue };
            (self.alone, self.last_error) = (None, None);
            let connected = Instant::now();
            let lost = serve::serve(&mut self, &connection, driver).await;
            let asked = self.names.lost();
            if let Some(lost) = lost {
                // One that does not last is no better than none: servers that accept and close are not asked without a pause.
                let has_lasted = connected.elapsed() >= self.dialer.backoff.whole(self.failures);
                self.failures = if has_lasted { 0 } else { self.failures.saturating_add(1) };
                self.dialer.failed(&lost.endpoint.to_string());
                self.interrupted(&lost);
                self.suspect(&asked, &lost);
            } else {
                // It was well, and another is to be asked.
                self.failures = 0;
            }
        }
    }

    /// Connects to some server; `None` when there is no subscription any more.
    async fn connect(&mut self) -> Option<(Connection, Driver)> {
        let dialer = Arc::clone(&self.dialer);
        let mut attempt = Box::pin(attempt(Arc::clone(&dialer), dialer.backoff.after(self.failures)));
        while !self.subs.is_empty() {
            let deadline = self.deadline.unwrap_or_else(|| Instant::now() + NEVER);
            tokio::select! {
                order = self.orders.recv() => match order {
                    Some(order) => self.obey(order),
                    None => return None,
                },
                () = sleep_until(deadline) => {
                    let (servers, last) = (self.dialer.servers(), self.last_error.clone());
                    self.expire(|patience| ClientError::NoServer { patience, servers: servers.clone(), last: last.clone() });
                }
                result = &mut attempt => match result {
                    Ok(connected) => return Some(connected),
                    Err(failed) if failed.is_final => self.end_all(&ClientError::GivenUp(Arc::new(failed.error))),
                    Err(failed) => {
                        let error = Arc::new(failed.error);
                        self.tell_unreachable(&error);
                        self.last_error = Some(error);
                        self.failures = self.failures.saturating_add(1);
                        attempt = Box::pin(self::attempt(Arc::clone(&dialer), dialer.backoff.after(self.failures)));
                    }
                },
            }
        }
        None
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Subscribe { id, wanted } => {
                self.names.want(id, &wanted.names);
                let deadline = Instant::now() + wanted.patience;
                self.deadline = Some(self.deadline.map_or(deadline, |other| other.min(deadline)));
                self.subs.insert(id, Sub { wanted, deadline, missed: None, turned_away: 0 });
                self.confirm(id, true);
            }
            Order::Unsubscribe { id } => self.forget(id),
        }
    }

    /// The subscription is gone.
    fn forget(&mut self, id: u64) {
        if let Some(sub) = self.subs.remove(&id) {
            self.names.release(id, &sub.wanted.names);
        }
    }

    /// Tells a subscription that it has begun, or goes on, if all its names are confirmed; and of the gap that there was,
    /// if what it missed does not come.
    fn confirm(&mut self, id: u64, with_gap: bool) {
        let Some(sub) = self.subs.get_mut(&id) else { return };
        if !self.names.are_confirmed(&sub.wanted.names) {
            return;
        }
        if let Some(done) = sub.wanted.done.take() {
            // Who does not wait for it any more has dropped the subscription, which says so itself.
            let _ = done.send(Ok(()));
        }
        if with_gap && let Some(missed) = sub.missed.take() {
            sub.tell_gap(missed);
        }
    }

    /// The connection is lost: messages may be missed from now on.
    fn interrupted(&mut self, lost: &ConnectionLost) {
        for sub in self.subs.values_mut().filter(|sub| sub.wanted.done.is_none()) {
            sub.wanted.outlet.tell(Event::Interrupted(lost.clone()));
            sub.missed.get_or_insert_with(|| Missed {
                since: lost.complete_until,
                lost: lost.clone(),
                was_told: false,
                is_unreachable: false,
            });
        }
        // As many as there are, and twice where one address may stand for many.
        self.strict_left = self.dialer.addresses().max(2);
    }

    fn tell_unreachable(&mut self, error: &Arc<ConnectError>) {
        for sub in self.subs.values_mut() {
            if let Some(missed) = &mut sub.missed
                && !std::mem::replace(&mut missed.is_unreachable, true)
            {
                sub.wanted.outlet.tell(Event::Unreachable(Arc::clone(error)));
            }
        }
    }

    /// The connection was lost while names of these subscriptions were asked for. Whoever is alone in that again and again
    /// is what servers end it for, and must not take the others along for ever.
    fn suspect(&mut self, asked: &[u64], lost: &ConnectionLost) {
        self.is_careful = !asked.is_empty();
        let Some(alone) = self.alone.filter(|alone| asked.contains(alone)) else { return };
        let Some(sub) = self.subs.get_mut(&alone) else { return };
        sub.turned_away += 1;
        if sub.turned_away >= TURNED_AWAY_MAX {
            self.end(alone, ClientError::TurnedAway(lost.clone()));
            // Whose fault it was is known, and the others need not wait for it.
            self.failures = 0;
        }
    }

    /// Gives up the subscriptions that have waited long enough, each with an error made of its patience.
    fn expire(&mut self, error: impl Fn(Duration) -> ClientError) {
        let now = Instant::now();
        let is_late = |sub: &Sub| sub.wanted.done.is_some() && sub.deadline <= now;
        let late: Vec<u64> = self.subs.iter().filter(|(_, sub)| is_late(sub)).map(|(id, _)| *id).collect();
        for id in late {
            let patience = self.subs.get(&id).map_or(Duration::ZERO, |sub| sub.wanted.patience);
            self.end(id, error(patience));
        }
        let waiting = self.subs.values().filter(|sub| sub.wanted.done.is_some());
        self.deadline = waiting.map(|sub| sub.deadline).min();
    }

    /// Ends a subscription with an error.
    fn end(&mut self, id: u64, error: ClientError) {
        if let Some(sub) = self.subs.get_mut(&id) {
            match sub.wanted.done.take() {
                Some(done) => drop(done.send(Err(error))),
                None => sub.wanted.outlet.end(error),
            }
        }
        self.forget(id);
    }

    fn end_all(&mut self, error: &ClientError) {
        for id in self.subs.keys().copied().collect::<Vec<_>>() {
            self.end(id, error.clone());
        }
    }
}

impl Sub {
    fn tell_gap(&mut self, missed: Missed) {
        let until = SystemTime::now();
        let cause = crate::GapCause::Reconnected(missed.lost);
        self.wanted.outlet.tell(Event::Gap(crate::Gap { since: missed.since, until, cause }));
    }
}

async fn attempt(dialer: Arc<Dialer>, pause: Duration) -> Result<(Connection, Driver), Failed> {
    sleep(pause).await;
    dialer.connect().await
}
