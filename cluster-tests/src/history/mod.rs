//! What clients saw, and what follows from it. Knows nothing of the broker: publishers note when they sent and
//! were answered, subscribers when they were confirmed, received and were closed, and the judge decides from
//! these notes alone.
//!
//! All times are of one machine's monotonic clock, read in the clients' process: "sent" is noted before the bytes
//! leave, "answered", "confirmed" and "received" after they have arrived. So an order that follows from the notes
//! is an order in which things really happened.

mod delivery;
mod numbers;
mod pauses;
mod verdict;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

pub use pauses::Pauses;
pub use verdict::{Verdict, Violation};

/// What a subscription is to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topic {
    /// A channel.
    Channel(String),
    /// The pattern that takes every channel with this beginning.
    Prefix(String),
}

impl Topic {
    /// Whether messages of `channel` belong to it.
    pub fn takes(&self, channel: &str) -> bool {
        match self {
            Self::Channel(name) => name == channel,
            Self::Prefix(beginning) => channel.starts_with(beginning.as_str()),
        }
    }
}

/// How a PUBLISH ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// None came before its connection ended.
    Never,
    /// The number of receivers, and when it came.
    Receivers(i64, Instant),
    /// An error.
    Refused(String),
}

/// One PUBLISH. Its place in the list of its publisher is its sequence number.
#[derive(Clone, Debug)]
pub struct Publication {
    /// Which of the publisher's connections it was sent on; they are counted.
    pub connection: u32,
    /// The node of that connection.
    pub node: usize,
    /// The channel.
    pub channel: String,
    /// When it was sent.
    pub sent: Instant,
    /// How it ended.
    pub answer: Answer,
    /// It left when the end of its connection was already there, seen or not, or had not left by then.
    pub has_crossed_end: bool,
}

/// Who ended a subscriber's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The node, or the system in its name: the failure is visible.
    ByNode(Instant),
    /// The test, before the workload was over.
    ByClient(Instant),
    /// The test, at the end, when nothing had arrived for a while: what is missing by then is missing.
    AtTheEnd(Instant),
}

impl Closed {
    /// When.
    pub fn at(self) -> Instant {
        match self {
            Self::ByNode(at) | Self::ByClient(at) | Self::AtTheEnd(at) => at,
        }
    }
}

/// A message that a subscriber received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its publisher.
    pub publisher: usize,
    /// Its sequence number.
    pub sequence: usize,
    /// When it arrived.
    pub at: Instant,
}

/// One connection of a subscriber, with its one subscription.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// Whose it is.
    pub subscriber: usize,
    /// The node of the connection.
    pub node: usize,
    /// What it is to.
    pub topic: Topic,
    /// When SUBSCRIBE was sent.
    pub asked: Instant,
    /// When it was confirmed, if it was.
    pub confirmed: Option<Instant>,
    /// The error that answered it.
    pub refused: Option<String>,
    /// What arrived, in order.
    pub received: Vec<Receipt>,
    /// How it ended.
    pub closed: Closed,
    /// It reads slowly on purpose: when it reads says nothing about the node.
    pub is_slow: bool,
}

/// A time in which a node's process was stopped. Its clients' connections stay open meanwhile, whatever it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// The node.
    pub node: usize,
    /// From when on.
    pub from: Instant,
    /// When it went on.
    pub to: Instant,
}

/// The bounds to judge by.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Within this time after its answer a message is with every subscriber, or the subscriber's connection is
    /// closed. It covers an election, an eviction and the completion of the dead node's messages.
    pub settle: Duration,
    /// Within this time a PUBLISH is answered or its connection is closed: clients give up later.
    pub answer_max: Duration,
    /// How long an answer waits for every node: a later one may count fewer.
    pub grace: Duration,
}

/// Everything that was noted.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// By publisher, then sequence number.
    pub publications: Vec<Vec<Publication>>,
    /// Publisher and number of each publishing connection that has ended, and when its publisher saw that.
    pub hangups: BTreeMap<(usize, u32), Instant>,
    /// In no particular order.
    pub subscriptions: Vec<Subscription>,
    /// When nodes were stopped.
    pub stopped: Vec<Stopped>,
    /// Times without any fault, in which answers must be exact.
    pub healthy: Vec<(Instant, Instant)>,
    /// When the notes end.
    pub end: Option<Instant>,
}

impl History {
    /// Decides.
    pub fn judge(&self, bounds: &Bounds) -> Verdict {
        let mut verdict = Verdict::default();
        self.judge_delivery(bounds, &mut verdict);
        self.judge_all_or_none(bounds, &mut verdict);
        self.judge_answers(bounds, &mut verdict);
        verdict
    }

    /// The publication of a receipt, if it was ever sent.
    fn publication(&self, publisher: usize, sequence: usize) -> Option<&Publication> {
        self.publications.get(publisher)?.get(sequence)
    }

    /// The moment by which something that takes `allowed` must have happened on `node` after `start`: the time in
    /// which it was stopped does not count, and it begins anew after it.
    fn due(&self, node: usize, start: Instant, allowed: Duration) -> Instant {
        let mut stopped: Vec<&Stopped> = self.stopped.iter().filter(|stopped| stopped.node == node).collect();
        stopped.sort_unstable_by_key(|stopped| stopped.from);
        let is_in_the_way = |due: Instant, stopped: &Stopped| stopped.from <= due && stopped.to > start;
        stopped.iter().fold(start + allowed, |due, stopped| {
            if is_in_the_way(due, stopped) { due.max(stopped.to + allowed) } else { due }
        })
    }
}
