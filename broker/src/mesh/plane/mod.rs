//! The data plane at work: outbound and inbound messages on the streams of the links.
//!
//! It lives on one thread, that of the first shard, and keeps all its state there without locks. Other threads
//! give it [`PlaneCommand`]s.

mod clockwork;
mod flush;
mod receive;
mod send;
#[cfg(test)]
mod tests;
mod views;

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashMap},
    fmt::Debug,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use bytes::BytesMut;
use carillon_proto::peer::{
    DataOpen, FlushFetchReply, FlushFetchRequest, FlushQueryReply, FlushQueryRequest, Publish, encode_publish,
};
use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    task::AbortHandle,
};

use super::{Completion, Inbound, Links, Nanos, Outbound, View, quic::Channel};
use crate::clock;

/// The clients of this node, as the data plane sees them.
pub trait Local: Debug + 'static {
    /// Where the answer to a publish belongs.
    type Ticket: Debug;

    /// Delivers message `number` of the origin in `slot`. Returns how many subscribers were sent it, and how many
    /// shards will still tell theirs through [`Plane::counted`].
    fn deliver(&self, message: &Publish, slot: u64, number: u64) -> (u64, u32);

    /// The other nodes have a message, and sent it to this many subscribers.
    fn complete(&self, ticket: Self::Ticket, receivers: u64);

    /// Whether this node's lease holds at this moment.
    fn may_act(&self) -> bool;

    /// Has publishers wait, or lets them go on.
    fn set_full(&self, is_full: bool);
}

/// Bounds and times of the data plane.
#[derive(Clone, Copy, Debug)]
pub struct PlaneSettings {
    /// How long a publish waits for a peer that does not answer.
    pub grace: Duration,
    /// Bytes that the slowest peer may have to acknowledge before publishers have to wait.
    pub unacked_bytes_max: usize,
    /// How long a peer may leave everything unacknowledged before the leader is told.
    pub lag: Duration,
    /// Messages older than this are forgotten.
    pub ring_time: Duration,
}

/// Bytes of recent messages that are kept of each other node: what it may have unacknowledged, and some more, so
/// that a hole can always be filled.
const RING_EXTRA: usize = 2;

/// What the data plane is told.
#[derive(Debug)]
pub enum PlaneCommand {
    /// Begin anew, as this incarnation of this node.
    Begin {
        /// This node.
        node: u64,
        /// Its new incarnation.
        incarnation: u64,
    },
    /// Take a view and its voters.
    Install {
        /// The view.
        view: View,
        /// The voters.
        voters: Vec<u64>,
    },
    /// Stop: the node is fenced.
    Fence,
    /// Another node has opened a stream of messages.
    Data {
        /// Its first frame.
        open: DataOpen,
        /// The stream.
        channel: Channel,
    },
    /// What is held of a node that has left. Asked once the view that it asks about is installed.
    FlushQuery(FlushQueryRequest, oneshot::Sender<FlushQueryReply>),
    /// What another node is missing of it; `None` if it is gone.
    FlushFetch(FlushFetchRequest, oneshot::Sender<Option<FlushFetchReply>>),
    /// Numbers for people.
    Report(oneshot::Sender<PlaneReport>),
}

/// What the data plane tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaneEvent {
    /// A peer of the view does not keep up.
    Lags {
        /// The incarnation of this node that says so: what an earlier one has found is not true any more.
        by: u64,
        /// The peer.
        node: u64,
        /// Its incarnation.
        incarnation: u64,
    },
    /// Messages of a node that has left cannot be had any more: this node must not go on as if nothing was.
    Hole {
        /// The incarnation of this node that misses them.
        by: u64,
        /// The node that has left.
        node: u64,
    },
}

/// How far the data plane is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlaneProgress {
    /// The incarnation for which it works.
    pub incarnation: u64,
    /// The view that is installed.
    pub epoch: u64,
    /// Whether every other member of it has told where it starts.
    pub is_complete: bool,
}

/// Numbers of the data plane.
#[derive(Clone, Debug, Default)]
pub struct PlaneReport {
    /// Messages published to other nodes by this incarnation.
    pub published: u64,
    /// Messages that are not answered yet.
    pub unanswered: u64,
    /// Messages received, by origin.
    pub received: BTreeMap<u64, u64>,
    /// Messages that each peer has not acknowledged.
    pub lag: BTreeMap<u64, u64>,
}

type Key = (u64, u64);

/// One incarnation of another node, whose messages arrive here.
#[derive(Debug)]
struct Origin {
    slot: u64,
    /// `None` until it has told where it starts.
    inbound: Option<Inbound>,
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
    /// The voters that may have held what it published: those of the view that it was in last.
    holders: Vec<u64>,
    /// How many voters had to hold a message before it was answered.
    majority: usize,
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
    fn depart(&mut self, key: Key, inbound: Option<Inbound>, (view, voters): (&View, &[u64]), now: Nanos) {
        if inbound.is_some() || !self.departed.contains_key(&key) {
            let holders = voters.iter().copied().filter(|voter| view.members.contains_key(voter)).collect();
            let majority = voters.len() / 2 + 1;
            self.departed.insert(key, Departed { inbound, since: now, holders, majority });
        }
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
        let state = State {
            node: 0,
            incarnation: 0,
            view: View::default(),
            voters: Vec::new(),
            outbound: Outbound::new(0, settings.grace.as_nanos() as Nanos, settings.unacked_bytes_max),
            origins: HashMap::new(),
            slots: HashMap::new(),
            next_slot: 0,
            departed: HashMap::new(),
            targets: HashMap::new(),
            encoded: BytesMut::new(),
            has_published: false,
        };
        let plane = Rc::new(Self {
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
        });
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
        state.outbound.publish(frame, ticket, clock::now_ns());
        state.has_published = true;
        if !self.is_full.get() && state.outbound.is_full() {
            self.is_full.set(true);
            self.local.set_full(true);
        }
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
