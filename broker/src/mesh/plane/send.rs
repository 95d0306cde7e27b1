//! Messages on their way to one peer, and its acknowledgements.

use std::{rc::Rc, time::Duration};

use bytes::{Bytes, BytesMut};
use carillon_proto::peer::{Ack, DataOpen, DataStart, Position, StreamHead, stream_head};
use tokio::sync::Notify;

use super::{Key, Local, Plane, PlaneEvent};
use crate::{
    clock,
    mesh::quic::{Link, PeerError, Receiver, Sender},
};

/// Frames below this size are copied together before they are given to QUIC; larger ones are shared.
const COPIED_BYTES_MAX: usize = 4096;

/// Bytes that one write takes.
const WRITE_BYTES: usize = 256 * 1024;

/// Pause before a stream that has ended is opened again.
const PAUSE: Duration = Duration::from_millis(20);

impl<L: Local> Plane<L> {
    /// Sends to one incarnation of a peer for as long as both are in the view. Ended from outside.
    pub(super) async fn send_to(self: Rc<Self>, key: Key, has_more: Rc<Notify>) {
        loop {
            let link = self.links.wait_for(key.0).await;
            let error = match self.send_over(&link, key, &has_more).await {
                Ok(never) => match never {},
                Err(error) => error,
            };
            tracing::debug!(peer = key.0, %error, "the stream of messages to a peer has ended");
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn send_over(
        &self,
        link: &Link,
        key: Key,
        has_more: &Notify,
    ) -> Result<std::convert::Infallible, PeerError> {
        let open = {
            let state = self.state.borrow();
            DataOpen {
                epoch: state.view.epoch,
                origin: state.node,
                incarnation: state.incarnation,
                receiver_incarnation: key.1,
            }
        };
        let mut channel = link.open().await?;
        channel.send(&StreamHead { kind: Some(stream_head::Kind::Data(open.clone())) }).await?;
        let position: Position = channel.receive().await?;
        let position = position.has_started.then_some(position.last);
        let resumed = self.state.borrow_mut().outbound.resume(key.0, key.1, position);
        let Some((first, acked)) = resumed else {
            let by = open.incarnation;
            let _ = self.events.send(PlaneEvent::Lags { by, node: key.0, incarnation: key.1 });
            return Err(PeerError::Protocol(format!("it cannot go on from {position:?}")));
        };
        channel.send(&DataStart { first, acked: Some(acked) }).await?;
        let (mut sender, mut receiver) = (channel.sender, channel.receiver);
        tokio::select! {
            error = self.write(&mut sender, first, has_more) => Err(error),
            error = self.read_acks(&mut receiver, key) => Err(error),
        }
    }

    async fn write(&self, sender: &mut Sender, first: u64, has_more: &Notify) -> PeerError {
        let mut next = first;
        let mut chunks: Vec<Bytes> = Vec::new();
        let mut copied = BytesMut::new();
        loop {
            self.collect(&mut next, &mut copied, &mut chunks);
            if chunks.is_empty() {
                has_more.notified().await;
                continue;
            }
            if let Err(error) = sender.write_all_chunks(&mut chunks).await {
                return error.into();
            }
            chunks.clear();
        }
    }

    /// Gathers the frames from number `next` on, as much as one write takes.
    fn collect(&self, next: &mut u64, copied: &mut BytesMut, chunks: &mut Vec<Bytes>) {
        let state = self.state.borrow();
        let mut bytes = 0;
        while bytes < WRITE_BYTES
            && let Some(frame) = state.outbound.frame(*next)
        {
            bytes += frame.len();
            *next += 1;
            if frame.len() < COPIED_BYTES_MAX {
                copied.extend_from_slice(frame);
                continue;
            }
            if !copied.is_empty() {
                chunks.push(copied.split().freeze());
            }
            chunks.push(frame.clone());
        }
        if !copied.is_empty() {
            chunks.push(copied.split().freeze());
        }
    }

    async fn read_acks(&self, receiver: &mut Receiver, key: Key) -> PeerError {
        loop {
            let ack: Ack = match receiver.receive().await {
                Ok(ack) => ack,
                Err(error) => return error,
            };
            let is_right = self.state.borrow_mut().outbound.ack(
                key.0,
                key.1,
                ack.through,
                &ack.receivers,
                clock::now_ns(),
            );
            if !is_right {
                return PeerError::Protocol(format!(
                    "it acknowledges up to {}, which was never sent",
                    ack.through
                ));
            }
            self.complete();
        }
    }
}
