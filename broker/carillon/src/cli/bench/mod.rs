//! `carillon bench`: a load for any server that speaks Redis's pub/sub, with figures that can be trusted.
//!
//! What makes them so: every message says who published it, as which one, and when it was due, so that each subscriber
//! judges what it lost and an open loop counts from the intended time; the servers' processor time for each delivery,
//! which other work on the machine does not change as it changes throughput; the load's own share, so that one sees
//! which side is the limit; and comparisons in alternating rounds, because machines drift within minutes.

mod client;
mod clock;
mod control;
mod driver;
mod frame;
mod histogram;
mod ledger;
mod link;
mod nats;
mod outcome;
mod payload;
mod plan;
mod poller;
mod procs;
mod progress;
mod publisher;
mod report;
mod run;
mod sentinel;
mod settings;
mod subscriber;
mod target;

use std::fmt::Write as _;

pub use settings::BenchSettings;

use self::{
    outcome::Outcome,
    progress::Progress,
    report::{Report, Results},
    target::Target,
};
use super::{CliError, print_line};
use carillon_broker::open_files;

/// Files that a process may open beyond its connections: those of the tool itself.
const SPARE_FILES: u64 = 64;

/// Loads the servers, and prints what was measured.
pub async fn bench(settings: BenchSettings) -> Result<(), CliError> {
    settings.check()?;
    allow_connections(&settings)?;
    let mut targets = vec![Target::find(&settings.server, &settings, &settings.pids).await?];
    if !settings.against.is_empty() {
        targets.push(Target::find(&settings.against, &settings, &settings.against_pids).await?);
    }
    let report = Report::new(&settings, rounds(&settings, targets)?);
    if let Some(path) = &settings.plot {
        let written = std::fs::write(path, report.plot());
        written.map_err(|error| CliError::Bench(format!("{} cannot be written: {error}", path.display())))?;
    }
    let text = if settings.json { report.json() } else { report.table() };
    print_line(text.trim_end());
    let problems = report.problems();
    if problems.is_empty() { Ok(()) } else { Err(CliError::Bench(problems)) }
}

/// Runs all rounds; every second one in the opposite order, so that neither target always comes first.
fn rounds(settings: &BenchSettings, targets: Vec<Target>) -> Result<Vec<Results>, CliError> {
    let mut outcomes: Vec<Vec<Outcome>> = targets.iter().map(|_| Vec::new()).collect();
    let mut progress = Progress::new(settings.seconds);
    let count = settings.rounds();
    for round in 0..count {
        let mut order: Vec<usize> = (0..targets.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for index in order {
            let target = &targets[index];
            let mut label = format!("round {} of {count}", round + 1);
            if targets.len() > 1 {
                let _ = write!(label, ", {}", target.addresses.join(","));
            }
            progress.set_label(label);
            let outcome = run::run(settings, target, rand::random(), &mut progress);
            progress.end();
            let failed = |reason| CliError::Bench(format!("{}: {reason}", target.addresses.join(",")));
            outcomes[index].push(outcome.map_err(failed)?);
        }
    }
    Ok(targets.into_iter().zip(outcomes).map(|(target, rounds)| Results { target, rounds }).collect())
}

/// Raises how many files this process may open as far as the connections need it.
fn allow_connections(settings: &BenchSettings) -> Result<(), CliError> {
    let needed = u64::from(settings.publishers) + u64::from(settings.subscribers) + SPARE_FILES;
    let allowed = open_files::allow(needed);
    if allowed >= needed {
        return Ok(());
    }
    Err(CliError::Bench(format!("{needed} open files are needed and {allowed} are allowed; see ulimit -n")))
}
