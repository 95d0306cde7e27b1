//! What all shards of a node share.

use std::{
    io,
    net::IpAddr,
    rc::Rc,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use ahash::RandomState;
use carillon_proto::pipe::{ClientEnd, pipe};
use tokio::sync::{Notify, oneshot, watch};

use super::{
    Census, CloseReason, Directory, Gate, LiveSettings, Relay, Shard, ShardStats, Tls,
    access::Access,
    addresses::Addresses,
    inbox::{Envelope, Inbox},
    pause::Pause,
    stream::{Caller, Socket, SocketKind},
};

/// How long a stopping node waits for its last connections.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(8);

/// What CLIENT LIST shows for the addresses of a connection inside this process.
const IN_PROCESS: &str = "in-process:0";

/// What makes a relay.
struct LoneRelay(Box<MakeRelay>);

type MakeRelay = dyn Fn(&Rc<Shard>) -> Rc<dyn Relay> + Send + Sync;

impl std::fmt::Debug for LoneRelay {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("LoneRelay")
    }
}

/// How a node treats its clients.
#[derive(Debug)]
pub struct NodeSettings {
    /// Threads that serve clients, 1 to 64.
    pub shards: usize,
    /// Longest argument of a request, in bytes.
    pub argument_bytes_max: usize,
    /// Milliseconds for which sent data may stay unacknowledged, and probes unanswered.
    pub user_timeout_ms: u64,
    /// The TCP port that INFO tells.
    pub tcp_port: u16,
    /// All settings, and what of them can change.
    pub live: LiveSettings,
}

/// The state that shards, listeners and the admin port share.
#[derive(Debug)]
pub struct Node {
    /// How clients are treated.
    pub settings: NodeSettings,
    /// Who subscribes to what, over all shards.
    pub directory: Directory,
    /// Counters of each shard.
    pub stats: Box<[ShardStats]>,
    /// When the node started.
    pub started: Instant,
    /// 40 hexadecimal digits that tell one start of a node from another.
    pub run_id: String,
    pub(crate) hasher: RandomState,
    pub(crate) inboxes: Box<[Inbox]>,
    pub(crate) pause: Pause,
    /// Whether there may be other nodes.
    pub is_member: bool,
    /// Whether publishes go through the first shard's [`Relay`](super::Relay): on a member of a cluster always, on
    /// another node from the first client on that wants its messages with their numbers.
    pub(super) has_relay: AtomicBool,
    /// What gives a node that is in no cluster a relay, on the first shard's thread; set once.
    lone_relay: OnceLock<LoneRelay>,
    /// Shards with connections that get their messages with their numbers.
    pub(super) positioned: AtomicU64,
    /// Whether the node may act for its clients.
    pub gate: Gate,
    /// How the other nodes' subscriptions are asked for; set once, on a member of a cluster.
    pub census: OnceLock<Arc<dyn Census>>,
    /// Who may do what.
    pub(crate) access: Access,
    /// The client port's certificates; set once, if there is a port with TLS.
    pub tls: OnceLock<Tls>,
    /// Set while other nodes have to catch up before more can be published.
    pub relay_is_full: AtomicBool,
    /// Connections that said MONITOR, in all shards.
    pub(crate) monitors: AtomicUsize,
    clients: AtomicUsize,
    /// A connection is gone.
    left: Notify,
    accepted: AtomicUsize,
    refused: [AtomicU64; CloseReason::ALL.len()],
    addresses: Arc<Addresses>,
    is_stopping: AtomicBool,
    stop: watch::Sender<bool>,
}

impl Node {
    /// A node without threads; [`start`](Self::start) adds them.
    pub fn new(settings: NodeSettings, is_member: bool, hasher: RandomState, run_id: String) -> Arc<Self> {
        let shards = settings.shards;
        Arc::new(Self {
            directory: Directory::new(shards, &hasher),
            stats: (0..shards).map(|_| ShardStats::default()).collect(),
            started: Instant::now(),
            run_id,
            hasher,
            inboxes: (0..shards).map(|_| Inbox::default()).collect(),
            pause: Pause::default(),
            is_member,
            has_relay: AtomicBool::new(is_member),
            lone_relay: OnceLock::new(),
            positioned: AtomicU64::new(0),
            gate: if is_member { Gate::of_member() } else { Gate::of_single_node() },
            census: OnceLock::new(),
            access: Access::default(),
            tls: OnceLock::new(),
            relay_is_full: AtomicBool::new(false),
            monitors: AtomicUsize::new(0),
            clients: AtomicUsize::new(0),
            left: Notify::new(),
            accepted: AtomicUsize::new(0),
            refused: std::array::from_fn(|_| AtomicU64::new(0)),
            addresses: Addresses::new(),
            is_stopping: AtomicBool::new(false),
            stop: watch::Sender::new(false),
            settings,
        })
    }

    /// Starts the shard threads. Each ends when the node stops and its last connection is closed.
    pub fn start(self: &Arc<Self>) -> io::Result<Vec<JoinHandle<()>>> {
        (0..self.settings.shards)
            .map(|index| {
                let node = Arc::clone(self);
                let name = format!("shard-{index}");
                std::thread::Builder::new().name(name).spawn(move || Shard::run(index, node))
            })
            .collect()
    }

    /// Connections now.
    pub fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    /// Connections that were not taken, for one reason.
    pub fn refused(&self, reason: CloseReason) -> u64 {
        self.refused[reason.index()].load(Ordering::Relaxed)
    }

    /// Asks the node to stop: SHUTDOWN, or a signal.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::SeqCst);
        self.stop.send_replace(true);
    }

    /// Whether the node has been asked to stop.
    pub fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::SeqCst)
    }

    /// Waits until the node has been asked to stop.
    pub async fn stopped(&self) {
        // The sender lives as long as the node, so waiting cannot fail.
        let _ = self.stop.subscribe().wait_for(|stop| *stop).await;
    }

    /// Closes every connection once all that it has sent is answered, spread over some time, and waits for that.
    pub async fn close_clients(&self, over: Duration) {
        self.pause.end();
        self.on_each_shard(move |shard| shard.drain(over));
        let all_left = async {
            while self.clients() > 0 {
                self.left.notified().await;
            }
        };
        if tokio::time::timeout(over + DRAIN_TIME_MAX, all_left).await.is_err() {
            tracing::warn!(clients = self.clients(), "some clients did not take their last replies");
        }
    }

    /// Ends the shards' threads, whatever is left on them.
    pub fn end(&self) {
        self.on_each_shard(|shard| shard.end());
    }

    /// Ends the lease and closes every connection, with nothing more said.
    pub fn fence(&self) {
        self.gate.close();
        // The shards look at the gate whenever they have something to send; these have nothing, and must look, too.
        self.on_each_shard(|shard| shard.schedule_flush());
    }

    /// Says how a node that is in no cluster gets a relay, should it need one. The first word counts.
    pub fn set_lone_relay(&self, relay: impl Fn(&Rc<Shard>) -> Rc<dyn Relay> + Send + Sync + 'static) {
        let _ = self.lone_relay.set(LoneRelay(Box::new(relay)));
    }

    /// Gives the node its relay, if it is to have one and has none. On the first shard's thread.
    pub(super) fn start_lone_relay(&self, shard: &Rc<Shard>) {
        if let Some(relay) = self.lone_relay.get()
            && !self.has_relay.load(Ordering::SeqCst)
        {
            shard.set_relay(relay.0(shard));
            self.has_relay.store(true, Ordering::SeqCst);
        }
    }

    /// Whether some clients get their messages with their numbers.
    pub fn wants_numbers(&self) -> bool {
        self.positioned.load(Ordering::Relaxed) != 0
    }

    /// Lets publishers go on, or makes them wait, for other nodes to catch up.
    pub fn set_relay_full(&self, is_full: bool) {
        if self.relay_is_full.swap(is_full, Ordering::SeqCst) && !is_full {
            self.on_each_shard(|shard| shard.connections().iter().for_each(|connection| connection.wake()));
        }
    }

    /// Runs something on one shard's thread.
    pub fn on_shard(&self, index: usize, action: impl FnOnce(&Rc<Shard>) + Send + 'static) {
        self.inboxes[index].push(Envelope::Run(Box::new(action)));
    }

    /// Asks every shard but one that is left out. Who asks must not wait on a shard's own thread.
    pub(crate) fn ask_shards<T: Send + 'static>(
        &self,
        but: Option<usize>,
        ask: impl Fn(&Rc<Shard>) -> T + Clone + Send + 'static,
    ) -> Vec<oneshot::Receiver<T>> {
        let asked = (0..self.inboxes.len()).filter(|index| Some(*index) != but).map(|index| {
            let (answer, answered) = oneshot::channel();
            let ask = ask.clone();
            // Who asked may be gone by then.
            self.on_shard(index, move |shard| drop(answer.send(ask(shard))));
            answered
        });
        asked.collect()
    }

    fn on_each_shard(&self, action: impl Fn(&Rc<Shard>) + Clone + Send + 'static) {
        for index in 0..self.inboxes.len() {
            self.on_shard(index, action.clone());
        }
    }

    /// The sum of one counter over all shards.
    pub fn total(&self, counter: impl Fn(&ShardStats) -> u64) -> u64 {
        self.stats.iter().map(counter).sum()
    }

    /// Hands a connection to a shard, in turn. Gives it back, with the reason, when the node does not take it.
    pub(crate) fn adopt(
        &self,
        kind: SocketKind,
        peer: &str,
        local: Arc<str>,
        ip: Option<IpAddr>,
    ) -> Result<(), (SocketKind, CloseReason)> {
        if !self.gate.admits() {
            // Accepted in the moment in which the node was fenced.
            return Ok(());
        }
        let live = &self.settings.live;
        let place = ip.map(|ip| self.addresses.take(ip, &live.limits.clients_per_address));
        if let Some(None) = place {
            return Err((kind, self.refuse(peer, CloseReason::AddressLimit)));
        }
        if self.clients.fetch_add(1, Ordering::Relaxed) as u64 >= live.clients_max.get() {
            self.clients.fetch_sub(1, Ordering::Relaxed);
            return Err((kind, self.refuse(peer, CloseReason::TooManyClients)));
        }
        let caller = Caller { peer: peer.to_owned(), local, place: place.flatten() };
        let shard = self.accepted.fetch_add(1, Ordering::Relaxed) % self.settings.shards;
        self.inboxes[shard].push(Envelope::Adopt(Socket { kind, caller }));
        Ok(())
    }

    /// Takes a connection from inside this process. It is served like any other, and may do everything until it says
    /// who it is.
    pub fn connect(&self) -> Result<ClientEnd, CloseReason> {
        if self.is_stopping() {
            return Err(CloseReason::Shutdown);
        }
        if !self.gate.admits() {
            return Err(CloseReason::Fenced);
        }
        let (client, end) = pipe();
        let adopted = self.adopt(SocketKind::Pipe(end), IN_PROCESS, IN_PROCESS.into(), None);
        adopted.map(|()| client).map_err(|(_, reason)| reason)
    }

    /// Counts a refusal. What a stranger can make happen at will is told once in a while, by the counter the rest.
    fn refuse(&self, peer: &str, reason: CloseReason) -> CloseReason {
        let count = self.count_refused(reason);
        if count.is_power_of_two() {
            let (limit, reason) = (&self.settings.live, reason.label());
            let (max, per_address) = (limit.clients_max.get(), limit.limits.clients_per_address.get());
            tracing::warn!(addr = peer, reason, count, max, per_address, "refused a client");
        }
        reason
    }

    /// How many connections were closed, or not taken, for a reason.
    pub fn closed(&self, reason: CloseReason) -> u64 {
        self.total(|stats| stats.closed[reason.index()].get()) + self.refused(reason)
    }

    /// Counts a connection that was not taken. Returns how many there were for this reason.
    pub(crate) fn count_refused(&self, reason: CloseReason) -> u64 {
        self.refused[reason.index()].fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Notes that a connection is gone.
    pub(crate) fn release(&self) {
        self.clients.fetch_sub(1, Ordering::Relaxed);
        self.left.notify_one();
    }

    /// The wall clock, since 1970.
    pub(crate) fn unix_time() -> std::time::Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}
