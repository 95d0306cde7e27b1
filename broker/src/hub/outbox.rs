//! What waits to be written to one connection.

use std::{collections::VecDeque, io::IoSlice};

use bytes::Bytes;
use carillon_proto::pipe::{self, Delivery};

/// An owned piece is not grown beyond this: growing copies what is already in it.
const PIECE_BYTES_MAX: usize = 64 * 1024;

/// Buffers up to this capacity go back to the pool when they have been written: what 16 messages of 1 KiB make a buffer grow
/// to. Larger ones go to the allocator: a slow client may hold one of them for a few bytes.
const POOLED_BYTES_MAX: usize = 40 * 1024;

/// What the buffers are worth that the pool keeps: an event-loop turn of a busy shard. A turn that has more gets it from the
/// allocator, which grows each buffer step by step.
const POOL_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Buffers between two uses, so that an idle connection holds none, and how much is in those that are in use.
#[derive(Debug, Default)]
pub(super) struct BufferPool {
    spare: Vec<Vec<u8>>,
    /// Their capacity.
    spare_bytes: usize,
    bytes_in_use: usize,
}

impl BufferPool {
    /// Bytes in the outboxes' own pieces, written ones of a piece that is not finished included.
    pub(super) fn bytes_in_use(&self) -> usize {
        self.bytes_in_use
    }

    fn take(&mut self) -> Vec<u8> {
        let buffer = self.spare.pop().unwrap_or_default();
        self.spare_bytes -= buffer.capacity();
        buffer
    }

    fn give_back(&mut self, mut buffer: Vec<u8>) {
        self.bytes_in_use -= buffer.len();
        let spare_bytes = self.spare_bytes + buffer.capacity();
        if (1..=POOLED_BYTES_MAX).contains(&buffer.capacity()) && spare_bytes <= POOL_BYTES_MAX {
            buffer.clear();
            self.spare.push(buffer);
            self.spare_bytes = spare_bytes;
        }
    }
}

/// A queue of bytes: pieces of its own that small frames are copied into, and shared pieces for large ones. Of a
/// connection inside this process it also holds messages as they are.
#[derive(Debug, Default)]
pub struct Outbox {
    /// The piece that is being written.
    front: Piece,
    /// Bytes of the front that are written already.
    written: usize,
    rest: VecDeque<Piece>,
    pending_bytes: usize,
}

#[derive(Debug)]
enum Piece {
    Owned(Vec<u8>),
    Shared(Bytes),
    /// Counts as many bytes as it weighs, and has none that could be written. Boxed, as it is three times as large as the
    /// others, which are moved for every delivery.
    Message(Box<Delivery>),
}

impl Default for Piece {
    fn default() -> Self {
        Self::Owned(Vec::new())
    }
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Shared(bytes) => bytes,
            Self::Message(_) => &[],
        }
    }

    fn is_open(&self) -> bool {
        matches!(self, Self::Owned(bytes) if bytes.len() < PIECE_BYTES_MAX)
    }
}

impl Outbox {
    /// Bytes that wait.
    pub fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.pending_bytes == 0
    }

    /// Number of pieces that wait, for CLIENT LIST.
    pub fn pieces(&self) -> usize {
        usize::from(!self.is_empty()) + self.rest.len()
    }

    /// Lets `write` append to the last piece.
    pub(super) fn append<R>(&mut self, pool: &mut BufferPool, write: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        if !self.rest.back().unwrap_or(&self.front).is_open() {
            self.rest.push_back(Piece::Owned(pool.take()));
        }
        let Piece::Owned(buffer) = self.rest.back_mut().unwrap_or(&mut self.front) else {
            unreachable!("an open piece is owned");
        };
        if buffer.capacity() == 0 {
            *buffer = pool.take();
        }
        let before = buffer.len();
        let result = write(buffer);
        let added = buffer.len() - before;
        self.pending_bytes += added;
        pool.bytes_in_use += added;
        result
    }

    /// Appends a piece that other outboxes hold too.
    pub(super) fn append_shared(&mut self, bytes: Bytes) {
        self.pending_bytes += bytes.len();
        self.rest.push_back(Piece::Shared(bytes));
    }

    /// Appends a message for a client in this process.
    pub(super) fn append_message(&mut self, message: Delivery) {
        self.pending_bytes += message.weight();
        self.rest.push_back(Piece::Message(Box::new(message)));
    }

    /// Moves pieces into `pieces`, until they are `room` bytes or more. Returns how many they are. Not to be mixed with
    /// [`slices`](Self::slices) and `advance`: what is taken is taken whole.
    pub(super) fn take(
        &mut self,
        pool: &mut BufferPool,
        room: usize,
        pieces: &mut VecDeque<pipe::Piece>,
    ) -> usize {
        debug_assert_eq!(self.written, 0, "some of it was written to a socket");
        let mut taken = 0;
        while taken < room && self.pending_bytes > 0 {
            let next = self.rest.pop_front().unwrap_or_default();
            let piece = match std::mem::replace(&mut self.front, next) {
                Piece::Owned(bytes) if bytes.is_empty() => continue,
                Piece::Owned(bytes) => {
                    pool.bytes_in_use -= bytes.len();
                    pipe::Piece::Bytes(bytes.into())
                }
                Piece::Shared(bytes) => pipe::Piece::Bytes(bytes),
                Piece::Message(message) => pipe::Piece::Message(*message),
            };
            self.pending_bytes -= piece.weight();
            taken += piece.weight();
            pieces.push_back(piece);
        }
        taken
    }

    /// Fills `slices` with what comes next and returns how many were filled.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let front = &self.front.bytes()[self.written..];
        let pieces = std::iter::once(front).chain(self.rest.iter().map(Piece::bytes));
        let mut filled = 0;
        for (slice, piece) in slices.iter_mut().zip(pieces.filter(|piece| !piece.is_empty())) {
            *slice = IoSlice::new(piece);
            filled += 1;
        }
        filled
    }

    /// Drops everything.
    pub(super) fn discard(&mut self, pool: &mut BufferPool) {
        let Self { front, rest, .. } = std::mem::take(self);
        for piece in std::iter::once(front).chain(rest) {
            if let Piece::Owned(buffer) = piece {
                pool.give_back(buffer);
            }
        }
    }

    /// Drops the first `count` bytes.
    pub(super) fn advance(&mut self, pool: &mut BufferPool, mut count: usize) {
        self.pending_bytes -= count;
        loop {
            let left = self.front.bytes().len() - self.written;
            if count < left {
                self.written += count;
                return;
            }
            count -= left;
            self.written = 0;
            let next = self.rest.pop_front();
            let is_last = next.is_none();
            if let Piece::Owned(buffer) = std::mem::replace(&mut self.front, next.unwrap_or_default()) {
                pool.give_back(buffer);
            }
            if is_last {
                // The queue itself is given back too: most connections are idle most of the time.
                self.rest = VecDeque::new();
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use carillon_proto::position::{Origin, Stamp};
    use proptest::prelude::*;

    use super::*;

    fn pending(outbox: &Outbox) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); 64];
        let filled = outbox.slices(&mut slices);
        slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect()
    }

    proptest! {
        #[test]
        fn bytes_come_out_as_they_went_in(
            steps in prop::collection::vec((any::<bool>(), 0_usize..50, any::<prop::sample::Index>()), 1..40),
        ) {
            let (mut outbox, mut pool, mut expected) = (Outbox::default(), BufferPool::default(), Vec::new());
            for (number, (is_shared, len, written)) in steps.into_iter().enumerate() {
                let bytes = vec![number as u8; len];
                expected.extend_from_slice(&bytes);
                if is_shared {
                    outbox.append_shared(bytes.into());
                } else {
                    outbox.append(&mut pool, |buffer| buffer.extend_from_slice(&bytes));
                }
                prop_assert_eq!(&pending(&outbox), &expected);
                let written = written.index(expected.len() + 1);
                outbox.advance(&mut pool, written);
                expected.drain(..written);
                prop_assert_eq!(outbox.pending_bytes(), expected.len());
            }
            prop_assert_eq!(&pending(&outbox), &expected);
            outbox.discard(&mut pool);
            prop_assert_eq!((outbox.pending_bytes(), pool.bytes_in_use()), (0, 0));
        }
    }

    #[test]
    fn messages_keep_their_place_between_bytes() {
        let (mut outbox, mut pool) = (Outbox::default(), BufferPool::default());
        let message = Delivery {
            stamp: Stamp { origin: Origin { node: 1, incarnation: 1 }, number: 1 },
            is_shard: false,
            by: [None].into(),
            channel: "c".into(),
            payload: "p".into(),
        };
        outbox.append(&mut pool, |buffer| buffer.extend_from_slice(b"before"));
        outbox.append_message(message.clone());
        outbox.append(&mut pool, |buffer| buffer.extend_from_slice(b"behind"));
        let (mut pieces, pending) = (VecDeque::new(), outbox.pending_bytes());
        assert_eq!(outbox.take(&mut pool, 1, &mut pieces), 6, "a piece is taken whole");
        assert_eq!(outbox.take(&mut pool, 1000, &mut pieces), pending - 6);
        let expected = [
            pipe::Piece::Bytes("before".into()),
            pipe::Piece::Message(message.clone()),
            pipe::Piece::Bytes("behind".into()),
        ];
        assert_eq!(pieces, expected);
        assert_eq!((outbox.is_empty(), outbox.pieces(), pool.bytes_in_use()), (true, 0, 0));
        outbox.append_message(message);
        outbox.discard(&mut pool);
        assert_eq!((outbox.pending_bytes(), pool.bytes_in_use()), (0, 0));
    }

    #[test]
    fn a_written_outbox_holds_no_memory() {
        let (mut outbox, mut pool) = (Outbox::default(), BufferPool::default());
        outbox.append(&mut pool, |buffer| buffer.extend_from_slice(&[1; 100]));
        outbox.append_shared(Bytes::from_static(&[2; 100]));
        outbox.advance(&mut pool, 200);
        assert!(matches!(&outbox.front, Piece::Owned(buffer) if buffer.capacity() == 0));
        assert_eq!((outbox.rest.capacity(), pool.spare.len()), (0, 1));
    }
}
