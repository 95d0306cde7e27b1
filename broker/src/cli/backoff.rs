//! Waiting between attempts to connect, with jitter: many clients of a restarted server must not come at once.

use std::time::Duration;

/// The first wait: a supervised server is back within a second.
const FIRST: Duration = Duration::from_millis(100);
/// The longest wait: what a person accepts after the server is back.
pub(super) const LONGEST: Duration = Duration::from_secs(5);

/// Doubling waits.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { next: FIRST }
    }

    /// The next wait: between half and all of a time that doubles. `random` is any number.
    pub(super) fn wait(&mut self, random: u32) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(LONGEST);
        whole.mul_f64(0.5 + f64::from(random) / f64::from(u32::MAX) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_within_their_bounds() {
        let mut backoff = Backoff::new();
        let waits: Vec<u128> =
            [0, u32::MAX, 0, u32::MAX].map(|random| backoff.wait(random).as_millis()).into();
        assert_eq!(waits, [50, 200, 200, 800]);
        (0..100).for_each(|_| assert!(backoff.wait(u32::MAX) <= LONGEST));
        assert_eq!(backoff.wait(0), LONGEST / 2);
    }
}
