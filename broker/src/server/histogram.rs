//! A distribution of times with one writer, in the form that Prometheus reads.

use std::time::Duration;

use super::Counter;

/// Upper ends of the buckets, in microseconds: from what an idle shard takes to what a user notices.
const ENDS_US: [u64; 14] =
    [25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000];

/// Counts of times by their length.
#[derive(Debug, Default)]
pub struct Histogram {
    /// One for each bucket, and one for what is longer than all.
    counts: [Counter; ENDS_US.len() + 1],
    sum_ns: Counter,
}

impl Histogram {
    /// Notes a time that held for `count` things. To be called by the histogram's own thread only.
    pub(crate) fn record(&self, time: Duration, count: u64) {
        let us = time.as_micros() as u64;
        self.counts[ENDS_US.partition_point(|end| *end < us)].add(count);
        self.sum_ns.add(time.as_nanos() as u64 * count);
    }

    /// The upper end of each bucket in seconds, infinity the last, with how many times were not longer; and the sum of
    /// all times in seconds.
    pub fn cumulative<'a>(of: impl Iterator<Item = &'a Self> + Clone) -> (Vec<(f64, u64)>, f64) {
        let mut below = 0;
        let ends = ENDS_US.iter().map(|us| *us as f64 / 1e6).chain([f64::INFINITY]);
        let buckets = ends.enumerate().map(|(at, end)| {
            below += of.clone().map(|histogram| histogram.counts[at].get()).sum::<u64>();
            (end, below)
        });
        let buckets = buckets.collect();
        (buckets, of.map(|histogram| histogram.sum_ns.get()).sum::<u64>() as f64 / 1e9)
    }

    /// Starts again from nothing. To be called by the histogram's own thread only.
    pub(super) fn reset(&self) {
        self.counts.iter().chain([&self.sum_ns]).for_each(Counter::reset);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_in_every_bucket_that_is_long_enough() {
        let (one, other) = (Histogram::default(), Histogram::default());
        one.record(Duration::from_micros(25), 2);
        one.record(Duration::from_micros(26), 1);
        other.record(Duration::from_secs(3), 1);
        let (buckets, sum) = Histogram::cumulative([&one, &other].into_iter());
        assert_eq!((buckets[0], buckets[1], buckets[13].1), ((25e-6, 2), (50e-6, 3), 3));
        assert_eq!(buckets[14], (f64::INFINITY, 4));
        assert!((sum - 3.000_076).abs() < 1e-9, "{sum}");
        one.reset();
        assert_eq!(Histogram::cumulative([&one].into_iter()).0[14].1, 0);
    }
}
