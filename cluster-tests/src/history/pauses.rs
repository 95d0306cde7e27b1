//! P4: how long the music stopped.

use std::time::{Duration, Instant};

use super::{Answer, Closed, History, Subscription};

/// The longest silences in a stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pauses {
    /// Between two messages that one open connection received.
    pub gap: Duration,
    /// Between a PUBLISH and its answer.
    pub wait: Duration,
}

impl History {
    /// The longest silences between `from` and `to` among the given nodes: messages of their publishers, as their
    /// subscribers saw them. Means something only while publishers publish all the time.
    pub fn pauses(&self, nodes: &[usize], from: Instant, to: Instant) -> Pauses {
        let is_throughout = |subscription: &&Subscription| {
            nodes.contains(&subscription.node)
                && subscription.confirmed.is_some_and(|at| at < from)
                && subscription.closed.at() > to
        };
        let gaps = self
            .subscriptions
            .iter()
            .filter(is_throughout)
            .map(|subscription| self.longest_gap(subscription, nodes, from, to));
        let wait = |answer: &Answer, sent: Instant| match answer {
            Answer::Receivers(_, at) => *at - sent,
            Answer::Never | Answer::Refused(_) => to.saturating_duration_since(sent),
        };
        let waits = self
            .publications
            .iter()
            .flatten()
            .filter(|publication| nodes.contains(&publication.node))
            .filter(|publication| (from..=to).contains(&publication.sent))
            .map(|publication| wait(&publication.answer, publication.sent));
        Pauses { gap: gaps.max().unwrap_or_default(), wait: waits.max().unwrap_or_default() }
    }

    fn longest_gap(
        &self,
        subscription: &Subscription,
        nodes: &[usize],
        from: Instant,
        to: Instant,
    ) -> Duration {
        let times = subscription
            .received
            .iter()
            .filter(|receipt| {
                let publication = self.publication(receipt.publisher, receipt.sequence);
                publication.is_some_and(|publication| nodes.contains(&publication.node))
            })
            .map(|receipt| receipt.at)
            .filter(|at| (from..=to).contains(at));
        let mut before = from;
        let mut longest = Duration::ZERO;
        for at in times.chain([to]) {
            longest = longest.max(at - before);
            before = at;
        }
        longest
    }

    /// How many messages arrived at connections to `node` after `at` before it closed them: a node that slept
    /// through its lease must close first.
    pub fn received_before_close(&self, node: usize, at: Instant) -> usize {
        self.subscriptions
            .iter()
            .filter(|subscription| {
                subscription.node == node && matches!(subscription.closed, Closed::ByNode(_))
            })
            .filter(|subscription| subscription.confirmed.is_some_and(|confirmed| confirmed < at))
            .flat_map(|subscription| &subscription.received)
            .filter(|receipt| receipt.at > at)
            .count()
    }

    /// How many messages that were sent to `node` before `at` it has answered after that.
    pub fn answered_after(&self, node: usize, at: Instant) -> usize {
        let is_after = |publication: &&super::Publication| {
            publication.node == node
                && publication.sent < at
                && matches!(publication.answer, Answer::Receivers(_, answered) if answered > at)
        };
        self.publications.iter().flatten().filter(is_after).count()
    }

    /// The longest time that an answer took, of all that came.
    pub fn longest_answer(&self) -> Duration {
        let waits = self.publications.iter().flatten().filter_map(|publication| match publication.answer {
            Answer::Receivers(_, at) => Some(at - publication.sent),
            Answer::Never | Answer::Refused(_) => None,
        });
        waits.max().unwrap_or_default()
    }

    /// Messages that were never answered.
    pub fn unanswered(&self) -> usize {
        self.publications.iter().flatten().filter(|publication| publication.answer == Answer::Never).count()
    }
}
