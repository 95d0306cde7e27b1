//! Channel names and their subscribers in one shard.

use std::cell::Cell;

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
    /// Messages since they were last asked for. It lies beside what a publish reads anyway.
    messages: Cell<u32>,
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
        let id = self.topics.insert(Topic {
            name: name.into(),
            seats: IdSet::default(),
            messages: Cell::default(),
        });
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

    /// The subscribers of a topic, for a message that is counted.
    pub(super) fn hearing(&self, id: TopicId) -> &IdSet {
        let topic = &self.topics[id];
        topic.messages.set(topic.messages.get().wrapping_add(1));
        &topic.seats
    }

    /// Messages of a topic since they were last taken.
    pub(super) fn messages(&self, id: TopicId) -> u32 {
        self.topics[id].messages.get()
    }

    /// Takes the numbers of messages of all topics that had any.
    pub(super) fn take_messages(&self) -> impl Iterator<Item = (&[u8], u32)> {
        let all = self.topics.iter().map(|(_, topic)| (&*topic.name, topic.messages.take()));
        all.filter(|(_, messages)| *messages > 0)
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
