//! The rest of the cluster, as a shard sees it.

use carillon_proto::position::{Cursor, Position, Recent};

use super::inbox::Ticket;
use crate::hub::ChannelKind;

/// What carries messages to other nodes. It lives on the first shard's thread, so that a message from another
/// node is delivered there without a wake-up in between.
pub trait Relay: std::fmt::Debug {
    /// Takes a message. Once the other nodes have it, [`Shard::complete`](super::Shard::complete) is called with
    /// its ticket.
    fn publish(&self, kind: ChannelKind, channel: &[u8], payload: &[u8], ticket: Ticket);

    /// Sends what it has taken in this turn.
    fn flush(&self);

    /// A shard has delivered message `number` of the origin in `slot`.
    fn counted(&self, slot: u64, number: u64, receivers: u64);

    /// How far this node is.
    fn position(&self) -> Position;

    /// The next recent messages behind `cursor`, which is moved on. To be asked again until it tells an end.
    fn recent(&self, cursor: &mut Cursor) -> Recent;
}
