//! Breaks a cluster at random for as long as wanted, and judges what its clients saw. Exits with 1 when a promise
//! was broken.

#![allow(clippy::print_stdout, reason = "a program for people")]

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use carillon_cluster_tests::{chaos::Chaos, seed};
use clap::Parser;

/// Breaks a cluster at random and judges what its clients saw.
#[derive(Debug, Parser)]
struct Options {
    /// How long.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Nodes of the cluster.
    #[arg(long, default_value_t = 3)]
    nodes: usize,
    /// Where all randomness begins; another each time if not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Go on after a violation.
    #[arg(long)]
    keep_going: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let seed = options.seed.unwrap_or_else(seed);
    println!("chaos --seconds {} --nodes {} --seed {seed}", options.seconds, options.nodes);
    let deadline = Instant::now() + Duration::from_secs(options.seconds);
    let mut chaos = Chaos::new(options.nodes, seed);
    while Instant::now() < deadline {
        if let Some(problems) = chaos.round() {
            println!("{problems}\n{}", chaos.report());
            if !options.keep_going {
                break;
            }
        }
    }
    let tally = &chaos.tally;
    let faults: usize = tally.faults.values().sum();
    println!("{faults} faults in {} rounds: {:?}", tally.rounds, tally.faults);
    println!(
        "{} published, {} answered ({} numbers checked), {} received on {} connections, {} closed by nodes",
        tally.published,
        tally.answered,
        tally.counted,
        tally.received,
        tally.subscriptions,
        tally.closed_by_nodes
    );
    println!("{} violations; seed {seed}", tally.violations);
    if tally.violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
