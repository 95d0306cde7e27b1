//! What every shard of the node wants to hear, for all shards to read.
//!
//! A shard writes down each subscription here before it confirms it. A publish therefore finds every shard
//! that has a confirmed subscriber, and is handed to no other; and PUBSUB is answered from here, exactly and
//! at once.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use ahash::RandomState;

use crate::{
    hub::{ChannelKind, SubscriptionKind},
    lock::lock,
};

/// A set of shards, one bit each. A node has at most 64.
pub type ShardSet = u64;

/// Separate locks for the names of one kind, so that shards rarely meet on one.
const STRIPES: usize = 16;

/// Subscribers by kind, name and shard.
#[derive(Debug)]
pub struct Directory {
    channels: Names,
    shard_channels: Names,
    patterns: Names,
    /// Shards that subscribe to any pattern.
    pattern_shards: AtomicU64,
    /// Number of pattern subscriptions of each shard.
    patterns_of: Box<[AtomicU64]>,
}

impl Directory {
    /// An empty directory for `shards` shards.
    pub fn new(shards: usize, hasher: &RandomState) -> Self {
        let names = || Names::new(shards, hasher.clone());
        Self {
            channels: names(),
            shard_channels: names(),
            patterns: names(),
            pattern_shards: AtomicU64::new(0),
            patterns_of: (0..shards).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Notes one more subscription in `shard`.
    pub fn add(&self, kind: SubscriptionKind, name: &[u8], shard: usize) {
        self.names(kind).add(name, shard);
        if kind == SubscriptionKind::Pattern && self.patterns_of[shard].fetch_add(1, Ordering::SeqCst) == 0 {
            self.pattern_shards.fetch_or(1 << shard, Ordering::SeqCst);
        }
    }

    /// Notes one subscription less in `shard`.
    pub fn remove(&self, kind: SubscriptionKind, name: &[u8], shard: usize) {
        // Only its own shard changes a shard's number, so nothing can come between these two.
        if kind == SubscriptionKind::Pattern && self.patterns_of[shard].fetch_sub(1, Ordering::SeqCst) == 1 {
            self.pattern_shards.fetch_and(!(1 << shard), Ordering::SeqCst);
        }
        self.names(kind).remove(name, shard);
    }

    /// The shards to which a message on `channel` must go.
    pub fn interested(&self, kind: ChannelKind, channel: &[u8]) -> ShardSet {
        match kind {
            ChannelKind::Channel => {
                self.channels.shards(channel) | self.pattern_shards.load(Ordering::SeqCst)
            }
            ChannelKind::Shard => self.shard_channels.shards(channel),
        }
    }

    /// Number of subscribers of `name` in all shards.
    pub fn subscribers(&self, kind: SubscriptionKind, name: &[u8]) -> u64 {
        self.names(kind).subscribers(name)
    }

    /// Every name of `kind` that has subscribers and that `wanted` accepts, in no particular order.
    pub fn list(&self, kind: SubscriptionKind, wanted: impl Fn(&[u8]) -> bool) -> Vec<Box<[u8]>> {
        self.names(kind).list(wanted)
    }

    /// The names of `kind` with most subscribers, and their numbers, the largest first.
    pub fn largest(&self, kind: SubscriptionKind, count: usize) -> Vec<(Box<[u8]>, u64)> {
        self.names(kind).largest(count)
    }

    /// Number of different names of `kind` that have subscribers.
    pub fn len(&self, kind: SubscriptionKind) -> usize {
        self.names(kind).stripes.iter().map(|stripe| lock(stripe).len()).sum()
    }

    fn names(&self, kind: SubscriptionKind) -> &Names {
        match kind {
            SubscriptionKind::Channel => &self.channels,
            SubscriptionKind::Pattern => &self.patterns,
            SubscriptionKind::ShardChannel => &self.shard_channels,
        }
    }
}

type Stripe = HashMap<Box<[u8]>, Counts, RandomState>;

/// Subscribers of one name in each shard. A node has one shard unless it is told otherwise, and then as many names as
/// subscriptions: this spares each an allocation.
#[derive(Debug)]
enum Counts {
    OneShard(u32),
    Shards(Box<[u32]>),
}

impl Counts {
    fn new(shards: usize) -> Self {
        if shards == 1 { Self::OneShard(0) } else { Self::Shards(vec![0; shards].into()) }
    }

    fn as_slice(&self) -> &[u32] {
        match self {
            Self::OneShard(count) => std::slice::from_ref(count),
            Self::Shards(counts) => counts,
        }
    }

    fn of(&mut self, shard: usize) -> &mut u32 {
        match self {
            Self::OneShard(count) => count,
            Self::Shards(counts) => &mut counts[shard],
        }
    }
}

#[derive(Debug)]
struct Names {
    stripes: [Mutex<Stripe>; STRIPES],
    shards: usize,
    hasher: RandomState,
}

impl Names {
    fn new(shards: usize, hasher: RandomState) -> Self {
        let stripes = std::array::from_fn(|_| Mutex::new(Stripe::with_hasher(hasher.clone())));
        Self { stripes, shards, hasher }
    }

    fn stripe(&self, name: &[u8]) -> MutexGuard<'_, Stripe> {
        // The table inside takes its slot from the hash's other end.
        lock(&self.stripes[(self.hasher.hash_one(name) >> 32) as usize % STRIPES])
    }

    fn add(&self, name: &[u8], shard: usize) {
        let mut stripe = self.stripe(name);
        if let Some(counts) = stripe.get_mut(name) {
            *counts.of(shard) += 1;
        } else {
            let mut counts = Counts::new(self.shards);
            *counts.of(shard) = 1;
            stripe.insert(name.into(), counts);
        }
    }

    fn remove(&self, name: &[u8], shard: usize) {
        let mut stripe = self.stripe(name);
        if let Some(counts) = stripe.get_mut(name) {
            *counts.of(shard) -= 1;
            if counts.as_slice().iter().all(|count| *count == 0) {
                stripe.remove(name);
            }
        }
    }

    fn shards(&self, name: &[u8]) -> ShardSet {
        let stripe = self.stripe(name);
        let counts = stripe.get(name).map_or(&[][..], Counts::as_slice);
        counts.iter().enumerate().fold(0, |set, (shard, count)| set | u64::from(*count > 0) << shard)
    }

    fn subscribers(&self, name: &[u8]) -> u64 {
        self.stripe(name)
            .get(name)
            .map_or(0, |counts| counts.as_slice().iter().map(|count| u64::from(*count)).sum())
    }

    fn largest(&self, count: usize) -> Vec<(Box<[u8]>, u64)> {
        let mut largest: Vec<(Box<[u8]>, u64)> = Vec::with_capacity(count + 1);
        for stripe in &self.stripes {
            for (name, counts) in lock(stripe).iter() {
                let subscribers = counts.as_slice().iter().map(|count| u64::from(*count)).sum();
                let at = largest.partition_point(|(_, more)| *more >= subscribers);
                if at < count {
                    largest.insert(at, (name.clone(), subscribers));
                    largest.truncate(count);
                }
            }
        }
        largest
    }

    fn list(&self, wanted: impl Fn(&[u8]) -> bool) -> Vec<Box<[u8]>> {
        let mut names = Vec::new();
        for stripe in &self.stripes {
            names.extend(lock(stripe).keys().filter(|name| wanted(name)).cloned());
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publish_finds_the_shards_of_channels_and_of_patterns() {
        let directory = Directory::new(3, &RandomState::with_seeds(1, 2, 3, 4));
        directory.add(SubscriptionKind::Channel, b"news", 0);
        directory.add(SubscriptionKind::Channel, b"news", 0);
        directory.add(SubscriptionKind::Pattern, b"n*", 2);
        assert_eq!(directory.interested(ChannelKind::Channel, b"news"), 0b101);
        assert_eq!(directory.interested(ChannelKind::Shard, b"news"), 0);
        assert_eq!(directory.subscribers(SubscriptionKind::Channel, b"news"), 2);
        directory.remove(SubscriptionKind::Channel, b"news", 0);
        directory.remove(SubscriptionKind::Pattern, b"n*", 2);
        assert_eq!(directory.interested(ChannelKind::Channel, b"news"), 0b001);
        directory.remove(SubscriptionKind::Channel, b"news", 0);
        assert_eq!(directory.len(SubscriptionKind::Channel) + directory.len(SubscriptionKind::Pattern), 0);
    }

    #[test]
    fn the_largest_come_first_whichever_shards_they_are_in() {
        let directory = Directory::new(2, &RandomState::with_seeds(1, 2, 3, 4));
        for (name, count) in [("one", 1), ("three", 3), ("two", 2)] {
            (0..count).for_each(|shard| directory.add(SubscriptionKind::Channel, name.as_bytes(), shard % 2));
        }
        let largest = directory.largest(SubscriptionKind::Channel, 2);
        assert_eq!(largest, [(b"three"[..].into(), 3), (b"two"[..].into(), 2)]);
    }
}
