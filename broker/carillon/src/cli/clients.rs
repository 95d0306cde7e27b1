//! `carillon clients`, `carillon subscribers` and `carillon log-level`: single clients of a running node, asked through
//! its admin port.

use std::{fmt::Write as _, process::ExitCode};

use clap::Args;
use serde_json::Value;

use super::status::{AdminSettings, ask, fail, show, text};

/// Settings of `carillon clients`.
#[derive(Args, Clone, Debug)]
pub struct ClientsSettings {
    /// How many to show.
    #[arg(long, default_value_t = 20)]
    pub count: usize,
    /// The node to ask.
    #[command(flatten)]
    pub admin: AdminSettings,
}

/// Settings of `carillon subscribers`.
#[derive(Args, Clone, Debug)]
pub struct SubscribersSettings {
    /// The channel.
    pub channel: String,
    /// It is a shard channel: one of SSUBSCRIBE and SPUBLISH.
    #[arg(long)]
    pub shard: bool,
    /// The node to ask.
    #[command(flatten)]
    pub admin: AdminSettings,
}

/// Settings of `carillon log-level`.
#[derive(Args, Clone, Debug)]
pub struct LogLevelSettings {
    /// off, error, warn, info, debug or trace.
    pub level: String,
    /// The node to tell.
    #[command(flatten)]
    pub admin: AdminSettings,
}

/// Prints the clients that are furthest behind, or that make a node hold most.
pub fn clients(settings: &ClientsSettings) -> ExitCode {
    show(&settings.admin, &format!("/clients?count={}", settings.count), |answer| {
        let rows = answer["clients"].as_array().map(Vec::as_slice).unwrap_or_default();
        table(rows.iter().map(|client| (String::new(), client)))
    })
}

/// Prints who in the whole cluster gets what is published to a channel.
pub fn subscribers(settings: &SubscribersSettings) -> ExitCode {
    let channel = settings.channel.bytes().fold(String::new(), |mut escaped, byte| {
        let _ = write!(escaped, "%{byte:02X}");
        escaped
    });
    let path = format!("/subscribers?channel={channel}&shard={}", settings.shard);
    show(&settings.admin, &path, |answer| {
        let nodes = answer["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut lines = String::new();
        for node in nodes {
            let name = text(&node["name"]);
            match node["subscribers"].as_array() {
                None => {
                    let _ = writeln!(lines, "{name}: does not answer, or is of a version that cannot say");
                }
                Some(subscribers) => {
                    let _ = writeln!(lines, "{name}: {} subscribed", subscribers.len());
                    let rows = subscribers.iter().map(|client| (text(&client["by"]), client));
                    lines.push_str(&table(rows));
                }
            }
        }
        lines
    })
}

/// Changes what a node logs.
pub fn log_level(settings: &LogLevelSettings) -> ExitCode {
    match ask(&settings.admin, "/log-level", Some(&settings.level)) {
        Ok(text) => {
            super::print_line(text.trim_end());
            ExitCode::SUCCESS
        }
        Err(text) => fail(&text),
    }
}

fn table<'a>(rows: impl Iterator<Item = (String, &'a Value)>) -> String {
    let mut lines = String::new();
    for (index, (by, client)) in rows.enumerate() {
        if index == 0 {
            let _ = writeln!(
                lines,
                "{:>8}  {:<24} {:<20} {:>8} {:>12} {:>8} {:>8}  SUBSCRIBED TO",
                "ID", "ADDRESS", "NAME", "AGE", "WAITS", "SLOW", "SUBS"
            );
        }
        let names = client["names"].as_array().map(Vec::as_slice).unwrap_or_default();
        let names: Vec<String> = names.iter().map(text).collect();
        let by = if by.is_empty() { names.join(" ") } else { by };
        let slow = client["slow_s"].as_u64().map_or_else(|| "-".to_owned(), |seconds| format!("{seconds} s"));
        let _ = writeln!(
            lines,
            "{:>8}  {:<24} {:<20} {:>8} {:>12} {slow:>8} {:>8}  {by}",
            text(&client["id"]),
            text(&client["addr"]),
            text(&client["name"]),
            format!("{} s", client["age_s"]),
            format!("{} B", client["pending_bytes"]),
            text(&client["subscriptions"]),
        );
    }
    lines
}
