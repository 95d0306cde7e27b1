//! Whether the node may act for its clients at this moment.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::clock;

/// A single node always may.
const FOREVER: u64 = u64::MAX;

/// The node's lease, as the shards see it. It is checked on the path itself, once for each batch that leaves: a
/// process that was paused finds out before it says anything, and not when a timer gets its turn.
#[derive(Debug)]
pub struct Gate {
    /// On the clock of [`clock::now_ns`].
    until_ns: AtomicU64,
    /// How often the node was fenced. A shard that has seen fewer must close its connections first.
    fences: AtomicU64,
    /// Whether new connections are taken.
    admits: AtomicBool,
}

impl Gate {
    /// Of a node that depends on no other.
    pub fn of_single_node() -> Self {
        Self { until_ns: AtomicU64::new(FOREVER), fences: AtomicU64::new(0), admits: AtomicBool::new(true) }
    }

    /// Of a node that has to be let into its cluster's view first.
    pub fn of_member() -> Self {
        Self { until_ns: AtomicU64::new(0), fences: AtomicU64::new(0), admits: AtomicBool::new(false) }
    }

    /// Whether the node may deliver, acknowledge and answer now.
    pub fn is_open(&self) -> bool {
        let until = self.until_ns.load(Ordering::SeqCst);
        until == FOREVER || clock::now_ns() < until
    }

    /// Until when the lease holds.
    pub fn until_ns(&self) -> u64 {
        self.until_ns.load(Ordering::SeqCst)
    }

    /// How often the node was fenced.
    pub fn fences(&self) -> u64 {
        self.fences.load(Ordering::SeqCst)
    }

    /// Whether new connections are taken.
    pub fn admits(&self) -> bool {
        self.admits.load(Ordering::SeqCst)
    }

    /// Prolongs the lease.
    pub fn prolong(&self, until_ns: u64) {
        self.until_ns.fetch_max(until_ns, Ordering::SeqCst);
    }

    /// Takes new connections from now on.
    pub fn admit(&self) {
        self.admits.store(true, Ordering::SeqCst);
    }

    /// Ends the lease. Every connection there is has to be closed.
    pub fn close(&self) {
        self.admits.store(false, Ordering::SeqCst);
        // First the number: a shard that still sees the old one must find the gate shut.
        self.until_ns.store(0, Ordering::SeqCst);
        self.fences.fetch_add(1, Ordering::SeqCst);
    }
}
