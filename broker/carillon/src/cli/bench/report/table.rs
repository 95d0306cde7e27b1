//! The report for people.

use std::fmt::Write as _;

use super::{super::outcome::Outcome, Report, TargetReport, is_disturbed, median};

/// From here on the load itself is likely to be the limit.
const SATURATED: f64 = 0.9;

/// From here on the load's own pauses are worth a word, in milliseconds.
const STALL_MS: f64 = 5.0;

const MIB: f64 = 1024.0 * 1024.0;

impl Report {
    /// Lines for a terminal.
    pub(in crate::cli::bench) fn table(&self) -> String {
        let mut text = format!("{}\n", self.load);
        self.targets.iter().for_each(|target| write_target(target, &mut text));
        self.write_ratios(&mut text);
        text
    }

    fn write_ratios(&self, text: &mut String) {
        let [one, other] = self.targets.as_slice() else { return };
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "\n{} / {}, round by round (below 1: the first takes less)",
            one.software, other.software
        );
        let list = |values: Vec<Option<f64>>| {
            let shown: Vec<String> = values
                .iter()
                .map(|value| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}")))
                .collect();
            let middle = median(values.into_iter().flatten());
            format!(
                "{}   median {}",
                shown.join(" "),
                middle.map_or("-".to_owned(), |value| format!("{value:.2}"))
            )
        };
        let of = |value: fn(&super::Ratio) -> Option<f64>| list(self.ratios.iter().map(value).collect());
        let _ = writeln!(text, "  CPU per delivered  {}", of(|ratio| ratio.cpu_per_delivered));
        let _ = writeln!(text, "  latency p50        {}", of(|ratio| Some(ratio.p50)));
        let _ = writeln!(text, "  latency p99        {}", of(|ratio| Some(ratio.p99)));
        let _ = writeln!(text, "  deliveries/s       {}", of(|ratio| Some(ratio.delivered_per_s)));
        let _ = writeln!(text, "  memory             {}", of(|ratio| ratio.rss));
        let disturbed = self.ratios.iter().filter(|ratio| ratio.is_disturbed).count();
        if disturbed > 0 {
            let _ =
                writeln!(text, "  {disturbed} of {} rounds were disturbed by other work", self.ratios.len());
        }
    }
}

fn write_target(target: &TargetReport, text: &mut String) {
    let _ = writeln!(text, "\n{} at {}", target.software, target.servers.join(", "));
    let _ = writeln!(
        text,
        "  {:>5} {:>11} {:>12} {:>9} {:>9} {:>9} {:>9} {:>9} {:>7} {:>6} {:>6} {:>6}",
        "round",
        "publishes/s",
        "deliveries/s",
        "CPU µs/d",
        "p50 µs",
        "p99 µs",
        "p99.9 µs",
        "max µs",
        "MiB",
        "server",
        "load",
        "other"
    );
    for (at, round) in target.rounds.iter().enumerate() {
        write_round(at + 1, round, text);
    }
    if target.rounds.len() > 1 {
        let of = &target.median;
        let which = if of.is_quiet { "of the quiet rounds" } else { "of all rounds: most were disturbed" };
        let _ = writeln!(
            text,
            "  median {which}: {:.0} deliveries/s, CPU {} µs per delivered, p50 {:.0} µs, p99 {:.0} µs",
            of.delivered_per_s,
            of.cpu_us_per_delivered.map_or("?".to_owned(), |us| format!("{us:.2}")),
            of.p50_us,
            of.p99_us
        );
    }
    if target.pids.is_empty() {
        let _ = writeln!(text, "  The servers' processes are not known: --pids measures them.");
    }
    target.rounds.iter().enumerate().for_each(|(at, round)| write_remarks(at + 1, round, text));
}

fn write_round(number: usize, round: &Outcome, text: &mut String) {
    let (latency, machine) = (&round.latency, &round.machine);
    let optional = |value: Option<f64>, digits: usize| {
        value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
    };
    let _ = writeln!(
        text,
        "  {number:>5} {:>11.0} {:>12.0} {:>9} {:>9.0} {:>9.0} {:>9.0} {:>9.0} {:>7} {:>6} {:>6.2} {:>6.2}",
        round.published_per_s,
        round.delivered_per_s,
        optional(round.cpu_us_per_delivered, 2),
        latency.p50_us,
        latency.p99_us,
        latency.p999_us,
        latency.max_us,
        optional(machine.server_rss_bytes_max.map(|bytes| bytes as f64 / MIB), 1),
        optional(machine.server_cores, 2),
        machine.load_cores,
        machine.other_cores
    );
}

/// What is worth a line of its own.
fn write_remarks(number: usize, round: &Outcome, text: &mut String) {
    let mut remark = |what: String| {
        let _ = writeln!(text, "  round {number}: {what}");
    };
    let faults = &round.faults;
    if faults.any() {
        remark(format!(
            "WRONG: {} lost, {} doubled, {} reordered, {} damaged",
            faults.lost, faults.doubled, faults.reordered, faults.damaged
        ));
    }
    if round.machine.load_saturation > SATURATED {
        remark(format!(
            "the load used {:.0} % of its threads' time and is likely the limit; see --threads",
            round.machine.load_saturation * 100.0
        ));
    }
    if round.load_stall_ms_max > STALL_MS {
        remark(format!(
            "the load itself got no processor for {:.0} ms; latencies are its own",
            round.load_stall_ms_max
        ));
    }
    if is_disturbed(round) {
        remark(format!("other work used {:.2} cores", round.machine.other_cores));
    }
    for server in &round.servers {
        if server.closed > 0 || server.refused > 0 {
            remark(format!(
                "{}: {} connections closed, {} deliveries missed meanwhile, {} publishes unanswered and {} refused; \
                 messages again after {:.0} ms, answers after {:.0} ms",
                server.address,
                server.closed,
                server.missed,
                server.unanswered,
                server.refused,
                server.subscriber_outage_ms_max,
                server.publisher_outage_ms_max
            ));
        }
    }
    let most = |value: fn(&super::super::outcome::ServerView) -> f64| {
        round.servers.iter().map(value).fold(0.0, f64::max)
    };
    remark(format!(
        "longest time without a message {:.1} ms, longest wait for a PUBLISH's answer {:.1} ms",
        most(|server| server.gap_ms_max),
        most(|server| server.answer_wait_ms_max)
    ));
}
