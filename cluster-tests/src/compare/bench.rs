//! `carillon bench` as a process: what it is told, and what it answers.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Command, Stdio},
    thread,
};

use serde::Deserialize;

use crate::server::carillon_binary;

/// Quantiles, in microseconds.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Quantiles {
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
}

/// One server as its clients saw it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ServerView {
    pub(super) lost: u64,
    pub(super) missed: u64,
    pub(super) repeated: u64,
    pub(super) closed: u64,
    pub(super) gap_ms_max: f64,
    pub(super) subscriber_outage_ms_max: f64,
    pub(super) answer_wait_ms_max: f64,
}

/// One round.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Round {
    pub(super) delivered: u64,
    pub(super) delivered_per_s: f64,
    pub(super) cpu_us_per_delivered: Option<f64>,
    pub(super) latency: Quantiles,
    pub(super) lost: u64,
    pub(super) doubled: u64,
    pub(super) reordered: u64,
    pub(super) closed: u64,
    pub(super) machine: Machine,
    pub(super) servers: Vec<ServerView>,
}

/// Who used the machine.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Machine {
    pub(super) server_rss_bytes_max: Option<u64>,
    pub(super) other_cores: f64,
}

#[derive(Deserialize)]
struct Target {
    software: String,
    rounds: Vec<Round>,
}

#[derive(Deserialize)]
struct Report {
    targets: Vec<Target>,
}

/// Runs it with these words, and calls `disturb` when the measured time begins. The software and the one round that it
/// tells, or why there is none.
pub(super) fn run(words: &[String], disturb: impl FnOnce()) -> Result<(String, Round), String> {
    let mut command = Command::new(carillon_binary());
    command.args(["bench", "--json"]).args(words);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
    let mut output = process.stdout.take().expect("is a pipe");
    // Read beside: a report may be longer than a pipe holds.
    let reading = thread::spawn(move || {
        let mut text = String::new();
        output.read_to_string(&mut text).map(|_| text)
    });
    let mut errors = BufReader::new(process.stderr.take().expect("is a pipe")).lines().map_while(Result::ok);
    let mut last = errors.next().unwrap_or_default();
    if last.contains("measuring") {
        disturb();
    }
    for line in errors {
        last = line;
    }
    let _ = process.wait();
    let text = reading.join().expect("reads").map_err(|error| error.to_string())?;
    // Without a report, the last line says why; with one, that there were faults, which are in the report, too.
    let report: Report = serde_json::from_str(&text).map_err(|_| last)?;
    let target = report.targets.into_iter().next().ok_or("no target is told")?;
    let round = target.rounds.into_iter().next().ok_or("no round is told")?;
    Ok((target.software, round))
}
