//! The events that wait for one subscription, bounded in bytes, and what becomes of those for which there is no room.

use std::{
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::SystemTime,
};

use tokio::sync::{
    OwnedSemaphorePermit, Semaphore,
    mpsc::{self, error::TryRecvError},
};

use crate::{ClientError, Event, Gap, GapCause, Message};

/// What a waiting message costs beside its bytes, so that empty ones are bounded too.
const OVERHEAD_BYTES: usize = 256;

/// Events that are no messages may wait in such a number: two thousand reconnections of which nobody has taken notice.
const EVENTS_MAX: usize = 4096;

/// What happens to messages for a subscription that is not read fast enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlowReader {
    /// Nothing more is read from the server until there is room. This holds up the client's other subscriptions, too,
    /// and a server closes clients that do not read, after which the client resumes. Nothing is dropped here.
    #[default]
    Block,
    /// Messages are dropped, and a gap tells how many.
    Drop,
    /// The subscription ends with [`ClientError::Overflow`].
    End,
}

/// The side that is filled.
#[derive(Debug)]
pub(crate) struct Outlet {
    items: mpsc::UnboundedSender<Item>,
    room: Arc<Semaphore>,
    bytes_max: u32,
    policy: SlowReader,
    /// Counts, by who else holds it, the events that wait and are no messages.
    events: Arc<()>,
    has_ended: bool,
    /// Counts what is dropped while it is the last that was queued.
    dropped: Option<Arc<Mutex<Dropped>>>,
}

/// The side that is read.
#[derive(Debug)]
pub(crate) struct Inlet {
    items: mpsc::UnboundedReceiver<Item>,
    has_ended: bool,
}

#[derive(Debug)]
enum Item {
    /// With the room that it takes.
    Event {
        event: Event,
        _held: Held,
    },
    Dropped(Arc<Mutex<Dropped>>),
    End(ClientError),
}

/// What an event that waits takes from the bounds.
#[derive(Debug)]
enum Held {
    Room { _permit: OwnedSemaphorePermit },
    Place { _counted: Arc<()> },
}

#[derive(Debug)]
struct Dropped {
    count: u64,
    since: SystemTime,
    until: SystemTime,
    was_read: bool,
}

/// What has become of a message.
#[derive(Debug)]
pub(crate) enum Pushed {
    Taken,
    /// There is no room, and the message waits for it.
    Blocked(Message),
    /// The subscription has ended.
    Ended,
}

pub(crate) fn outlet(bytes_max: usize, policy: SlowReader) -> (Outlet, Inlet) {
    let bytes_max = u32::try_from(bytes_max.clamp(1, Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
    // Not bounded by itself: messages hold their share of the room, and other events are counted.
    let (items, read) = mpsc::unbounded_channel();
    let room = Arc::new(Semaphore::new(bytes_max as usize));
    (
        Outlet { items, room, bytes_max, policy, events: Arc::new(()), has_ended: false, dropped: None },
        Inlet { items: read, has_ended: false },
    )
}

impl Outlet {
    /// Queues a message, or does with it what the policy says.
    pub(crate) fn push(&mut self, message: Message) -> Pushed {
        if self.has_ended || self.items.is_closed() {
            return Pushed::Ended;
        }
        match Arc::clone(&self.room).try_acquire_many_owned(self.weight(&message)) {
            Ok(room) => {
                self.push_with(message, room);
                Pushed::Taken
            }
            Err(_) => match self.policy {
                SlowReader::Block => Pushed::Blocked(message),
                SlowReader::Drop => {
                    self.drop_one();
                    Pushed::Taken
                }
                SlowReader::End => {
                    self.end(ClientError::Overflow { bytes_max: self.bytes_max as usize });
                    Pushed::Ended
                }
            },
        }
    }

    /// Waits for room for a message. May be dropped.
    pub(crate) fn room(
        &self,
        message: &Message,
    ) -> impl Future<Output = Option<OwnedSemaphorePermit>> + Send + use<> {
        let (room, weight) = (Arc::clone(&self.room), self.weight(message));
        async move { room.acquire_many_owned(weight).await.ok() }
    }

    /// Queues a message for which there is room.
    pub(crate) fn push_with(&mut self, message: Message, room: OwnedSemaphorePermit) {
        self.dropped = None;
        let _ = self
            .items
            .send(Item::Event { event: Event::Message(message), _held: Held::Room { _permit: room } });
    }

    /// Queues what is no message. When too much of that waits, the subscription ends: nobody reads it.
    pub(crate) fn tell(&mut self, event: Event) {
        if self.has_ended {
            return;
        }
        if Arc::strong_count(&self.events) > EVENTS_MAX {
            return self.end(ClientError::Unread { events_max: EVENTS_MAX });
        }
        self.dropped = None;
        let held = Held::Place { _counted: Arc::clone(&self.events) };
        let _ = self.items.send(Item::Event { event, _held: held });
    }

    /// Ends the subscription behind what is queued.
    pub(crate) fn end(&mut self, error: ClientError) {
        self.has_ended = true;
        // Nobody is to wait for room in it.
        self.room.close();
        let _ = self.items.send(Item::End(error));
    }

    fn drop_one(&mut self) {
        let now = SystemTime::now();
        if let Some(dropped) = &self.dropped {
            let mut dropped = dropped.lock().unwrap_or_else(PoisonError::into_inner);
            if !dropped.was_read {
                (dropped.count, dropped.until) = (dropped.count + 1, now);
                return;
            }
        }
        let dropped = Dropped { count: 1, since: now, until: now, was_read: false };
        let dropped = Arc::new(Mutex::new(dropped));
        let _ = self.items.send(Item::Dropped(Arc::clone(&dropped)));
        self.dropped = Some(dropped);
    }

    fn weight(&self, message: &Message) -> u32 {
        u32::try_from(message.bytes() + OVERHEAD_BYTES).unwrap_or(u32::MAX).min(self.bytes_max)
    }
}

impl Inlet {
    /// The next item; `None` when there will be no more, which an error has told before.
    pub(crate) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Event, ClientError>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let item = std::task::ready!(self.items.poll_recv(context));
        Poll::Ready(Some(self.read(item)))
    }

    /// The next item, if there is one now.
    pub(crate) fn next_now(&mut self) -> Option<Result<Event, ClientError>> {
        if self.has_ended {
            return None;
        }
        // Not by polling, of which a task may do only so much at a time.
        match self.items.try_recv() {
            Ok(item) => Some(self.read(Some(item))),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(self.read(None)),
        }
    }

    fn read(&mut self, item: Option<Item>) -> Result<Event, ClientError> {
        match item {
            Some(Item::Event { event, .. }) => Ok(event),
            Some(Item::Dropped(dropped)) => {
                let mut dropped = dropped.lock().unwrap_or_else(PoisonError::into_inner);
                dropped.was_read = true;
                let cause = GapCause::Overflow { dropped: dropped.count };
                Ok(Event::Gap(Gap { since: dropped.since, until: dropped.until, cause }))
            }
            Some(Item::End(error)) => {
                self.has_ended = true;
                self.items.close();
                Err(error)
            }
            // Who fills it is gone, and has said nothing: the runtime has dropped its task.
            None => {
                self.has_ended = true;
                Err(ClientError::Stopped)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::Via;

    fn message(len: usize) -> Message {
        Message { channel: "a".into(), payload: vec![0; len].into(), via: Via::Channel }
    }

    fn read(inlet: &mut Inlet) -> Option<Result<Event, ClientError>> {
        match inlet.poll_next(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(item) => item,
            Poll::Pending => panic!("something waits"),
        }
    }

    #[test]
    fn what_is_dropped_is_told_where_it_was_and_how_much_it_was() {
        let (mut outlet, mut inlet) = outlet(1000, SlowReader::Drop);
        for _ in 0..5 {
            assert!(matches!(outlet.push(message(200)), Pushed::Taken));
        }
        assert!(matches!(read(&mut inlet), Some(Ok(Event::Message(_)))));
        assert!(matches!(outlet.push(message(200)), Pushed::Taken), "there is room again");
        assert!(matches!(read(&mut inlet), Some(Ok(Event::Message(_)))));
        let Some(Ok(Event::Gap(gap))) = read(&mut inlet) else { panic!("a gap is here") };
        assert!(matches!(gap.cause, GapCause::Overflow { dropped: 3 }), "{gap:?}");
        assert!(matches!(read(&mut inlet), Some(Ok(Event::Message(_)))));
    }

    #[test]
    fn what_nobody_reads_for_very_long_ends() {
        let (mut outlet, mut inlet) = outlet(1000, SlowReader::Block);
        for _ in 0..3 * EVENTS_MAX {
            outlet.tell(Event::Resumed);
            assert!(matches!(read(&mut inlet), Some(Ok(Event::Resumed))), "who reads gets all");
        }
        for _ in 0..3 * EVENTS_MAX {
            outlet.tell(Event::Resumed);
        }
        assert!(matches!(outlet.push(message(1)), Pushed::Ended));
        for _ in 0..EVENTS_MAX {
            assert!(matches!(read(&mut inlet), Some(Ok(Event::Resumed))));
        }
        assert!(matches!(read(&mut inlet), Some(Err(ClientError::Unread { events_max: EVENTS_MAX }))));
        assert!(read(&mut inlet).is_none());
    }

    #[test]
    fn a_subscription_can_block_or_end_instead() {
        let (mut blocking, _inlet) = outlet(500, SlowReader::Block);
        assert!(matches!(blocking.push(message(200)), Pushed::Taken));
        assert!(matches!(blocking.push(message(200)), Pushed::Blocked(_)));
        let (mut ending, mut inlet) = outlet(500, SlowReader::End);
        assert!(matches!(ending.push(message(200)), Pushed::Taken));
        assert!(matches!(ending.push(message(200)), Pushed::Ended));
        assert!(matches!(read(&mut inlet), Some(Ok(Event::Message(_)))));
        assert!(matches!(read(&mut inlet), Some(Err(ClientError::Overflow { bytes_max: 500 }))));
        drop(ending);
        assert!(read(&mut inlet).is_none());
    }
}
