//! Rounds in which all contenders take turns.

use std::time::Duration;

use super::{
    super::{
        Pace,
        bench::{self, Round},
        turns,
    },
    Contender, Kind, churn, idle,
    scenario::{Figure, Load, Scenario, What},
};
use crate::Server;

/// How long buffers may take to shrink before memory is read: Redis looks at what has been idle for two seconds, at all
/// clients within a second.
const SETTLE: Duration = Duration::from_secs(4);

/// The same where one round is enough to see that it works.
const SETTLE_QUICK: Duration = Duration::from_millis(500);

/// Why there is no figure: the contender cannot do this, and nobody expects it to.
pub(super) const NOT_DONE: &str = "";

/// What one contender showed in one round.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    /// In the order of the scenario's figures.
    pub(super) values: Vec<f64>,
    /// Cores that all else kept busy; none where that does not matter.
    pub(super) other_cores: Option<f64>,
    pub(super) software: Option<String>,
}

/// A scenario with all samples: those of each contender, round by round.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) figures: &'static [Figure],
    pub(super) samples: Vec<Vec<Result<Sample, String>>>,
}

pub(super) fn measure(contenders: &[Contender], scenarios: &[&Scenario], pace: Pace) -> Vec<Row> {
    let running: Vec<Server> = contenders.iter().map(Contender::start).collect();
    scenarios.iter().map(|scenario| row(contenders, &running, scenario, pace)).collect()
}

fn row(contenders: &[Contender], running: &[Server], scenario: &Scenario, pace: Pace) -> Row {
    let mut samples: Vec<Vec<_>> = contenders.iter().map(|_| Vec::new()).collect();
    for round in 0..pace.rounds {
        for index in turns(contenders.len(), round) {
            eprintln!("{}: {}, round {}", scenario.name, contenders[index].name, round + 1);
            samples[index].push(sample(&contenders[index], &running[index], scenario, pace));
        }
    }
    Row { name: scenario.name, figures: scenario.figures, samples }
}

fn sample(contender: &Contender, server: &Server, scenario: &Scenario, pace: Pace) -> Result<Sample, String> {
    let is_quick = pace.rounds == 1;
    let is_nats = matches!(contender.kind, Kind::Nats(_));
    match scenario.load {
        Load::Churn(_) | Load::Idle if is_nats || contender.is_floor() => Err(NOT_DONE.to_owned()),
        Load::Bench(flags) if is_nats && flags.contains("--patterns") => Err(NOT_DONE.to_owned()),
        Load::Bench(flags) => {
            let (server, pid) = (
                format!("{}{}", if is_nats { "nats://" } else { "" }, server.addr),
                server.pid().to_string(),
            );
            let (seconds, warmup) = (pace.seconds.to_string(), if is_quick { "0.2" } else { "0.5" });
            let words = ["--server", &server, "--pids", &pid, "--seconds", &seconds, "--warmup", warmup];
            let words: Vec<String> = words.into_iter().chain(flags.split(' ')).map(str::to_owned).collect();
            let (software, round) = bench::run(&words, || {})?;
            of_bench(&round, software, scenario.figures)
        }
        Load::Churn(in_flight) => {
            churn::measure(server, in_flight, Duration::from_secs(u64::from(pace.seconds)))
        }
        // One of its own: memory tells what a server did before.
        Load::Idle => idle::measure(&contender.start(), if is_quick { SETTLE_QUICK } else { SETTLE }),
    }
}

fn of_bench(round: &Round, software: String, figures: &[Figure]) -> Result<Sample, String> {
    let faults = [
        (round.closed, "connections cut by the server"),
        (round.lost, "lost"),
        (round.doubled, "doubled"),
        (round.reordered, "reordered"),
    ];
    if let Some((count, what)) = faults.iter().find(|(count, _)| *count > 0) {
        return Err(format!("{count} {what}"));
    }
    let value = |figure: &Figure| match figure.what {
        What::Cpu => round.cpu_us_per_delivered,
        What::P50 => Some(round.latency.p50_us),
        What::P99 => Some(round.latency.p99_us),
        What::Deliveries => Some(round.delivered_per_s),
        What::BytesPerConnection | What::BytesPerSubscription => None,
    };
    let values: Option<Vec<f64>> = figures.iter().map(value).collect();
    Ok(Sample {
        values: values.ok_or("nothing was delivered")?,
        other_cores: Some(round.machine.other_cores),
        software: Some(software),
    })
}
