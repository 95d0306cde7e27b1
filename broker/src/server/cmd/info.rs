//! [INFO](https://redis.io/docs/latest/commands/info/), TIME and ROLE.

use std::fmt::Write as _;

use carillon_proto::command;

use super::{process, session::REDIS_VERSION};
use crate::{
    hub::SubscriptionKind,
    server::{
        CloseReason, CommandStats, Counter, Node,
        dispatch::{Call, Flow},
        stats::ERROR_CODES,
    },
};

type WriteFields = fn(&Node, &mut String);

/// Sections in Redis's order, each with the function that writes its fields.
const SECTIONS: [(&str, WriteFields); 11] = [
    ("Server", server),
    ("Clients", clients),
    ("Memory", memory),
    ("Persistence", persistence),
    ("Stats", stats),
    ("Replication", replication),
    ("CPU", |_, text| process::cpu(text)),
    (COMMANDSTATS, commandstats),
    ("Errorstats", errorstats),
    ("Cluster", |_, text| text.push_str("cluster_enabled:0\r\n")),
    ("Keyspace", |_, _| {}),
];

/// Told only to those who ask for it, or for everything.
const COMMANDSTATS: &str = "Commandstats";

pub(super) fn info(call: &Call<'_>) -> Flow {
    let wanted: Vec<String> =
        call.request.args(1).map(|arg| String::from_utf8_lossy(arg).to_ascii_lowercase()).collect();
    let wants = |words: &[&str]| wanted.iter().any(|word| words.contains(&word.as_str()));
    let wants_all = wants(&["all", "everything"]);
    let wants_default = wanted.is_empty() || wants(&["default"]);
    let mut text = String::new();
    for (name, write) in SECTIONS {
        if wants_all || wants_default && name != COMMANDSTATS || wants(&[&name.to_ascii_lowercase()]) {
            if !text.is_empty() {
                text.push_str("\r\n");
            }
            let _ = write!(text, "# {name}\r\n");
            write(&call.shard.node, &mut text);
        }
    }
    call.reply(|reply| reply.verbatim(text))
}

fn server(node: &Node, text: &mut String) {
    let uptime = node.started.elapsed().as_secs();
    field(text, "redis_version", REDIS_VERSION);
    field(text, "carillon_version", env!("CARGO_PKG_VERSION"));
    field(text, "redis_mode", "standalone");
    field(text, "os", std::env::consts::OS);
    field(text, "arch_bits", usize::BITS);
    field(text, "multiplexing_api", "epoll");
    field(text, "process_id", std::process::id());
    field(text, "run_id", &node.run_id);
    field(text, "tcp_port", node.settings.tcp_port);
    field(text, "server_time_usec", Node::unix_time().as_micros());
    field(text, "uptime_in_seconds", uptime);
    field(text, "uptime_in_days", uptime / 86_400);
    field(text, "shards", node.settings.shards);
}

fn clients(node: &Node, text: &mut String) {
    field(text, "connected_clients", node.clients());
    field(text, "maxclients", node.settings.live.clients_max.get());
    field(text, "cluster_connections", 0);
    field(text, "blocked_clients", 0);
    field(text, "tracking_clients", 0);
}

fn memory(_: &Node, text: &mut String) {
    process::memory(text);
    field(text, "maxmemory", 0);
    field(text, "maxmemory_policy", "noeviction");
}

fn persistence(_: &Node, text: &mut String) {
    field(text, "loading", 0);
    field(text, "async_loading", 0);
    field(text, "rdb_changes_since_last_save", 0);
    field(text, "rdb_bgsave_in_progress", 0);
    field(text, "rdb_last_bgsave_status", "ok");
    field(text, "aof_enabled", 0);
}

fn stats(node: &Node, text: &mut String) {
    field(text, "total_connections_received", node.total(|stats| stats.connections.get()));
    field(text, "total_commands_processed", node.total(|stats| stats.commands.get()));
    field(text, "total_net_input_bytes", node.total(|stats| stats.input_bytes.get()));
    field(text, "total_net_output_bytes", node.total(|stats| stats.output_bytes.get()));
    field(text, "total_reads_processed", node.total(|stats| stats.reads.get()));
    field(text, "total_writes_processed", node.total(|stats| stats.writes.get()));
    field(text, "total_error_replies", node.total(|stats| stats.errors.get()));
    let refused: u64 = CloseReason::ALL.into_iter().map(|reason| node.refused(reason)).sum();
    field(text, "rejected_connections", refused);
    for nothing in ["expired_keys", "evicted_keys", "keyspace_hits", "keyspace_misses"] {
        field(text, nothing, 0);
    }
    field(text, "pubsub_channels", node.directory.len(SubscriptionKind::Channel));
    field(text, "pubsub_patterns", node.directory.len(SubscriptionKind::Pattern));
    field(text, "pubsubshard_channels", node.directory.len(SubscriptionKind::ShardChannel));
    field(text, "messages_published", node.total(|stats| stats.published.get()));
    field(text, "messages_delivered", node.total(|stats| stats.delivered.get()));
    for reason in CloseReason::ALL {
        field(text, &format!("closed_{}", reason.label()), node.closed(reason));
    }
}

/// Every command that was called or refused. What all calls took is estimated from those that were timed.
fn commandstats(node: &Node, text: &mut String) {
    for spec in command::all() {
        let total = |counter: fn(&CommandStats) -> &Counter| {
            node.total(|stats| counter(stats.by_command.of(spec.id)).get())
        };
        let (calls, rejected) = (total(|stats| &stats.calls), total(|stats| &stats.rejected));
        if calls + rejected == 0 {
            continue;
        }
        let (timed, timed_ns) = (total(|stats| &stats.timed), total(|stats| &stats.timed_ns));
        let timed = timed.max(1);
        let usec = u128::from(timed_ns) * u128::from(calls) / u128::from(timed) / 1_000;
        // Hundredths of a microsecond.
        let per_call = timed_ns / timed / 10;
        let per_call = format!("{}.{:02}", per_call / 100, per_call % 100);
        let failed = total(|stats| &stats.failed);
        let name = format!("cmdstat_{}", spec.name);
        let values = format!(
            "calls={calls},usec={usec},usec_per_call={per_call},rejected_calls={rejected},failed_calls={failed}"
        );
        field(text, &name, values);
    }
}

fn errorstats(node: &Node, text: &mut String) {
    for (at, code) in ERROR_CODES.iter().enumerate() {
        let count = node.total(|stats| stats.errors_by_code[at].get());
        if count > 0 {
            field(text, &format!("errorstat_{code}"), format_args!("count={count}"));
        }
    }
}

fn replication(_: &Node, text: &mut String) {
    field(text, "role", "master");
    field(text, "connected_slaves", 0);
    field(text, "master_repl_offset", 0);
}

pub(super) fn field(text: &mut String, name: &str, value: impl std::fmt::Display) {
    let _ = write!(text, "{name}:{value}\r\n");
}

pub(super) fn time(call: &Call<'_>) -> Flow {
    let now = Node::unix_time();
    call.reply(|reply| {
        reply.array(2);
        reply.bulk_integer(now.as_secs());
        reply.bulk_integer(now.subsec_micros());
    })
}

pub(super) fn role(call: &Call<'_>) -> Flow {
    call.reply(|reply| {
        reply.array(3);
        reply.bulk("master");
        reply.integer(0);
        reply.array(0);
    })
}
