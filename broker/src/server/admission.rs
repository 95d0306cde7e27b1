//! Which connections a node takes, and how fast.

use std::{
    fs::File,
    io,
    time::{Duration, Instant},
};

/// Lets so many connections through in a second, and a second's worth at once.
#[derive(Debug)]
pub(super) struct AcceptRate {
    /// From when on the next one may come.
    due: Instant,
}

impl AcceptRate {
    pub(super) fn new(now: Instant) -> Self {
        Self { due: now }
    }

    /// Takes the turn of one more connection. Returns how long it has to wait for it: meanwhile clients are in the
    /// kernel's queue, and none is refused.
    pub(super) fn take_turn(&mut self, per_s: u64, now: Instant) -> Duration {
        if per_s == 0 {
            return Duration::ZERO;
        }
        // What was not used in the last second is lost.
        let earliest = now.checked_sub(Duration::from_secs(1)).unwrap_or(now);
        self.due = self.due.max(earliest) + Duration::from_secs(1) / u32::try_from(per_s).unwrap_or(u32::MAX);
        self.due.saturating_duration_since(now)
    }
}

/// A file descriptor kept for the moment in which there is none left: given up, it lets the node take the connection
/// that waits, and close it with a reason, where otherwise its client would wait for ever.
#[derive(Debug)]
pub(super) struct SpareDescriptor(Option<File>);

impl SpareDescriptor {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(Some(File::open("/dev/null")?)))
    }

    /// Whether there was one to give up.
    pub(super) fn give_up(&mut self) -> bool {
        self.0.take().is_some()
    }

    /// Takes it again, if it can be had.
    pub(super) fn take_back(&mut self) {
        if self.0.is_none() {
            self.0 = File::open("/dev/null").ok();
        }
    }
}

/// Whether an error of `accept` says that there are as many descriptors as there may be.
pub(super) fn is_out_of_descriptors(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(rustix::io::Errno::from_raw_os_error);
    matches!(code, Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_a_second_passes_at_once_and_the_rest_at_the_rate() {
        let start = Instant::now();
        let mut rate = AcceptRate::new(start);
        let later = start + Duration::from_secs(10);
        assert!((0..100).all(|_| rate.take_turn(100, later).is_zero()));
        let waits: Vec<Duration> = (0..3).map(|_| rate.take_turn(100, later)).collect();
        assert_eq!(waits, [10, 20, 30].map(Duration::from_millis));
        assert!((0..1_000).all(|_| rate.take_turn(0, later).is_zero()));
    }
}
