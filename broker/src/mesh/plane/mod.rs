//! The data plane at work: outbound and inbound messages on the streams of the links.
//!
//! It lives on one thread, that of the first shard, and keeps all its state there without locks. Other threads
//! give it [`PlaneCommand`]s.

mod alone;
mod clockwork;
mod command;
mod flush;
mod receive;
mod recent;
mod send;
#[cfg(test)]
mod tests;
mod views;

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    fmt::Debug,
    rc::Rc,
    sync::Arc,
};

use bytes::BytesMut;
use carillon_proto::{
    peer::{Publish, encode_publish},
    position::{Origin as PublishedAt, Position, Stamp},
};
use tokio::{
    sync::{Notify, mpsc, watch},
    task::AbortHandle,
};

pub use self::command::{PlaneCommand, PlaneEvent, PlaneProgress, PlaneReport, PlaneSettings};
use super::{Completion, Inbound, Links, Nanos, Outbound, View};
use crate::clock;

/// The clients of this node, as the data plane sees them.
pub trait Local: Debug + 'static {
    /// Where the answer to a publish belongs.
    type Ticket: Debug;

    /// Delivers message `number` of the origin in `slot`. Returns how many subscribers were sent it, and how many
    /// shards will still tell theirs through [`Plane::counted`].
    fn deliver(&self, message: &Publish, slot: u64, number: u64) -> (u64, u32);

    /// Whether some clients get their messages with their numbers.
    fn wants_numbers(&self) -> bool;

    /// Delivers a message to those clients. They are counted by [`deliver`](Self::deliver), or where the message was
    /// published.
    fn deliver_numbered(&self, stamp: Stamp, is_shard: bool, channel: &[u8], payload: &[u8]);

    /// Tells those clients how far this node is.
    fn tell_position(&self, position: Position);

    /// The other nodes have a message, and sent it to this many subscribers.
    fn complete(&self, ticket: Self::Ticket, receivers: u64);

    /// Whether this node's lease holds at this moment.
    fn may_act(&self) -> bool;

    /// Has publishers wait, or lets them go on.
    fn set_full(&self, is_full: bool);
}

/// Bytes of recent messages that are kept of each other node: what it may have unacknowledged, and some more, so
/// that a hole can always be filled.
const RING_EXTRA: usize = 2;

type Key = (u64, u64);

/// The origin of the messages of one incarnation of a node.
fn origin(key: Key) -> PublishedAt {
    PublishedAt { node: key.0, incarnation: key.1 }
}

/// One incarnation of another node, whose messages arrive here.
#[derive(Debug)]
struct Origin {
    slot: u64,
    /// `None` until it has told where it starts.
    inbound: Option<Inbound>,
    /// The first view in which this node has seen it.
    seen_since: u64,
    /// Something can be acknowledged.
    acks: Rc<Notify>,
    /// The task that reads its stream.
    reader: Option<AbortHandle>,
}

/// One that has left the view, kept for those who lack some of its messages.
#[derive(Debug)]
struct Departed {
    inbound: Option<Inbound>,
    since: Nanos,
    /// The first view in which this node has seen it.
    seen_since: u64,
    end: End,
    /// The voters that may have held what it published: those of the view that it was in last.
    holders: Vec<u64>,
    /// How many voters had to hold a message before it was answered.
    majority: usize,
}

/// What is known of the end of an incarnation that has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// This node does not listen to it any more, and has not asked what it lacks: it was fenced.
    Unknown,
    /// Others are still asked.
    Asked,
    /// All that there ever will be of it is here.
    Reached,
}

/// One peer of the view, to which messages go.
#[derive(Debug)]
struct Target {
    has_more: Rc<Notify>,
    writer: AbortHandle,
}

#[derive(Debug)]
struct State<T> {
    node: u64,
    /// 0 while the node does not want to be in a view.
    incarnation: u64,
    view: View,
    voters: Vec<u64>,
    outbound: Outbound<T>,
    /// The first view that this incarnation is in.
    in_since: u64,
    /// Messages of all origins that have come to this node.
    arrivals: u64,
    /// What clients were told last of how far this node is.
    told: Position,
    origins: HashMap<Key, Origin>,
    slots: HashMap<u64, Key>,
    next_slot: u64,
    departed: HashMap<Key, Departed>,
    targets: HashMap<Key, Target>,
    encoded: BytesMut,
    has_published: bool,
}

impl<T> State<T> {
    /// Whether this incarnation is in the view.
    fn is_in(&self) -> bool {
        self.incarnation != 0 && self.view.has(self.node, self.incarnation)
    }

    /// Keeps what is held of an incarnation that has left the view, or that this node has stopped listening to.
    /// `view` and `voters` are those of the time when it was there.
    fn depart(&mut self, key: Key, origin: Origin, (view, voters): (&View, &[u64]), now: Nanos) {
        let Origin { inbound, seen_since, .. } = origin;
        if inbound.is_some() || !self.departed.contains_key(&key) {
            let holders = voters.iter().copied().filter(|voter| view.members.contains_key(voter)).collect();
            let majority = voters.len() / 2 + 1;
            let departed = Departed { inbound, since: now, seen_since, end: End::Unknown, holders, majority };
            self.departed.insert(key, departed);
        }
    }

    /// A number for a message that has just come.
    fn arrived(&mut self) -> u64 {
        self.arrivals += 1;
        self.arrivals
    }
}

/// The data plane.
#[derive(Debug)]
pub struct Plane<L: Local> {
    local: L,
    links: Arc<Links>,
    settings: PlaneSettings,
    state: RefCell<State<L::Ticket>>,
    completions: RefCell<Vec<Completion<L::Ticket>>>,
    deadline: Notify,
    deadline_sleeps: Cell<bool>,
    is_full: Cell<bool>,
    events: mpsc::UnboundedSender<PlaneEvent>,
    progress: watch::Sender<PlaneProgress>,
}

/// Bytes that are encoded into one piece of memory before another is begun.
const ENCODED_CHUNK: usize = 64 * 1024;

impl<L: Local> Plane<L> {
    /// Starts the data plane on the current thread, which must run a local runtime.
    pub fn start(
        local: L,
        links: Arc<Links>,
        settings: PlaneSettings,
        commands: mpsc::UnboundedReceiver<PlaneCommand>,
        events: mpsc::UnboundedSender<PlaneEvent>,
        progress: watch::Sender<PlaneProgress>,
    ) -> Rc<Self> {
        let plane = Self::new(local, links, settings, events, progress);
        let deadlines = tokio::task::spawn_local(Rc::clone(&plane).keep_deadlines());
        let ticks = tokio::task::spawn_local(Rc::clone(&plane).tick());
        let obedient = Rc::clone(&plane);
        tokio::task::spawn_local(async move {
            obedient.obey(commands).await;
            // Nobody commands it any more: the membership has ended.
            deadlines.abort();
            ticks.abort();
        });
        plane
    }

    fn new(
        local: L,
        links: Arc<Links>,
        settings: PlaneSettings,
        events: mpsc::UnboundedSender<PlaneEvent>,
        progress: watch::Sender<PlaneProgress>,
    ) -> Rc<Self> {
        let (grace, unacked) = (settings.grace.as_nanos() as Nanos, settings.unacked_bytes_max);
        let state = State {
            node: 0,
            incarnation: 0,
            view: View::default(),
            voters: Vec::new(),
            outbound: Outbound::new(0, grace, unacked, settings.recent()),
            in_since: 0,
            arrivals: 0,
            told: Position::default(),
            origins: HashMap::new(),
            slots: HashMap::new(),
            next_slot: 0,
            departed: HashMap::new(),
            targets: HashMap::new(),
            encoded: BytesMut::new(),
            has_published: false,
        };
        Rc::new(Self {
            local,
            links,
            settings,
            state: RefCell::new(state),
            completions: RefCell::default(),
            deadline: Notify::new(),
            deadline_sleeps: Cell::new(false),
            is_full: Cell::new(false),
            events,
            progress,
        })
    }

    /// Takes a message of one of this node's clients.
    pub fn publish(&self, is_shard: bool, channel: &[u8], payload: &[u8], ticket: L::Ticket) {
        let mut state = self.state.borrow_mut();
        if !state.is_in() {
            // Its connection is from before the fence, and being closed. A number given now would belong to a view of
            // this node alone: the others would wait for it in vain.
            return;
        }
        if state.encoded.capacity() < channel.len() + payload.len() + 64 {
            state.encoded.reserve(ENCODED_CHUNK);
        }
        encode_publish(is_shard, channel, payload, &mut state.encoded);
        let frame = state.encoded.split().freeze();
        let arrival = state.arrived();
        let number = state.outbound.publish(frame, arrival, ticket, clock::now_ns());
        state.has_published = true;
        let me = (state.node, state.incarnation);
        let is_full = state.outbound.is_full();
        drop(state);
        if !self.is_full.get() && is_full {
            self.is_full.set(true);
            self.local.set_full(true);
        }
        if self.local.wants_numbers() {
            let stamp = Stamp { origin: origin(me), number };
            self.local.deliver_numbered(stamp, is_shard, channel, payload);
        }
    }

    /// Delivers message `number` of another node. Returns what [`Local::deliver`] does.
    fn deliver(&self, key: Key, number: u64, message: &Publish, slot: u64) -> (u64, u32) {
        let counted = self.local.deliver(message, slot, number);
        if self.local.wants_numbers() {
            let stamp = Stamp { origin: origin(key), number };
            self.local.deliver_numbered(stamp, message.is_shard, &message.channel, &message.payload);
        }
        counted
    }

    /// Sends what has been published in this turn.
    pub fn flush(&self) {
        {
            let mut state = self.state.borrow_mut();
            if !std::mem::take(&mut state.has_published) {
                return;
            }
            state.targets.values().for_each(|target| target.has_more.notify_one());
        }
        if !self.deadline_sleeps.get() {
            self.deadline.notify_one();
        }
        self.complete();
    }

    /// A shard has delivered message `number` of the origin in `slot`.
    pub fn counted(&self, slot: u64, number: u64, receivers: u64) {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let Some(origin) = state.slots.get(&slot).and_then(|key| state.origins.get_mut(key)) else { return };
        if let Some(inbound) = &mut origin.inbound {
            inbound.count(number, receivers);
            origin.acks.notify_one();
        }
    }

    /// Answers publishes that are complete by now.
    fn complete(&self) {
        let mut completions = self.completions.take();
        {
            let mut state = self.state.borrow_mut();
            if state.incarnation != 0 {
                state.outbound.complete(clock::now_ns(), &mut completions);
            }
            if self.is_full.get() && state.outbound.has_room() {
                self.is_full.set(false);
                self.local.set_full(false);
            }
        }
        for (ticket, receivers) in completions.drain(..) {
            self.local.complete(ticket, receivers);
        }
        *self.completions.borrow_mut() = completions;
    }

    async fn obey(self: &Rc<Self>, mut commands: mpsc::UnboundedReceiver<PlaneCommand>) {
        while let Some(command) = commands.recv().await {
            match command {
                PlaneCommand::Begin { node, incarnation } => self.begin(node, incarnation),
                PlaneCommand::Install { view, voters } => self.install(view, voters),
                PlaneCommand::Fence => {
                    let node = self.state.borrow().node;
                    self.begin(node, 0);
                }
                PlaneCommand::Data { open, channel } => {
                    tokio::task::spawn_local(Rc::clone(self).receive_from(open, channel));
                }
                PlaneCommand::FlushQuery(request, answer) => {
                    let _ = answer.send(self.holds((request.origin, request.incarnation)));
                }
                PlaneCommand::FlushFetch(request, answer) => {
                    let _ = answer.send(self.missing(&request));
                }
                PlaneCommand::Report(answer) => {
                    let _ = answer.send(self.report());
                }
            }
        }
        let node = self.state.borrow().node;
        self.begin(node, 0);
    }

    fn report(&self) -> PlaneReport {
        let state = self.state.borrow();
        let last = state.outbound.last();
        PlaneReport {
            published: last,
            unanswered: last + 1 - state.outbound.first_unanswered(),
            received: state
                .origins
                .iter()
                .map(|((node, _), origin)| (*node, origin.inbound.as_ref().map_or(0, Inbound::last)))
                .collect(),
            lag: state.targets.keys().map(|(node, _)| (*node, state.outbound.lag(*node))).collect(),
        }
    }

    /// Whether this is still the incarnation for which a task was started.
    fn is_incarnation(&self, incarnation: u64) -> bool {
        self.state.borrow().incarnation == incarnation
    }
}
