//! Patterns and their subscribers in one shard.

use ahash::RandomState;

use super::{
    Seat,
    glob::Glob,
    topics::{TopicId, Topics},
};

/// A pattern's number in its table.
pub(super) type PatternId = TopicId;

/// Patterns are kept like channels, by name, and each with its compiled form beside it.
#[derive(Debug)]
pub(super) struct Patterns {
    names: Topics,
    globs: Vec<(PatternId, Glob)>,
}

impl Patterns {
    pub(super) fn new(hasher: RandomState) -> Self {
        Self { names: Topics::new(hasher), globs: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.globs.is_empty()
    }

    pub(super) fn find(&self, pattern: &[u8]) -> Option<PatternId> {
        self.names.find(pattern)
    }

    pub(super) fn intern(&mut self, pattern: &[u8]) -> PatternId {
        if let Some(id) = self.names.find(pattern) {
            return id;
        }
        let id = self.names.intern(pattern);
        self.globs.push((id, Glob::new(pattern)));
        id
    }

    pub(super) fn name(&self, id: PatternId) -> &[u8] {
        self.names.name(id)
    }

    pub(super) fn add(&mut self, id: PatternId, seat: Seat) {
        self.names.add(id, seat);
    }

    pub(super) fn remove(&mut self, id: PatternId, seat: Seat) {
        let is_last = self.names.subscribers(id).len() == 1;
        self.names.remove(id, seat);
        if is_last {
            self.globs.retain(|(other, _)| *other != id);
        }
    }

    /// Every pattern with its compiled form and its subscribers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &Glob, &indexmap::set::Slice<Seat>)> {
        self.globs.iter().map(|(id, glob)| (self.names.name(*id), glob, self.names.subscribers(*id)))
    }
}
