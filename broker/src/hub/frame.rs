//! A message as subscribers get it, encoded once for all of them.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use carillon_proto::{
    pipe::Delivery,
    position::Stamp,
    resp::{Encoder, Protocol},
};

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
    /// Bytes of all payloads that outboxes still share.
    shared_bytes: Arc<AtomicUsize>,
}

/// A large payload with its line end, counted for as long as anyone holds it.
struct Body {
    bytes: Vec<u8>,
    shared_bytes: Arc<AtomicUsize>,
}

impl Body {
    fn new(payload: &[u8], shared_bytes: &Arc<AtomicUsize>) -> Self {
        let bytes = [payload, b"\r\n"].concat();
        shared_bytes.fetch_add(bytes.len(), Ordering::Relaxed);
        Self { bytes, shared_bytes: Arc::clone(shared_bytes) }
    }
}

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.shared_bytes.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

impl MessageFrame {
    /// Forgets the payload of the message before.
    pub(super) fn clear(&mut self) {
        self.body = None;
    }

    /// Bytes of the payloads that outboxes share: each counted once, however many hold it.
    pub(super) fn shared_bytes(&self) -> usize {
        self.shared_bytes.load(Ordering::Relaxed)
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
        self.encode_payload(payload);
    }

    /// Encodes a message with its number, for a connection that gets it by these subscriptions: patterns, and `None` for
    /// the channel itself. Else as [`encode`](Self::encode).
    pub(super) fn encode_positioned(
        &mut self,
        head: &str,
        stamp: &Stamp,
        by: &[Option<&[u8]>],
        (channel, payload): (&[u8], &[u8]),
    ) {
        self.head.clear();
        let mut encoder = Encoder::new(&mut self.head, Protocol::Resp3);
        encoder.push(6);
        encoder.bulk(head);
        encoder.bulk(stamp.origin.to_string());
        encoder.integer(stamp.number);
        encoder.array(by.len());
        for pattern in by {
            match pattern {
                Some(pattern) => encoder.bulk(pattern),
                None => encoder.null(),
            }
        }
        encoder.bulk(channel);
        self.encode_payload(payload);
    }

    fn encode_payload(&mut self, payload: &[u8]) {
        let mut encoder = Encoder::new(&mut self.head, Protocol::Resp2);
        if payload.len() < SHARED_BYTES_MIN {
            encoder.bulk(payload);
            return;
        }
        encoder.bulk_header(payload.len());
        self.body(payload);
    }

    /// The payload with its line end.
    fn body(&mut self, payload: &[u8]) -> &Bytes {
        self.body.get_or_insert_with(|| Bytes::from_owner(Body::new(payload, &self.shared_bytes)))
    }

    /// A message as clients in this process get it, which share it with each other and, when it is large, with all. What
    /// is encoded does not matter; between two calls of [`clear`](Self::clear) the payload must be the same.
    pub(super) fn delivery(
        &mut self,
        is_shard: bool,
        stamp: &Stamp,
        by: &[Option<&[u8]>],
        (channel, payload): (&[u8], &[u8]),
    ) -> Delivery {
        let by = by.iter().map(|pattern| pattern.map(Bytes::copy_from_slice)).collect();
        let payload = if payload.len() < SHARED_BYTES_MIN {
            Bytes::copy_from_slice(payload)
        } else {
            self.body(payload).slice(..payload.len())
        };
        Delivery { stamp: *stamp, is_shard, by, channel: Bytes::copy_from_slice(channel), payload }
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
