//! Messages that wait for the subscriber, bounded in bytes: one payload may weigh more than a million others.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::message::Pushed;

/// What a waiting message costs beside its bytes, so that empty ones are bounded too.
const MESSAGE_OVERHEAD_BYTES: usize = 128;

/// The side that receives from the socket.
#[derive(Debug)]
pub(crate) struct QueueSender {
    messages: mpsc::UnboundedSender<Queued>,
    room: Arc<Semaphore>,
    bytes_max: u32,
}

/// The subscriber's side.
#[derive(Debug)]
pub(crate) struct QueueReceiver {
    messages: mpsc::UnboundedReceiver<Queued>,
}

/// Room in the queue, held by the message that fills it.
pub(crate) type Room = OwnedSemaphorePermit;

#[derive(Debug)]
struct Queued {
    pushed: Pushed,
    _room: Room,
}

pub(crate) fn queue(bytes_max: usize) -> (QueueSender, QueueReceiver) {
    let bytes_max = u32::try_from(bytes_max.clamp(1, Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
    // Not bounded by itself: every message holds its share of the room.
    let (sender, receiver) = mpsc::unbounded_channel();
    let room = Arc::new(Semaphore::new(bytes_max as usize));
    (QueueSender { messages: sender, room, bytes_max }, QueueReceiver { messages: receiver })
}

impl QueueSender {
    /// Room for `message`, if there is some now. One that is larger than the bound needs all of it.
    pub(crate) fn room_now(&self, pushed: &Pushed) -> Option<Room> {
        Arc::clone(&self.room).try_acquire_many_owned(self.weight(pushed)).ok()
    }

    /// Waits for room.
    pub(crate) async fn room(&self, pushed: &Pushed) -> Option<Room> {
        Arc::clone(&self.room).acquire_many_owned(self.weight(pushed)).await.ok()
    }

    /// Queues a message; one that nobody will read is dropped.
    pub(crate) fn push(&self, pushed: Pushed, room: Room) {
        let _ = self.messages.send(Queued { pushed, _room: room });
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.messages.is_closed()
    }

    /// Waits until the subscriber is gone.
    pub(crate) async fn closed(&self) {
        self.messages.closed().await;
    }

    fn weight(&self, pushed: &Pushed) -> u32 {
        let bytes = pushed.bytes() + MESSAGE_OVERHEAD_BYTES;
        u32::try_from(bytes).unwrap_or(u32::MAX).min(self.bytes_max)
    }
}

impl QueueReceiver {
    /// The next message; `None` when the sender is gone and everything has been read.
    pub(crate) async fn next(&mut self) -> Option<Pushed> {
        self.messages.recv().await.map(|queued| queued.pushed)
    }

    /// The next message, if there is one now.
    pub(crate) fn next_now(&mut self) -> Option<Pushed> {
        self.messages.try_recv().ok().map(|queued| queued.pushed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Message, Via};

    #[test]
    fn room_is_bounded_in_bytes_and_comes_back_when_a_message_is_read() {
        let message = |len: usize| {
            Pushed::Message(Message { channel: "a".into(), payload: vec![0; len].into(), via: Via::Channel })
        };
        let (sender, mut receiver) = queue(1000);
        let room = sender.room_now(&message(800)).expect("is empty");
        sender.push(message(800), room);
        assert!(sender.room_now(&message(0)).is_none());
        assert_eq!(receiver.next_now(), Some(message(800)));
        assert!(sender.room_now(&message(100_000)).is_some(), "a larger one goes in alone");
    }
}
