//! Where the client plane and the data plane meet: the first shard.

use std::rc::Rc;

use carillon_proto::{
    peer::Publish,
    position::{Cursor, Position, Recent, Stamp},
};

use crate::{
    hub::ChannelKind,
    mesh::{Local, Plane, PlaneSettings},
    server::{Node, Relay, Shard, Ticket},
};

/// The node's clients, for the data plane.
#[derive(Debug)]
pub(super) struct LocalClients(pub(super) Rc<Shard>);

impl Local for LocalClients {
    type Ticket = Ticket;

    fn deliver(&self, message: &Publish, slot: u64, number: u64) -> (u64, u32) {
        self.0.deliver(
            ChannelKind::of(message.is_shard),
            &message.channel,
            &message.payload,
            Ticket::Peer { slot, number },
        )
    }

    fn wants_numbers(&self) -> bool {
        self.0.node().wants_numbers()
    }

    fn deliver_numbered(&self, stamp: Stamp, is_shard: bool, channel: &[u8], payload: &[u8]) {
        self.0.deliver_numbered(stamp, ChannelKind::of(is_shard), channel, payload);
    }

    fn tell_position(&self, position: Position) {
        self.0.tell_position(position);
    }

    fn complete(&self, ticket: Ticket, receivers: u64) {
        self.0.complete(ticket, receivers);
    }

    fn may_act(&self) -> bool {
        self.0.node().gate.is_open()
    }

    fn set_full(&self, is_full: bool) {
        self.0.node().set_relay_full(is_full);
    }
}

/// The data plane, for the shards.
#[derive(Debug)]
pub(super) struct PlaneRelay(pub(super) Rc<Plane<LocalClients>>);

impl Relay for PlaneRelay {
    fn publish(&self, kind: ChannelKind, channel: &[u8], payload: &[u8], ticket: Ticket) {
        self.0.publish(kind == ChannelKind::Shard, channel, payload, ticket);
    }

    fn flush(&self) {
        self.0.flush();
    }

    fn counted(&self, slot: u64, number: u64, receivers: u64) {
        self.0.counted(slot, number, receivers);
    }

    fn position(&self) -> Position {
        self.0.position()
    }

    fn recent(&self, cursor: &mut Cursor) -> Recent {
        self.0.recent(cursor)
    }
}

/// Gives a node that is in no cluster a data plane of its own as soon as a client asks for numbers.
pub(super) fn set_lone_relay(node: &Node, settings: PlaneSettings) {
    let relay = move |shard: &Rc<Shard>| {
        let incarnation = rand::random_range(1..u64::MAX);
        Rc::new(PlaneRelay(Plane::alone(LocalClients(Rc::clone(shard)), settings, incarnation)))
            as Rc<dyn Relay>
    };
    node.set_lone_relay(relay);
}
