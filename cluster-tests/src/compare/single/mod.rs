//! Single servers beside each other: the same loads in alternating rounds, and how each figure compares with the best of
//! the others.

mod churn;
mod exchange;
mod idle;
mod procs;
mod rounds;
mod scenario;
mod table;

use std::path::PathBuf;

use super::rows::Pace;
use crate::{Server, raise_open_files_limit};

/// A server that is compared.
#[derive(Clone, Debug)]
pub struct Contender {
    /// What the table calls it.
    pub name: String,
    /// How it is run.
    pub kind: Kind,
}

/// A way to run one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Carillon with this many shards.
    Carillon(u8),
    /// A server that takes redis-server's flags.
    LikeRedis(PathBuf),
    /// nats-server, for the loads that its language can express.
    Nats(PathBuf),
    /// The bare loop, for the loads of `carillon bench`; no competitor.
    Floor(PathBuf),
}

impl Contender {
    fn start(&self) -> Server {
        match &self.kind {
            Kind::Carillon(shards) => Server::carillon(&["--shards", &shards.to_string()]),
            Kind::LikeRedis(binary) => Server::like_redis(binary, &[]),
            Kind::Nats(binary) => Server::nats(binary),
            Kind::Floor(binary) => Server::floor(binary),
        }
    }

    fn is_floor(&self) -> bool {
        matches!(self.kind, Kind::Floor(_))
    }
}

/// Measures the scenarios whose name holds `only`, the first contender against all others and the floor, and Carillon with
/// two shards against one. The result is Markdown; how far it is comes on standard error.
pub fn compare(contenders: &[Contender], pace: Pace, only: &str) -> String {
    raise_open_files_limit();
    let chosen = |scenario: &&scenario::Scenario| scenario.name.contains(only);
    let mut text = String::new();
    let scenarios: Vec<_> = scenario::AGAINST_OTHERS.iter().filter(chosen).collect();
    if !scenarios.is_empty() {
        text += &table::markdown(contenders, &rounds::measure(contenders, &scenarios, pace));
    }
    let scenarios: Vec<_> = scenario::SHARDS.iter().filter(chosen).collect();
    if !scenarios.is_empty() {
        let with = |shards, name: &str| Contender { name: name.to_owned(), kind: Kind::Carillon(shards) };
        let shards = [with(2, "two shards"), with(1, "one shard")];
        text.push('\n');
        text += &table::markdown(&shards, &rounds::measure(&shards, &scenarios, pace));
    }
    text
}
