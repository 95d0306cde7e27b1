//! What is asked of a connection.

use bytes::Bytes;

use crate::{
    RequestError, SubscriptionKind,
    conversation::{ConfirmationSender, ReplySender},
    queue::QueueSender,
};

/// What a connection's users want from its driver.
#[derive(Debug)]
pub(crate) enum Order {
    Request {
        bytes: Vec<u8>,
        reply: ReplySender,
    },
    Subscribe {
        bytes: Vec<u8>,
        kind: SubscriptionKind,
        names: Vec<Bytes>,
        done: ConfirmationSender,
        /// Where a new subscriber's messages go; `None` adds to the one that is there.
        queue: Option<QueueSender>,
    },
    /// CARILLON SUBSCRIBE, which one reply answers.
    Numbered {
        bytes: Vec<u8>,
        names: Vec<(SubscriptionKind, Bytes)>,
        reply: ReplySender,
        queue: Option<QueueSender>,
    },
    Unsubscribe {
        bytes: Vec<u8>,
        kind: SubscriptionKind,
        names: Vec<Bytes>,
        done: ConfirmationSender,
    },
}

impl Order {
    /// Tells whoever waits for it that nothing comes of it.
    pub(crate) fn refuse(self, error: RequestError) {
        match self {
            Self::Request { reply, .. } | Self::Numbered { reply, .. } => drop(reply.send(Err(error))),
            Self::Subscribe { done, .. } | Self::Unsubscribe { done, .. } => drop(done.send(Err(error))),
        }
    }
}
