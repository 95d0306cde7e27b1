//! How the shards of a node talk to each other: one queue for each, filled in batches.

use std::{rc::Rc, sync::Mutex};

use bytes::Bytes;
use carillon_proto::position::Stamp;
use tokio::sync::Notify;

use super::{Shard, stream::Socket};
use crate::{
    hub::{Message, Seat},
    lock::lock,
};

/// Where the answer to a message belongs.
#[derive(Clone, Copy, Debug)]
pub enum Ticket {
    /// A publish of one connection.
    Client {
        /// The connection's shard.
        shard: usize,
        /// The connection's seat there.
        seat: Seat,
        /// Seats are reused; the client's number tells whether it still is the same connection.
        client: u64,
        /// Which publish of that connection.
        number: u64,
    },
    /// A message of another node, which the first shard's relay has taken in.
    Peer {
        /// The relay's place for that node.
        slot: u64,
        /// Which message of that node.
        number: u64,
    },
}

impl Ticket {
    /// The shard that waits for the answer.
    pub(crate) fn shard(self) -> usize {
        match self {
            Self::Client { shard, .. } => shard,
            Self::Peer { .. } => 0,
        }
    }
}

/// Something to do on a shard's thread.
pub(crate) type Action = Box<dyn FnOnce(&Rc<Shard>) + Send>;

/// What a shard can be sent.
pub(crate) enum Envelope {
    /// A message for its subscribers, to be answered with their number.
    Deliver(Message, Ticket),
    /// A message with its number, for those who get it so. They are counted already.
    DeliverNumbered(Message, Stamp),
    /// A message for the other nodes, which go about it from the first shard.
    Relay(Message, Ticket),
    /// The answer: one leg of a publish is complete.
    Delivered(Ticket, u64),
    /// A connection to take over.
    Adopt(Socket),
    /// A line for the connections that said MONITOR.
    Monitor(Bytes),
    /// Something rare to do on the shard's own thread.
    Run(Action),
}

impl std::fmt::Debug for Envelope {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Deliver(..) => "Deliver",
            Self::DeliverNumbered(..) => "DeliverNumbered",
            Self::Relay(..) => "Relay",
            Self::Delivered(..) => "Delivered",
            Self::Adopt(_) => "Adopt",
            Self::Monitor(_) => "Monitor",
            Self::Run(_) => "Run",
        })
    }
}

/// The queue of one shard. What waits in it is bounded: each connection may have only so many publishes that
/// are not answered yet, and the rest is rare.
#[derive(Default)]
pub(crate) struct Inbox {
    queue: Mutex<Vec<Envelope>>,
    arrived: Notify,
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Inbox").finish_non_exhaustive()
    }
}

impl Inbox {
    /// Appends one envelope and wakes the shard.
    pub(crate) fn push(&self, envelope: Envelope) {
        self.lock().push(envelope);
        self.arrived.notify_one();
    }

    /// Appends all of `batch`, leaving it empty, and wakes the shard once.
    pub(crate) fn push_batch(&self, batch: &mut Vec<Envelope>) {
        self.lock().append(batch);
        self.arrived.notify_one();
    }

    /// Waits until there is something, and moves it into `batch`.
    pub(crate) async fn receive(&self, batch: &mut Vec<Envelope>) {
        loop {
            std::mem::swap(&mut *self.lock(), batch);
            if !batch.is_empty() {
                return;
            }
            self.arrived.notified().await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Envelope>> {
        lock(&self.queue)
    }
}
