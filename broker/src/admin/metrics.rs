//! Numbers in the form that Prometheus reads
//! ([OpenMetrics](https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md)).

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, text::encode},
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
}

impl Metric {
    /// A number that only grows. Its name is given the suffix `_total`.
    pub fn counter(name: &'static str, help: &'static str, value: u64) -> Self {
        Self { name, help, kind: Kind::Counter, samples: vec![(Vec::new(), value as f64)] }
    }

    /// A number that goes up and down.
    pub fn gauge(name: &'static str, help: &'static str, value: f64) -> Self {
        Self { name, help, kind: Kind::Gauge, samples: vec![(Vec::new(), value)] }
    }

    /// Several numbers under one name.
    pub fn family(
        name: &'static str,
        help: &'static str,
        kind: Kind,
        samples: impl IntoIterator<Item = (Labels, f64)>,
    ) -> Self {
        Self { name, help, kind, samples: samples.into_iter().collect() }
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
            };
            let mut described = encoder.encode_descriptor(metric.name, metric.help, None, metric_type)?;
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
        Kind::Counter => {
            encoder.encode_counter::<prometheus_client::encoding::NoLabelSet, f64, f64>(&value, None)
        }
        Kind::Gauge => encoder.encode_gauge(&value),
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
}
