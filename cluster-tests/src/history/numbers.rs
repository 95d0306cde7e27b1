//! The first half of P3, and P5: the numbers that nodes tell.

use std::time::{Duration, Instant};

use super::{Answer, Bounds, Closed, History, Publication, Subscription, Verdict, Violation};

/// How long after an answer that waited for the whole grace others of its node may count fewer: whoever was too
/// slow is waited for again once it has caught up.
const CATCHING_UP: Duration = Duration::from_secs(1);

/// How long after a connection has ended its node may still count it.
const GONE_UNNOTICED: Duration = Duration::from_secs(1);

impl History {
    pub(super) fn judge_answers(&self, bounds: &Bounds, verdict: &mut Verdict) {
        let slow = self.slow_answers(bounds.grace);
        for (publisher, publications) in self.publications.iter().enumerate() {
            for (sequence, publication) in publications.iter().enumerate() {
                verdict.published += 1;
                match &publication.answer {
                    Answer::Never => {
                        let due = self.due(publication.node, publication.sent, bounds.answer_max);
                        let ended = self.hangups.get(&(publisher, publication.connection));
                        if let Some(ended) = ended.filter(|ended| **ended > due) {
                            let waited = *ended - publication.sent;
                            verdict.add(Violation::NeverAnswered { publisher, sequence, waited });
                        }
                    }
                    Answer::Refused(text) => {
                        verdict.add(Violation::PublishRefused { publisher, sequence, text: text.clone() });
                    }
                    Answer::Receivers(receivers, at) => {
                        verdict.answered += 1;
                        if *at > self.due(publication.node, publication.sent, bounds.answer_max) {
                            let waited = *at - publication.sent;
                            verdict.add(Violation::AnsweredLate { publisher, sequence, waited });
                        }
                        if self.is_healthy(publication.sent, *at) && !is_behind(&slow, publication) {
                            verdict.counted += 1;
                            let possible = self.receivers(publication, *at);
                            if !(possible.0..=possible.1).contains(receivers) {
                                let answered = *receivers;
                                verdict.add(Violation::Miscounted {
                                    publisher,
                                    sequence,
                                    answered,
                                    possible,
                                });
                            }
                        }
                    }
                }
            }
        }
    }

    /// Fewest and most subscribers that a message may have been sent to.
    fn receivers(&self, publication: &Publication, answered: Instant) -> (i64, i64) {
        let matching = || {
            self.subscriptions.iter().filter(|subscription| subscription.topic.takes(&publication.channel))
        };
        let is_certain = |subscription: &&Subscription| {
            subscription.confirmed.is_some_and(|at| at < publication.sent)
                && subscription.closed.at() > answered
        };
        let is_possible = |subscription: &&Subscription| {
            subscription.asked < answered && subscription.closed.at() + GONE_UNNOTICED > publication.sent
        };
        let count = |count: usize| count as i64;
        (count(matching().filter(is_certain).count()), count(matching().filter(is_possible).count()))
    }

    /// The number of subscriptions to a channel (not to patterns) that are open and confirmed at a moment.
    pub fn subscribers_at(&self, channel: &str, at: Instant) -> usize {
        let is_there = |subscription: &&Subscription| {
            matches!(&subscription.topic, super::Topic::Channel(name) if name == channel)
                && subscription.confirmed.is_some_and(|confirmed| confirmed < at)
                && subscription.closed.at() > at
        };
        self.subscriptions.iter().filter(is_there).count()
    }

    /// Confirmed subscriptions that the nodes closed.
    pub fn closed_by_nodes(&self) -> usize {
        let is_by_node = |subscription: &&Subscription| {
            subscription.confirmed.is_some() && matches!(subscription.closed, Closed::ByNode(_))
        };
        self.subscriptions.iter().filter(is_by_node).count()
    }

    fn is_healthy(&self, from: Instant, to: Instant) -> bool {
        self.healthy.iter().any(|(start, end)| *start <= from && to <= *end)
    }

    /// Node and time of the answers that waited for the whole grace.
    fn slow_answers(&self, grace: Duration) -> Vec<(usize, Instant)> {
        let is_slow = |publication: &Publication| match publication.answer {
            Answer::Receivers(_, at) if at - publication.sent >= grace => Some((publication.node, at)),
            _ => None,
        };
        self.publications.iter().flatten().filter_map(is_slow).collect()
    }
}

fn is_behind(slow: &[(usize, Instant)], publication: &Publication) -> bool {
    let Answer::Receivers(_, answered) = publication.answer else { return false };
    slow.iter().any(|(node, at)| {
        *node == publication.node && answered >= *at && publication.sent <= *at + CATCHING_UP
    })
}
