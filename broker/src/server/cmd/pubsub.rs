//! [PUBSUB](https://redis.io/docs/latest/commands/pubsub/): who is subscribed to what, over the whole cluster.

use std::{collections::HashSet, sync::Arc};

use bytes::Bytes;
use carillon_proto::resp::Encoder;

use crate::{
    hub::{Glob, SubscriptionKind},
    server::{
        Census,
        connection::Deferred,
        dispatch::{Call, Flow},
    },
};

/// CHANNELS and SHARDCHANNELS.
pub(super) fn channels(call: &Call<'_>, kind: SubscriptionKind) -> Flow {
    if call.len() > 3 {
        let name = String::from_utf8_lossy(call.arg(1)).into_owned();
        return call.error(format!(
            "ERR unknown subcommand or wrong number of arguments for '{name}'. Try PUBSUB HELP."
        ));
    }
    let pattern = call.request.get(2).map(Bytes::copy_from_slice);
    let names = matching(call, kind, pattern.as_deref());
    let write = |reply: &mut Encoder<'_>, names: &[Bytes]| {
        reply.array(names.len());
        names.iter().for_each(|name| reply.bulk(name));
    };
    let Some(census) = census(call) else { return call.reply(|reply| write(reply, &names)) };
    defer(call, async move {
        let all = unique(names, census.names(kind, pattern).await);
        move |reply: &mut Encoder<'_>| write(reply, &all)
    })
}

/// NUMSUB and SHARDNUMSUB. An array in both protocol versions.
pub(super) fn numsub(call: &Call<'_>, kind: SubscriptionKind) -> Flow {
    let directory = &call.shard.node.directory;
    let local = |name: &[u8]| directory.subscribers(kind, name);
    let Some(census) = census(call) else {
        return call.reply(|reply| {
            reply.array((call.len() - 2) * 2);
            for name in call.request.args(2) {
                reply.bulk(name);
                reply.integer(local(name));
            }
        });
    };
    let names: Vec<Bytes> = call.request.args(2).map(Bytes::copy_from_slice).collect();
    let here: Vec<u64> = names.iter().map(|name| local(name)).collect();
    defer(call, async move {
        let elsewhere = census.counts(kind, names.clone()).await;
        move |reply: &mut Encoder<'_>| {
            reply.array(names.len() * 2);
            for ((name, here), elsewhere) in names.iter().zip(here).zip(elsewhere) {
                reply.bulk(name);
                reply.integer(here + elsewhere);
            }
        }
    })
}

/// NUMPAT: different patterns, not subscriptions to them.
pub(super) fn numpat(call: &Call<'_>) -> Flow {
    let kind = SubscriptionKind::Pattern;
    let Some(census) = census(call) else {
        let patterns = call.shard.node.directory.len(kind);
        return call.reply(|reply| reply.integer(patterns));
    };
    let here = matching(call, kind, None);
    defer(call, async move {
        let all = unique(here, census.names(kind, None).await);
        move |reply: &mut Encoder<'_>| reply.integer(all.len())
    })
}

fn census(call: &Call<'_>) -> Option<Arc<dyn Census>> {
    call.shard.node.census.get().cloned()
}

/// Names with subscribers on this node.
fn matching(call: &Call<'_>, kind: SubscriptionKind, pattern: Option<&[u8]>) -> Vec<Bytes> {
    let pattern = pattern.map(Glob::new);
    let wanted = |name: &[u8]| pattern.as_ref().is_none_or(|pattern| pattern.matches(name));
    call.shard.node.directory.list(kind, wanted).into_iter().map(Bytes::from).collect()
}

fn unique(here: Vec<Bytes>, elsewhere: Vec<Bytes>) -> Vec<Bytes> {
    let all: HashSet<Bytes> = here.into_iter().chain(elsewhere).collect();
    all.into_iter().collect()
}

/// Answers once the other nodes have.
fn defer<W: FnOnce(&mut Encoder<'_>)>(call: &Call<'_>, answer: impl Future<Output = W> + 'static) -> Flow {
    let protocol = call.connection.session.borrow().protocol;
    let deferred: Deferred = Box::pin(async move {
        let write = answer.await;
        let mut reply = Vec::new();
        write(&mut Encoder::new(&mut reply, protocol));
        reply
    });
    Flow::Defer(deferred)
}
