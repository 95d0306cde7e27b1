//! P1, P2 and the second half of P3: who must have received what, and until when.

use std::time::Instant;

use super::{Answer, Bounds, Closed, History, Publication, Subscription, Verdict, Violation};

impl History {
    /// Each connection for itself: everything that was answered, once, in order, in time.
    pub(super) fn judge_delivery(&self, bounds: &Bounds, verdict: &mut Verdict) {
        verdict.subscriptions = self.subscriptions.len();
        for (index, subscription) in self.subscriptions.iter().enumerate() {
            if let Some(text) = &subscription.refused {
                verdict.add(Violation::SubscribeRefused { subscription: index, text: text.clone() });
            }
            verdict.received += subscription.received.len();
            self.judge_receipts(index, subscription, verdict);
            if let Some(confirmed) = subscription.confirmed {
                self.judge_missing(index, subscription, confirmed, bounds, verdict);
            }
        }
    }

    /// What did arrive: known, right, once, in order.
    fn judge_receipts(&self, index: usize, subscription: &Subscription, verdict: &mut Verdict) {
        let mut seen = self.nothing_seen();
        // By publisher: the connection and number of its last message.
        let mut last: Vec<Option<(u32, usize)>> = vec![None; self.publications.len()];
        for receipt in &subscription.received {
            let (publisher, sequence) = (receipt.publisher, receipt.sequence);
            let publication = self.publication(publisher, sequence).filter(|publication| {
                subscription.topic.takes(&publication.channel) && publication.sent <= receipt.at
            });
            let Some(publication) = publication else {
                verdict.add(Violation::Invented { subscription: index, publisher, sequence });
                continue;
            };
            if seen[publisher][sequence].replace(receipt.at).is_some() {
                verdict.add(Violation::Twice { subscription: index, publisher, sequence });
                continue;
            }
            match last[publisher] {
                Some((connection, before)) if connection == publication.connection && before > sequence => {
                    verdict.add(Violation::OutOfOrder { subscription: index, publisher, sequence, before });
                }
                _ => last[publisher] = Some((publication.connection, sequence)),
            }
        }
    }

    /// What did not, or too late.
    fn judge_missing(
        &self,
        index: usize,
        subscription: &Subscription,
        confirmed: Instant,
        bounds: &Bounds,
        verdict: &mut Verdict,
    ) {
        let seen = self.seen_by(subscription);
        for (publisher, publications) in self.publications.iter().enumerate() {
            // From behind: whether a later message of the same connection has arrived.
            let mut later: Option<u32> = None;
            for (sequence, publication) in publications.iter().enumerate().rev() {
                let is_owed = publication.sent > confirmed && subscription.topic.takes(&publication.channel);
                if !is_owed || matches!(publication.answer, Answer::Refused(_)) {
                    continue;
                }
                let at = seen[publisher][sequence];
                if at.is_some() {
                    later = Some(publication.connection);
                } else if later == Some(publication.connection) {
                    verdict.add(Violation::Hole { subscription: index, publisher, sequence });
                    continue;
                }
                let Answer::Receivers(_, answered) = publication.answer else { continue };
                let due = self.due(subscription.node, answered, bounds.settle);
                match (at, subscription.closed) {
                    (Some(at), _) if at > due && !subscription.is_slow => {
                        let late = at - answered;
                        verdict.add(Violation::Late { subscription: index, publisher, sequence, late });
                    }
                    (None, Closed::AtTheEnd(closed)) if answered < closed => {
                        verdict.add(Violation::Lost { subscription: index, publisher, sequence });
                    }
                    (None, Closed::ByNode(closed) | Closed::ByClient(closed))
                        if closed > due && !subscription.is_slow =>
                    {
                        verdict.add(Violation::Lost { subscription: index, publisher, sequence });
                    }
                    _ => {}
                }
            }
        }
    }

    /// A message whose answer never came is with all who were there long enough, or with none.
    pub(super) fn judge_all_or_none(&self, bounds: &Bounds, verdict: &mut Verdict) {
        let seen: Vec<_> = self.subscriptions.iter().map(|subscription| self.seen_by(subscription)).collect();
        for (publisher, publications) in self.publications.iter().enumerate() {
            let unanswered = publications
                .iter()
                .enumerate()
                .filter(|(_, publication)| publication.answer == Answer::Never);
            for (sequence, publication) in unanswered {
                let due = self.due(publication.node, publication.sent, bounds.settle);
                let was_there = |subscription: &Subscription| {
                    let stays = match subscription.closed {
                        Closed::AtTheEnd(_) => true,
                        Closed::ByNode(at) | Closed::ByClient(at) => {
                            at > self.due(subscription.node, due, bounds.settle)
                        }
                    };
                    stays && is_owed(subscription, publication)
                };
                let there: Vec<usize> = (0..self.subscriptions.len())
                    .filter(|index| was_there(&self.subscriptions[*index]))
                    .collect();
                let (with, without): (Vec<usize>, Vec<usize>) =
                    there.into_iter().partition(|index| seen[*index][publisher][sequence].is_some());
                if let (Some(with), Some(without)) = (with.first(), without.first()) {
                    verdict.add(Violation::Split { publisher, sequence, with: *with, without: *without });
                }
            }
        }
    }

    /// Those connections to `node` that were confirmed before it was cut off at `cut` and still open at `until`.
    pub fn still_open(&self, node: usize, cut: Instant, until: Instant) -> Vec<usize> {
        let is_open = |subscription: &Subscription| {
            subscription.node == node
                && subscription.confirmed.is_some_and(|confirmed| confirmed < cut)
                && subscription.closed.at() > until
        };
        (0..self.subscriptions.len()).filter(|index| is_open(&self.subscriptions[*index])).collect()
    }

    fn nothing_seen(&self) -> Vec<Vec<Option<Instant>>> {
        self.publications.iter().map(|publications| vec![None; publications.len()]).collect()
    }

    fn seen_by(&self, subscription: &Subscription) -> Vec<Vec<Option<Instant>>> {
        let mut seen = self.nothing_seen();
        for receipt in &subscription.received {
            let slot = seen.get_mut(receipt.publisher).and_then(|seen| seen.get_mut(receipt.sequence));
            if let Some(slot) = slot {
                slot.get_or_insert(receipt.at);
            }
        }
        seen
    }
}

fn is_owed(subscription: &Subscription, publication: &Publication) -> bool {
    subscription.confirmed.is_some_and(|confirmed| confirmed < publication.sent)
        && subscription.topic.takes(&publication.channel)
}
