//! The messages that this node publishes: numbered, kept until every node of the view has them, answered once
//! enough of them do.
//!
//! A publish is complete when every peer of the view that keeps up has acknowledged it *and* a majority of the
//! voters holds it. A peer that has not acknowledged within the grace is not waited for any more until it has
//! caught up; it still gets everything, or is voted out.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{Age, RecentBounds, Ring, View};

/// Nanoseconds on a clock that the caller chooses and never turns back.
pub type Nanos = u64;

/// A publish that is complete: whose it was, and how many subscribers on other nodes it was sent to.
pub type Completion<T> = (T, u64);

/// One peer of the view.
#[derive(Debug)]
struct Peer {
    node: u64,
    incarnation: u64,
    /// Everything up to this number is acknowledged.
    acked: u64,
    /// Whether publishes wait for it.
    keeps_up: bool,
    /// Since when the oldest message that it has not acknowledged waits.
    behind_since: Option<Nanos>,
}

#[derive(Debug)]
struct Pending<T> {
    ticket: T,
    receivers: u64,
    published: Nanos,
}

/// The outgoing half of the data plane, without sockets and clock.
#[derive(Debug)]
pub struct Outbound<T> {
    ring: Ring,
    /// Publishes that are not answered; the last is the newest of the ring.
    pending: VecDeque<Pending<T>>,
    peers: Vec<Peer>,
    /// This node and the voters, of which a majority has to hold a message.
    node: u64,
    voters: Vec<u64>,
    grace: Nanos,
    unacked_bytes_max: usize,
    /// The first message that is not answered or that a peer lacks. Those before are kept for clients that come back.
    needed: u64,
    /// Bytes of the messages from there on.
    needed_bytes: usize,
    recent_bytes_max: usize,
    age: Age,
}

impl<T> Outbound<T> {
    /// Nothing published yet, in a view of this node alone. The first message will be number 1.
    pub fn new(node: u64, grace: Nanos, unacked_bytes_max: usize, recent: RecentBounds) -> Self {
        Self {
            ring: Ring::new(1),
            pending: VecDeque::new(),
            peers: Vec::new(),
            node,
            voters: vec![node],
            grace,
            unacked_bytes_max,
            needed: 1,
            needed_bytes: 0,
            recent_bytes_max: recent.bytes_max,
            age: Age::new(1, recent.time),
        }
    }

    /// Takes a new view and the voters that go with it. Peers that stay keep their place; new ones owe
    /// everything that is not answered yet.
    pub fn install(&mut self, view: &View, voters: Vec<u64>, now: Nanos) {
        self.voters = voters;
        let start = self.first_unanswered() - 1;
        let mut peers = std::mem::take(&mut self.peers);
        for (&node, &incarnation) in &view.members {
            if node == self.node {
                continue;
            }
            let is_same = |peer: &Peer| peer.node == node && peer.incarnation == incarnation;
            let peer = match peers.iter().position(is_same) {
                Some(index) => peers.swap_remove(index),
                None => Peer { node, incarnation, acked: start, keeps_up: true, behind_since: None },
            };
            self.peers.push(peer);
        }
        for peer in &mut self.peers {
            let is_behind = peer.acked + 1 < self.ring.next();
            peer.behind_since = is_behind.then(|| peer.behind_since.unwrap_or(now));
        }
        self.forget_acked();
    }

    /// Numbers and keeps a message, which came as number `arrival` of all. Returns its number.
    pub fn publish(&mut self, frame: Bytes, arrival: u64, ticket: T, now: Nanos) -> u64 {
        self.needed_bytes += frame.len();
        self.pending.push_back(Pending { ticket, receivers: 0, published: now });
        for peer in &mut self.peers {
            peer.behind_since.get_or_insert(now);
        }
        self.ring.push(frame, arrival)
    }

    /// What is held.
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Forgets what is too old for clients that come back.
    pub fn age(&mut self, now: Nanos) {
        if let Some(first) = self.age.tick(now, self.ring.next()) {
            self.ring.forget_before(first.min(self.needed));
        }
    }

    /// The number of the oldest message that is not answered; of the next one if all are.
    pub fn first_unanswered(&self) -> u64 {
        self.ring.next() - self.pending.len() as u64
    }

    /// The number of the newest message.
    pub fn last(&self) -> u64 {
        self.ring.next() - 1
    }

    /// Where to go on for a peer, and the last number that it has acknowledged: behind what it has, or, if it was
    /// never told where to start, with the oldest message that is not answered. `None` when the peer is not in the
    /// view or what it needs is gone.
    pub fn resume(&mut self, node: u64, incarnation: u64, position: Option<u64>) -> Option<(u64, u64)> {
        let first = position.map_or_else(|| self.first_unanswered(), |last| last + 1);
        let (next, held) = (self.ring.next(), self.ring.first());
        let peer = self.peer(node, incarnation)?;
        if first > next || first < held {
            return None;
        }
        // It may have more than it could acknowledge, and never less.
        if first <= peer.acked {
            return None;
        }
        Some((first, peer.acked))
    }

    /// The encoded message with this number.
    pub fn frame(&self, number: u64) -> Option<&Bytes> {
        self.ring.get(number)
    }

    /// Takes an acknowledgement of everything up to `through`, with the numbers of receivers of the last
    /// messages. False when it acknowledges what was never sent.
    #[must_use]
    pub fn ack(&mut self, node: u64, incarnation: u64, through: u64, receivers: &[u64], now: Nanos) -> bool {
        let (next, first_unanswered) = (self.ring.next(), self.first_unanswered());
        let Some(peer) = self.peer(node, incarnation) else { return true };
        if through >= next || (through as usize) < receivers.len() {
            return false;
        }
        let before = peer.acked;
        if through <= before {
            return true;
        }
        peer.acked = through;
        let is_even = through + 1 == next;
        peer.keeps_up |= is_even;
        peer.behind_since = (!is_even).then_some(now);
        let counted_from = through + 1 - receivers.len() as u64;
        for (number, count) in (counted_from..).zip(receivers) {
            if number > before && number >= first_unanswered {
                self.pending[(number - first_unanswered) as usize].receivers += count;
            }
        }
        self.forget_acked();
        true
    }

    /// Moves publishes that are complete by now into `completions`, in their order.
    pub fn complete(&mut self, now: Nanos, completions: &mut Vec<Completion<T>>) {
        let before = completions.len();
        self.take_complete(now, completions);
        if completions.len() > before {
            self.forget_acked();
        }
    }

    fn take_complete(&mut self, now: Nanos, completions: &mut Vec<Completion<T>>) {
        if self.pending.is_empty() {
            return;
        }
        let held_by_majority = self.held_by_majority();
        loop {
            let kept_up = self.peers.iter().filter(|peer| peer.keeps_up).map(|peer| peer.acked).min();
            let through = kept_up.map_or(held_by_majority, |acked| acked.min(held_by_majority));
            let mut number = self.first_unanswered();
            while number <= through {
                let Some(done) = self.pending.pop_front() else { return };
                completions.push((done.ticket, done.receivers));
                number += 1;
            }
            let Some(oldest) = self.pending.front() else { return };
            if number > held_by_majority || now < oldest.published + self.grace {
                return;
            }
            // The grace is over: whoever lacks this one is not waited for until it has caught up.
            for peer in &mut self.peers {
                peer.keeps_up &= peer.acked >= number;
            }
        }
    }

    /// When [`complete`](Self::complete) should be called again even if nothing arrives.
    pub fn deadline(&self) -> Option<Nanos> {
        self.pending.front().map(|oldest| oldest.published + self.grace)
    }

    /// Whether publishers must wait: some peer of the view has too much still to acknowledge.
    pub fn is_full(&self) -> bool {
        self.needed_bytes > self.unacked_bytes_max
    }

    /// Whether publishers may go on after they had to wait.
    pub fn has_room(&self) -> bool {
        self.needed_bytes <= self.unacked_bytes_max / 2
    }

    /// The peers that have not acknowledged anything new for at least `time`, though there was something.
    pub fn laggards(&self, now: Nanos, time: Nanos) -> impl Iterator<Item = (u64, u64)> {
        self.peers
            .iter()
            .filter(move |peer| peer.behind_since.is_some_and(|since| now.saturating_sub(since) >= time))
            .map(|peer| (peer.node, peer.incarnation))
    }

    /// Messages that a peer has not acknowledged.
    pub fn lag(&self, node: u64) -> u64 {
        let last = self.last();
        self.peers.iter().find(|peer| peer.node == node).map_or(0, |peer| last - peer.acked)
    }

    fn peer(&mut self, node: u64, incarnation: u64) -> Option<&mut Peer> {
        self.peers.iter_mut().find(|peer| peer.node == node && peer.incarnation == incarnation)
    }

    /// The number of the last message that a majority of the voters holds, this node's own copies included.
    fn held_by_majority(&self) -> u64 {
        let held = |voter: &u64| {
            if *voter == self.node {
                return self.last();
            }
            self.peers.iter().find(|peer| peer.node == *voter).map_or(0, |peer| peer.acked)
        };
        let mut held: Vec<u64> = self.voters.iter().map(held).collect();
        held.sort_unstable_by(|a, b| b.cmp(a));
        held.get(held.len() / 2).copied().unwrap_or_default()
    }

    fn forget_acked(&mut self) {
        let lacked = self.peers.iter().map(|peer| peer.acked + 1).min();
        let needed = lacked.unwrap_or(u64::MAX).min(self.first_unanswered());
        while self.needed < needed {
            self.needed_bytes -= self.ring.get(self.needed).map_or(0, Bytes::len);
            self.needed += 1;
        }
        self.ring.forget_above(self.recent_bytes_max.max(self.needed_bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Nanos = 50;

    fn outbound(peers: &[u64], voters: &[u64]) -> Outbound<u32> {
        let mut outbound = Outbound::new(1, GRACE, 1000, RecentBounds { bytes_max: 0, time: 1 });
        install(&mut outbound, peers, voters);
        outbound
    }

    fn install(outbound: &mut Outbound<u32>, peers: &[u64], voters: &[u64]) {
        let members = peers.iter().map(|peer| (*peer, *peer * 10)).chain([(1, 10)]).collect();
        outbound.install(&View { epoch: 1, members }, voters.to_vec(), 0);
    }

    fn completed(outbound: &mut Outbound<u32>, now: Nanos) -> Vec<Completion<u32>> {
        let mut completions = Vec::new();
        outbound.complete(now, &mut completions);
        completions
    }

    #[test]
    fn a_publish_is_answered_with_the_receivers_of_all_once_all_have_it() {
        let mut outbound = outbound(&[2, 3], &[1, 2, 3]);
        outbound.publish("a".into(), 0, 100, 0);
        outbound.publish("b".into(), 0, 101, 0);
        assert!(outbound.ack(2, 20, 2, &[1, 2], 1));
        assert!(completed(&mut outbound, 1).is_empty(), "node 3 keeps up and is waited for");
        assert!(outbound.ack(3, 30, 1, &[4], 2));
        assert_eq!(completed(&mut outbound, 2), [(100, 5)]);
        assert!(outbound.ack(3, 30, 2, &[8], 3));
        assert_eq!(completed(&mut outbound, 3), [(101, 10)]);
        assert_eq!(outbound.ring.bytes(), 0, "what all have is forgotten");
    }

    #[test]
    fn after_the_grace_a_majority_is_enough_and_the_laggard_is_not_waited_for_until_it_is_back() {
        let mut outbound = outbound(&[2, 3], &[1, 2, 3]);
        outbound.publish("a".into(), 0, 100, 0);
        assert!(outbound.ack(2, 20, 1, &[1], 1));
        assert!(completed(&mut outbound, GRACE - 1).is_empty());
        assert_eq!(completed(&mut outbound, GRACE), [(100, 1)]);
        outbound.publish("b".into(), 0, 101, GRACE);
        assert!(outbound.ack(2, 20, 2, &[1], GRACE));
        assert_eq!(completed(&mut outbound, GRACE), [(101, 1)], "without a grace of its own");
        assert_eq!(outbound.laggards(GRACE, GRACE).collect::<Vec<_>>(), [(3, 30)]);
        assert!(outbound.ack(3, 30, 2, &[1, 1], GRACE + 1));
        outbound.publish("c".into(), 0, 102, GRACE + 2);
        assert!(outbound.ack(2, 20, 3, &[1], GRACE + 2));
        assert!(
            completed(&mut outbound, GRACE + 2).is_empty(),
            "node 3 has caught up: it is waited for again"
        );
    }

    #[test]
    fn without_a_majority_no_publish_is_answered() {
        let mut outbound = outbound(&[2, 3], &[1, 2, 3]);
        outbound.publish("a".into(), 0, 100, 0);
        assert!(completed(&mut outbound, 1000 * GRACE).is_empty());
        install(&mut outbound, &[], &[1, 2, 3]);
        assert!(completed(&mut outbound, 1000 * GRACE).is_empty(), "a view alone does not make a majority");
        install(&mut outbound, &[], &[1]);
        assert_eq!(completed(&mut outbound, 1000 * GRACE), [(100, 0)]);
    }

    #[test]
    fn a_newcomer_owes_what_is_not_answered_and_a_returning_peer_what_it_lacks() {
        let mut outbound = outbound(&[2], &[1, 2]);
        for ticket in 100..103 {
            outbound.publish("a".into(), 0, ticket, 0);
        }
        assert!(outbound.ack(2, 20, 1, &[0], 1));
        assert_eq!(completed(&mut outbound, 1), [(100, 0)]);
        install(&mut outbound, &[2, 3], &[1, 2]);
        assert_eq!(outbound.resume(3, 30, None), Some((2, 1)));
        assert_eq!(outbound.resume(2, 20, Some(2)), Some((3, 1)), "it has more than it could acknowledge");
        assert_eq!(outbound.resume(2, 20, Some(0)), None, "it cannot have less");
        assert_eq!(outbound.resume(2, 21, None), None, "another incarnation is not in the view");
        assert_eq!(outbound.resume(3, 30, Some(9)), None, "nobody has what was never sent");
    }

    /// It once kept all it had ever published when there was nobody to acknowledge it, until publishers had to wait.
    #[test]
    fn a_node_alone_keeps_nothing_that_is_answered() {
        let mut outbound = outbound(&[], &[1]);
        for ticket in 0..100 {
            outbound.publish(Bytes::from_static(&[0; 100]), 0, ticket, 0);
            assert_eq!(completed(&mut outbound, 0), [(ticket, 0)]);
        }
        assert!(!outbound.is_full());
        assert_eq!(outbound.ring.bytes(), 0);
    }

    #[test]
    fn what_all_have_is_kept_for_clients_that_come_back_and_holds_no_publisher_up() {
        let recent = RecentBounds { bytes_max: 2500, time: 10 };
        let mut outbound = Outbound::new(1, GRACE, 1000, recent);
        install(&mut outbound, &[2], &[1, 2]);
        for number in 1..=30 {
            outbound.publish(Bytes::from_static(&[0; 100]), number, 0, 0);
            assert!(outbound.ack(2, 20, number, &[0], 0));
            completed(&mut outbound, 0);
        }
        assert_eq!((outbound.ring.first(), outbound.ring.bytes()), (6, 2500));
        assert!(!outbound.is_full() && outbound.has_room());
        for number in 31..=41 {
            outbound.publish(Bytes::from_static(&[0; 100]), number, 0, 0);
        }
        assert!(outbound.is_full(), "what is not acknowledged does");
        for now in [100, 110, 120] {
            outbound.age(now);
        }
        assert_eq!(outbound.ring.first(), 31, "age does not take what the peer needs");
    }

    #[test]
    fn an_acknowledgement_of_the_future_is_refused() {
        let mut outbound = outbound(&[2], &[1, 2]);
        outbound.publish("a".into(), 0, 100, 0);
        assert!(!outbound.ack(2, 20, 2, &[1, 1], 1));
        assert!(!outbound.ack(2, 20, 1, &[1, 1], 1), "more counts than messages");
        assert!(outbound.ack(9, 90, 7, &[], 1), "a node outside the view is not listened to");
    }
}
