//! What the binary can be asked to do.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use super::{
    AdminSettings, BenchSettings, ClientsSettings, CompletionShell, DevSettings, LogLevelSettings,
    PublishSettings, SettingFlags, SubscribeSettings, SubscribersSettings,
};

/// A pub/sub broker that speaks Redis's protocol.
#[derive(Debug, Parser)]
#[command(name = "carillon", version, args_conflicts_with_subcommands = true)]
pub struct CommandLine {
    /// What to do; `serve` if nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Settings of `serve`.
    #[command(flatten)]
    pub serve: SettingFlags,
}

/// What the binary can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a broker node.
    Serve(Box<SettingFlags>),
    /// Check settings, and print which hold and where they come from; nothing is bound and nothing written.
    Check(Box<SettingFlags>),
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
    /// Show the clients of a node that are furthest behind or hold most.
    Clients(ClientsSettings),
    /// Show who in the cluster gets what is published to a channel.
    Subscribers(SubscribersSettings),
    /// Change what a running node logs.
    LogLevel(LogLevelSettings),
    /// Have a node close its clients, leave its cluster's view and stop.
    Drain(AdminSettings),
    /// Publish to a channel and print the number of receivers.
    Pub(Box<PublishSettings>),
    /// Subscribe to channels and print messages, one a line, until ctrl-C.
    Sub(Box<SubscribeSettings>),
    /// Load servers with publishers and subscribers, and measure them.
    Bench(Box<BenchSettings>),
    /// Print a script that completes commands in a shell.
    Completions {
        /// The shell.
        shell: CompletionShell,
    },
    /// Print the man page.
    Man,
}
