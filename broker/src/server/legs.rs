//! The legs of a publish: this shard, the other shards, the other nodes.

use std::{
    rc::Rc,
    sync::{Arc, atomic::Ordering},
};

use super::{
    Node, Relay, Shard,
    inbox::{Envelope, Ticket},
};
use crate::hub::{ChannelKind, Message};

impl Shard {
    /// Puts a message on its way to every subscriber of the node. Returns the number of local receivers, and
    /// the number of other shards that will answer `ticket` with theirs.
    pub(crate) fn publish(
        &self,
        kind: ChannelKind,
        channel: &[u8],
        payload: &[u8],
        ticket: Ticket,
    ) -> (u64, u32) {
        let receivers = self.hub.borrow_mut().publish(kind, channel, payload);
        self.stats().published.add(1);
        self.note_delivered(receivers);
        let mut legs = self.hand_to_shards(kind, channel, payload, ticket);
        if self.node.has_relay.load(Ordering::Relaxed) {
            legs += 1;
            self.hand_to_nodes(kind, channel, payload, ticket);
        }
        (receivers, legs)
    }

    /// Delivers a message of another node to this shard's subscribers and hands it to the other shards. Returns
    /// the number of local receivers, and of shards that will answer `ticket` with theirs.
    pub fn deliver(&self, kind: ChannelKind, channel: &[u8], payload: &[u8], ticket: Ticket) -> (u64, u32) {
        let receivers = self.hub.borrow_mut().publish(kind, channel, payload);
        self.note_delivered(receivers);
        (receivers, self.hand_to_shards(kind, channel, payload, ticket))
    }

    /// One more leg of a message is complete.
    pub fn complete(self: &Rc<Self>, ticket: Ticket, receivers: u64) {
        match ticket {
            Ticket::Client { shard, .. } if shard != self.index => {
                self.outgoing.borrow_mut()[shard].push(Envelope::Delivered(ticket, receivers));
                self.schedule_flush();
            }
            Ticket::Client { seat, client, number, .. } => {
                let connection = self.connections.borrow().get(seat).cloned().flatten();
                if let Some(connection) = connection.filter(|connection| connection.id == client) {
                    connection.delivered(self, number, receivers);
                }
            }
            Ticket::Peer { slot, number } => {
                if let Some(relay) = &*self.relay.borrow() {
                    relay.counted(slot, number, receivers);
                }
            }
        }
    }

    /// Sets the way to other nodes.
    pub fn set_relay(&self, relay: Rc<dyn Relay>) {
        *self.relay.borrow_mut() = Some(relay);
    }

    /// The node that this shard belongs to.
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    fn hand_to_shards(&self, kind: ChannelKind, channel: &[u8], payload: &[u8], ticket: Ticket) -> u32 {
        if self.node.settings.shards == 1 {
            return 0;
        }
        let others = self.node.directory.interested(kind, channel) & !(1 << self.index);
        if others == 0 {
            return 0;
        }
        let message = Message::copied(kind, channel, payload);
        let mut outgoing = self.outgoing.borrow_mut();
        for (shard, batch) in outgoing.iter_mut().enumerate() {
            if others & (1 << shard) != 0 {
                batch.push(Envelope::Deliver(message.clone(), ticket));
            }
        }
        self.schedule_flush();
        others.count_ones()
    }

    fn hand_to_nodes(&self, kind: ChannelKind, channel: &[u8], payload: &[u8], ticket: Ticket) {
        if self.index == 0 {
            if let Some(relay) = &*self.relay.borrow() {
                relay.publish(kind, channel, payload, ticket);
            }
        } else {
            let message = Message::copied(kind, channel, payload);
            self.outgoing.borrow_mut()[0].push(Envelope::Relay(message, ticket));
        }
        self.schedule_flush();
    }
}
