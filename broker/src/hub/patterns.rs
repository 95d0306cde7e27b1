//! Patterns and their subscribers in one shard.

use ahash::RandomState;
use hashbrown::HashTable;

use super::{
    Seat,
    glob::Glob,
    id_set::IdSet,
    topics::{TopicId, Topics},
};

/// A pattern's number in its table.
pub(super) type PatternId = TopicId;

/// Patterns are kept like channels, by name. To find those that match a channel, they are looked up by the literal
/// bytes that they begin with: a publish costs one lookup for each *length* of these, however many patterns there
/// are, and only those whose beginning is right are matched.
#[derive(Debug)]
pub(super) struct Patterns {
    names: Topics,
    /// One for each length, the shortest first.
    groups: Vec<Group>,
    hasher: RandomState,
}

/// Patterns that begin with equally many literal bytes.
#[derive(Debug)]
struct Group {
    prefix_len: usize,
    by_prefix: HashTable<(PatternId, Glob)>,
}

impl Patterns {
    pub(super) fn new(hasher: RandomState) -> Self {
        Self { names: Topics::new(hasher.clone()), groups: Vec::new(), hasher }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    pub(super) fn find(&self, pattern: &[u8]) -> Option<PatternId> {
        self.names.find(pattern)
    }

    pub(super) fn intern(&mut self, pattern: &[u8]) -> PatternId {
        if let Some(id) = self.names.find(pattern) {
            return id;
        }
        let (id, glob) = (self.names.intern(pattern), Glob::new(pattern));
        let prefix_len = glob.prefix().len();
        let place = self.groups.partition_point(|group| group.prefix_len < prefix_len);
        if self.groups.get(place).is_none_or(|group| group.prefix_len != prefix_len) {
            self.groups.insert(place, Group { prefix_len, by_prefix: HashTable::new() });
        }
        let hash = |glob: &Glob| self.hasher.hash_one(glob.prefix());
        let table = &mut self.groups[place].by_prefix;
        table.insert_unique(hash(&glob), (id, glob), |(_, glob)| hash(glob));
        id
    }

    pub(super) fn name(&self, id: PatternId) -> &[u8] {
        self.names.name(id)
    }

    pub(super) fn add(&mut self, id: PatternId, seat: Seat) {
        self.names.add(id, seat);
    }

    pub(super) fn remove(&mut self, id: PatternId, seat: Seat) {
        if self.names.subscribers(id).len() == 1 {
            self.forget(id);
        }
        self.names.remove(id, seat);
    }

    fn forget(&mut self, id: PatternId) {
        let glob = Glob::new(self.names.name(id));
        let place = self.groups.partition_point(|group| group.prefix_len < glob.prefix().len());
        let Some(group) = self.groups.get_mut(place) else { return };
        let hash = self.hasher.hash_one(glob.prefix());
        if let Ok(entry) = group.by_prefix.find_entry(hash, |(other, _)| *other == id) {
            entry.remove();
        }
        if group.by_prefix.is_empty() {
            self.groups.remove(place);
        }
    }

    /// The patterns by name.
    pub(super) fn topics(&self) -> &Topics {
        &self.names
    }

    /// The patterns that match a channel, each with its subscribers.
    pub(super) fn matching<'a>(&'a self, channel: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a IdSet)> {
        self.matching_ids(channel).map(|id| (self.names.name(id), self.names.subscribers(id)))
    }

    /// The same, for a message that is counted.
    pub(super) fn hearing<'a>(&'a self, channel: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a IdSet)> {
        self.matching_ids(channel).map(|id| (self.names.name(id), self.names.hearing(id)))
    }

    fn matching_ids<'a>(&'a self, channel: &'a [u8]) -> impl Iterator<Item = PatternId> + 'a {
        let long_enough =
            self.groups.iter().map_while(|group| Some((group, channel.get(..group.prefix_len)?)));
        let likely =
            long_enough.flat_map(|(group, prefix)| group.by_prefix.iter_hash(self.hasher.hash_one(prefix)));
        likely.filter(|(_, glob)| glob.matches(channel)).map(|(id, _)| *id)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_patterns_that_match_are_found(
            steps in prop::collection::vec((any::<bool>(), "[ab*?]{0,4}"), 0..60),
            channel in "[ab]{0,5}",
        ) {
            let mut patterns = Patterns::new(RandomState::with_seeds(1, 2, 3, 4));
            let mut expected = BTreeSet::new();
            for (is_added, name) in &steps {
                let name = name.as_bytes();
                if *is_added {
                    let id = patterns.intern(name);
                    if expected.insert(name) {
                        patterns.add(id, 7);
                    }
                } else if expected.remove(name) {
                    let id = patterns.find(name).expect("it is there");
                    patterns.remove(id, 7);
                }
            }
            prop_assert_eq!(patterns.is_empty(), expected.is_empty());
            expected.retain(|pattern| Glob::new(pattern).matches(channel.as_bytes()));
            let found: Vec<&[u8]> = patterns.matching(channel.as_bytes()).map(|(name, _)| name).collect();
            prop_assert_eq!(found.len(), expected.len(), "each once");
            prop_assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
        }
    }
}
