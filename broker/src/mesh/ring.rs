//! The recent messages of one origin, encoded as they went over the wire.

use std::collections::VecDeque;

use bytes::Bytes;

/// Consecutive frames with their sequence numbers. Bounded by whoever fills it.
#[derive(Debug)]
pub struct Ring {
    /// Sequence number of the first frame that is held.
    first: u64,
    frames: VecDeque<Bytes>,
    bytes: usize,
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

    /// Appends a frame and returns its sequence number.
    pub fn push(&mut self, frame: Bytes) -> u64 {
        self.bytes += frame.len();
        self.frames.push_back(frame);
        self.next() - 1
    }

    /// The frames from number `from` on; `None` when some of them are gone.
    pub fn from(&self, from: u64) -> Option<impl Iterator<Item = &Bytes>> {
        let skipped = from.checked_sub(self.first)?;
        Some(self.frames.iter().skip(skipped as usize))
    }

    /// One frame.
    pub fn get(&self, number: u64) -> Option<&Bytes> {
        self.frames.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// Forgets the frames before number `first`.
    pub fn forget_before(&mut self, first: u64) {
        while self.first < first
            && let Some(frame) = self.frames.pop_front()
        {
            self.bytes -= frame.len();
            self.first += 1;
        }
        if self.frames.len() * 4 < self.frames.capacity() && self.frames.capacity() > 1024 {
            self.frames.shrink_to(self.frames.len() * 2);
        }
    }

    /// Forgets the oldest frames until no more than `bytes_max` are held.
    pub fn forget_above(&mut self, bytes_max: usize) {
        while self.bytes > bytes_max
            && let Some(frame) = self.frames.pop_front()
        {
            self.bytes -= frame.len();
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_keep_their_numbers_while_the_oldest_leave() {
        let mut ring = Ring::new(5);
        for number in 5..10_u64 {
            assert_eq!(ring.push(vec![number as u8; 10].into()), number);
        }
        ring.forget_before(6);
        ring.forget_above(30);
        assert_eq!((ring.first(), ring.next(), ring.bytes()), (7, 10, 30));
        assert!(ring.from(6).is_none(), "6 is gone");
        assert_eq!(ring.from(8).unwrap().map(|frame| frame[0]).collect::<Vec<_>>(), [8, 9]);
        assert_eq!(ring.get(9).unwrap()[0], 9);
        assert!(ring.get(10).is_none() && ring.get(6).is_none());
    }
}
