//! Carillon, Redis Cluster and Redis Sentinel under the same load and the same faults; prints a Markdown table.

#![allow(clippy::print_stdout, reason = "a program for people")]

use std::{
    env, iter,
    path::{self, Path, PathBuf},
    process::{Command, ExitCode},
    thread,
};

use carillon_cluster_tests::compare::{Contender, Kind, Pace, compare, markdown, single};
use clap::Parser;

/// What was asked for cannot be run, as sysexits.h has it.
const EXIT_USAGE: u8 = 64;

/// Runs the same load and the same faults on Carillon, Redis Cluster and Redis Sentinel, three nodes each.
#[derive(Debug, Parser)]
struct Options {
    /// One server of each instead, under more loads, with the ratio to the best of the others.
    #[arg(long)]
    single: bool,
    /// Only scenarios of --single whose name holds this text.
    #[arg(long, requires = "single", default_value = "", value_name = "TEXT")]
    only: String,
    /// A few seconds for each figure; to see that it works.
    #[arg(long)]
    quick: bool,
    /// Seconds of each round of a load; 5, or 2 with --quick, 1 with --single --quick.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=3600))]
    seconds: Option<u32>,
    /// Rounds of each load, in alternating order; 5, or 1 with --quick.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,
    /// The server of Redis Cluster and Sentinel.
    #[arg(long, default_value = "redis-server", value_name = "BINARY")]
    redis: PathBuf,
    /// More servers like Redis to run, such as valkey-server, which is also taken from PATH.
    #[arg(long, value_name = "BINARY")]
    also: Vec<PathBuf>,
    /// A nats-server to run beside them with --single; taken from PATH if it is there.
    #[arg(long, requires = "single", value_name = "BINARY")]
    nats: Option<PathBuf>,
}

fn main() -> ExitCode {
    let mut options = Options::parse();
    let (seconds, rounds) = match (options.quick, options.single) {
        (false, _) => (5, 5),
        (true, false) => (2, 1),
        (true, true) => (1, 1),
    };
    let pace = Pace { seconds: options.seconds.unwrap_or(seconds), rounds: options.rounds.unwrap_or(rounds) };
    let valkey = PathBuf::from("valkey-server");
    let nats = PathBuf::from("nats-server");
    if options.single && options.nats.is_none() && Command::new(&nats).arg("--version").output().is_ok() {
        options.nats = Some(nats);
    }
    if options.also.is_empty() && Command::new(&valkey).arg("--version").output().is_ok() {
        options.also.push(valkey);
    }
    for binary in iter::once(&mut options.redis).chain(&mut options.also).chain(&mut options.nats) {
        // Servers run in folders of their own; a bare name is looked for on PATH.
        if let (true, Ok(absolute)) = (binary.components().count() > 1, path::absolute(&binary)) {
            *binary = absolute;
        }
    }
    for binary in iter::once(&options.redis).chain(&options.also).chain(&options.nats) {
        if let Err(error) = Command::new(binary).arg("--version").output() {
            eprintln!("compare: {} cannot be run: {error}", binary.display());
            return ExitCode::from(EXIT_USAGE);
        }
    }
    let cores = thread::available_parallelism().map_or(0, std::num::NonZero::get);
    print!(
        "{cores} cores, load and servers on the same machine; {} rounds of {} s, medians. ",
        pace.rounds, pace.seconds
    );
    if options.single {
        compare_single(options, pace);
    } else {
        compare_clusters(options, pace);
    }
    ExitCode::SUCCESS
}

fn compare_single(options: Options, pace: Pace) {
    let with = |name: String, kind| single::Contender { name, kind };
    let mut contenders = vec![with("Carillon".to_owned(), single::Kind::Carillon(1))];
    for binary in iter::once(options.redis).chain(options.also) {
        contenders.push(with(name_of(&binary), single::Kind::LikeRedis(binary)));
    }
    if let Some(binary) = options.nats {
        contenders.push(with(name_of(&binary), single::Kind::Nats(binary)));
    }
    // Built beside this program.
    if let Some(floor) =
        env::current_exe().ok().map(|own| own.with_file_name("floor")).filter(|path| path.exists())
    {
        contenders.push(with("the floor".to_owned(), single::Kind::Floor(floor)));
    }
    println!(
        "CPU: processor time of the server for each delivered message or operation. Ratios are those of the same round: \
         median (least..most).\n"
    );
    print!("{}", single::compare(&contenders, pace, &options.only));
}

fn compare_clusters(options: Options, pace: Pace) {
    let mut contenders = vec![
        contender("Carillon ×3", Kind::Carillon),
        contender("Redis Cluster ×3", Kind::RedisCluster(options.redis.clone())),
        contender("Redis Sentinel 1+2+3", Kind::Sentinel(options.redis)),
    ];
    for binary in options.also {
        contenders.push(contender(&format!("{} cluster ×3", name_of(&binary)), Kind::RedisCluster(binary)));
    }
    println!(
        "Loads: processor time of all nodes for each delivered message; latency; deliveries a second; resident memory of \
         all nodes.\n"
    );
    let (rows, software) = compare(&contenders, pace);
    print!("{}", markdown(&contenders, &software, &rows));
}

fn name_of(binary: &Path) -> String {
    binary.file_name().map_or(binary, Path::new).display().to_string()
}

fn contender(name: &str, kind: Kind) -> Contender {
    Contender { name: name.to_owned(), kind }
}
