//! A message as subscribers get it, encoded once for all of them.

use bytes::Bytes;
use carillon_proto::resp::{Encoder, Protocol};

use super::outbox::{BufferPool, Outbox};

/// Payloads from this size on are shared between outboxes; smaller ones are copied, which keeps what a
/// subscriber is sent in one piece of memory and in one write.
const SHARED_BYTES_MIN: usize = 16 * 1024;

/// `message`, `smessage` and `pmessage` differ between the protocol versions in their first byte only, so one
/// encoding serves both.
#[derive(Debug, Default)]
pub(super) struct MessageFrame {
    head: Vec<u8>,
    /// The payload with its line end, when it is large; otherwise it is part of the head.
    body: Option<Bytes>,
}

impl MessageFrame {
    /// Forgets the payload of the message before.
    pub(super) fn clear(&mut self) {
        self.body = None;
    }

    /// Encodes a message. Between two calls of [`clear`](Self::clear) the payload must be the same.
    pub(super) fn encode(&mut self, head: &str, pattern: Option<&[u8]>, channel: &[u8], payload: &[u8]) {
        self.head.clear();
        let mut encoder = Encoder::new(&mut self.head, Protocol::Resp2);
        encoder.push(3 + usize::from(pattern.is_some()));
        encoder.bulk(head);
        if let Some(pattern) = pattern {
            encoder.bulk(pattern);
        }
        encoder.bulk(channel);
        if payload.len() < SHARED_BYTES_MIN {
            encoder.bulk(payload);
            return;
        }
        encoder.bulk_header(payload.len());
        if self.body.is_none() {
            self.body = Some([payload, b"\r\n"].concat().into());
        }
    }

    pub(super) fn append_to(&self, outbox: &mut Outbox, protocol: Protocol, pool: &mut BufferPool) {
        outbox.append(pool, |buffer| {
            let start = buffer.len();
            buffer.extend_from_slice(&self.head);
            if protocol == Protocol::Resp3 {
                buffer[start] = b'>';
            }
        });
        if let Some(body) = &self.body {
            outbox.append_shared(body.clone());
        }
    }
}
