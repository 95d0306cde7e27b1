//! Channel names and their subscribers in one shard.

use ahash::RandomState;
use hashbrown::HashTable;
use slab::Slab;

use super::{Seat, id_set::IdSet};

/// A channel's number in its table. Reused when the channel has no subscriber any more.
pub(super) type TopicId = usize;

#[derive(Debug)]
struct Topic {
    name: Box<[u8]>,
    seats: IdSet,
}

/// One name space of channels.
#[derive(Debug)]
pub(super) struct Topics {
    topics: Slab<Topic>,
    /// Finds a topic by its name, which is stored in the topic only.
    by_name: HashTable<TopicId>,
    hasher: RandomState,
}

impl Topics {
    pub(super) fn new(hasher: RandomState) -> Self {
        Self { topics: Slab::new(), by_name: HashTable::new(), hasher }
    }

    pub(super) fn find(&self, name: &[u8]) -> Option<TopicId> {
        let hash = self.hasher.hash_one(name);
        self.by_name.find(hash, |id| *self.topics[*id].name == *name).copied()
    }

    /// The topic called `name`, made if it is new.
    pub(super) fn intern(&mut self, name: &[u8]) -> TopicId {
        if let Some(id) = self.find(name) {
            return id;
        }
        let id = self.topics.insert(Topic { name: name.into(), seats: IdSet::default() });
        let Self { topics, by_name, hasher } = self;
        by_name.insert_unique(hasher.hash_one(name), id, |id| hasher.hash_one(&*topics[*id].name));
        id
    }

    pub(super) fn name(&self, id: TopicId) -> &[u8] {
        &self.topics[id].name
    }

    pub(super) fn subscribers(&self, id: TopicId) -> &IdSet {
        &self.topics[id].seats
    }

    pub(super) fn add(&mut self, id: TopicId, seat: Seat) {
        self.topics[id].seats.insert(seat, &self.hasher);
    }

    /// Removes a subscriber, and the topic with its last one.
    pub(super) fn remove(&mut self, id: TopicId, seat: Seat) {
        let topic = &mut self.topics[id];
        topic.seats.remove(seat);
        if topic.seats.is_empty() {
            let hash = self.hasher.hash_one(&*topic.name);
            if let Ok(entry) = self.by_name.find_entry(hash, |other| *other == id) {
                entry.remove();
            }
            self.topics.remove(id);
        }
    }
}
