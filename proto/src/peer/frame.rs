//! Frames: a length as a protobuf varint, then that many bytes.

use bytes::{Buf, Bytes, BytesMut};
use prost::Message;

/// A frame that cannot be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Its length is above what the reader allows.
    #[error("a frame of {len} bytes, where at most {len_max} are allowed")]
    TooLong {
        /// The length it claims.
        len: u64,
        /// The most that is allowed.
        len_max: usize,
    },
    /// Its length is not a varint.
    #[error("a frame whose length is no number")]
    BadLength,
    /// Its content is not the message that was due.
    #[error("a frame that does not decode: {0}")]
    BadMessage(#[from] prost::DecodeError),
}

/// Bytes of a length prefix at most: lengths fit into 32 bits.
const PREFIX_MAX: usize = 5;

/// Encodes a message with its length before it.
pub fn encode_frame(message: &impl Message) -> Bytes {
    message.encode_length_delimited_to_vec().into()
}

/// Appends a message with its length before it.
pub fn encode_frame_to(message: &impl Message, buffer: &mut BytesMut) {
    // A BytesMut grows: encoding into it cannot fail.
    let _ = message.encode_length_delimited(buffer);
}

/// Cuts a stream of chunks into frames. A frame that lies within one chunk is a slice of it; only one that
/// crosses chunks is put together in a buffer, which grows with what has arrived and not with what is claimed.
#[derive(Debug)]
pub struct FrameReader {
    len_max: usize,
    chunk: Bytes,
    /// The beginning of a frame whose end has not arrived.
    partial: BytesMut,
}

impl FrameReader {
    /// A reader of frames of at most `len_max` bytes.
    pub fn new(len_max: usize) -> Self {
        Self { len_max, chunk: Bytes::new(), partial: BytesMut::new() }
    }

    /// Adds what has arrived. The chunk before it must have been read to its end.
    pub fn push(&mut self, chunk: Bytes) {
        debug_assert!(self.chunk.is_empty(), "a chunk is read to its end before the next");
        self.chunk = chunk;
    }

    /// The next frame with its length prefix, and the length of that prefix; `None` when more has to arrive.
    pub fn next_raw(&mut self) -> Result<Option<(Bytes, usize)>, FrameError> {
        if self.partial.is_empty() {
            let Some((prefix, len)) = self.prefix(&self.chunk)? else {
                self.partial.extend_from_slice(&self.chunk);
                self.chunk.clear();
                return Ok(None);
            };
            if self.chunk.len() >= prefix + len {
                return Ok(Some((self.chunk.split_to(prefix + len), prefix)));
            }
            self.partial.extend_from_slice(&self.chunk);
            self.chunk.clear();
            return Ok(None);
        }
        while self.prefix(&self.partial)?.is_none() {
            if self.chunk.is_empty() {
                return Ok(None);
            }
            self.partial.extend_from_slice(&self.chunk.split_to(1));
        }
        let Some((prefix, len)) = self.prefix(&self.partial)? else { return Ok(None) };
        let missing = (prefix + len).saturating_sub(self.partial.len());
        let taken = missing.min(self.chunk.len());
        self.partial.extend_from_slice(&self.chunk.split_to(taken));
        if taken < missing {
            return Ok(None);
        }
        Ok(Some((std::mem::take(&mut self.partial).freeze(), prefix)))
    }

    /// The next frame's content, decoded.
    pub fn next_message<M: Message + Default>(&mut self) -> Result<Option<M>, FrameError> {
        let Some((mut frame, prefix)) = self.next_raw()? else { return Ok(None) };
        frame.advance(prefix);
        Ok(Some(M::decode(frame)?))
    }

    /// The length of the prefix and the length it tells, once it is complete.
    fn prefix(&self, bytes: &[u8]) -> Result<Option<(usize, usize)>, FrameError> {
        let mut len = 0_u64;
        for (index, byte) in bytes.iter().take(PREFIX_MAX).enumerate() {
            len |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                if len > self.len_max as u64 {
                    return Err(FrameError::TooLong { len, len_max: self.len_max });
                }
                return Ok(Some((index + 1, len as usize)));
            }
        }
        if bytes.len() >= PREFIX_MAX { Err(FrameError::BadLength) } else { Ok(None) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::peer::Ack;

    proptest! {
        #[test]
        fn any_chunks_give_the_same_frames(
            sizes in prop::collection::vec(0_usize..300, 0..20),
            cuts in prop::collection::vec(1_usize..50, 1..50),
        ) {
            let sent: Vec<Ack> = sizes
                .iter()
                .map(|size| Ack { through: *size as u64, receivers: vec![7; *size] })
                .collect();
            let mut stream = BytesMut::new();
            sent.iter().for_each(|ack| encode_frame_to(ack, &mut stream));
            let (mut reader, mut received) = (FrameReader::new(1 << 20), Vec::<Ack>::new());
            let mut stream = stream.freeze();
            for cut in cuts.iter().cycle() {
                if stream.is_empty() {
                    break;
                }
                reader.push(stream.split_to((*cut).min(stream.len())));
                while let Some(ack) = reader.next_message().unwrap() {
                    received.push(ack);
                }
            }
            prop_assert_eq!(received, sent);
        }

        #[test]
        fn strangers_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut reader = FrameReader::new(64);
            reader.push(bytes.into());
            while let Ok(Some(_)) = reader.next_message::<Ack>() {}
        }
    }

    #[test]
    fn a_claimed_length_reserves_nothing_and_is_bounded() {
        let mut reader = FrameReader::new(1 << 30);
        reader.push(Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0x03]));
        assert_eq!(reader.next_raw(), Ok(None));
        assert!(reader.partial.capacity() < 1024);
        let mut reader = FrameReader::new(100);
        reader.push(Bytes::from_static(&[101]));
        assert_eq!(reader.next_raw(), Err(FrameError::TooLong { len: 101, len_max: 100 }));
    }
}
