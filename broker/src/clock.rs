//! The clock of leases.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds since the machine started, the time that it was suspended included: a lease must not seem valid
/// to a node that slept through its end. `Instant` stands still meanwhile.
pub fn now_ns() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
