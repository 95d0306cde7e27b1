//! The data stream: the messages that one node publishes, for another to deliver.
//!
//! The origin sends [`DataOpen`]; the receiver answers with its [`Position`]; the origin continues from there
//! with [`DataStart`] and then one [`Publish`] for each sequence number, without gaps. The other direction of
//! the stream carries [`Ack`]s.

use bytes::{BufMut, Bytes, BytesMut};
use prost::{
    Message as _,
    encoding::{WireType, encode_key, encode_varint, encoded_len_varint},
};

/// Opens a data stream. The receiver takes it up once its own view holds both incarnations.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DataOpen {
    /// The view that the origin is in.
    #[prost(uint64, tag = "1")]
    pub epoch: u64,
    /// The origin.
    #[prost(uint64, tag = "2")]
    pub origin: u64,
    /// The origin's incarnation.
    #[prost(uint64, tag = "3")]
    pub incarnation: u64,
    /// The incarnation of the receiver that is meant.
    #[prost(uint64, tag = "4")]
    pub receiver_incarnation: u64,
}

/// What the receiver has from this incarnation of the origin.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Position {
    /// Whether it has ever been told where to start.
    #[prost(bool, tag = "1")]
    pub has_started: bool,
    /// The last sequence number that it has.
    #[prost(uint64, tag = "2")]
    pub last: u64,
}

/// Where the origin goes on.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DataStart {
    /// The sequence number of the first [`Publish`] that follows.
    #[prost(uint64, tag = "1")]
    pub first: u64,
    /// The last acknowledgement that has arrived. The receiver begins with its counts from there on: those of later
    /// ones were lost with the stream before.
    #[prost(uint64, optional, tag = "2")]
    pub acked: Option<u64>,
}

/// One message.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Publish {
    /// Whether the channel is a shard channel.
    #[prost(bool, tag = "1")]
    pub is_shard: bool,
    /// The channel's name.
    #[prost(bytes = "bytes", tag = "2")]
    pub channel: Bytes,
    /// The payload.
    #[prost(bytes = "bytes", tag = "3")]
    pub payload: Bytes,
}

/// Acknowledges everything up to a sequence number.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Ack {
    /// The last sequence number that is acknowledged.
    #[prost(uint64, tag = "1")]
    pub through: u64,
    /// Subscribers that were sent each of the last messages, the newest last.
    #[prost(uint64, repeated, tag = "2")]
    pub receivers: Vec<u64>,
}

/// Appends the frame of a [`Publish`] without building one.
pub fn encode_publish(is_shard: bool, channel: &[u8], payload: &[u8], buffer: &mut BytesMut) {
    let flag_len = if is_shard { 2 } else { 0 };
    // Empty fields are absent in protobuf.
    let field_len = |field: &[u8]| match field.len() {
        0 => 0,
        len => 1 + encoded_len_varint(len as u64) + len,
    };
    let len = flag_len + field_len(channel) + field_len(payload);
    buffer.reserve(len + encoded_len_varint(len as u64));
    encode_varint(len as u64, buffer);
    if is_shard {
        encode_key(1, WireType::Varint, buffer);
        encode_varint(1, buffer);
    }
    for (tag, field) in [(2, channel), (3, payload)] {
        if !field.is_empty() {
            encode_key(tag, WireType::LengthDelimited, buffer);
            encode_varint(field.len() as u64, buffer);
            buffer.put_slice(field);
        }
    }
}

/// Decodes a frame of [`encode_publish`].
pub fn decode_publish(mut frame: Bytes) -> Result<Publish, prost::DecodeError> {
    prost::decode_length_delimiter(&mut frame)?;
    Publish::decode(frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::encode_frame;

    #[test]
    fn a_publish_is_encoded_as_prost_would() {
        for (is_shard, channel, payload) in
            [(false, "news", "hello"), (true, "", ""), (true, "a", ""), (false, "", "b")]
        {
            let (channel, payload) = (Bytes::from(channel), Bytes::from(payload.repeat(200)));
            let mut buffer = BytesMut::new();
            encode_publish(is_shard, &channel, &payload, &mut buffer);
            let message = Publish { is_shard, channel, payload };
            assert_eq!(buffer, encode_frame(&message));
            assert_eq!(decode_publish(buffer.freeze()), Ok(message));
        }
    }
}
