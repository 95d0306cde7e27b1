//! The messages of one other node, as this node holds them.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{Age, Nanos, Ring};

/// Where a message of an origin stands with this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It is the next one: to be delivered.
    Next,
    /// It is here already.
    Duplicate,
}

/// The incoming half for one incarnation of one origin, without sockets and clock.
#[derive(Debug)]
pub struct Inbound {
    ring: Ring,
    /// Receivers of each message that is not acknowledged yet; `None` while shards still count.
    unacked: VecDeque<(u64, u32)>,
    /// Everything up to this number is acknowledged.
    acked: u64,
    /// Receivers of the last messages up to that one, as long as these are in the ring: the acknowledgement may get
    /// lost with its stream.
    acked_counts: VecDeque<u64>,
    age: Age,
    ring_bytes_max: usize,
}

impl Inbound {
    /// Nothing received yet; the origin starts with number `first`.
    pub fn new(first: u64, ring_bytes_max: usize, ring_time: Nanos) -> Self {
        Self {
            ring: Ring::new(first),
            unacked: VecDeque::new(),
            acked: first - 1,
            acked_counts: VecDeque::new(),
            age: Age::new(first, ring_time),
            ring_bytes_max,
        }
    }

    /// The last number that is here, without gaps before it.
    pub fn last(&self) -> u64 {
        self.ring.next() - 1
    }

    /// Everything up to this number is acknowledged.
    pub fn acked(&self) -> u64 {
        self.acked
    }

    /// Says what to do with message `number`. `None` for a gap: the sender has broken its word.
    pub fn arrival(&self, number: u64) -> Option<Arrival> {
        let next = self.ring.next();
        if number > next {
            return None;
        }
        Some(if number == next { Arrival::Next } else { Arrival::Duplicate })
    }

    /// Keeps the next message, which `receivers` local subscribers were sent by now, while `legs` shards have
    /// still to tell their number. It came as number `arrival` of all. Returns its number.
    pub fn push(&mut self, frame: Bytes, arrival: u64, receivers: u64, legs: u32) -> u64 {
        self.unacked.push_back((receivers, legs));
        let number = self.ring.push(frame, arrival);
        self.ring.forget_above(self.ring_bytes_max);
        self.forget_counts();
        number
    }

    /// One more shard has told its number for message `number`.
    pub fn count(&mut self, number: u64, receivers: u64) {
        let Some(index) = number.checked_sub(self.acked + 1) else { return };
        if let Some((count, legs)) = self.unacked.get_mut(index as usize) {
            *count += receivers;
            *legs = legs.saturating_sub(1);
        }
    }

    /// Takes what can be acknowledged by now: the last number, and the receivers of each message up to it.
    pub fn take_ack(&mut self, receivers: &mut Vec<u64>) -> Option<u64> {
        receivers.clear();
        while let Some((count, 0)) = self.unacked.front().copied() {
            receivers.push(count);
            self.acked_counts.push_back(count);
            self.unacked.pop_front();
            self.acked += 1;
        }
        (!receivers.is_empty()).then_some(self.acked)
    }

    /// Receivers of the messages after number `after` up to the last that is acknowledged, or of the last of these.
    pub fn counts_after(&self, after: u64) -> impl Iterator<Item = u64> {
        let wanted = self.acked.saturating_sub(after) as usize;
        self.acked_counts.range(self.acked_counts.len().saturating_sub(wanted)..).copied()
    }

    fn forget_counts(&mut self) {
        let held = (self.acked + 1).saturating_sub(self.ring.first()) as usize;
        self.acked_counts.drain(..self.acked_counts.len().saturating_sub(held));
    }

    /// What is held.
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// The frames from `first` on, for a survivor that lacks them; `None` when they are gone.
    pub fn frames_from(&self, first: u64) -> Option<impl Iterator<Item = &Bytes>> {
        self.ring.from(first)
    }

    /// Forgets what is older than the ring's time, give or take as much again.
    pub fn age(&mut self, now: Nanos) {
        let Some(first) = self.age.tick(now, self.ring.next()) else { return };
        self.ring.forget_before(first);
        self.forget_counts();
        self.acked_counts.shrink_to(2 * self.acked_counts.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_taken_once_and_acknowledged_in_order() {
        let mut inbound = Inbound::new(7, 1000, 100);
        assert_eq!(inbound.arrival(7), Some(Arrival::Next));
        assert_eq!(inbound.push("a".into(), 0, 1, 2), 7);
        assert_eq!(inbound.push("b".into(), 1, 5, 0), 8);
        assert_eq!(inbound.arrival(8), Some(Arrival::Duplicate));
        assert_eq!(inbound.arrival(10), None);
        let mut receivers = Vec::new();
        assert_eq!(inbound.take_ack(&mut receivers), None, "7 is still being counted");
        inbound.count(7, 1);
        inbound.count(7, 2);
        assert_eq!(inbound.take_ack(&mut receivers), Some(8));
        assert_eq!(receivers, [4, 5]);
        inbound.count(7, 9);
        assert_eq!(inbound.take_ack(&mut receivers), None);
    }

    /// The numbers of an acknowledgement that was lost with its stream were once missing from PUBLISH's reply.
    #[test]
    fn counts_are_told_again_when_an_acknowledgement_was_lost_with_its_stream() {
        let mut inbound = Inbound::new(5, 25, 100);
        let mut receivers = Vec::new();
        for count in 1..=4 {
            inbound.push(Bytes::from_static(&[0; 10]), 0, count, 0);
            inbound.take_ack(&mut receivers);
        }
        assert_eq!(inbound.counts_after(7).collect::<Vec<_>>(), [4]);
        assert_eq!(inbound.counts_after(8).count(), 0);
        assert_eq!(inbound.counts_after(u64::MAX).count(), 0, "an origin that does not say where it is");
        assert_eq!(inbound.counts_after(0).collect::<Vec<_>>(), [3, 4], "5 and 6 have left the ring");
    }

    #[test]
    fn old_messages_are_forgotten_by_bytes_and_by_time() {
        let mut inbound = Inbound::new(1, 25, 100);
        for _ in 0..3 {
            inbound.push(Bytes::from_static(&[0; 10]), 0, 0, 0);
        }
        assert!(inbound.frames_from(1).is_none());
        assert_eq!(inbound.frames_from(2).map(Iterator::count), Some(2));
        for now in [100, 150, 200, 300] {
            inbound.age(now);
        }
        assert!(inbound.frames_from(3).is_none(), "older than two ticks");
        assert_eq!(inbound.last(), 3);
    }
}
