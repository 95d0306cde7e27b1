//! Messages with their numbers, for connections that asked for them. See `POSITIONS.md` beside this file.
//!
//! Numbers are given on the first shard's thread, by the relay. From there messages go to the other shards by the same
//! queues as everything else that concerns these connections, so that nothing overtakes anything: what a shard is told
//! of the node's position is true of what it has been given by then.

use std::{
    rc::Rc,
    sync::{Arc, atomic::Ordering},
};

use carillon_proto::{
    peer::decode_publish,
    position::{Cursor, Gap, Position, Recent, Stamp},
};
use tokio::sync::oneshot;

use super::{Shard, connection::Connection, inbox::Envelope, replay::Step};
use crate::hub::{ChannelKind, Message, Seat};

/// A connection of any shard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    shard: usize,
    seat: Seat,
    /// Seats are reused.
    client: u64,
}

impl Shard {
    /// Delivers a message with its number to those who get it so, on all shards. On the first shard only.
    pub fn deliver_numbered(&self, stamp: Stamp, kind: ChannelKind, channel: &[u8], payload: &[u8]) {
        let shards = self.node.positioned.load(Ordering::Relaxed);
        if shards & 1 != 0 {
            self.deliver_numbered_here(&stamp, kind, channel, payload);
        }
        let others = match shards & !1 {
            0 => 0,
            others => others & self.node.directory.interested(kind, channel),
        };
        if others == 0 {
            return;
        }
        let message = Message::copied(kind, channel, payload);
        for shard in (1..self.node.settings.shards).filter(|shard| others & (1 << shard) != 0) {
            self.send(shard, Envelope::DeliverNumbered(message.clone(), stamp));
        }
    }

    pub(super) fn deliver_numbered_here(
        &self,
        stamp: &Stamp,
        kind: ChannelKind,
        channel: &[u8],
        payload: &[u8],
    ) {
        self.hub.borrow_mut().publish_positioned(kind, channel, payload, stamp);
        self.schedule_flush();
    }

    /// Tells everyone who gets numbers how far the node is. On the first shard only.
    pub fn tell_position(self: &Rc<Self>, position: Position) {
        let shards = self.node.positioned.load(Ordering::Relaxed);
        let position = Arc::new(position);
        for shard in (0..self.node.settings.shards).filter(|shard| shards & (1 << shard) != 0) {
            let position = Arc::clone(&position);
            self.run_on(shard, move |shard| {
                if shard.hub.borrow_mut().tell_position_to_all(&position) {
                    shard.schedule_flush();
                }
            });
        }
    }

    /// Gives a connection without subscriptions its messages with their numbers from now on, or not any more.
    pub(super) fn set_positioned(&self, connection: &Connection, is_positioned: bool) {
        let mut hub = self.hub.borrow_mut();
        if hub.is_positioned(connection.seat) == is_positioned {
            return;
        }
        hub.set_positioned(connection.seat, is_positioned);
        let (before, bit) = (self.positioned.get(), 1 << self.index);
        if is_positioned {
            self.positioned.set(before + 1);
            self.node.positioned.fetch_or(bit, Ordering::SeqCst);
        } else {
            self.positioned.set(before - 1);
            if before == 1 {
                self.node.positioned.fetch_and(!bit, Ordering::SeqCst);
            }
        }
    }

    /// Asks the first shard for the recent messages behind `cursor`; for the node's position alone if there is none. The
    /// answer is told once it is in the connection's outbox; never if the connection is gone or the node in no view.
    pub(super) fn ask_recent(
        &self,
        connection: &Connection,
        cursor: Option<Cursor>,
        is_strict: bool,
    ) -> oneshot::Receiver<Step> {
        let (answer, answered) = oneshot::channel();
        let place = Place { shard: self.index, seat: connection.seat, client: connection.id };
        self.node.on_shard(0, move |first| {
            first.node.start_lone_relay(first);
            let relay = first.relay.borrow().clone();
            let Some(relay) = relay else { return };
            let (cursor, recent) = match cursor {
                None => (Cursor::default(), Recent { end: Some(relay.position()), ..Recent::default() }),
                Some(mut cursor) => {
                    let recent = relay.recent(&mut cursor);
                    (cursor, recent)
                }
            };
            first.run_on(place.shard, move |shard| {
                if let Some(step) = shard.take_recent(place, cursor, recent, is_strict) {
                    let _ = answer.send(step);
                }
            });
        });
        answered
    }

    /// Puts recent messages into a connection's outbox; those behind them it gets as they come.
    fn take_recent(&self, place: Place, cursor: Cursor, recent: Recent, is_strict: bool) -> Option<Step> {
        let connection = self.connections.borrow().get(place.seat).cloned().flatten()?;
        if connection.id != place.client || connection.is_closing() {
            return None;
        }
        if recent.is_early {
            return Some(Step::Early(cursor));
        }
        if is_strict && !recent.gaps.is_empty() {
            let (client, gaps) = (connection.id, &recent.gaps);
            tracing::debug!(client, ?gaps, "a client that came back wants all or nothing");
            return Some(Step::Missing(recent.gaps.len()));
        }
        for gap in &recent.gaps {
            let (client, origin, first, last) = (connection.id, gap.origin, gap.first, gap.last);
            tracing::info!(client, %origin, first, last, "a client that came back misses what is not kept any more");
        }
        let mut hub = self.hub.borrow_mut();
        recent.gaps.iter().for_each(|gap| hub.tell_gap(place.seat, gap));
        for (stamp, frame) in recent.frames {
            let Ok(message) = decode_publish(frame) else {
                // It was read when it came: the ring is broken, and this message with it.
                let gap = Gap { origin: stamp.origin, first: stamp.number, last: Some(stamp.number) };
                hub.tell_gap(place.seat, &gap);
                continue;
            };
            let kind = ChannelKind::of(message.is_shard);
            hub.replay(place.seat, kind, &message.channel, &message.payload, &stamp);
        }
        let step = match recent.end {
            None => Step::More(cursor),
            Some(position) => {
                hub.tell_position(place.seat, &position);
                hub.set_replaying(place.seat, false);
                Step::Done
            }
        };
        drop(hub);
        self.schedule_flush();
        Some(step)
    }

    /// Sends something to a shard behind all that this one has sent it.
    fn send(&self, shard: usize, envelope: Envelope) {
        self.outgoing.borrow_mut()[shard].push(envelope);
        self.schedule_flush();
    }

    fn run_on(self: &Rc<Self>, shard: usize, action: impl FnOnce(&Rc<Self>) + Send + 'static) {
        if shard == self.index {
            action(self);
        } else {
            self.send(shard, Envelope::Run(Box::new(action)));
        }
    }
}
