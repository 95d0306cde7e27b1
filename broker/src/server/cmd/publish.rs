//! [PUBLISH](https://redis.io/docs/latest/commands/publish/) and
//! [SPUBLISH](https://redis.io/docs/latest/commands/spublish/): never an error, since one ends Socket.IO servers.

use crate::{
    hub::ChannelKind,
    server::{
        CloseReason, Limits,
        dispatch::{Call, Flow},
    },
};

/// Publishes and answers with the number of receivers.
pub(super) fn publish(call: &Call<'_>, kind: ChannelKind) -> Flow {
    if Limits::is_above(call.arg(1).len(), &call.shard.node.settings.live.limits.channel_bytes) {
        return Flow::Close(CloseReason::NameTooLong);
    }
    call.connection.publish(call.shard, kind, call.arg(1), call.arg(2));
    Flow::Continue
}
