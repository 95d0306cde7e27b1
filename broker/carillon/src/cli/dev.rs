//! Settings of a cluster in one process.

use std::path::PathBuf;

use clap::Args;

/// Settings of `carillon dev`.
#[derive(Args, Clone, Debug)]
pub struct DevSettings {
    /// Number of nodes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=7))]
    pub nodes: u16,
    /// Client port of the first node; the others take the ports behind it.
    #[arg(long, default_value_t = 6379)]
    pub client_port: u16,
    /// Peer port (UDP) of the first node.
    #[arg(long, default_value_t = 7379)]
    pub peer_port: u16,
    /// Admin port of the first node.
    #[arg(long, default_value_t = 9379)]
    pub admin_port: u16,
    /// Folder for what the nodes keep.
    #[arg(long, default_value = "carillon-data/dev")]
    pub data_dir: PathBuf,
}
