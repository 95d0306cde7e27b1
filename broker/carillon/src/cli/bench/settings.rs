//! What can be set, with its units, and what of it goes together.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::{payload::HEAD_BYTES, target::NATS};
use crate::cli::{CliError, LoginSettings, TrustSettings};

/// Rounds of a comparison, where none are said: the median of five bears two that were disturbed.
const ROUNDS_OF_COMPARISON: u32 = 5;

/// Longest payload, in bytes.
const SIZE_MAX: u64 = 64 * 1024 * 1024;

/// Numbers that are kept for publishers' channels and for what each subscriber gets of them; each takes some 60 bytes.
const STREAMS_MAX: u64 = 20_000_000;

/// Load a server with publishers and subscribers, and measure it.
///
/// Works with any server that speaks Redis's pub/sub. Every message is numbered, and every subscriber counts what it
/// lost, got twice or out of order; if there was any, or if a server closed a connection, the exit code is 1.
#[derive(Args, Clone, Debug)]
pub struct BenchSettings {
    /// Servers to load, `host:port` or a URL as for `pub` (`rediss://` for TLS), or `nats://host:port`; connections are spread over them in
    /// turn.
    #[arg(
        long,
        env = "CARILLON_SERVER",
        hide_env_values = true,
        value_delimiter = ',',
        default_value = "127.0.0.1:6379",
        value_name = "ADDR"
    )]
    pub server: Vec<String>,
    /// Servers to compare with: each round runs both, in alternating order.
    #[arg(long, value_delimiter = ',', value_name = "ADDR")]
    pub against: Vec<String>,
    /// `--server` and `--against` are Redis Sentinels: ask them for the primary of this name, again at each reconnect.
    #[arg(long, value_name = "NAME")]
    pub sentinel: Option<String>,
    /// Whom to trust.
    #[command(flatten)]
    pub trust: TrustSettings,
    /// As whom.
    #[command(flatten)]
    pub login: LoginSettings,
    /// Processes of `--server` to measure; if none are given, servers on loopback are asked for theirs.
    #[arg(long, value_delimiter = ',', value_name = "PID")]
    pub pids: Vec<u32>,
    /// Processes of `--against` to measure.
    #[arg(long, value_delimiter = ',', value_name = "PID", requires = "against")]
    pub against_pids: Vec<u32>,
    /// Rounds; 5 with `--against`, else 1.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: Option<u32>,
    /// Connections that publish.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub publishers: u32,
    /// Connections that subscribe.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    pub subscribers: u32,
    /// Channels; each publisher publishes to all of them in turn.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub channels: u32,
    /// Channels of each subscriber; they are dealt out in turn.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub channels_per_subscriber: u32,
    /// Subscribe with patterns (PSUBSCRIBE), one for each channel.
    #[arg(long, conflicts_with = "shard_channels")]
    pub patterns: bool,
    /// Use shard channels (SSUBSCRIBE, SPUBLISH). In a Redis Cluster every client must be at the slot's own node.
    #[arg(long)]
    pub shard_channels: bool,
    /// Length of a payload, in bytes.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(HEAD_BYTES as u64..=SIZE_MAX))]
    pub size: u64,
    /// Closed loop: messages that each publisher keeps in flight, sending when it is answered.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub pipeline: u32,
    /// Open loop: messages a second of all publishers together, whatever the server does; latency counts from when each
    /// was due.
    #[arg(long, conflicts_with = "pipeline", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub rate: Option<u32>,
    /// Seconds that are measured, in each round.
    #[arg(long, default_value_t = 10.0, value_parser = seconds)]
    pub seconds: f64,
    /// Seconds of load before that; its messages are counted, but not measured.
    #[arg(long, default_value_t = 1.0, value_parser = warmup)]
    pub warmup: f64,
    /// Version of RESP to speak.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=3))]
    pub resp: u8,
    /// Threads of the load; clients are spread over them.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub threads: u8,
    /// Connect again what the server closes, to the next server of the list, and tell how long that took; closed
    /// connections are no failure then.
    #[arg(long)]
    pub reconnect: bool,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
    /// Draw the distribution of latencies into this SVG file.
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
}

fn seconds(text: &str) -> Result<f64, String> {
    in_range(text, 0.1)
}

fn warmup(text: &str) -> Result<f64, String> {
    in_range(text, 0.0)
}

fn in_range(text: &str, min: f64) -> Result<f64, String> {
    const SECONDS_MAX: f64 = 86_400.0;
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if (min..=SECONDS_MAX).contains(&seconds) {
        return Ok(seconds);
    }
    Err(format!("must be from {min} to {SECONDS_MAX} seconds"))
}

impl BenchSettings {
    /// Whether the settings go together.
    pub(super) fn check(&self) -> Result<(), CliError> {
        if self.channels_per_subscriber > self.channels {
            return Err(CliError::Usage(format!(
                "--channels-per-subscriber {} is more than --channels {}",
                self.channels_per_subscriber, self.channels
            )));
        }
        let mut servers = self.server.iter().chain(&self.against);
        if (self.patterns || self.shard_channels) && servers.any(|server| server.starts_with(NATS)) {
            let text = "--patterns and --shard-channels are not for nats:// servers, whose names match by whole words";
            return Err(CliError::Usage(text.to_owned()));
        }
        let [publishers, subscribers, channels, each] =
            [self.publishers, self.subscribers, self.channels, self.channels_per_subscriber].map(u64::from);
        let streams = publishers * subscribers * each + publishers * channels;
        if streams > STREAMS_MAX {
            return Err(CliError::Usage(format!(
                "{streams} streams of a publisher and a channel to a subscriber would have to be counted; {STREAMS_MAX} \
                 is the most"
            )));
        }
        Ok(())
    }

    pub(super) fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.against.is_empty() { 1 } else { ROUNDS_OF_COMPARISON })
    }

    pub(super) fn measured(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    pub(super) fn warmup(&self) -> Duration {
        Duration::from_secs_f64(self.warmup)
    }
}
