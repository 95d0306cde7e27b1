//! Where the client plane and the data plane meet: the first shard.

use std::rc::Rc;

use carillon_proto::peer::Publish;

use crate::{
    hub::ChannelKind,
    mesh::{Local, Plane},
    server::{Relay, Shard, Ticket},
};

/// The node's clients, for the data plane.
#[derive(Debug)]
pub(super) struct LocalClients(pub(super) Rc<Shard>);

impl Local for LocalClients {
    type Ticket = Ticket;

    fn deliver(&self, message: &Publish, slot: u64, number: u64) -> (u64, u32) {
        let kind = if message.is_shard { ChannelKind::Shard } else { ChannelKind::Channel };
        self.0.deliver(kind, &message.channel, &message.payload, Ticket::Peer { slot, number })
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
}
