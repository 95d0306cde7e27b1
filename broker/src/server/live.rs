//! Settings that CONFIG SET changes while the node runs. Reading one costs a plain load.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tracing::level_filters::LevelFilter;

use super::Limits;

/// A number that every thread reads and CONFIG SET writes.
#[derive(Debug, Default)]
pub struct Setting(AtomicU64);

impl Setting {
    /// A setting with its first value.
    pub fn new(value: u64) -> Self {
        Self(value.into())
    }

    /// The value now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Changes it, for whoever asks from now on.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

/// How much may wait for one client before its connection is closed.
#[derive(Debug, Default)]
pub struct OutboxLimit {
    /// Bytes that close it at once; 0 for no such limit.
    pub hard_bytes: Setting,
    /// Bytes that close it after `soft_s`; 0 for no such limit.
    pub soft_bytes: Setting,
    /// Seconds for which more than `soft_bytes` may wait.
    pub soft_s: Setting,
}

impl OutboxLimit {
    /// A limit with its first values.
    pub fn new(hard_bytes: u64, soft_bytes: u64, soft_s: u64) -> Self {
        Self {
            hard_bytes: Setting::new(hard_bytes),
            soft_bytes: Setting::new(soft_bytes),
            soft_s: Setting::new(soft_s),
        }
    }

    /// Whether `pending` bytes are more than may ever wait.
    pub(crate) fn is_above_hard(&self, pending: usize) -> bool {
        is_above(pending, &self.hard_bytes)
    }

    /// Whether `pending` bytes are more than may wait for long.
    pub(crate) fn is_above_soft(&self, pending: usize) -> bool {
        is_above(pending, &self.soft_bytes)
    }
}

fn is_above(pending: usize, limit: &Setting) -> bool {
    let limit = limit.get();
    limit > 0 && pending as u64 > limit
}

/// The classes of clients for which Redis has limits, by the names that CONFIG GET tells.
pub(crate) const OUTBOX_CLASSES: [&str; 3] = ["normal", "slave", "pubsub"];

/// What can change while the node runs.
#[derive(Debug)]
pub struct LiveSettings {
    /// Most connections at a time.
    pub clients_max: Setting,
    /// What may wait for a client. Here the limit for `pubsub` holds for every client: it is the others of
    /// Redis that are told and set without effect. There are no replicas, and what a client without
    /// subscriptions can leave unread is bounded in any case.
    pub outbox_limits: [OutboxLimit; OUTBOX_CLASSES.len()],
    /// Seconds after which a client that is no subscriber and says nothing is closed; 0 never closes one.
    pub idle_s: Setting,
    /// Seconds without a sign of a peer before the first keep-alive probe, for new connections; 0 for no probes.
    pub keepalive_s: Setting,
    /// What clients may take.
    pub limits: Limits,
    /// How to change what is logged.
    pub log: Log,
}

impl LiveSettings {
    /// The limit that holds.
    pub(crate) fn outbox_limit(&self) -> &OutboxLimit {
        let [_, _, pubsub] = &self.outbox_limits;
        pubsub
    }
}

/// Changes what is logged: given by the one who started the log.
#[derive(Clone)]
pub struct Log(Arc<dyn Fn(LevelFilter) + Send + Sync>);

impl Log {
    /// `set_level` is called with what is to be logged from then on.
    pub fn new(set_level: impl Fn(LevelFilter) + Send + Sync + 'static) -> Self {
        Self(Arc::new(set_level))
    }

    pub(crate) fn set_level(&self, level: LevelFilter) {
        (self.0)(level);
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Log").finish_non_exhaustive()
    }
}
