//! A publisher or subscriber with its connection, from dialling to its end.

use std::io;

use carillon_proto::resp::{Value, ValueDecoder};

use super::{
    clock::Times,
    control::Control,
    link::Link,
    nats,
    plan::{Dialect, Plan},
    poller::Poller,
    publisher::Publisher,
    subscriber::Subscriber,
};

/// Longest answer to a greeting, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// After a failed attempt, this long until the next, in nanoseconds.
const RETRY_NS: u64 = 10_000_000;

/// For how long a server may leave an attempt unanswered when there are others, in nanoseconds.
const DIAL_NS_MAX: u64 = 1_000_000_000;

#[derive(Debug)]
pub(super) enum Role {
    Publisher(Publisher),
    Subscriber(Subscriber),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Not connected, until then.
    Down { retry_ns: u64 },
    /// The greeting is sent and not answered.
    Greeting { since_ns: u64 },
    /// Subscriptions are not confirmed yet.
    Subscribing { since_ns: u64, missing: u32 },
    /// It publishes or gets messages.
    Ready,
    /// Closed by the server, for the rest of the run.
    Over,
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) role: Role,
    /// The number of its own server; others are tried when that one is gone.
    pub(super) home: usize,
    pub(super) state: State,
    pub(super) link: Option<Link>,
    attempt: usize,
    /// Times that an open connection was closed by the server.
    pub(super) closed: u64,
    /// When it was closed, until messages or answers come again, in nanoseconds.
    pub(super) out_since_ns: Option<u64>,
    /// Longest such time.
    pub(super) outage_max_ns: u64,
}

/// Why a client does not get on.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The connection is gone.
    Gone(io::Error),
    /// The server refuses what this run needs.
    Refused(String),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Gone(error)
    }
}

impl Client {
    pub(super) fn new(role: Role, home: usize) -> Self {
        let state = State::Down { retry_ns: 0 };
        Self { role, home, state, link: None, attempt: 0, closed: 0, out_since_ns: None, outage_max_ns: 0 }
    }

    /// Begins to connect.
    pub(super) fn dial(
        &mut self,
        index: usize,
        now_ns: u64,
        plan: &Plan,
        control: &Control,
        poller: &Poller,
    ) -> Result<(), Trouble> {
        let mut link = Link::dial(control.place(self.home, self.attempt), poller, index)?;
        link.out.extend_from_slice(&plan.greeting);
        if let Role::Subscriber(subscriber) = &self.role {
            link.out.extend_from_slice(&plan.subscribe(subscriber.id));
        }
        self.link = Some(link);
        self.state = State::Greeting { since_ns: now_ns };
        Ok(())
    }

    /// An attempt that takes too long is given up.
    pub(super) fn is_overdue(&self, now_ns: u64) -> bool {
        matches!(self.state, State::Greeting { since_ns } | State::Subscribing { since_ns, .. }
            if now_ns.saturating_sub(since_ns) > DIAL_NS_MAX)
    }

    /// Reads the answer to the greeting. Returns its length once it is there.
    pub(super) fn greeted(
        &mut self,
        input: &[u8],
        since_ns: u64,
        plan: &Plan,
    ) -> Result<Option<usize>, Trouble> {
        if plan.dialect == Dialect::Nats {
            let used = nats::greeted(input).map_err(Trouble::Refused)?;
            if used.is_some() {
                self.is_welcome(since_ns, plan);
            }
            return Ok(used);
        }
        let not_redis = |error| Trouble::Refused(format!("it does not speak Redis's protocol: {error}"));
        match ValueDecoder::new(ANSWER_BYTES_MAX).decode(input).map_err(not_redis)? {
            Some((Value::Error(text), _)) => Err(Trouble::Refused(text)),
            Some((_, used)) => {
                self.is_welcome(since_ns, plan);
                Ok(Some(used))
            }
            None if input.len() > ANSWER_BYTES_MAX => {
                Err(Trouble::Refused("it sends without end".to_owned()))
            }
            None => Ok(None),
        }
    }

    fn is_welcome(&mut self, since_ns: u64, plan: &Plan) {
        self.state = match self.role {
            Role::Publisher(_) => State::Ready,
            Role::Subscriber(_) => State::Subscribing { since_ns, missing: plan.subscriptions() },
        };
    }

    /// A subscription is confirmed. Returns whether it was the last that was missing.
    pub(super) fn confirmed(&mut self) -> bool {
        let State::Subscribing { missing, .. } = &mut self.state else { return false };
        *missing -= 1;
        if *missing > 0 {
            return false;
        }
        self.state = State::Ready;
        true
    }

    /// The client has what it was made for.
    pub(super) fn flows(&mut self, now_ns: u64) {
        if let Some(since_ns) = self.out_since_ns.take() {
            self.outage_max_ns = self.outage_max_ns.max(now_ns.saturating_sub(since_ns));
        }
        self.attempt = 0;
    }

    /// The connection is gone. Returns whether it was in use.
    pub(super) fn lose(&mut self, now_ns: u64, plan: &Plan, times: Option<&Times>) -> bool {
        self.link = None;
        let was_ready = self.state == State::Ready;
        self.attempt += 1;
        if was_ready {
            self.closed += 1;
            self.out_since_ns.get_or_insert(now_ns);
            match &mut self.role {
                Role::Publisher(publisher) => publisher.interrupt(),
                Role::Subscriber(subscriber) => subscriber.interrupt(now_ns, times),
            }
        }
        self.state = if was_ready && !plan.reconnect {
            State::Over
        } else {
            // The first attempt is made at once.
            State::Down { retry_ns: if was_ready { now_ns } else { now_ns + RETRY_NS } }
        };
        was_ready
    }

    /// The run ends.
    pub(super) fn close(&mut self, now_ns: u64, times: &Times) {
        let until_ns = now_ns.min(times.measure_to_ns);
        if let Some(since_ns) = self.out_since_ns {
            self.outage_max_ns = self.outage_max_ns.max(until_ns.saturating_sub(since_ns));
        }
        match &mut self.role {
            Role::Publisher(publisher) => publisher.close(now_ns),
            Role::Subscriber(subscriber) if self.state == State::Ready => subscriber.note_gap(now_ns, times),
            Role::Subscriber(_) => {}
        }
    }
}
