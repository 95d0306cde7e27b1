//! What is told of all rounds: a table for people, JSON for programs, a plot.

mod plot;
mod table;

use serde::Serialize;

use super::{
    histogram::latencies, ledger::Faults, outcome::Outcome, settings::BenchSettings, target::Target,
};

/// Cores that others may use before a round counts as disturbed.
const OTHER_CORES_MAX: f64 = 0.1;

/// The rounds of one target.
#[derive(Debug)]
pub(super) struct Results {
    pub(super) target: Target,
    pub(super) rounds: Vec<Outcome>,
}

/// All that was measured.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    load: String,
    targets: Vec<TargetReport>,
    /// The first target's figures divided by the second's, round by round; below 1 the first is better.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ratios: Vec<Ratio>,
    #[serde(skip)]
    is_reconnecting: bool,
}

#[derive(Debug, Serialize)]
struct TargetReport {
    servers: Vec<String>,
    software: String,
    pids: Vec<u32>,
    /// The median of each figure over the rounds.
    median: Median,
    rounds: Vec<Outcome>,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Median {
    /// Whether disturbed rounds were left out: only when at least half were quiet.
    is_quiet: bool,
    delivered_per_s: f64,
    cpu_us_per_delivered: Option<f64>,
    p50_us: f64,
    p99_us: f64,
}

/// One round's figures of the first target divided by those of the second.
#[derive(Clone, Copy, Debug, Serialize)]
struct Ratio {
    cpu_per_delivered: Option<f64>,
    p50: f64,
    p99: f64,
    delivered_per_s: f64,
    rss: Option<f64>,
    /// Others used the machine during this round.
    is_disturbed: bool,
}

fn is_disturbed(outcome: &Outcome) -> bool {
    outcome.machine.other_cores > OTHER_CORES_MAX
}

/// The median of what there is.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

impl Median {
    fn of(rounds: &[Outcome]) -> Self {
        let quiet: Vec<&Outcome> = rounds.iter().filter(|round| !is_disturbed(round)).collect();
        let is_quiet = quiet.len() * 2 >= rounds.len();
        let counted = if is_quiet { quiet } else { rounds.iter().collect() };
        let of = |value: fn(&Outcome) -> f64| median(counted.iter().map(|round| value(round))).unwrap_or(0.0);
        Self {
            is_quiet,
            delivered_per_s: of(|round| round.delivered_per_s),
            cpu_us_per_delivered: median(counted.iter().filter_map(|round| round.cpu_us_per_delivered)),
            p50_us: of(|round| round.latency.p50_us),
            p99_us: of(|round| round.latency.p99_us),
        }
    }
}

impl Ratio {
    fn of(one: &Outcome, other: &Outcome) -> Self {
        let rss = |outcome: &Outcome| outcome.machine.server_rss_bytes_max.map(|bytes| bytes as f64);
        let both = |one: Option<f64>, other: Option<f64>| Some(one? / other?);
        Self {
            cpu_per_delivered: both(one.cpu_us_per_delivered, other.cpu_us_per_delivered),
            p50: one.latency.p50_us / other.latency.p50_us,
            p99: one.latency.p99_us / other.latency.p99_us,
            delivered_per_s: one.delivered_per_s / other.delivered_per_s,
            rss: both(rss(one), rss(other)),
            is_disturbed: is_disturbed(one) || is_disturbed(other),
        }
    }
}

impl Report {
    pub(super) fn new(settings: &BenchSettings, results: Vec<Results>) -> Self {
        let ratios = match results.as_slice() {
            [one, other] => one.rounds.iter().zip(&other.rounds).map(|(a, b)| Ratio::of(a, b)).collect(),
            _ => Vec::new(),
        };
        let target = |results: Results| TargetReport {
            servers: results.target.addresses,
            software: results.target.software,
            pids: results.target.pids,
            median: Median::of(&results.rounds),
            rounds: results.rounds,
        };
        Self {
            load: load(settings),
            targets: results.into_iter().map(target).collect(),
            ratios,
            is_reconnecting: settings.reconnect,
        }
    }

    /// The report as one JSON object.
    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).expect("numbers and strings are always JSON")
    }

    /// Latencies of each target over all rounds, as a drawing.
    pub(super) fn plot(&self) -> String {
        let series = self.targets.iter().map(|target| {
            let mut all = latencies();
            target
                .rounds
                .iter()
                .for_each(|round| all.add(&round.latencies).expect("the bounds are the same"));
            (format!("{} at {}", target.software, target.servers.join(", ")), all)
        });
        plot::draw(&self.load, &series.collect::<Vec<_>>())
    }

    /// Why the run is a failure; empty if it is none.
    pub(super) fn problems(&self) -> String {
        let mut problems = Vec::new();
        for target in &self.targets {
            let mut faults = Faults::default();
            target.rounds.iter().for_each(|round| faults.add(&round.faults));
            let sum = |value: fn(&Outcome) -> u64| target.rounds.iter().map(value).sum::<u64>();
            let closed = if self.is_reconnecting { 0 } else { sum(|round| round.closed) };
            let refused = sum(Outcome::refused);
            let silent = target.rounds.iter().filter(|round| round.delivered == 0).count() as u64;
            let counts = [
                (faults.lost, "lost"),
                (faults.doubled, "doubled"),
                (faults.reordered, "reordered"),
                (faults.damaged, "damaged"),
                (closed, "connections closed by the server"),
                (refused, "publishes refused"),
                (silent, "rounds without a delivery"),
            ];
            let found: Vec<String> = counts
                .iter()
                .filter(|(count, _)| *count > 0)
                .map(|(count, what)| format!("{count} {what}"))
                .collect();
            if !found.is_empty() {
                problems.push(format!("{}: {}", target.servers.join(","), found.join(", ")));
            }
        }
        problems.join("; ")
    }
}

/// The load in a few words.
fn load(settings: &BenchSettings) -> String {
    let counted = |count: u32, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    let kind = match (settings.patterns, settings.shard_channels) {
        (true, _) => "pattern",
        (_, true) => "shard channel",
        _ => "channel",
    };
    let pace = settings.rate.map_or_else(
        || format!("{} in flight each (closed loop)", settings.pipeline),
        |rate| format!("{rate} messages/s (open loop)"),
    );
    format!(
        "{} to {} through {}, {} bytes, {pace}, RESP{}",
        counted(settings.publishers, "publisher"),
        counted(settings.subscribers, "subscriber"),
        counted(settings.channels, kind),
        settings.size,
        settings.resp
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(median([3.0, 1.0].into_iter()), Some(2.0));
        assert_eq!(median([9.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median(std::iter::empty()), None);
    }
}
