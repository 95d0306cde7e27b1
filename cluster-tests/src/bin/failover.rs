//! Kills the subscriber's node under load as often as wanted, and judges what the subscriber got:
//! `cargo run --release -p carillon-cluster-tests --bin failover -- --kills 300 --seed 7`.

#![allow(clippy::print_stdout, reason = "a program for people")]

use std::process::ExitCode;

use carillon_cluster_tests::failover::{KillPlan, kill_the_subscribers_node};
use clap::Parser;

/// Kills the subscriber's node under load, and judges what the subscriber got.
#[derive(Parser)]
struct Args {
    /// How often.
    #[arg(long, default_value_t = 300)]
    kills: usize,
    /// Where randomness begins; another each time if not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Nodes of the cluster.
    #[arg(long, default_value_t = 3)]
    nodes: usize,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let seed = args.seed.unwrap_or_else(carillon_cluster_tests::seed);
    let verdict = kill_the_subscribers_node(KillPlan { kills: args.kills, seed, nodes: args.nodes });
    println!("seed {seed}: {verdict:#?}");
    if verdict.is_lossless() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
