//! The bare loop that `compare --single` measures beside servers.

use std::{io, net::SocketAddr};

use carillon_cluster_tests::compare::floor;
use clap::Parser;

/// Does the least that a server can do: parse, look up, write. For `compare --single`.
#[derive(Debug, Parser)]
struct Options {
    /// Where it listens.
    #[arg(long)]
    addr: SocketAddr,
}

fn main() -> io::Result<()> {
    floor::serve(Options::parse().addr)
}
