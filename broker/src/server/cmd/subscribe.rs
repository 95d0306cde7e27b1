//! [SUBSCRIBE](https://redis.io/docs/latest/commands/subscribe/) and its kin. Each name is confirmed by a push
//! of its own, sent even when replies are off.

use carillon_proto::resp::Encoder;

use crate::{
    hub::SubscriptionKind,
    server::dispatch::{self, Call, Flow},
};

/// Subscribes to every name given.
pub(super) fn subscribe(call: &Call<'_>, kind: SubscriptionKind) -> Flow {
    let verb = match kind {
        SubscriptionKind::Channel => "subscribe",
        SubscriptionKind::Pattern => "psubscribe",
        SubscriptionKind::ShardChannel => "ssubscribe",
    };
    let seat = call.connection.seat;
    for name in call.request.args(1) {
        if let Err(reason) = dispatch::subscribe(call.shard, seat, kind, name) {
            return Flow::Close(reason);
        }
        confirm(call, kind, verb, Some(name));
    }
    Flow::Continue
}

/// Ends the subscriptions given, or all of the kind. Every name is confirmed, subscribed to or not; without any
/// there is one confirmation with a null.
pub(super) fn unsubscribe(call: &Call<'_>, kind: SubscriptionKind) -> Flow {
    let verb = match kind {
        SubscriptionKind::Channel => "unsubscribe",
        SubscriptionKind::Pattern => "punsubscribe",
        SubscriptionKind::ShardChannel => "sunsubscribe",
    };
    let seat = call.connection.seat;
    if call.len() == 1 {
        let ended =
            dispatch::unsubscribe_all(call.shard, seat, kind, |name| confirm(call, kind, verb, Some(name)));
        if ended == 0 {
            confirm(call, kind, verb, None);
        }
        return Flow::Continue;
    }
    for name in call.request.args(1) {
        dispatch::unsubscribe(call.shard, seat, kind, name);
        confirm(call, kind, verb, Some(name));
    }
    Flow::Continue
}

fn confirm(call: &Call<'_>, kind: SubscriptionKind, verb: &str, name: Option<&[u8]>) {
    let count = call.shard.hub.borrow().counts(call.connection.seat).confirmed(kind);
    call.connection.push(call.shard, |push: &mut Encoder<'_>| {
        push.push(3);
        push.bulk(verb);
        match name {
            Some(name) => push.bulk(name),
            None => push.null(),
        }
        push.integer(count);
    });
}
