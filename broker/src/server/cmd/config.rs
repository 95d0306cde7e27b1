//! [CONFIG](https://redis.io/docs/latest/commands/config-set/) for the settings that a node shares with Redis.
//! Those that a node can change while it runs, CONFIG SET changes; the texts of its errors are Redis's.

use std::sync::Arc;

use carillon_proto::resp::{Encoder, parse_integer};
use tracing::level_filters::LevelFilter;

use super::client::{encoded, on_every_shard};
use crate::{
    acl::DEFAULT,
    hub::Glob,
    server::{
        Node,
        dispatch::{Call, Flow},
        live::{LiveSettings, OUTBOX_CLASSES},
    },
};

/// Redis's names for what a node has, with the values it has now.
fn settings(node: &Node) -> Vec<(&'static str, String)> {
    let (settings, live) = (&node.settings, &node.settings.live);
    vec![
        ("appendonly", "no".into()),
        ("client-output-buffer-limit", outbox_limits(live)),
        ("databases", "16".into()),
        ("io-threads", settings.shards.to_string()),
        ("loglevel", level_name(LevelFilter::current()).into()),
        ("maxclients", live.clients_max.get().to_string()),
        ("maxmemory", "0".into()),
        ("maxmemory-clients", live.limits.clients_bytes.get().to_string()),
        ("maxmemory-policy", "noeviction".into()),
        ("port", settings.tcp_port.to_string()),
        ("proto-max-bulk-len", settings.argument_bytes_max.to_string()),
        ("replica-read-only", "yes".into()),
        ("requirepass", requirepass(node)),
        ("save", String::new()),
        ("slave-read-only", "yes".into()),
        ("tcp-keepalive", live.keepalive_s.get().to_string()),
        ("timeout", live.idle_s.get().to_string()),
    ]
}

/// Whether the default user has a password. Which one, nobody knows: only its hash is kept. What stands for it is none
/// that could be set by restoring it, since it is no secret.
fn requirepass(node: &Node) -> String {
    let users = node.users();
    let default = users.default_user();
    if default.is_nopass() { String::new() } else { PASSWORD_SET.to_owned() }
}

/// What CONFIG GET tells instead of a password.
const PASSWORD_SET: &str = "(set; only its hash is known)";

/// Settings that not even Redis changes while it runs.
const IMMUTABLE: [&str; 2] = ["databases", "io-threads"];

pub(super) fn get(call: &Call<'_>) -> Flow {
    let globs: Vec<Glob> =
        call.request.args(2).map(|pattern| Glob::new(&pattern.to_ascii_lowercase())).collect();
    let mut found = settings(&call.shard.node);
    found.retain(|(name, _)| globs.iter().any(|glob| glob.matches(name.as_bytes())));
    call.reply(|reply: &mut Encoder<'_>| {
        reply.map(found.len());
        for (name, value) in found {
            reply.bulk(name);
            reply.bulk(value);
        }
    })
}

/// All values are checked before any is set, so that the command does all or nothing.
pub(super) fn set(call: &Call<'_>) -> Flow {
    if !call.len().is_multiple_of(2) {
        return call.error("ERR wrong number of arguments for 'config|set' command");
    }
    let node = &call.shard.node;
    let known = settings(node);
    let names: Vec<String> = (2..call.len())
        .step_by(2)
        .map(|at| String::from_utf8_lossy(call.arg(at)).to_ascii_lowercase())
        .collect();
    let current = |name: &str| known.iter().find(|(known, _)| *known == name).map(|(_, value)| value);
    for (index, name) in names.iter().enumerate() {
        let given = call.arg(2 + 2 * index);
        if current(name).is_none() {
            return call.error(
                [b"ERR Unknown option or number of arguments for CONFIG SET - '", given, b"'"].concat(),
            );
        }
        let reason = if IMMUTABLE.contains(&name.as_str()) {
            "can't set immutable config"
        } else if names[..index].contains(name) {
            "duplicate parameter"
        } else {
            continue;
        };
        return fail(call, &String::from_utf8_lossy(given), reason);
    }
    let mut changes = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let value = call.arg(3 + 2 * index);
        match Change::parse(name, value) {
            Ok(Some(change)) => changes.push(change),
            // Tools that prepare a test server set what is set already.
            Ok(None) if current(name).is_some_and(|current| current.as_bytes() == value) => {}
            Ok(None) => return fail(call, name, "can't set immutable config"),
            Err(reason) => return fail(call, name, &reason),
        }
    }
    for change in &changes {
        tracing::info!(client = call.connection.id, addr = call.connection.peer, ?change, "CONFIG SET");
    }
    let (passwords, others): (Vec<_>, Vec<_>) =
        changes.into_iter().partition(|change| matches!(change, Change::Password(_)));
    let Some(Change::Password(Secret(password))) = passwords.into_iter().next() else {
        others.into_iter().for_each(|change| change.apply(&node.settings.live));
        return call.ok();
    };
    let (node, protocol) = (Arc::clone(node), call.connection.session.borrow().protocol);
    Flow::Defer(Box::pin(async move {
        let set = set_password(&node, &password).await;
        encoded(protocol, |reply| match set {
            Ok(()) => {
                others.into_iter().for_each(|change| change.apply(&node.settings.live));
                reply.simple("OK");
            }
            Err(reason) => reply.error(failure("requirepass", &reason)),
        })
    }))
}

/// Gives the default user this password and no other, or none if it is empty.
async fn set_password(node: &Node, password: &[u8]) -> Result<(), String> {
    let rules = match password {
        [] => vec![b"nopass".to_vec()],
        _ => vec![b"resetpass".to_vec(), [b">", password].concat()],
    };
    let store = node.access.store().ok_or("the node is starting")?;
    let set = store.change(super::acl::set(&node.users(), DEFAULT, rules)).await;
    set.map(drop).map_err(|error| error.to_string())
}

fn fail(call: &Call<'_>, name: &str, reason: &str) -> Flow {
    call.error(failure(name, reason))
}

fn failure(name: &str, reason: &str) -> String {
    format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}")
}

/// A new value that has been checked.
#[derive(Debug)]
enum Change {
    ClientsBytes(u64),
    ClientsMax(u64),
    IdleSeconds(u64),
    KeepaliveSeconds(u64),
    LogLevel(LevelFilter),
    /// Place of a class in `OUTBOX_CLASSES`, hard limit, soft limit, seconds.
    OutboxLimits(Vec<(usize, [u64; 3])>),
    /// The default user's password, which goes where users are kept.
    Password(Secret),
}

/// A password on its way to its hash: not for the log.
struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("(redacted)")
    }
}

impl Change {
    /// `None` for a setting that a node cannot change.
    fn parse(name: &str, value: &[u8]) -> Result<Option<Self>, String> {
        Ok(Some(match name {
            "client-output-buffer-limit" => Self::OutboxLimits(parse_outbox_limits(value)?),
            "loglevel" => Self::LogLevel(parse_level(value)?),
            // What CONFIG GET told is no password: to set it as one would lock everybody out.
            "requirepass" if value == PASSWORD_SET.as_bytes() => return Ok(None),
            "requirepass" => Self::Password(Secret(value.to_vec())),
            "maxclients" => Self::ClientsMax(parse_number(value, 1, u32::MAX.into())?),
            "maxmemory-clients" => {
                Self::ClientsBytes(parse_bytes(value).ok_or("argument must be a memory value")?)
            }
            "tcp-keepalive" => Self::KeepaliveSeconds(parse_number(value, 0, i32::MAX.into())?),
            "timeout" => Self::IdleSeconds(parse_number(value, 0, i32::MAX.into())?),
            _ => return Ok(None),
        }))
    }

    fn apply(self, live: &LiveSettings) {
        match self {
            Self::ClientsBytes(bytes) => live.limits.clients_bytes.set(bytes),
            Self::ClientsMax(count) => live.clients_max.set(count),
            Self::IdleSeconds(seconds) => live.idle_s.set(seconds),
            Self::KeepaliveSeconds(seconds) => live.keepalive_s.set(seconds),
            Self::LogLevel(level) => live.log.set_level(level),
            Self::Password(_) => {}
            Self::OutboxLimits(limits) => {
                for (class, [hard_bytes, soft_bytes, soft_s]) in limits {
                    live.outbox_limits[class].hard_bytes.set(hard_bytes);
                    live.outbox_limits[class].soft_bytes.set(soft_bytes);
                    live.outbox_limits[class].soft_s.set(soft_s);
                }
            }
        }
    }
}

fn parse_number(value: &[u8], min: i64, max: i64) -> Result<u64, String> {
    let number = parse_integer(value).ok_or("argument couldn't be parsed into an integer")?;
    if (min..=max).contains(&number) {
        Ok(number.unsigned_abs())
    } else {
        Err(format!("argument must be between {min} and {max} inclusive"))
    }
}

/// Redis's levels with those of the log, from the wordiest.
const LEVELS: [(&str, LevelFilter); 4] = [
    ("debug", LevelFilter::TRACE),
    ("verbose", LevelFilter::DEBUG),
    ("notice", LevelFilter::INFO),
    ("warning", LevelFilter::WARN),
];

fn level_name(level: LevelFilter) -> &'static str {
    LEVELS.iter().find(|(_, own)| level >= *own).map_or("warning", |(name, _)| name)
}

fn parse_level(value: &[u8]) -> Result<LevelFilter, String> {
    let level = LEVELS.iter().find(|(name, _)| value.eq_ignore_ascii_case(name.as_bytes()));
    level.map(|(_, level)| *level).ok_or_else(|| {
        let names = LEVELS.map(|(name, _)| name).join(", ");
        format!("argument(s) must be one of the following: {names}")
    })
}

fn outbox_limits(live: &LiveSettings) -> String {
    let rows = OUTBOX_CLASSES.iter().zip(&live.outbox_limits).map(|(class, limit)| {
        format!("{class} {} {} {}", limit.hard_bytes.get(), limit.soft_bytes.get(), limit.soft_s.get())
    });
    rows.collect::<Vec<_>>().join(" ")
}

fn parse_outbox_limits(value: &[u8]) -> Result<Vec<(usize, [u64; 3])>, String> {
    const WRONG_NUMBER: &str = "Wrong number of arguments in buffer limit configuration.";
    const WRONG_CLASS: &str = "Invalid client class specified in buffer limit configuration.";
    const WRONG_LIMIT: &str = "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
    let words: Vec<&[u8]> = value.split(|byte| *byte == b' ').collect();
    let rows = words.chunks(4).map(|row| {
        let [class, hard, soft, seconds] = row else { return Err(WRONG_NUMBER) };
        let class = match class.to_ascii_lowercase().as_slice() {
            b"normal" => 0,
            b"slave" | b"replica" => 1,
            b"pubsub" => 2,
            _ => return Err(WRONG_CLASS),
        };
        let seconds = parse_integer(seconds).and_then(|seconds| u64::try_from(seconds).ok());
        let limits = parse_bytes(hard).zip(parse_bytes(soft)).zip(seconds).ok_or(WRONG_LIMIT)?;
        let ((hard, soft), seconds) = limits;
        Ok((class, [hard, soft, seconds]))
    });
    if !words.len().is_multiple_of(4) {
        return Err(WRONG_NUMBER.into());
    }
    rows.collect::<Result<_, _>>().map_err(str::to_owned)
}

/// A number of bytes with an optional unit, as Redis's `memtoull` reads it.
fn parse_bytes(value: &[u8]) -> Option<u64> {
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, unit) = value.split_at(digits);
    let factor: u64 = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1_000,
        b"kb" => 1_024,
        b"m" => 1_000_000,
        b"mb" => 1_024 * 1_024,
        b"g" => 1_000_000_000,
        b"gb" => 1_024 * 1_024 * 1_024,
        _ => return None,
    };
    std::str::from_utf8(number).ok()?.parse::<u64>().ok()?.checked_mul(factor)
}

/// Every shard sets its own counters back; answered when all have.
pub(super) fn resetstat(call: &Call<'_>) -> Flow {
    let protocol = call.connection.session.borrow().protocol;
    let reset = on_every_shard(call.shard, |shard| shard.stats().reset());
    Flow::Defer(Box::pin(async move {
        reset.await;
        encoded(protocol, |reply| reply.simple("OK"))
    }))
}
