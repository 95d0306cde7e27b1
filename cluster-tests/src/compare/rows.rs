//! The rows: loads, for which all contenders take turns, and faults, each on servers that were just started.

use std::{fmt::Write as _, thread, time::Duration};

use super::{
    bench::{self, Round},
    contender::{Contender, Purpose, Servers, VICTIM},
    median, turns,
};

/// After this long of the measured time comes the fault.
const FAULT_AFTER: Duration = Duration::from_secs(2);

/// How long a link is cut.
const CUT: Duration = Duration::from_secs(2);

/// How long a node is paused: longer than Carillon's lease and eviction.
const PAUSE: Duration = Duration::from_secs(6);

/// What is measured after the fault is over; a Sentinel takes its time until it turns a former primary into a replica.
const AFTER_FAULT: Duration = Duration::from_secs(4);
const AFTER_PAUSE: Duration = Duration::from_secs(14);

/// Messages a second while a fault happens: few enough that nobody is overloaded.
const RATE_OF_FAULTS: &str = "3000";

/// How much time is taken.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Seconds measured in each round.
    pub seconds: u32,
    /// Rounds of each load; their median counts.
    pub rounds: u32,
}

/// A row of the table.
#[derive(Clone, Debug)]
pub struct Cells {
    /// What was done.
    pub name: &'static str,
    /// What came of it, for each contender.
    pub cells: Vec<String>,
}

const LOADS: [(&str, &[&str]); 5] = [
    ("3 publishers → 10 subscribers, one in flight", &["--subscribers", "10"]),
    ("the same, 16 in flight", &["--subscribers", "10", "--pipeline", "16"]),
    ("→ 99 subscribers, 16 in flight", &["--subscribers", "99", "--pipeline", "16"]),
    ("5,000 messages/s → 10 subscribers", &["--subscribers", "10", "--rate", "5000"]),
    (
        "16 KiB payloads → 10 subscribers, 16 in flight",
        &["--subscribers", "10", "--pipeline", "16", "--size", "16384"],
    ),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Kill,
    Cut,
    Pause,
}

const FAULTS: [(&str, Fault); 3] = [
    ("kill -9 of one node", Fault::Kill),
    ("a link between two nodes cut for 2 s", Fault::Cut),
    ("one node paused for 6 s", Fault::Pause),
];

/// Runs everything, and tells on standard error how far it is. The rows, and what each contender calls itself.
pub fn compare(contenders: &[Contender], pace: Pace) -> (Vec<Cells>, Vec<String>) {
    let mut software = vec!["unknown".to_owned(); contenders.len()];
    let mut rows = loads(contenders, pace, &mut software);
    for (name, fault) in FAULTS {
        let cells = contenders.iter().map(|contender| {
            eprintln!("{name}: {}", contender.name);
            disturb(contender, fault)
        });
        rows.push(Cells { name, cells: cells.collect() });
    }
    (rows, software)
}

fn loads(contenders: &[Contender], pace: Pace, software: &mut [String]) -> Vec<Cells> {
    let running: Vec<Box<dyn Servers>> =
        contenders.iter().map(|contender| contender.start(Purpose::Load)).collect();
    let mut rows = Vec::new();
    let mut other_cores: Vec<Vec<f64>> = contenders.iter().map(|_| Vec::new()).collect();
    for (name, flags) in LOADS {
        let mut rounds: Vec<Vec<Result<Round, String>>> = contenders.iter().map(|_| Vec::new()).collect();
        for round in 0..pace.rounds {
            for index in turns(contenders.len(), round) {
                eprintln!("{name}: {}, round {}", contenders[index].name, round + 1);
                let words = words(running[index].as_ref(), flags, &pace.seconds.to_string());
                let ended = bench::run(&words, || {});
                other_cores[index].extend(ended.iter().map(|(_, round)| round.machine.other_cores));
                rounds[index].push(ended.map(|(told, round)| {
                    software[index] = told;
                    round
                }));
            }
        }
        rows.push(Cells { name, cells: rounds.iter().map(|rounds| load_cell(rounds)).collect() });
    }
    let busy =
        other_cores.into_iter().map(|cores| format!("{:.2}", median(cores.into_iter()).unwrap_or(f64::NAN)));
    rows.push(Cells { name: "cores that all else kept busy during these loads", cells: busy.collect() });
    rows
}

fn words(servers: &dyn Servers, flags: &[&str], seconds: &str) -> Vec<String> {
    let pids: Vec<String> = servers.pids().iter().map(u32::to_string).collect();
    let mut words = servers.target();
    words.extend(["--pids".to_owned(), pids.join(",")]);
    words.extend(["--publishers", "3", "--seconds", seconds].map(str::to_owned));
    words.extend(flags.iter().map(|flag| (*flag).to_owned()));
    words
}

fn load_cell(rounds: &[Result<Round, String>]) -> String {
    let fine: Vec<&Round> = rounds.iter().flatten().collect();
    if let (true, Some(Err(error))) = (fine.is_empty(), rounds.first()) {
        return format!("failed: {error}");
    }
    let of = |value: fn(&Round) -> f64| median(fine.iter().map(|round| value(round))).unwrap_or(f64::NAN);
    let cpu = of(|round| round.cpu_us_per_delivered.unwrap_or(f64::NAN));
    let cut = fine.iter().map(|round| round.closed).max().unwrap_or(0);
    let mut cell = if cut > 0 {
        // Figures of what came before would mislead.
        format!("broken off after {:.0} deliveries", of(|round| round.delivered as f64))
    } else if of(|round| round.delivered as f64) > 0.0 {
        let rate = of(|round| round.delivered_per_s);
        let (p50, p99) = (of(|round| round.latency.p50_us / 1e3), of(|round| round.latency.p99_us / 1e3));
        format!("{cpu:.2} µs; p50 {p50:.2}, p99 {p99:.2} ms; {rate:.0}/s")
    } else {
        "nothing delivered".to_owned()
    };
    let mib = of(|round| round.machine.server_rss_bytes_max.unwrap_or(0) as f64 / 1_048_576.0);
    // Writing to a string does not fail.
    let _ = write!(cell, "; {mib:.0} MiB");
    let most = |value: fn(&Round) -> u64| fine.iter().map(|round| value(round)).max().unwrap_or(0);
    let wrong = [
        (cut, "connections cut by the server"),
        (most(|round| round.lost), "lost"),
        (most(|round| round.doubled), "doubled"),
        (most(|round| round.reordered), "reordered"),
    ];
    for (count, what) in wrong.iter().filter(|(count, _)| *count > 0) {
        let _ = write!(cell, "; **{count} {what}**");
    }
    cell
}

fn disturb(contender: &Contender, fault: Fault) -> String {
    let mut servers = contender.start(if fault == Fault::Cut { Purpose::Cut } else { Purpose::Fault });
    let lasts = match fault {
        Fault::Kill => Duration::ZERO,
        Fault::Cut => CUT,
        Fault::Pause => PAUSE,
    };
    let after = if fault == Fault::Pause { AFTER_PAUSE } else { AFTER_FAULT };
    let seconds = (FAULT_AFTER + lasts + after).as_secs().to_string();
    let flags = ["--subscribers", "9", "--rate", RATE_OF_FAULTS, "--reconnect"];
    let words = words(servers.as_ref(), &flags, &seconds);
    let mut is_possible = true;
    let ended = bench::run(&words, || {
        thread::sleep(FAULT_AFTER);
        match fault {
            Fault::Kill => servers.kill(),
            Fault::Cut => is_possible = servers.cut(),
            Fault::Pause => servers.stop(),
        }
        thread::sleep(lasts);
        match fault {
            Fault::Kill => {}
            Fault::Cut => servers.heal(),
            Fault::Pause => servers.go_on(),
        }
    });
    match ended {
        _ if !is_possible => "no such link".to_owned(),
        Ok((_, round)) => fault_cell(&round, fault),
        Err(error) => format!("failed: {error}"),
    }
}

fn fault_cell(round: &Round, fault: Fault) -> String {
    // With one address all clients are the victim's.
    let of_victim = if round.servers.len() > VICTIM { VICTIM } else { 0 };
    let victim = &round.servers[of_victim];
    let others =
        || round.servers.iter().enumerate().filter(|(at, _)| *at != of_victim).map(|(_, server)| server);
    let gap = others().map(|server| server.gap_ms_max).fold(0.0, f64::max);
    let wait = others().map(|server| server.answer_wait_ms_max).fold(0.0, f64::max);
    let lost: u64 = round.servers.iter().map(|server| server.lost).sum();
    let mut parts = Vec::new();
    if others().next().is_some() {
        parts.push(format!("others: longest gap {gap:.0} ms, longest PUBLISH wait {wait:.0} ms"));
    } else {
        parts.push("no others: all clients are at the primary".to_owned());
    }
    if victim.closed > 0 {
        parts.push(format!(
            "its clients receive again after {:.0} ms (missed meanwhile: {})",
            victim.subscriber_outage_ms_max, victim.missed
        ));
    } else if fault == Fault::Pause {
        parts.push(format!("its clients stay connected, longest gap {:.0} ms", victim.gap_ms_max));
    }
    parts.push(format!(
        "lost on open connections: {}",
        if lost > 0 { format!("**{lost}**") } else { "0".to_owned() }
    ));
    let repeated: u64 = round.servers.iter().map(|server| server.repeated).sum();
    if repeated > 0 {
        parts.push(format!("seen again after reconnecting: {repeated}"));
    }
    if round.doubled + round.reordered > 0 {
        parts.push(format!("**{} doubled, {} reordered**", round.doubled, round.reordered));
    }
    parts.join("; ")
}
