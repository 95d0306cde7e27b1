//! The recent messages of one origin, encoded as they went over the wire.

use std::collections::VecDeque;

use bytes::Bytes;

/// Consecutive frames with their sequence numbers. Bounded by whoever fills it.
#[derive(Debug)]
pub struct Ring {
    /// Sequence number of the first frame that is held.
    first: u64,
    frames: VecDeque<Held>,
    bytes: usize,
}

/// One frame.
#[derive(Debug)]
struct Held {
    frame: Bytes,
    /// Which of all messages of all origins it was when it came to this node.
    arrival: u64,
}

impl Ring {
    /// An empty ring whose first frame will be number `first`.
    pub fn new(first: u64) -> Self {
        Self { first, frames: VecDeque::new(), bytes: 0 }
    }

    /// The sequence number of the oldest frame, or of the next if there is none.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The sequence number that the next frame gets.
    pub fn next(&self) -> u64 {
        self.first + self.frames.len() as u64
    }

    /// Bytes of all frames.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends a frame, which came as number `arrival` of all, and returns its sequence number.
    pub fn push(&mut self, frame: Bytes, arrival: u64) -> u64 {
        self.bytes += frame.len();
        self.frames.push_back(Held { frame, arrival });
        self.next() - 1
    }

    /// The frames from number `from` on; `None` when some of them are gone.
    pub fn from(&self, from: u64) -> Option<impl Iterator<Item = &Bytes>> {
        let skipped = from.checked_sub(self.first)?;
        Some(self.frames.iter().skip(skipped as usize).map(|held| &held.frame))
    }

    /// One frame.
    pub fn get(&self, number: u64) -> Option<&Bytes> {
        self.held(number).map(|held| &held.frame)
    }

    /// Which of all messages one frame was when it came.
    pub fn arrival(&self, number: u64) -> Option<u64> {
        self.held(number).map(|held| held.arrival)
    }

    fn held(&self, number: u64) -> Option<&Held> {
        self.frames.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// Forgets the frames before number `first`.
    pub fn forget_before(&mut self, first: u64) {
        while self.first < first && self.forget_one() {}
        if self.frames.len() * 4 < self.frames.capacity() && self.frames.capacity() > 1024 {
            self.frames.shrink_to(self.frames.len() * 2);
        }
    }

    /// Forgets the oldest frames until no more than `bytes_max` are held.
    pub fn forget_above(&mut self, bytes_max: usize) {
        while self.bytes > bytes_max && self.forget_one() {}
    }

    fn forget_one(&mut self) -> bool {
        let Some(held) = self.frames.pop_front() else { return false };
        self.bytes -= held.frame.len();
        self.first += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_keep_their_numbers_while_the_oldest_leave() {
        let mut ring = Ring::new(5);
        for number in 5..10_u64 {
            assert_eq!(ring.push(vec![number as u8; 10].into(), 100 + number), number);
        }
        ring.forget_before(6);
        ring.forget_above(30);
        assert_eq!((ring.first(), ring.next(), ring.bytes()), (7, 10, 30));
        assert!(ring.from(6).is_none(), "6 is gone");
        assert_eq!(ring.from(8).unwrap().map(|frame| frame[0]).collect::<Vec<_>>(), [8, 9]);
        assert_eq!(ring.get(9).unwrap()[0], 9);
        assert_eq!(ring.arrival(9), Some(109));
        assert!(ring.get(10).is_none() && ring.get(6).is_none());
    }
}
