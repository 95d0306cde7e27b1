//! What all shards of a node share.

use std::{
    io,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use ahash::RandomState;
use tokio::sync::watch;

use super::{
    Directory, LiveSettings, Shard, ShardStats,
    inbox::{Envelope, Inbox},
    pause::Pause,
    stream::Socket,
};

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
    /// What CONFIG SET changes.
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
    /// Connections that said MONITOR, in all shards.
    pub(crate) monitors: AtomicUsize,
    clients: AtomicUsize,
    accepted: AtomicUsize,
    refused: AtomicUsize,
    is_stopping: AtomicBool,
    stop: watch::Sender<bool>,
}

impl Node {
    /// A node without threads; [`start`](Self::start) adds them.
    pub fn new(settings: NodeSettings, hasher: RandomState, run_id: String) -> Arc<Self> {
        let shards = settings.shards;
        Arc::new(Self {
            directory: Directory::new(shards, &hasher),
            stats: (0..shards).map(|_| ShardStats::default()).collect(),
            started: Instant::now(),
            run_id,
            hasher,
            inboxes: (0..shards).map(|_| Inbox::default()).collect(),
            pause: Pause::default(),
            monitors: AtomicUsize::new(0),
            clients: AtomicUsize::new(0),
            accepted: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
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

    /// Connections that were refused because there were as many as there may be.
    pub fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
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

    /// Lets every shard close its connections, once all that they have sent is answered.
    pub fn drain(&self) {
        self.pause.end();
        for inbox in &self.inboxes {
            inbox.push(Envelope::Run(Box::new(|shard: &Rc<Shard>| shard.drain())));
        }
    }

    /// The sum of one counter over all shards.
    pub fn total(&self, counter: impl Fn(&ShardStats) -> u64) -> u64 {
        self.stats.iter().map(counter).sum()
    }

    /// Hands a connection to a shard, in turn. Gives it back when the node has as many as it may have.
    pub(crate) fn adopt(&self, socket: Socket) -> Result<(), Socket> {
        if self.clients.fetch_add(1, Ordering::Relaxed) as u64 >= self.settings.live.clients_max.get() {
            self.clients.fetch_sub(1, Ordering::Relaxed);
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(socket);
        }
        let shard = self.accepted.fetch_add(1, Ordering::Relaxed) % self.settings.shards;
        self.inboxes[shard].push(Envelope::Adopt(socket));
        Ok(())
    }

    /// Notes that a connection is gone.
    pub(crate) fn release(&self) {
        self.clients.fetch_sub(1, Ordering::Relaxed);
    }

    /// The wall clock, since 1970.
    pub(crate) fn unix_time() -> std::time::Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}
