//! [PUBLISH](https://redis.io/docs/latest/commands/publish/) and
//! [SPUBLISH](https://redis.io/docs/latest/commands/spublish/): never an error, since one ends Socket.IO servers.

use crate::{
    hub::ChannelKind,
    server::{
        CloseReason,
        dispatch::{Call, Flow},
    },
};

/// Publishes and answers with the number of receivers.
pub(super) fn publish(call: &Call<'_>, kind: ChannelKind) -> Flow {
    if call.shard.node.settings.live.limits.channel_bytes.is_exceeded_by(call.arg(1).len()) {
        return Flow::Close(CloseReason::NameTooLong);
    }
    call.connection.publish(call.shard, kind, call.arg(1), call.arg(2));
    Flow::Continue
}
