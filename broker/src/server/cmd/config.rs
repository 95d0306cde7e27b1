//! [CONFIG](https://redis.io/docs/latest/commands/config-set/) for the settings that a node shares with Redis.
//! Those that a node can change while it runs, CONFIG SET changes; the texts of its errors are Redis's.

use std::sync::Arc;

use carillon_proto::resp::{Encoder, parse_integer};
use tracing::level_filters::LevelFilter;

use super::client::{encoded, on_every_shard};
use crate::{
    acl::DEFAULT,
    config::{Given, Kind, OUTBOX_LIMIT, Row, Settings, TABLE, Value, parse_redis_bytes},
    hub::Glob,
    server::{
        Node,
        dispatch::{Call, Flow},
        live::{LiveSettings, OUTBOX_CLASSES},
    },
};

/// Redis's names for what a node has, with the values it has now.
fn settings(node: &Node) -> Vec<(&'static str, String)> {
    let live = &node.settings.live;
    let current = live.current();
    let rows = TABLE.iter().filter(|row| row.redis != Some(OUTBOX_LIMIT));
    let rows = rows.filter_map(|row| {
        // What the machine allows may be less than what was asked for.
        let value = match row.redis? {
            "maxclients" => live.clients_max.get().to_string(),
            "maxmemory-clients" => live.limits.clients_bytes.get().to_string(),
            _ => redis_value(row, &current),
        };
        Some((row.redis?, value))
    });
    // What Redis has and a node has not, as Redis has it when it is not used; and what has a form of its own.
    let others = [
        ("appendonly", "no".into()),
        (OUTBOX_LIMIT, outbox_limits(live)),
        ("databases", "16".into()),
        ("maxmemory", "0".into()),
        ("maxmemory-policy", "noeviction".into()),
        ("port", node.settings.tcp_port.to_string()),
        ("replica-read-only", "yes".into()),
        ("requirepass", requirepass(node)),
        ("save", String::new()),
        ("slave-read-only", "yes".into()),
    ];
    let mut all: Vec<_> = rows.chain(others).collect();
    all.sort_unstable();
    all
}

/// A setting as Redis tells it.
fn redis_value(row: &Row, current: &Settings) -> String {
    match row.get(current) {
        _ if row.redis == Some("loglevel") => level_name(LevelFilter::current()).into(),
        Value::Unset | Value::Hidden(_) => String::new(),
        Value::Bool(is_on) => if is_on { "yes" } else { "no" }.into(),
        Value::Number(number) => number.to_string(),
        Value::Text(text) => text,
        Value::List(texts) => texts.join(" "),
    }
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
const IMMUTABLE: [&str; 3] = ["databases", "io-threads", "unixsocket"];

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
            // One that Redis has not, or by another name.
            if let Some(row) = TABLE.iter().find(|row| row.name == name) {
                return fail(call, name, &how_it_changes(row));
            }
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
    let (mut wanted, mut password) = (Wanted::new(node), None);
    for (index, name) in names.iter().enumerate() {
        let value = call.arg(3 + 2 * index);
        // What CONFIG GET told is no password: to set it as one would lock everybody out.
        if name == "requirepass" && value != PASSWORD_SET.as_bytes() {
            password = Some(value.to_vec());
            continue;
        }
        match wanted.take(name, value) {
            Ok(true) => {}
            // Tools that prepare a test server set what is set already.
            Ok(false) if current(name).is_some_and(|current| current.as_bytes() == value) => {}
            Ok(false) => return fail(call, name, "can't set immutable config"),
            Err(reason) => return fail(call, name, &reason),
        }
    }
    let (client, addr) = (call.connection.id, call.connection.peer.clone());
    let Some(password) = password else {
        wanted.apply_and_tell(node, client, &addr);
        return call.ok();
    };
    let (node, protocol) = (Arc::clone(node), call.connection.session.borrow().protocol);
    Flow::Defer(Box::pin(async move {
        let set = set_password(&node, &password).await;
        encoded(protocol, |reply| match set {
            Ok(()) => {
                tracing::info!(client, addr, name = "requirepass", "CONFIG SET");
                wanted.apply_and_tell(&node, client, &addr);
                reply.simple("OK");
            }
            Err(reason) => reply.error(failure("requirepass", &reason)),
        })
    }))
}

/// What to do instead about a setting of a node's own.
fn how_it_changes(row: &Row) -> String {
    match row.redis {
        Some(redis) if row.is_live => format!("it is changed as '{redis}'"),
        _ if row.is_live => {
            "it is changed in the configuration file, which is read again at SIGHUP".to_owned()
        }
        _ => "it needs a restart".to_owned(),
    }
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

/// New values that have been checked.
struct Wanted {
    settings: Settings,
    rows: Vec<&'static Row>,
    /// Place of a class in `OUTBOX_CLASSES`, hard limit, soft limit, seconds.
    outbox_limits: Vec<(usize, [u64; 3])>,
}

impl Wanted {
    fn new(node: &Node) -> Self {
        Self { settings: node.settings.live.current(), rows: Vec::new(), outbox_limits: Vec::new() }
    }

    /// Returns whether a node can change this setting.
    fn take(&mut self, name: &str, value: &[u8]) -> Result<bool, String> {
        let mut rows = TABLE.iter().filter(|row| row.redis == Some(name) && row.is_live);
        if name == OUTBOX_LIMIT {
            self.outbox_limits = parse_outbox_limits(value)?;
            let settings = &mut self.settings;
            for (class, limit) in &self.outbox_limits {
                if OUTBOX_CLASSES[*class] == "pubsub" {
                    [settings.outbox_bytes_max, settings.outbox_soft_bytes, settings.outbox_soft_s] = *limit;
                }
            }
            self.rows.extend(rows);
            return Ok(true);
        }
        let Some(row) = rows.next() else { return Ok(false) };
        if !row.set(&mut self.settings, parse(row, value)?) {
            return Err("argument couldn't be used".to_owned());
        }
        self.rows.push(row);
        Ok(true)
    }

    fn apply_and_tell(self, node: &Node, client: u64, addr: &str) {
        self.apply(&node.settings.live, |name, old, new| {
            tracing::info!(client, addr, name, old, new, "CONFIG SET");
        });
    }

    fn apply(self, live: &LiveSettings, tell: impl Fn(&str, &str, &str)) {
        for (class, [hard_bytes, soft_bytes, soft_s]) in self.outbox_limits {
            live.outbox_limits[class].hard_bytes.set(hard_bytes);
            live.outbox_limits[class].soft_bytes.set(soft_bytes);
            live.outbox_limits[class].soft_s.set(soft_s);
        }
        live.change(&self.settings, &self.rows, |changed| tell(changed.name, &changed.old, &changed.new));
    }
}

/// A value as Redis's clients write it, within the bounds of the table, refused in the words of Redis's config.c.
fn parse(row: &Row, value: &[u8]) -> Result<Value, String> {
    if row.redis == Some("loglevel") {
        return Ok(Value::Text(parse_level(value)?.to_string()));
    }
    match row.kind {
        Kind::Number { min, max } => parse_number(value, min, max).map(Value::Number),
        Kind::Bytes { min, max } => {
            let bytes = parse_bytes(value).ok_or("argument must be a memory value")?;
            in_range(bytes, min, max).map(Value::Number)
        }
        Kind::Bool if value.eq_ignore_ascii_case(b"yes") => Ok(Value::Bool(true)),
        Kind::Bool if value.eq_ignore_ascii_case(b"no") => Ok(Value::Bool(false)),
        Kind::Bool => Err("argument must be 'yes' or 'no'".to_owned()),
        _ => {
            let text = Given::Text(String::from_utf8_lossy(value).into_owned());
            row.kind.parse(&text).ok_or_else(|| format!("argument must be {}", row.kind.allowed()))
        }
    }
}

fn parse_number(value: &[u8], min: u64, max: u64) -> Result<u64, String> {
    let number = parse_integer(value).ok_or("argument couldn't be parsed into an integer")?;
    // What is below zero is in no range.
    in_range(number.try_into().unwrap_or(u64::MAX), min, max)
}

fn in_range(number: u64, min: u64, max: u64) -> Result<u64, String> {
    if (min..=max).contains(&number) {
        Ok(number)
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

fn parse_bytes(value: &[u8]) -> Option<u64> {
    str::from_utf8(value).ok().and_then(parse_redis_bytes)
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
