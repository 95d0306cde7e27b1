//! The three tables of subscriptions of one kind of connections.

use ahash::RandomState;

use super::{
    ChannelKind, Seat, SubscriptionKind,
    id_set::IdSet,
    patterns::Patterns,
    topics::{TopicId, Topics},
};

/// Channels, shard channels and patterns, each with its subscribers.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) channels: Topics,
    pub(super) shard_channels: Topics,
    pub(super) patterns: Patterns,
}

impl Tables {
    pub(super) fn new(hasher: &RandomState) -> Self {
        Self {
            channels: Topics::new(hasher.clone()),
            shard_channels: Topics::new(hasher.clone()),
            patterns: Patterns::new(hasher.clone()),
        }
    }

    pub(super) fn topics(&self, kind: ChannelKind) -> &Topics {
        match kind {
            ChannelKind::Channel => &self.channels,
            ChannelKind::Shard => &self.shard_channels,
        }
    }

    pub(super) fn find(&self, kind: SubscriptionKind, name: &[u8]) -> Option<TopicId> {
        match kind {
            SubscriptionKind::Channel => self.channels.find(name),
            SubscriptionKind::Pattern => self.patterns.find(name),
            SubscriptionKind::ShardChannel => self.shard_channels.find(name),
        }
    }

    pub(super) fn intern(&mut self, kind: SubscriptionKind, name: &[u8]) -> TopicId {
        match kind {
            SubscriptionKind::Channel => self.channels.intern(name),
            SubscriptionKind::Pattern => self.patterns.intern(name),
            SubscriptionKind::ShardChannel => self.shard_channels.intern(name),
        }
    }

    pub(super) fn add(&mut self, kind: SubscriptionKind, id: TopicId, seat: Seat) {
        match kind {
            SubscriptionKind::Channel => self.channels.add(id, seat),
            SubscriptionKind::Pattern => self.patterns.add(id, seat),
            SubscriptionKind::ShardChannel => self.shard_channels.add(id, seat),
        }
    }

    pub(super) fn remove(&mut self, kind: SubscriptionKind, id: TopicId, seat: Seat) {
        match kind {
            SubscriptionKind::Channel => self.channels.remove(id, seat),
            SubscriptionKind::Pattern => self.patterns.remove(id, seat),
            SubscriptionKind::ShardChannel => self.shard_channels.remove(id, seat),
        }
    }

    pub(super) fn name(&self, kind: SubscriptionKind, id: TopicId) -> &[u8] {
        match kind {
            SubscriptionKind::Channel => self.channels.name(id),
            SubscriptionKind::Pattern => self.patterns.name(id),
            SubscriptionKind::ShardChannel => self.shard_channels.name(id),
        }
    }

    /// The subscribers of the channel itself, by `None`, and those of each pattern that matches it.
    pub(super) fn hearing<'a>(
        &'a self,
        kind: ChannelKind,
        channel: &'a [u8],
    ) -> impl Iterator<Item = (Option<&'a [u8]>, &'a IdSet)> {
        let topics = self.topics(kind);
        let direct = topics.find(channel).map(|id| (None, topics.subscribers(id)));
        let patterns = (kind == ChannelKind::Channel).then(|| self.patterns.matching(channel));
        let patterns = patterns.into_iter().flatten().map(|(pattern, seats)| (Some(pattern), seats));
        direct.into_iter().chain(patterns)
    }

    /// Subscriptions by which a message is received, which is counted.
    pub(super) fn count(&self, kind: ChannelKind, channel: &[u8]) -> u64 {
        let topics = self.topics(kind);
        let direct = topics.find(channel).map(|id| topics.hearing(id));
        let patterns = (kind == ChannelKind::Channel).then(|| self.patterns.hearing(channel));
        let patterns = patterns.into_iter().flatten().map(|(_, seats)| seats);
        direct.into_iter().chain(patterns).map(|seats| seats.len() as u64).sum()
    }

    /// The names of a kind.
    pub(super) fn names(&self, kind: SubscriptionKind) -> &Topics {
        match kind {
            SubscriptionKind::Channel => &self.channels,
            SubscriptionKind::Pattern => self.patterns.topics(),
            SubscriptionKind::ShardChannel => &self.shard_channels,
        }
    }
}
