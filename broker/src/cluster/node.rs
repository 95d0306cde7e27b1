//! What the tasks of a cluster node share.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use carillon_proto::peer::{Hello, Refusal, VERSION, VERSION_OLDEST, Welcome, reply, request};
use serde_json::Value;
use tokio::sync::{mpsc, watch};

use super::{Identity, LeaderLeases, LeaseTimes, discovery};
use crate::{
    lock::lock,
    mesh::{
        Links, PlaneCommand, PlaneProgress, View,
        quic::{Link, PeerEndpoint, PeerError},
    },
    raft::{ClusterState, RaftNode, Role},
};

/// The clients of this node, as its membership sees them.
pub trait Clients: std::fmt::Debug + Send + Sync + 'static {
    /// Whether the lease holds at this moment.
    fn lease_holds(&self) -> bool;
    /// Until when it holds, on the clock of leases.
    fn lease_until(&self) -> u64;
    /// Prolongs the lease.
    fn prolong(&self, until_ns: u64);
    /// Takes clients from now on.
    fn open(&self);
    /// Ends the lease, closes every client, takes no more.
    fn fence(&self);
    /// Number of clients.
    fn count(&self) -> usize;
    /// Subscribers of each of these names on this node. `kind` as in
    /// [`QueryRequest`](carillon_proto::peer::QueryRequest).
    fn subscribers(&self, kind: u32, names: &[Bytes]) -> Vec<u64>;
    /// Names with subscribers on this node that match a pattern, or all.
    fn names(&self, kind: u32, pattern: &[u8]) -> Vec<Bytes>;
    /// Who on this node gets what is published to a channel, as JSON. `kind` says whether it is a shard channel.
    fn listeners(&self, kind: u32, channel: Bytes) -> Pin<Box<dyn Future<Output = Value> + Send>>;
    /// What a console shows of this node, as JSON.
    fn overview(&self) -> Pin<Box<dyn Future<Output = Value> + Send>>;
}

/// Settings of a node's membership.
#[derive(Clone, Debug)]
pub struct ClusterSettings {
    /// The node's name.
    pub name: String,
    /// The address that other nodes are told to dial: host and port.
    pub advertise: String,
    /// Where peers are looked for: `host:port` each.
    pub peers: Vec<String>,
    /// Nodes that have to be there before a cluster is formed.
    pub expect: u32,
    /// Lease and eviction.
    pub times: LeaseTimes,
    /// Between two requests for a lease.
    pub renewal: Duration,
    /// Absence after which a member is removed for good.
    pub dead_after: Duration,
}

/// Whether the node serves clients, and if not, why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It looks for its cluster.
    Joining(String),
    /// It is a member and waits to be in the view.
    Entering(String),
    /// It is in the view.
    Serving,
    /// It is about to stop.
    Draining,
}

/// How often things have happened since the process started.
#[derive(Debug, Default)]
pub struct Counters {
    /// Views installed.
    pub views: AtomicU64,
    /// Times that this node was fenced.
    pub fences: AtomicU64,
    /// Nodes that it has voted out as the leader.
    pub evictions: AtomicU64,
    /// Terms in which it has led.
    pub elections_won: AtomicU64,
    /// Links that broke.
    pub links_lost: AtomicU64,
}

/// A cluster node.
#[derive(Debug)]
pub struct ClusterNode {
    /// How it is set.
    pub settings: ClusterSettings,
    /// A random number of this run.
    pub run: u64,
    pub(super) endpoint: PeerEndpoint,
    /// The links to the other nodes.
    pub links: Arc<Links>,
    pub(super) clients: Arc<dyn Clients>,
    pub(super) plane: mpsc::UnboundedSender<PlaneCommand>,
    pub(super) progress: watch::Receiver<PlaneProgress>,
    /// Set once the node belongs to a cluster.
    pub(super) membership: OnceLock<Membership>,
    /// While it leads: the leases that it has given.
    pub(super) leases: Mutex<Option<LeaderLeases>>,
    /// While it leads: held while a member is let go.
    pub(super) leaving: tokio::sync::Mutex<()>,
    pub(super) condition: watch::Sender<Condition>,
    /// The incarnation for which this node works now.
    pub(super) incarnation: watch::Sender<u64>,
    /// How often things have happened.
    pub counters: Counters,
    /// Set when another node says that this one is no member any more.
    pub(super) is_removed: watch::Sender<bool>,
    /// Addresses of other members, told when this one joined.
    pub(super) told_addrs: Mutex<Vec<String>>,
    /// Why peers, by their names, were refused last. Whoever is here knows the cluster's secret.
    pub(super) refused: Mutex<BTreeMap<String, String>>,
}

/// What a node has once it belongs to a cluster.
#[derive(Debug)]
pub(super) struct Membership {
    pub(super) identity: Identity,
    pub(super) raft: RaftNode,
    pub(super) role: watch::Receiver<Role>,
}

impl ClusterNode {
    /// A node that belongs to no cluster yet.
    pub fn new(
        settings: ClusterSettings,
        run: u64,
        endpoint: PeerEndpoint,
        links: Arc<Links>,
        clients: Arc<dyn Clients>,
        plane: mpsc::UnboundedSender<PlaneCommand>,
        progress: watch::Receiver<PlaneProgress>,
    ) -> Arc<Self> {
        Arc::new(Self {
            settings,
            run,
            endpoint,
            links,
            clients,
            plane,
            progress,
            membership: OnceLock::new(),
            leases: Mutex::new(None),
            leaving: tokio::sync::Mutex::default(),
            condition: watch::Sender::new(Condition::Joining("just started".to_owned())),
            incarnation: watch::Sender::new(0),
            counters: Counters::default(),
            is_removed: watch::Sender::new(false),
            told_addrs: Mutex::new(Vec::new()),
            refused: Mutex::default(),
        })
    }

    /// Whether the node serves, and why not.
    pub fn condition(&self) -> watch::Receiver<Condition> {
        self.condition.subscribe()
    }

    /// Follows the replicated state; `None` before the node belongs to a cluster.
    pub fn state(&self) -> Option<Arc<ClusterState>> {
        Some(Arc::clone(&self.membership.get()?.raft.state().borrow()))
    }

    /// The replicated state to follow; `None` before the node belongs to a cluster.
    pub fn follow_state(&self) -> Option<watch::Receiver<Arc<ClusterState>>> {
        Some(self.membership.get()?.raft.state())
    }

    /// What the node is for Raft.
    pub fn role(&self) -> Role {
        self.membership.get().map(|membership| membership.role.borrow().clone()).unwrap_or_default()
    }

    /// The node's identity, once it has one.
    pub fn identity(&self) -> Option<&Identity> {
        self.membership.get().map(|membership| &membership.identity)
    }

    /// The incarnation for which it works; 0 for none.
    pub fn incarnation(&self) -> u64 {
        *self.incarnation.borrow()
    }

    /// Until when the lease holds, on the clock of leases.
    pub fn lease_until(&self) -> u64 {
        self.clients.lease_until()
    }

    /// The other nodes of the view that can be reached.
    pub fn peers_in_view(&self) -> Vec<Link> {
        let Some(state) = self.state() else { return Vec::new() };
        let me = self.node();
        state
            .view
            .members
            .keys()
            .filter(|node| **node != me)
            .filter_map(|node| self.links.get(*node))
            .collect()
    }

    pub(super) fn node(&self) -> u64 {
        self.identity().map_or(0, |identity| identity.node)
    }

    pub(super) fn view(&self) -> View {
        self.state().map(|state| state.view.clone()).unwrap_or_default()
    }

    pub(super) fn voters(&self) -> Vec<u64> {
        self.role().voters.into_iter().collect()
    }

    pub(super) fn leases(&self) -> MutexGuard<'_, Option<LeaderLeases>> {
        lock(&self.leases)
    }

    /// Counts one more.
    pub(super) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn set_condition(&self, condition: Condition) {
        self.condition.send_if_modified(|now| {
            let is_new = *now != condition;
            if is_new && *now != Condition::Draining {
                *now = condition;
                return true;
            }
            false
        });
    }

    /// Begins to drain: no condition follows this one.
    pub fn begin_to_drain(&self) {
        self.condition.send_replace(Condition::Draining);
    }

    pub(super) fn is_draining(&self) -> bool {
        *self.condition.borrow() == Condition::Draining
    }

    pub(super) fn hello(&self, is_link: bool) -> Hello {
        let identity = self.identity();
        Hello {
            version: VERSION,
            version_oldest: VERSION_OLDEST,
            cluster_id: identity.map(|identity| identity.cluster_id.clone()).unwrap_or_default(),
            node: identity.map_or(0, |identity| identity.node),
            run: self.run,
            name: self.settings.name.clone(),
            is_link,
        }
    }

    pub(super) fn welcome(&self, version: u32) -> Welcome {
        let hello = self.hello(false);
        Welcome { version, cluster_id: hello.cluster_id, node: hello.node, run: hello.run, name: hello.name }
    }

    /// Asks the leader, which may be this node itself.
    pub(super) async fn ask_leader(
        &self,
        request: request::Kind,
        time: Duration,
    ) -> Result<reply::Kind, PeerError> {
        let leader = self.role().leader;
        match leader {
            None => Err(PeerError::Refused(Refusal::temporary("no leader is known"))),
            Some(leader) if leader == self.node() => Ok(self.answer_as_leader(request).await),
            Some(leader) => match self.links.get(leader) {
                Some(link) => link.call(request, time).await,
                None => Err(PeerError::Connection(format!("there is no link to the leader, node {leader}"))),
            },
        }
        .and_then(|reply| match reply {
            reply::Kind::Refusal(refusal) => Err(PeerError::Refused(refusal)),
            reply => Ok(reply),
        })
    }

    /// Connects to an address for a question or two.
    pub(super) async fn visit(&self, addr: &str) -> Result<Link, PeerError> {
        let addr = discovery::resolve_one(addr).await.map_err(PeerError::Connection)?;
        self.endpoint.dial(addr, &self.hello(false)).await
    }
}
