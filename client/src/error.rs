//! What can go wrong, each with its data and what to do about it. The text of an error says all of it, so none has a `source`:
//! whoever prints a chain would tell it twice.

use std::{io, sync::Arc, time::Duration, time::SystemTime};

use carillon_proto::resp::{Value, ValueError};

use crate::Endpoint;

/// Text that is not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{address}' is not an address: {problem}")]
#[non_exhaustive]
pub struct AddressError {
    /// What was given, without credentials.
    pub address: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The client was given no address.
    #[error("there is no server to connect to: the client was given no address")]
    NoAddress,
    /// Nothing accepts connections there.
    #[error("cannot connect to {endpoint}: {error}{}", advice(endpoint))]
    Unreachable {
        /// Where to.
        endpoint: Endpoint,
        /// What the system says.
        error: io::Error,
    },
    /// It took longer than [`connect_time_max`](crate::ConnectionSettings::connect_time_max).
    #[error(
        "cannot connect to {endpoint}: no answer within {after:?}; check the address, and firewalls on the way"
    )]
    TimedOut {
        /// Where to.
        endpoint: Endpoint,
        /// The bound.
        after: Duration,
    },
    /// The connection was accepted and then ended.
    #[error("{endpoint} ended the connection before it greeted: {error}; its log should say why")]
    Ended {
        /// Who.
        endpoint: Endpoint,
        /// What the system says.
        error: io::Error,
    },
    /// Something else than a Redis-compatible server answers.
    #[error(
        "{endpoint} does not speak Redis's protocol: {error}; check the address, and whether it wants TLS"
    )]
    NotRedis {
        /// Who.
        endpoint: Endpoint,
        /// What is wrong with the answer.
        error: ValueError,
    },
    /// TLS was not agreed on: the server's certificate is not trusted or for another name, or the port speaks no TLS.
    #[error(
        "no TLS with {endpoint}: {error}; check the authorities that are trusted, the name, and that the port speaks TLS"
    )]
    Tls {
        /// Who.
        endpoint: Endpoint,
        /// What is wrong.
        error: io::Error,
    },
    /// The server has ended for good: a node in this process that was stopped.
    #[error("{endpoint} has ended and does not come back")]
    ServerEnded {
        /// Who.
        endpoint: Endpoint,
    },
    /// The server wants a password and none was given.
    #[error("{endpoint} needs a password and none was given: {reply}")]
    PasswordNeeded {
        /// Who.
        endpoint: Endpoint,
        /// What the server says.
        reply: String,
    },
    /// The server refuses the credentials.
    #[error("{endpoint} refuses the password of user '{username}': {reply}")]
    WrongPassword {
        /// Who.
        endpoint: Endpoint,
        /// The user; "default" if none was named.
        username: String,
        /// What the server says.
        reply: String,
    },
    /// The server answers the greeting with another error: it is loading, full, or protected.
    #[error("{endpoint} refuses the connection: {reply}")]
    Refused {
        /// Who.
        endpoint: Endpoint,
        /// What the server says.
        reply: String,
    },
}

/// What to look at when nothing accepts connections. A node in this process says itself what is wrong.
fn advice(endpoint: &Endpoint) -> &'static str {
    match endpoint {
        Endpoint::InProcess(_) => "",
        _ => "; check the address, and that a server runs there",
    }
}

impl ConnectError {
    /// Whether trying again at the same server with the same credentials is of no use.
    pub fn is_permanent(&self) -> bool {
        matches!(
            self,
            Self::NoAddress
                | Self::PasswordNeeded { .. }
                | Self::WrongPassword { .. }
                | Self::ServerEnded { .. }
        )
    }
}

/// The end of a connection.
#[derive(Clone, Debug, thiserror::Error)]
#[error("lost the connection to {endpoint}: {cause}")]
#[non_exhaustive]
pub struct ConnectionLost {
    /// To whom.
    pub endpoint: Endpoint,
    /// Why.
    pub cause: LossCause,
    /// When something was last received; when this was made, if the cause is [`LossCause::Stopped`].
    pub last_heard: SystemTime,
    /// All messages that were published before this have been received; those published since may be missing. The server
    /// has answered a PING that was sent then. [`UNIX_EPOCH`](SystemTime::UNIX_EPOCH) if nothing is known of that.
    pub complete_until: SystemTime,
}

/// Why a connection was lost.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LossCause {
    /// The server closed it.
    #[error("the server closed it")]
    Closed,
    /// The node in this process closed it, and says why, in the word that its log and its metrics have for it; `CLOSES.md` of the
    /// broker lists them.
    #[error("the node closed it: {0}")]
    ClosedBecause(&'static str),
    /// The system reports an error.
    #[error("{0}")]
    Io(Arc<io::Error>),
    /// The server did not answer a PING.
    #[error("the server was silent for {0:?}")]
    Silent(Duration),
    /// Requests waited for their replies while the messages before them were not read.
    #[error(
        "replies were behind messages that nobody read for {0:?}; read the subscriber in a task of its own"
    )]
    SubscriberTooSlow(Duration),
    /// What was received is not RESP, or above a bound.
    #[error("the server sent something that cannot be read: {0}")]
    Protocol(ValueError),
    /// A value that nothing asked for.
    #[error("the server sent something unexpected: {0}")]
    Unexpected(String),
    /// The server ended a subscription by itself, as a Redis Cluster does when a slot moves to another node.
    #[error("the server ended the subscription to '{0}'; subscribe again")]
    Unsubscribed(String),
    /// The runtime that the connection ran on has ended.
    #[error("the runtime it ran on has ended")]
    Stopped,
}

impl From<ValueError> for LossCause {
    fn from(error: ValueError) -> Self {
        Self::Protocol(error)
    }
}

/// Why a request has no result.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The connection was lost. Whether the server ran the request is not known; but when [`Connection::send`](crate::Connection::send)
    /// says it, nothing was sent.
    #[error(transparent)]
    Lost(#[from] ConnectionLost),
    /// The server answered with an error.
    #[error("{endpoint} answers with an error: {reply}")]
    Refused {
        /// Who.
        endpoint: Endpoint,
        /// What the server says, beginning with its code.
        reply: String,
    },
    /// The server answered with something else than the command promises.
    #[error("{endpoint} answers with {got:?}, not with {wanted}; is it a Redis-compatible server?")]
    UnexpectedReply {
        /// Who.
        endpoint: Endpoint,
        /// What was expected.
        wanted: &'static str,
        /// What came.
        got: Value,
    },
    /// The connection has subscriptions and speaks RESP2, in which it can do nothing else meanwhile.
    #[error(
        "{endpoint} speaks RESP2 only, where a subscribed connection takes no requests; open a second one"
    )]
    OnlySubscriptions {
        /// Who.
        endpoint: Endpoint,
    },
    /// A connection carries one subscriber at a time.
    #[error("the connection to {endpoint} has a subscriber; add to that one, or open another connection")]
    AlreadySubscribed {
        /// Who.
        endpoint: Endpoint,
    },
    /// A command that is not answered by one reply, or changes what the connection speaks.
    #[error("'{verb}' cannot be sent as a request; use the connection's own methods")]
    NotARequest {
        /// The command.
        verb: String,
    },
    /// No command, or no name to subscribe to.
    #[error("nothing was asked for: at least one argument is needed")]
    Empty,
}
