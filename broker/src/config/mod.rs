//! What can be set, as flags and as `CARILLON_*` environment variables.

use std::{net::SocketAddr, path::PathBuf};

use carillon_proto::limits::{ARGUMENT_BYTES_MAX_CEILING, ARGUMENT_BYTES_MAX_DEFAULT};
use clap::{Args, Parser, Subcommand, ValueEnum};

mod access;
mod cluster;
mod dev;
mod limits;
mod tls;

pub use access::AccessFlags;
pub use cluster::{ClusterFlags, SettingsError};
pub use dev::DevSettings;
pub use limits::LimitFlags;
pub use tls::{TlsClientAuth, TlsFlags};

use crate::cli::{AdminSettings, BenchSettings, PublishSettings, SubscribeSettings};

/// A pub/sub broker that speaks Redis's protocol.
#[derive(Debug, Parser)]
#[command(name = "carillon", version, args_conflicts_with_subcommands = true)]
pub struct CommandLine {
    /// What to do; `serve` if nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Settings of `serve`.
    #[command(flatten)]
    pub serve: ServeSettings,
}

/// What the binary can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a broker node.
    Serve(Box<ServeSettings>),
    /// Put a data folder that cannot be read out of the way, without deleting anything.
    SetAside {
        /// The folder.
        #[arg(long, env = "CARILLON_DATA_DIR", default_value = "carillon-data")]
        data_dir: PathBuf,
    },
    /// Run a whole cluster in this process, to develop and to show with.
    Dev(Box<DevSettings>),
    /// Show how a node and its cluster are.
    Status(AdminSettings),
    /// List the nodes of a cluster.
    Nodes(AdminSettings),
    /// Have a node close its clients, leave its cluster's view and stop.
    Drain(AdminSettings),
    /// Publish to a channel and print the number of receivers.
    Pub(Box<PublishSettings>),
    /// Subscribe to channels and print messages, one a line, until ctrl-C.
    Sub(Box<SubscribeSettings>),
    /// Load servers with publishers and subscribers, and measure them.
    Bench(Box<BenchSettings>),
}

/// Settings of a node.
#[derive(Args, Clone, Debug)]
pub struct ServeSettings {
    /// Address for clients; port 0 takes a free one.
    #[arg(long, env = "CARILLON_CLIENT_ADDR", default_value = "127.0.0.1:6379")]
    pub client_addr: SocketAddr,
    /// Unix socket for clients, beside the address.
    #[arg(long, env = "CARILLON_CLIENT_UNIX")]
    pub client_unix: Option<PathBuf>,
    /// Address for operators: /livez, /readyz, /status; port 0 takes a free one.
    #[arg(long, env = "CARILLON_ADMIN_ADDR", default_value = "127.0.0.1:9379")]
    pub admin_addr: SocketAddr,
    /// Settings of users.
    #[command(flatten, next_help_heading = "Users")]
    pub access: AccessFlags,
    /// Settings of TLS.
    #[command(flatten, next_help_heading = "TLS")]
    pub tls: TlsFlags,
    /// Folder for what the node keeps; made if it is not there.
    #[arg(long, env = "CARILLON_DATA_DIR", default_value = "carillon-data")]
    pub data_dir: PathBuf,
    /// Settings of a cluster.
    #[command(flatten, next_help_heading = "Cluster")]
    pub cluster: ClusterFlags,
    /// The node's name; in a cluster each has its own.
    #[arg(long, env = "CARILLON_NAME", default_value = "carillon")]
    pub name: String,
    /// Threads that serve clients.
    #[arg(long, env = "CARILLON_SHARDS", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub shards: u8,
    /// Most clients at a time.
    #[arg(long, env = "CARILLON_CLIENTS_MAX", default_value_t = 10_000)]
    pub clients_max: usize,
    /// What clients may take.
    #[command(flatten, next_help_heading = "Limits")]
    pub limits: LimitFlags,
    /// Longest payload, in bytes.
    #[arg(long, env = "CARILLON_PAYLOAD_BYTES_MAX", default_value_t = ARGUMENT_BYTES_MAX_DEFAULT as u64,
          value_parser = clap::value_parser!(u64).range(1024..=ARGUMENT_BYTES_MAX_CEILING as u64))]
    pub payload_bytes_max: u64,
    /// Seconds of silence before a client's host is probed; 0 never probes.
    #[arg(long, env = "CARILLON_TCP_KEEPALIVE_S", default_value_t = 4)]
    pub tcp_keepalive_s: u64,
    /// Milliseconds after which a client's host that acknowledges nothing is given up; 0 leaves it to the kernel.
    #[arg(long, env = "CARILLON_TCP_USER_TIMEOUT_MS", default_value_t = 6_000)]
    pub tcp_user_timeout_ms: u64,
    /// Form of the log on standard error.
    #[arg(long, env = "CARILLON_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// What is logged: error, warn, info, debug, trace, or a tracing filter.
    #[arg(long, env = "CARILLON_LOG_LEVEL", default_value = "info")]
    pub log_level: String,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}
