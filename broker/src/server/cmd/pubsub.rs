//! [PUBSUB](https://redis.io/docs/latest/commands/pubsub/): who is subscribed to what, over the whole node.

use crate::{
    hub::{Glob, SubscriptionKind},
    server::dispatch::{Call, Flow},
};

/// CHANNELS and SHARDCHANNELS.
pub(super) fn channels(call: &Call<'_>, kind: SubscriptionKind) -> Flow {
    if call.len() > 3 {
        let name = String::from_utf8_lossy(call.arg(1)).into_owned();
        return call.error(format!(
            "ERR unknown subcommand or wrong number of arguments for '{name}'. Try PUBSUB HELP."
        ));
    }
    let pattern = call.request.get(2).map(Glob::new);
    let wanted = |name: &[u8]| pattern.as_ref().is_none_or(|pattern| pattern.matches(name));
    let names = call.shard.node.directory.list(kind, wanted);
    call.reply(|reply| {
        reply.array(names.len());
        names.iter().for_each(|name| reply.bulk(name));
    })
}

/// NUMSUB and SHARDNUMSUB. An array in both protocol versions.
pub(super) fn numsub(call: &Call<'_>, kind: SubscriptionKind) -> Flow {
    let directory = &call.shard.node.directory;
    call.reply(|reply| {
        reply.array((call.len() - 2) * 2);
        for name in call.request.args(2) {
            reply.bulk(name);
            reply.integer(directory.subscribers(kind, name));
        }
    })
}

/// NUMPAT: different patterns, not subscriptions to them.
pub(super) fn numpat(call: &Call<'_>) -> Flow {
    let patterns = call.shard.node.directory.len(SubscriptionKind::Pattern);
    call.reply(|reply| reply.integer(patterns))
}
