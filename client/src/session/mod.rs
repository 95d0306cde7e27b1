//! The task that keeps a client's subscriptions, whatever becomes of its connections.
//!
//! All subscriptions share one connection. When it is lost, all names are subscribed to again on the next one: with
//! numbers, if the server has them, from where the client was; without, and with a gap, if not. One command is under way
//! at a time, so that what is subscribed to and unsubscribed from keeps its order; what has gathered meanwhile goes
//! together. The same task drives the connection: from the socket to its subscription a message is in one pair of hands.

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
    ClientError, ConnectError, Connection, ConnectionLost, Event, SubscriptionKind, dialer::Dialer,
    driver::Driver, outlet::Outlet,
};
use names::Names;
use position::Seen;

/// A name and its kind.
pub(crate) type Name = (SubscriptionKind, Bytes);

/// Far enough away to be never.
const NEVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

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
                match self.orders.recv().await {
                    Some(order) => self.obey(order),
                    None => return,
                }
            }
            let Some((connection, driver)) = self.connect().await else { continue };
            if let Some(lost) = serve::serve(&mut self, &connection, driver).await {
                self.dialer.failed(&lost.endpoint.to_string());
                self.interrupted(&lost);
            }
            self.names.lost();
        }
    }

    /// Connects to some server; `None` when there is no subscription any more.
    async fn connect(&mut self) -> Option<(Connection, Driver)> {
        let dialer = Arc::clone(&self.dialer);
        let mut failures = 0;
        let mut attempt = Box::pin(attempt(Arc::clone(&dialer), Duration::ZERO));
        while !self.subs.is_empty() {
            let deadline = self.deadline.unwrap_or_else(|| Instant::now() + NEVER);
            tokio::select! {
                order = self.orders.recv() => match order {
                    Some(order) => self.obey(order),
                    None => return None,
                },
                () = sleep_until(deadline) => self.expire(),
                result = &mut attempt => match result {
                    Ok(connected) => return Some(connected),
                    Err(error) if error.is_permanent() => self.end_all(&ClientError::Refused(Arc::new(error))),
                    Err(error) => {
                        let error = Arc::new(error);
                        self.tell_unreachable(&error);
                        self.last_error = Some(error);
                        attempt = Box::pin(self::attempt(Arc::clone(&dialer), dialer.backoff.pause(failures)));
                        failures += 1;
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
                let deadline = Instant::now() + wanted.patience.min(NEVER);
                self.deadline = Some(self.deadline.map_or(deadline, |other| other.min(deadline)));
                self.subs.insert(id, Sub { wanted, deadline, missed: None });
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

    /// Gives up the subscriptions that have waited long enough.
    fn expire(&mut self) {
        let now = Instant::now();
        let is_late = |sub: &Sub| sub.wanted.done.is_some() && sub.deadline <= now;
        let late: Vec<u64> = self.subs.iter().filter(|(_, sub)| is_late(sub)).map(|(id, _)| *id).collect();
        for id in late {
            let last = self.last_error.clone().unwrap_or_else(|| {
                let source = std::io::ErrorKind::TimedOut.into();
                Arc::new(ConnectError::Unreachable { endpoint: crate::Endpoint::Unix("".into()), source })
            });
            let patience = self.subs.get(&id).map_or(Duration::ZERO, |sub| sub.wanted.patience);
            self.end(id, ClientError::NoServer { patience, last });
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

async fn attempt(dialer: Arc<Dialer>, pause: Duration) -> Result<(Connection, Driver), ConnectError> {
    sleep(pause).await;
    dialer.connect().await
}
