//! Carillon, Redis Cluster and Redis Sentinel under the same load and the same faults; prints a Markdown table.

#![allow(clippy::print_stdout, reason = "a program for people")]

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    thread,
};

use carillon_cluster_tests::compare::{Contender, Kind, Pace, compare, markdown};
use clap::Parser;

/// What was asked for cannot be run, as sysexits.h has it.
const EXIT_USAGE: u8 = 64;

/// Runs the same load and the same faults on Carillon, Redis Cluster and Redis Sentinel, three nodes each.
#[derive(Debug, Parser)]
struct Options {
    /// A few seconds for each figure; to see that it works.
    #[arg(long)]
    quick: bool,
    /// Seconds of each round of a load; 5, or 2 with --quick.
    #[arg(long)]
    seconds: Option<u32>,
    /// Rounds of each load, in alternating order; 5, or 1 with --quick.
    #[arg(long)]
    rounds: Option<u32>,
    /// The server of Redis Cluster and Sentinel.
    #[arg(long, default_value = "redis-server", value_name = "BINARY")]
    redis: PathBuf,
    /// More servers to run as clusters, such as valkey-server, which is also taken from PATH.
    #[arg(long, value_name = "BINARY")]
    also: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let (seconds, rounds) = if options.quick { (2, 1) } else { (5, 5) };
    let pace =
        Pace { seconds: options.seconds.unwrap_or(seconds), rounds: options.rounds.unwrap_or(rounds).max(1) };
    let mut contenders = vec![
        contender("Carillon ×3", Kind::Carillon),
        contender("Redis Cluster ×3", Kind::RedisCluster(options.redis.clone())),
        contender("Redis Sentinel 1+2+3", Kind::Sentinel(options.redis)),
    ];
    let mut also = options.also;
    let valkey = PathBuf::from("valkey-server");
    if also.is_empty() && Command::new(&valkey).arg("--version").output().is_ok() {
        also.push(valkey);
    }
    for binary in also {
        let name = binary.file_name().map_or(Path::new("cluster"), Path::new).display().to_string();
        contenders.push(contender(&format!("{name} cluster ×3"), Kind::RedisCluster(binary)));
    }
    for contender in &contenders {
        let (Kind::RedisCluster(binary) | Kind::Sentinel(binary)) = &contender.kind else { continue };
        if let Err(error) = Command::new(binary).arg("--version").output() {
            eprintln!("compare: {} cannot be run: {error}", binary.display());
            return ExitCode::from(EXIT_USAGE);
        }
    }
    let (rows, software) = compare(&contenders, pace);
    let cores = thread::available_parallelism().map_or(0, std::num::NonZero::get);
    println!(
        "{cores} cores, load and servers on the same machine; {} rounds of {} s, medians. Loads: processor time of all \
         nodes for each delivered message; latency; deliveries a second; resident memory of all nodes.\n",
        pace.rounds, pace.seconds
    );
    print!("{}", markdown(&contenders, &software, &rows));
    ExitCode::SUCCESS
}

fn contender(name: &str, kind: Kind) -> Contender {
    Contender { name: name.to_owned(), kind }
}
