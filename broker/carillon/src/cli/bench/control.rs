//! What the run and its threads tell each other.

use std::sync::{
    Mutex, OnceLock, PoisonError, RwLock,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
};

use super::{
    clock::{Clock, Times},
    link::Place,
};

/// Shared by the threads of a run.
#[derive(Debug)]
pub(super) struct Control {
    pub(super) clock: Clock,
    /// Set once all clients are connected.
    pub(super) times: OnceLock<Times>,
    /// Everything has arrived, or enough has been waited for.
    pub(super) stop: AtomicBool,
    /// Where to connect to; the primary behind Sentinels moves.
    pub(super) places: RwLock<Vec<Place>>,
    failure: Mutex<Option<String>>,
    pub(super) gauges: Vec<Gauge>,
}

/// What one thread has done by now.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    /// Clients that are connected and subscribed.
    pub(super) ready: AtomicU32,
    /// Clients that wait for a connection.
    pub(super) down: AtomicU32,
    pub(super) received: AtomicU64,
    /// Deliveries that the published messages should cause.
    pub(super) expected: AtomicU64,
    /// Nothing is left to be published or answered.
    pub(super) is_idle: AtomicBool,
}

impl Control {
    pub(super) fn new(clock: Clock, places: Vec<Place>, threads: usize) -> Self {
        Self {
            clock,
            times: OnceLock::new(),
            stop: AtomicBool::new(false),
            places: RwLock::new(places),
            failure: Mutex::new(None),
            gauges: (0..threads).map(|_| Gauge::default()).collect(),
        }
    }

    /// The run cannot go on; the first reason is kept.
    pub(super) fn fail(&self, reason: String) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
        self.stop.store(true, Relaxed);
    }

    pub(super) fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The server for an attempt of a client whose own server is number `home`.
    pub(super) fn place(&self, home: usize, attempt: usize) -> Place {
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        places[(home + attempt) % places.len()].clone()
    }

    pub(super) fn ready(&self) -> u32 {
        self.gauges.iter().map(|gauge| gauge.ready.load(Relaxed)).sum()
    }

    pub(super) fn down(&self) -> u32 {
        self.gauges.iter().map(|gauge| gauge.down.load(Relaxed)).sum()
    }

    /// Deliveries by now, and those that there should be.
    pub(super) fn deliveries(&self) -> (u64, u64) {
        let sum = |value: fn(&Gauge) -> &AtomicU64| {
            self.gauges.iter().map(|gauge| value(gauge).load(Relaxed)).sum()
        };
        (sum(|gauge| &gauge.received), sum(|gauge| &gauge.expected))
    }

    pub(super) fn is_idle(&self) -> bool {
        self.gauges.iter().all(|gauge| gauge.is_idle.load(Relaxed))
    }
}
