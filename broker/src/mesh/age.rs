//! How long messages are kept.

use super::Nanos;

/// How far a ring reached at the last two ticks of its clock.
#[derive(Debug)]
pub(super) struct Age {
    marks: [u64; 2],
    marked: Nanos,
    time: Nanos,
}

impl Age {
    /// Of a ring whose next message is number `next`.
    pub(super) fn new(next: u64, time: Nanos) -> Self {
        Self { marks: [next; 2], marked: 0, time }
    }

    /// To be called now and then, with the number of the ring's next message. What is before the number that it returns
    /// is older than the time, give or take as much again.
    pub(super) fn tick(&mut self, now: Nanos, next: u64) -> Option<u64> {
        if now.saturating_sub(self.marked) < self.time {
            return None;
        }
        let old = self.marks[0];
        self.marks = [self.marks[1], next];
        self.marked = now;
        Some(old)
    }
}

/// Bounds of what is kept of messages that nobody needs but clients that come back.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecentBounds {
    /// Bytes, those that are needed included.
    pub bytes_max: usize,
    /// What is older than this is forgotten, give or take as much again.
    pub time: Nanos,
}
