//! Distributions of times.

use hdrhistogram::Histogram;

/// Times in nanoseconds.
pub(super) type Latencies = Histogram<u64>;

/// The longest that is told apart, in nanoseconds: two minutes.
const LATENCY_NS_MAX: u64 = 120_000_000_000;

/// An empty distribution, exact to three digits.
pub(super) fn latencies() -> Latencies {
    Histogram::new_with_bounds(100, LATENCY_NS_MAX, 3).expect("the bounds are valid")
}
