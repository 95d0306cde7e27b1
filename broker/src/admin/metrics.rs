//! Numbers in the form that Prometheus reads
//! ([OpenMetrics](https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md)).

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text::encode},
    metrics::MetricType,
    registry::Registry,
};

/// Whether a number only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, from the start of the process.
    Counter,
    /// It goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

/// Labels of one sample.
pub type Labels = Vec<(&'static str, String)>;

/// One metric with its samples.
#[derive(Clone, Debug)]
pub struct Metric {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    samples: Vec<(Labels, f64)>,
    /// Of a distribution: how many were in each bucket, by its upper end, and their sum.
    buckets: Vec<(f64, u64)>,
    sum: f64,
}

impl Metric {
    /// A number that only grows. Its name is given the suffix `_total`.
    pub fn counter(name: &'static str, help: &'static str, value: u64) -> Self {
        Self::family(name, help, Kind::Counter, [(Vec::new(), value as f64)])
    }

    /// A number that goes up and down.
    pub fn gauge(name: &'static str, help: &'static str, value: f64) -> Self {
        Self::family(name, help, Kind::Gauge, [(Vec::new(), value)])
    }

    /// Several numbers under one name.
    pub fn family(
        name: &'static str,
        help: &'static str,
        kind: Kind,
        samples: impl IntoIterator<Item = (Labels, f64)>,
    ) -> Self {
        Self { name, help, kind, samples: samples.into_iter().collect(), buckets: Vec::new(), sum: 0.0 }
    }

    /// A distribution: for each bucket its upper end, the last infinite, and how many were not above it.
    pub fn histogram(name: &'static str, help: &'static str, cumulative: &[(f64, u64)], sum: f64) -> Self {
        let mut below = 0;
        let buckets =
            cumulative.iter().map(|(end, count)| (*end, count - std::mem::replace(&mut below, *count)));
        Self { buckets: buckets.collect(), sum, ..Self::family(name, help, Kind::Histogram, []) }
    }
}

/// The text that a scrape gets.
pub(super) fn render(metrics: Vec<Metric>) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::with_prefix("carillon");
    registry.register_collector(Box::new(Metrics(metrics)));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Metrics(Vec<Metric>);

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for metric in &self.0 {
            let metric_type = match metric.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
            };
            let mut described = encoder.encode_descriptor(metric.name, metric.help, None, metric_type)?;
            if metric.kind == Kind::Histogram {
                let count = metric.buckets.iter().map(|(_, count)| count).sum();
                described.encode_histogram::<NoLabelSet>(metric.sum, count, &metric.buckets, None)?;
            }
            for (labels, value) in &metric.samples {
                if labels.is_empty() {
                    encode_value(&mut described, metric.kind, *value)?;
                } else {
                    encode_value(&mut described.encode_family(labels)?, metric.kind, *value)?;
                }
            }
        }
        Ok(())
    }
}

fn encode_value(encoder: &mut MetricEncoder<'_>, kind: Kind, value: f64) -> Result<(), std::fmt::Error> {
    match kind {
        Kind::Counter => encoder.encode_counter::<NoLabelSet, f64, f64>(&value, None),
        Kind::Gauge | Kind::Histogram => encoder.encode_gauge(&value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_in_the_form_that_prometheus_reads() {
        let text = render(vec![
            Metric::counter("messages_published", "Messages", 3),
            Metric::family("link_up", "Links", Kind::Gauge, [(vec![("peer", "a\"b".to_owned())], 1.0)]),
        ])
        .unwrap();
        assert_eq!(
            text,
            "# HELP carillon_messages_published Messages\n\
             # TYPE carillon_messages_published counter\n\
             carillon_messages_published_total 3.0\n\
             # HELP carillon_link_up Links\n\
             # TYPE carillon_link_up gauge\n\
             carillon_link_up{peer=\"a\\\"b\"} 1.0\n\
             # EOF\n"
        );
    }

    #[test]
    fn a_distribution_ends_with_all_of_it() {
        let cumulative = [(0.5, 1), (1.0, 3), (f64::INFINITY, 4)];
        let text = render(vec![Metric::histogram("time_seconds", "Time", &cumulative, 7.5)]).unwrap();
        assert_eq!(
            text,
            "# HELP carillon_time_seconds Time\n\
             # TYPE carillon_time_seconds histogram\n\
             carillon_time_seconds_sum 7.5\n\
             carillon_time_seconds_count 4\n\
             carillon_time_seconds_bucket{le=\"0.5\"} 1\n\
             carillon_time_seconds_bucket{le=\"1.0\"} 3\n\
             carillon_time_seconds_bucket{le=\"+Inf\"} 4\n\
             # EOF\n"
        );
    }
}
