//! Counters of one shard, written by its thread and read by every other.

use std::sync::atomic::{AtomicU64, Ordering};

use super::CloseReason;

/// A number with one writer: adding to it needs no locked instruction.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `count`. To be called by the counter's own thread only.
    pub fn add(&self, count: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
    }

    /// Starts again from zero. To be called by the counter's own thread only.
    fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What one shard has done.
#[derive(Debug, Default)]
pub struct ShardStats {
    /// Connections taken over from the listeners.
    pub connections: Counter,
    /// Commands run, refused ones not counted.
    pub commands: Counter,
    /// Error replies.
    pub errors: Counter,
    /// Reads from sockets.
    pub reads: Counter,
    /// Writes to sockets.
    pub writes: Counter,
    /// Bytes read.
    pub input_bytes: Counter,
    /// Bytes written.
    pub output_bytes: Counter,
    /// Messages that clients of this shard published.
    pub published: Counter,
    /// Messages put into outboxes of this shard.
    pub delivered: Counter,
    /// Connections closed, by reason.
    pub closed: [Counter; CloseReason::ALL.len()],
}

impl ShardStats {
    /// CONFIG RESETSTAT, on the shard's own thread.
    pub(crate) fn reset(&self) {
        let Self {
            connections,
            commands,
            errors,
            reads,
            writes,
            input_bytes,
            output_bytes,
            published,
            delivered,
            closed,
        } = self;
        let counters =
            [connections, commands, errors, reads, writes, input_bytes, output_bytes, published, delivered];
        counters.into_iter().chain(closed).for_each(Counter::reset);
    }
}
