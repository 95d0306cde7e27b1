//! [CONFIG](https://redis.io/docs/latest/commands/config-get/) for the settings that a node shares with Redis.

use carillon_proto::resp::Encoder;

use super::client::{encoded, on_every_shard};
use crate::{
    hub::Glob,
    server::{
        Node,
        dispatch::{Call, Flow},
    },
};

/// Redis's names for what a node has, with the values it has. None of them changes while the node runs.
fn settings(node: &Node) -> Vec<(&'static str, String)> {
    let settings = &node.settings;
    let outbox = format!(
        "normal 0 0 0 slave 0 0 0 pubsub {} {} {}",
        settings.outbox_hard_bytes, settings.outbox_soft_bytes, settings.outbox_soft_s
    );
    vec![
        ("appendonly", "no".into()),
        ("client-output-buffer-limit", outbox),
        ("databases", "16".into()),
        ("io-threads", settings.shards.to_string()),
        ("maxclients", settings.clients_max.to_string()),
        ("maxmemory", "0".into()),
        ("maxmemory-policy", "noeviction".into()),
        ("port", settings.tcp_port.to_string()),
        ("proto-max-bulk-len", settings.argument_bytes_max.to_string()),
        ("replica-read-only", "yes".into()),
        ("requirepass", String::new()),
        ("save", String::new()),
        ("slave-read-only", "yes".into()),
        ("tcp-keepalive", settings.liveness.keepalive_s.to_string()),
        ("timeout", "0".into()),
    ]
}

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

/// Accepts the value that a setting has already, which is what tools that prepare a test server ask for.
pub(super) fn set(call: &Call<'_>) -> Flow {
    if !call.len().is_multiple_of(2) {
        return call.error("ERR wrong number of arguments for 'config|set' command");
    }
    let settings = settings(&call.shard.node);
    for at in (2..call.len()).step_by(2) {
        let name = String::from_utf8_lossy(call.arg(at)).to_ascii_lowercase();
        let Some((_, value)) = settings.iter().find(|(known, _)| *known == name) else {
            return call.error(
                [b"ERR Unknown option or number of arguments for CONFIG SET - '", call.arg(at), b"'"]
                    .concat(),
            );
        };
        if value.as_bytes() != call.arg(at + 1) {
            return call.error(format!(
                "ERR CONFIG SET failed (possibly related to argument '{name}') - can't set immutable config"
            ));
        }
    }
    call.ok()
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
