//! What a subscriber receives, and the three ways to ask for it.

use bytes::Bytes;

/// One message. Its bytes are shared by its clones.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// The channel that it was published to.
    pub channel: Bytes,
    /// The payload.
    pub payload: Bytes,
    /// The subscription that it came by.
    pub via: Via,
}

/// The subscription that a message came by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// SUBSCRIBE, to the channel itself.
    Channel,
    /// PSUBSCRIBE, with the pattern that matched.
    Pattern(Bytes),
    /// SSUBSCRIBE, to the shard channel itself.
    Shard,
}

/// The kinds of subscriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubscriptionKind {
    /// Channels, by name.
    Channel,
    /// Channels, by pattern.
    Pattern,
    /// Shard channels, by name.
    Shard,
}

impl SubscriptionKind {
    pub(crate) const ALL: [Self; 3] = [Self::Channel, Self::Pattern, Self::Shard];

    pub(crate) fn subscribe(self) -> &'static str {
        match self {
            Self::Channel => "subscribe",
            Self::Pattern => "psubscribe",
            Self::Shard => "ssubscribe",
        }
    }

    pub(crate) fn unsubscribe(self) -> &'static str {
        match self {
            Self::Channel => "unsubscribe",
            Self::Pattern => "punsubscribe",
            Self::Shard => "sunsubscribe",
        }
    }
}

/// What a server sends to a subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// A message as Redis sends it.
    Message(Message),
    /// A message with its number, and all the subscriptions that it came by.
    Numbered { stamp: Stamp, messages: Vec<Message> },
    /// Messages of an origin that the server does not hold any more.
    Gap,
    /// How far the server is.
    Position(Position),
}

/// The number of a message: where it was published, in the server's words, and which it is of those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) origin: Bytes,
    pub(crate) number: i64,
}

/// How far a server or a subscriber is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) epoch: i64,
    pub(crate) seen: Vec<Stamp>,
}

impl Pushed {
    /// Bytes that it holds, about.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Message(message) => message.bytes(),
            Self::Numbered { messages, .. } => messages.first().map_or(0, Message::bytes),
            Self::Gap | Self::Position(_) => 0,
        }
    }
}

impl Message {
    /// A message as a server would send it, for tests of what reads them.
    pub fn new(channel: impl Into<Bytes>, payload: impl Into<Bytes>, via: Via) -> Self {
        Self { channel: channel.into(), payload: payload.into(), via }
    }

    /// Bytes that it holds, about.
    pub(crate) fn bytes(&self) -> usize {
        self.channel.len() + self.payload.len()
    }
}
