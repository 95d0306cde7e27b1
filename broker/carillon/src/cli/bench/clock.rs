//! Time in nanoseconds since the tool began, the same for all threads.

use std::time::{Duration, Instant};

/// Where the nanoseconds are counted from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    /// Nanoseconds since the start; enough for five centuries.
    pub(super) fn now_ns(self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }
}

/// When messages are published and measured, in nanoseconds of the [`Clock`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// The first message.
    pub(super) publish_from_ns: u64,
    /// From here on figures count; before it is the warm-up.
    pub(super) measure_from_ns: u64,
    /// The last message is published before this.
    pub(super) measure_to_ns: u64,
}

impl Times {
    /// Publishing begins a moment after `now_ns`, so that every thread has woken and seen these times by then.
    pub(super) fn beginning(now_ns: u64, warmup: Duration, measured: Duration) -> Self {
        let publish_from_ns = now_ns + 30_000_000;
        let measure_from_ns = publish_from_ns + warmup.as_nanos() as u64;
        Self { publish_from_ns, measure_from_ns, measure_to_ns: measure_from_ns + measured.as_nanos() as u64 }
    }

    /// Whether what happens now counts.
    pub(super) fn is_measured(&self, now_ns: u64) -> bool {
        (self.measure_from_ns..self.measure_to_ns).contains(&now_ns)
    }
}
