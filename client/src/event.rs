//! What a subscription yields.

use std::{sync::Arc, time::SystemTime};

use crate::{ConnectError, ConnectionLost, Message, RequestError};

/// One item of a [`Subscription`](crate::Subscription).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A message.
    Message(Message),
    /// Messages may be missing here. What comes before was published before the gap or within it, and what comes behind
    /// within it or after.
    Gap(Gap),
    /// The connection was lost. Messages that are published from now on are late, or missing: what comes next of
    /// [`Resumed`](Self::Resumed) and [`Gap`](Self::Gap) tells which.
    Interrupted(ConnectionLost),
    /// No server could be reached since. They are tried again and again; this is told once.
    Unreachable(Arc<ConnectError>),
    /// A connection was lost and another has taken its place. All that was missed has come before this: nothing is
    /// missing.
    Resumed,
}

/// A time in which messages may have been missed: those that were published from `since` until `until`, by the clock of
/// this machine. It begins early rather than late.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Gap {
    /// When it began.
    pub since: SystemTime,
    /// When it ended.
    pub until: SystemTime,
    /// Why.
    pub cause: GapCause,
}

/// Why messages may be missing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum GapCause {
    /// There was no connection for a while, and the server keeps no messages for those who come back.
    Reconnected(ConnectionLost),
    /// There was no connection for a while, and what the servers keep does not reach back far enough.
    Forgotten(ConnectionLost),
    /// The subscription was not read fast enough, so that so many messages were dropped, here and nowhere else. The times
    /// are those at which they were dropped.
    Overflow {
        /// How many.
        dropped: u64,
    },
}

impl std::fmt::Display for GapCause {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Reconnected(lost) => write!(formatter, "{lost}, and the server keeps no messages"),
            Self::Forgotten(lost) => {
                write!(formatter, "{lost}, and the servers have forgotten some messages since")
            }
            Self::Overflow { dropped } => {
                write!(formatter, "{dropped} messages were dropped because they were not read")
            }
        }
    }
}

/// Why a subscription or a request has come to nothing.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No server could be reached in time. Nothing was sent.
    #[error("no server could be reached within {patience:?} (asked: {servers}){}", told(last.as_ref()))]
    NoServer {
        /// How long it was tried: [`patience`](crate::ClientSettings::patience).
        patience: std::time::Duration,
        /// The addresses that were tried.
        servers: String,
        /// What went wrong last. Nothing, if the first attempt was not over, or if servers were reached and lost again.
        last: Option<Arc<ConnectError>>,
    },
    /// A server was there, and did not confirm the subscription in time. It may be a slow one, or another subscription of this
    /// client blocks: confirmations come behind messages.
    #[error(
        "the server did not confirm the subscription within {patience:?}; is another subscription of this client not read?"
    )]
    NotConfirmed {
        /// How long it was waited: [`patience`](crate::ClientSettings::patience).
        patience: std::time::Duration,
    },
    /// Servers end the connection each time they are asked for this subscription, for instance because a name is longer than
    /// they take, or there are more than a client may have. Their logs say why.
    #[error("servers end the connection when they are asked for this subscription: {0}")]
    TurnedAway(ConnectionLost),
    /// No server takes this client, however often it tries: it refuses the credentials, or it is a node in this process that was
    /// stopped. See [`ConnectError::is_permanent`]. Nothing was sent.
    #[error(transparent)]
    GivenUp(Arc<ConnectError>),
    /// The request was sent, and the connection was lost before it was answered: whether it was carried out is not known.
    #[error("it is not known whether the request was carried out: {0}")]
    Unanswered(ConnectionLost),
    /// The server answered with an error, or with what the command does not promise; or the request cannot be sent.
    #[error(transparent)]
    Request(RequestError),
    /// The subscription was not read fast enough, and is to end then.
    #[error("more than {bytes_max} bytes were not read; the subscription has ended")]
    Overflow {
        /// The bound.
        bytes_max: usize,
    },
    /// So many connections were lost and made again that nobody has read about that nobody will.
    #[error("{events_max} lost and new connections were told and not read; the subscription has ended")]
    Unread {
        /// The bound.
        events_max: usize,
    },
    /// The runtime that the client ran on has ended, or is ending.
    #[error("the runtime that the client ran on has ended")]
    Stopped,
}

impl ClientError {
    /// Whether a request was certainly not sent, so that the same may be tried again without being done twice. Of the others
    /// [`Unanswered`](Self::Unanswered) leaves it open, and [`Request`](Self::Request) tells what the server says to it.
    pub fn is_unsent(&self) -> bool {
        match self {
            Self::NoServer { .. } | Self::GivenUp(_) => true,
            Self::Request(error) => {
                matches!(
                    error,
                    RequestError::Empty
                        | RequestError::NotARequest { .. }
                        | RequestError::OnlySubscriptions { .. }
                )
            }
            _ => false,
        }
    }
}

fn told(last: Option<&Arc<ConnectError>>) -> String {
    last.map(|last| format!("; last: {last}")).unwrap_or_default()
}
