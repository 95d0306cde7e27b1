//! What a subscriber receives, and the three ways to ask for it.

use bytes::Bytes;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
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
