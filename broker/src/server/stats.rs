//! Counters of one shard, written by its thread and read by every other.

use std::sync::atomic::{AtomicU64, Ordering};

use carillon_proto::command::CommandId;

use super::{CloseReason, Histogram};

/// A number with one writer: adding to it needs no locked instruction.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `count`. To be called by the counter's own thread only.
    pub fn add(&self, count: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
    }

    /// Starts again from zero. To be called by the counter's own thread only.
    pub(super) fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What became of the calls of one command.
#[derive(Debug, Default)]
pub struct CommandStats {
    /// Calls that were run.
    pub calls: Counter,
    /// Calls that were run and answered with an error.
    pub failed: Counter,
    /// Calls that were refused before.
    pub rejected: Counter,
    /// Calls whose time was taken.
    pub timed: Counter,
    /// Nanoseconds that those took.
    pub timed_ns: Counter,
}

/// The time is taken of one call of a command in so many: reading the clock costs as much as a publish to nobody.
pub(super) const CALLS_PER_TIMED: u64 = 16;

impl CommandStats {
    /// Whether the time of the next call is to be taken.
    pub(crate) fn is_due(&self) -> bool {
        self.calls.get().is_multiple_of(CALLS_PER_TIMED)
    }

    fn reset(&self) {
        let Self { calls, failed, rejected, timed, timed_ns } = self;
        [calls, failed, rejected, timed, timed_ns].into_iter().for_each(Counter::reset);
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
    /// Error replies by their first word, in the order of `ERROR_CODES`.
    pub errors_by_code: [Counter; ERROR_CODES.len()],
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
    /// Calls of each command, by [`CommandId`].
    pub by_command: CommandTable,
    /// From a message's arrival at the shard to the moment in which the kernel has it for every subscriber of the shard
    /// that takes it. What it has waited before for the shard, or on its way from another node, is not in it.
    pub delivery_time: Histogram,
    /// From a PUBLISH of a client of the shard to its answer, if other shards or nodes had a part in that: of every
    /// 16th of a connection.
    pub publish_time: Histogram,
    /// Turns at whose end something was sent.
    pub turns: Counter,
    /// Clients whose sockets took no more when they were last looked at, once a second.
    pub blocked: AtomicU64,
    /// Bytes that waited then for the client that is furthest behind.
    pub largest_outbox: AtomicU64,
    /// Subscriptions of the shard's clients then.
    pub subscriptions: AtomicU64,
    /// Bytes that the shard's clients make it hold, at the end of its last turn.
    pub held_bytes: AtomicU64,
}

/// Statistics of every command of the table.
#[derive(Debug)]
pub struct CommandTable([CommandStats; CommandId::COUNT]);

impl Default for CommandTable {
    fn default() -> Self {
        Self(std::array::from_fn(|_| CommandStats::default()))
    }
}

impl CommandTable {
    /// Those of one command.
    pub fn of(&self, id: CommandId) -> &CommandStats {
        &self.0[id as usize]
    }
}

/// The first words of errors, in the order in which INFO tells their numbers.
pub(crate) const ERROR_CODES: [&str; 7] =
    ["ERR", "EXECABORT", "GAP", "NOAUTH", "NOPERM", "NOPROTO", "WRONGPASS"];

impl ShardStats {
    /// Notes an error reply that begins with its code.
    pub(crate) fn count_error(&self, text: &[u8]) {
        self.errors.add(1);
        let code = text.split(|byte| *byte == b' ').next().unwrap_or_default();
        let at = ERROR_CODES.iter().position(|known| known.as_bytes() == code);
        debug_assert!(at.is_some(), "ERROR_CODES lacks {}", code.escape_ascii());
        if let Some(at) = at {
            self.errors_by_code[at].add(1);
        }
    }

    /// CONFIG RESETSTAT, on the shard's own thread.
    pub(crate) fn reset(&self) {
        let Self {
            connections,
            commands,
            errors,
            errors_by_code,
            reads,
            writes,
            input_bytes,
            output_bytes,
            published,
            delivered,
            closed,
            by_command,
            delivery_time,
            publish_time,
            turns,
            blocked: _,
            largest_outbox: _,
            subscriptions: _,
            held_bytes: _,
        } = self;
        let counters = [
            connections,
            commands,
            errors,
            reads,
            writes,
            input_bytes,
            output_bytes,
            published,
            delivered,
            turns,
        ];
        counters.into_iter().chain(errors_by_code).chain(closed).for_each(Counter::reset);
        delivery_time.reset();
        publish_time.reset();
        by_command.0.iter().for_each(CommandStats::reset);
    }
}
