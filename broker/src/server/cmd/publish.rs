//! [PUBLISH](https://redis.io/docs/latest/commands/publish/) and
//! [SPUBLISH](https://redis.io/docs/latest/commands/spublish/): never an error, since one ends Socket.IO servers.

use crate::{
    hub::ChannelKind,
    server::dispatch::{Call, Flow},
};

/// Publishes and answers with the number of receivers.
pub(super) fn publish(call: &Call<'_>, kind: ChannelKind) -> Flow {
    call.connection.publish(call.shard, kind, call.arg(1), call.arg(2));
    Flow::Continue
}
