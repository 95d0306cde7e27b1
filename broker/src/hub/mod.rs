//! Who is subscribed to what, and what is on its way to whom: the part of a shard that has no sockets, no
//! clock and no runtime.
//!
//! A [`Hub`] belongs to one shard and is only touched by its thread, so nothing in it is locked or counted
//! across threads. A publish is encoded once; the frame is copied into the outbox of each subscriber when it
//! is small, which costs no more than counting a reference, and shared when it is large.

mod frame;
mod glob;
mod id_set;
mod in_process;
mod outbox;
mod patterns;
mod positioned;
mod tables;
mod topics;
mod traffic;

#[cfg(test)]
mod model;

use ahash::RandomState;
use bytes::Bytes;
use carillon_proto::resp::{Encoder, Protocol};
use slab::Slab;

use self::{frame::MessageFrame, id_set::IdSet, outbox::BufferPool, tables::Tables, topics::TopicId};
pub use self::{glob::Glob, outbox::Outbox, traffic::Traffic};

/// A connection's place in its shard's hub. Reused after the connection is gone.
pub type Seat = usize;

/// The two name spaces of channels. They never mix: SPUBLISH does not reach SUBSCRIBE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelKind {
    /// SUBSCRIBE, PSUBSCRIBE and PUBLISH.
    Channel,
    /// SSUBSCRIBE and SPUBLISH.
    Shard,
}

impl ChannelKind {
    /// Of a message that says whether its channel is a shard channel.
    pub fn of(is_shard: bool) -> Self {
        if is_shard { Self::Shard } else { Self::Channel }
    }
}

/// What a connection can be subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionKind {
    /// One channel.
    Channel,
    /// Every channel whose name matches.
    Pattern,
    /// One shard channel.
    ShardChannel,
}

impl SubscriptionKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Channel, Self::Pattern, Self::ShardChannel];
}

/// A message on its way from one shard to another.
#[derive(Clone, Debug)]
pub struct Message {
    /// The name space of the channel.
    pub kind: ChannelKind,
    /// The channel's name.
    pub channel: Bytes,
    /// The payload.
    pub payload: Bytes,
}

impl Message {
    /// A message with copies of the slices.
    pub fn copied(kind: ChannelKind, channel: &[u8], payload: &[u8]) -> Self {
        Self { kind, channel: Bytes::copy_from_slice(channel), payload: Bytes::copy_from_slice(payload) }
    }
}

/// One connection as the hub sees it.
#[derive(Debug, Default)]
struct Client {
    outbox: Outbox,
    protocol: Protocol,
    is_dirty: bool,
    positioned: Positioned,
    /// It is in this process, and takes messages as they are.
    is_in_process: bool,
    /// Most connections of most applications only publish, or only hold a few subscriptions.
    subscriptions: Option<Box<Subscriptions>>,
}

/// Whether a connection gets its messages with their numbers, from the data plane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Positioned {
    #[default]
    No,
    /// It gets them as they come.
    Live,
    /// It is given recent ones first.
    Replaying,
}

#[derive(Debug, Default)]
struct Subscriptions {
    channels: IdSet,
    patterns: IdSet,
    shard_channels: IdSet,
    /// What they take, about.
    bytes: usize,
}

/// What a subscription takes beside its name, in bytes: places in the tables of the connection, of the channel and of
/// the node's directory. About what `compare --single --only idle` measures.
const SUBSCRIPTION_BYTES: usize = 160;

/// Numbers of subscriptions of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionCounts {
    /// Channels.
    pub channels: usize,
    /// Patterns.
    pub patterns: usize,
    /// Shard channels.
    pub shard_channels: usize,
}

impl SubscriptionCounts {
    /// The number that confirmations of `kind` carry: channels and patterns are counted together.
    pub fn confirmed(self, kind: SubscriptionKind) -> usize {
        match kind {
            SubscriptionKind::Channel | SubscriptionKind::Pattern => self.channels + self.patterns,
            SubscriptionKind::ShardChannel => self.shard_channels,
        }
    }

    /// Their sum.
    pub fn all(self) -> usize {
        self.channels + self.patterns + self.shard_channels
    }

    /// Whether the connection is a subscriber at all.
    pub fn any(self) -> bool {
        self.all() > 0
    }
}

/// The subscriptions and outboxes of one shard.
#[derive(Debug)]
pub struct Hub {
    clients: Slab<Client>,
    tables: Tables,
    /// Those of connections that get their messages with their numbers. They are counted with the others, and delivered
    /// to when the number is known.
    positioned: Tables,
    /// How many there are of these.
    positioned_subscriptions: usize,
    /// Connections with something new in their outbox, in the order in which it came.
    dirty: Vec<Seat>,
    pool: BufferPool,
    frame: MessageFrame,
    /// What all subscriptions take, about.
    subscription_bytes: usize,
    hasher: RandomState,
}

impl Hub {
    /// An empty hub. `hasher` keys its tables, so that channel names cannot be chosen to collide.
    pub fn new(hasher: RandomState) -> Self {
        Self {
            clients: Slab::new(),
            tables: Tables::new(&hasher),
            positioned: Tables::new(&hasher),
            positioned_subscriptions: 0,
            dirty: Vec::new(),
            pool: BufferPool::default(),
            frame: MessageFrame::default(),
            subscription_bytes: 0,
            hasher,
        }
    }

    /// Seats a new connection.
    pub fn connect(&mut self) -> Seat {
        self.clients.insert(Client::default())
    }

    /// Removes a connection; its subscriptions must have been ended before.
    pub fn disconnect(&mut self, seat: Seat) {
        debug_assert!(!self.counts(seat).any(), "subscriptions outlive their connection");
        self.discard_outbox(seat);
        self.clients.remove(seat);
        self.dirty.retain(|dirty| *dirty != seat);
    }

    /// The protocol version in which `seat` gets its messages.
    pub fn set_protocol(&mut self, seat: Seat, protocol: Protocol) {
        self.clients[seat].protocol = protocol;
    }

    /// What `seat` is subscribed to, in numbers.
    pub fn counts(&self, seat: Seat) -> SubscriptionCounts {
        self.clients[seat].subscriptions.as_ref().map_or_else(SubscriptionCounts::default, |subscriptions| {
            SubscriptionCounts {
                channels: subscriptions.channels.len(),
                patterns: subscriptions.patterns.len(),
                shard_channels: subscriptions.shard_channels.len(),
            }
        })
    }

    /// Subscribes `seat` to `name`. False when it already was.
    pub fn subscribe(&mut self, seat: Seat, kind: SubscriptionKind, name: &[u8]) -> bool {
        let is_positioned = self.clients[seat].positioned != Positioned::No;
        let tables = if is_positioned { &mut self.positioned } else { &mut self.tables };
        let id = tables.intern(kind, name);
        let subscriptions = self.clients[seat].subscriptions.get_or_insert_default();
        if !subscriptions.of(kind).insert(id, &self.hasher) {
            return false;
        }
        subscriptions.bytes += SUBSCRIPTION_BYTES + name.len();
        self.subscription_bytes += SUBSCRIPTION_BYTES + name.len();
        self.positioned_subscriptions += usize::from(is_positioned);
        tables.add(kind, id, seat);
        true
    }

    /// Ends the subscription of `seat` to `name`. False when there was none.
    pub fn unsubscribe(&mut self, seat: Seat, kind: SubscriptionKind, name: &[u8]) -> bool {
        let is_positioned = self.clients[seat].positioned != Positioned::No;
        let tables = if is_positioned { &mut self.positioned } else { &mut self.tables };
        let Some(id) = tables.find(kind, name) else { return false };
        let Some(subscriptions) = &mut self.clients[seat].subscriptions else { return false };
        if !subscriptions.of(kind).remove(id) {
            return false;
        }
        subscriptions.bytes -= SUBSCRIPTION_BYTES + name.len();
        self.subscription_bytes -= SUBSCRIPTION_BYTES + name.len();
        self.positioned_subscriptions -= usize::from(is_positioned);
        tables.remove(kind, id, seat);
        true
    }

    /// The name of some subscription of `seat`, for ending all of them one by one.
    pub fn any_subscription(&self, seat: Seat, kind: SubscriptionKind) -> Option<&[u8]> {
        self.subscriptions(seat, kind).next_back()
    }

    /// What `seat` is subscribed to, by name, in no particular order.
    pub fn subscriptions(
        &self,
        seat: Seat,
        kind: SubscriptionKind,
    ) -> impl DoubleEndedIterator<Item = &[u8]> {
        let client = &self.clients[seat];
        let tables = if client.positioned == Positioned::No { &self.tables } else { &self.positioned };
        client.subscriptions.as_deref().into_iter().flat_map(move |own| {
            let ids = match kind {
                SubscriptionKind::Channel => &own.channels,
                SubscriptionKind::Pattern => &own.patterns,
                SubscriptionKind::ShardChannel => &own.shard_channels,
            };
            ids.iter().map(move |id| tables.name(kind, id))
        })
    }

    /// Who gets what is published to `channel`, each with the name or pattern by which it does.
    pub fn subscribers(&self, kind: ChannelKind, channel: &[u8]) -> Vec<(Vec<u8>, Seat)> {
        let found =
            [&self.tables, &self.positioned].into_iter().flat_map(|tables| tables.hearing(kind, channel));
        let all = found
            .flat_map(|(by, seats)| seats.iter().map(move |seat| (by.unwrap_or(channel).to_vec(), seat)));
        all.collect()
    }

    /// Puts a message into the outbox of each of its subscribers and returns their number. A connection that
    /// subscribes to the channel and to patterns that match gets it, and is counted, once for each.
    pub fn publish(&mut self, kind: ChannelKind, channel: &[u8], payload: &[u8]) -> u64 {
        let mut receivers = 0;
        self.frame.clear();
        if let Some(id) = self.tables.topics(kind).find(channel) {
            let head = match kind {
                ChannelKind::Channel => "message",
                ChannelKind::Shard => "smessage",
            };
            self.frame.encode(head, None, channel, payload);
            receivers += self.deliver(kind, id);
        }
        if kind == ChannelKind::Channel && !self.tables.patterns.is_empty() {
            receivers += self.publish_to_patterns(channel, payload);
        }
        if self.positioned_subscriptions > 0 {
            receivers += self.positioned.count(kind, channel);
        }
        receivers
    }

    fn deliver(&mut self, kind: ChannelKind, id: TopicId) -> u64 {
        let seats = self.tables.topics(kind).hearing(id);
        for seat in seats.iter() {
            deliver_one(&mut self.clients[seat], seat, &self.frame, &mut self.pool, &mut self.dirty);
        }
        seats.len() as u64
    }

    fn publish_to_patterns(&mut self, channel: &[u8], payload: &[u8]) -> u64 {
        let mut receivers = 0;
        for (pattern, seats) in self.tables.patterns.hearing(channel) {
            self.frame.encode("pmessage", Some(pattern), channel, payload);
            for seat in seats.iter() {
                deliver_one(&mut self.clients[seat], seat, &self.frame, &mut self.pool, &mut self.dirty);
            }
            receivers += seats.len() as u64;
        }
        receivers
    }

    /// Appends a reply to the outbox of `seat`.
    pub fn reply<R>(&mut self, seat: Seat, write: impl FnOnce(&mut Encoder<'_>) -> R) -> R {
        let client = &mut self.clients[seat];
        mark_dirty(client, seat, &mut self.dirty);
        let protocol = client.protocol;
        client.outbox.append(&mut self.pool, |buffer| write(&mut Encoder::new(buffer, protocol)))
    }

    /// Appends bytes that are already encoded.
    pub fn append(&mut self, seat: Seat, bytes: &[u8]) {
        let client = &mut self.clients[seat];
        mark_dirty(client, seat, &mut self.dirty);
        client.outbox.append(&mut self.pool, |buffer| buffer.extend_from_slice(bytes));
    }

    /// Moves the connections that have something new to send into `seats`.
    pub fn take_dirty(&mut self, seats: &mut Vec<Seat>) {
        seats.clear();
        std::mem::swap(seats, &mut self.dirty);
        for &seat in &*seats {
            self.clients[seat].is_dirty = false;
        }
    }

    /// What waits to be written to `seat`.
    pub fn outbox(&self, seat: Seat) -> &Outbox {
        &self.clients[seat].outbox
    }

    /// Bytes that `seat` makes the hub hold: what waits for it, and its subscriptions. Payloads that others wait for,
    /// too, are counted in full.
    pub fn held_by(&self, seat: Seat) -> usize {
        let client = &self.clients[seat];
        client.outbox.pending_bytes() + client.subscriptions.as_ref().map_or(0, |own| own.bytes)
    }

    /// Bytes that all connections together make the hub hold, with shared payloads counted once.
    pub fn held_bytes(&self) -> usize {
        self.pool.bytes_in_use() + self.frame.shared_bytes() + self.subscription_bytes
    }

    /// Notes that `written` bytes of the outbox of `seat` are with the kernel.
    pub fn advance(&mut self, seat: Seat, written: usize) {
        self.clients[seat].outbox.advance(&mut self.pool, written);
    }

    /// Throws away what waits for `seat`, whose connection is about to be closed.
    pub fn discard_outbox(&mut self, seat: Seat) {
        self.clients[seat].outbox.discard(&mut self.pool);
    }
}

impl Subscriptions {
    fn of(&mut self, kind: SubscriptionKind) -> &mut IdSet {
        match kind {
            SubscriptionKind::Channel => &mut self.channels,
            SubscriptionKind::Pattern => &mut self.patterns,
            SubscriptionKind::ShardChannel => &mut self.shard_channels,
        }
    }
}

fn deliver_one(
    client: &mut Client,
    seat: Seat,
    frame: &MessageFrame,
    pool: &mut BufferPool,
    dirty: &mut Vec<Seat>,
) {
    mark_dirty(client, seat, dirty);
    frame.append_to(&mut client.outbox, client.protocol, pool);
}

fn mark_dirty(client: &mut Client, seat: Seat, dirty: &mut Vec<Seat>) {
    if !client.is_dirty {
        client.is_dirty = true;
        dirty.push(seat);
    }
}
