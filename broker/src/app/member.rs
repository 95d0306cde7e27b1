//! A node of a cluster: endpoint, data plane, membership, and the client port that follows it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot, watch};

use super::{
    RunError,
    clients::{NodeClients, OtherNodes},
    cluster_users::ClusterUsers,
    plane::{LocalClients, PlaneRelay},
    prepared::open_disk,
    recorder::Recorder,
};
use crate::{
    cluster::{ClusterNode, ClusterSettings, Ended, LeaseTimes, endpoint_keys},
    config::Settings,
    lock::lock,
    mesh::{
        Links, Plane, PlaneEvent, PlaneProgress, PlaneSettings,
        quic::{Credentials, EndpointError, EndpointKeys, EndpointSettings, PeerEndpoint},
    },
    raft::{
        RaftTimes,
        store::{Disk, set_aside},
    },
    server::{Listeners, Node, ReservedPorts},
};

/// A member that is removed and starts anew waits this long, so that it does not do so in a tight circle.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// Attempts to bind a socket that the node itself has just given up.
const BIND_ATTEMPTS: usize = 50;
const BIND_PAUSE: Duration = Duration::from_millis(100);

/// What lasts when a node has to become another member.
pub(super) struct MemberNode {
    pub(super) node: Arc<Node>,
    pub(super) clients: Arc<NodeClients>,
    pub(super) others: Arc<OtherNodes>,
    /// The membership at this moment, for the admin port.
    pub(super) cluster: watch::Sender<Option<Arc<ClusterNode>>>,
    /// Whether the client port is open.
    pub(super) port: watch::Sender<bool>,
    credentials: Mutex<Arc<Credentials>>,
}

impl MemberNode {
    /// `users` are the cluster's, unless users are kept elsewhere.
    pub(super) fn new(
        node: Arc<Node>,
        credentials: Credentials,
        users: Option<Arc<ClusterUsers>>,
        recorder: Arc<Recorder>,
    ) -> Self {
        let others = Arc::new(OtherNodes::default());
        // The node is new: nobody has set it before.
        let _ = node.census.set(Arc::clone(&others) as _);
        let clients = Arc::new(NodeClients {
            node: Arc::clone(&node),
            users,
            recorder,
            is_open: watch::Sender::new(false),
        });
        let (cluster, port) = (watch::Sender::new(None), watch::Sender::new(false));
        Self { node, clients, others, cluster, port, credentials: Mutex::new(Arc::new(credentials)) }
    }

    /// Is a member for as long as it goes. Returns only with an error.
    pub(super) async fn run(&self, settings: &Settings, mut disk: Disk) -> Result<(), RunError> {
        let mut is_again = false;
        loop {
            let keys = endpoint_keys(&disk)?;
            let links = Arc::new(Links::default());
            let endpoint = self.bind(settings, keys, is_again).await?;
            let (commands, receiver) = mpsc::unbounded_channel();
            let (events, mut told) = mpsc::unbounded_channel();
            let (progress_sender, progress) = watch::channel(PlaneProgress::default());
            self.start_plane(plane_settings(settings), Arc::clone(&links), receiver, events, progress_sender);
            let cluster = ClusterNode::new(
                cluster_settings(settings)?,
                rand::random(),
                endpoint,
                links,
                Arc::clone(&self.clients) as _,
                commands,
                progress,
            );
            self.others.set(Arc::clone(&cluster));
            if let Some(users) = &self.clients.users {
                users.set(Some(Arc::clone(&cluster)));
            }
            self.cluster.send_replace(Some(Arc::clone(&cluster)));
            let ended = cluster.run(&disk, raft_times(settings), &mut told).await?;
            cluster.stop().await;
            match ended {
                Ended::DiskFailed => return Err(RunError::DiskFailed),
                Ended::Removed => {
                    let path = disk.path().to_owned();
                    self.forget_cluster();
                    drop((cluster, disk));
                    tokio::time::sleep(RESTART_PAUSE).await;
                    let aside = set_aside(&path)?;
                    tracing::warn!(
                        aside = %aside.display(),
                        "the cluster has removed this node: its data is set aside, it joins as a new node"
                    );
                    disk = open_disk(settings, true)?;
                    is_again = true;
                }
            }
        }
    }

    /// Reads the certificates between nodes again, for new links. With a secret there are none.
    #[cfg_attr(not(feature = "service"), expect(dead_code, reason = "a service reads certificates again"))]
    pub(super) fn reload_certificates(&self, settings: &Settings) {
        if settings.peer_cert_file.is_none() {
            return;
        }
        let renewed = credentials(settings).and_then(|credentials| {
            if let Some(cluster) = &*self.cluster.borrow() {
                cluster.renew(&credentials).map_err(EndpointError::from)?;
            }
            *lock(&self.credentials) = Arc::new(credentials);
            Ok(())
        });
        match renewed {
            Ok(()) => tracing::info!("certificates between nodes read again, for new links"),
            Err(error) => {
                tracing::error!(%error, "the new certificates between nodes cannot be used; going on with the old ones");
            }
        }
    }

    /// Lets go of a membership that has ended, and with it of the socket between nodes.
    pub(super) fn forget_cluster(&self) {
        self.cluster.send_replace(None);
        self.others.forget();
        if let Some(users) = &self.clients.users {
            users.set(None);
        }
    }

    /// Binds the UDP socket on the first shard's runtime, where quinn is to work.
    async fn bind(
        &self,
        settings: &Settings,
        keys: EndpointKeys,
        is_again: bool,
    ) -> Result<PeerEndpoint, RunError> {
        let addr = settings.peer_addr.ok_or(RunError::Ended)?;
        let settings = EndpointSettings {
            idle: Duration::from_millis(settings.link_idle_ms),
            keep_alive: Duration::from_millis(settings.link_idle_ms / 4),
        };
        for attempt in 1.. {
            let (answer, bound) = oneshot::channel();
            let (credentials, keys) = (Arc::clone(&lock(&self.credentials)), keys.clone());
            self.node.on_shard(0, move |_| {
                let _ = answer.send(PeerEndpoint::bind(addr, &credentials, &keys, settings));
            });
            match bound.await.map_err(|_| RunError::Ended)? {
                Ok(endpoint) => return Ok(endpoint),
                Err(EndpointError::Bind { source, .. })
                    if source.kind() == std::io::ErrorKind::AddrInUse
                        && is_again
                        && attempt < BIND_ATTEMPTS =>
                {
                    tokio::time::sleep(BIND_PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(RunError::Ended)
    }

    fn start_plane(
        &self,
        settings: PlaneSettings,
        links: Arc<Links>,
        commands: mpsc::UnboundedReceiver<crate::mesh::PlaneCommand>,
        events: mpsc::UnboundedSender<PlaneEvent>,
        progress: watch::Sender<PlaneProgress>,
    ) {
        self.node.on_shard(0, move |shard| {
            let local = LocalClients(std::rc::Rc::clone(shard));
            let plane = Plane::start(local, links, settings, commands, events, progress);
            shard.set_relay(std::rc::Rc::new(PlaneRelay(plane)));
        });
    }

    /// Keeps the client port open whenever the node is in the view, until the node stops.
    pub(super) async fn keep_port(&self, ports: &ReservedPorts) -> std::io::Result<()> {
        let mut is_open = self.clients.is_open.subscribe();
        loop {
            let is_stopping = tokio::select! {
                // First: a node that stops does not open its port once more.
                biased;
                () = self.node.stopped() => true,
                changed = is_open.wait_for(|is_open| *is_open) => changed.is_err(),
            };
            if is_stopping {
                // Whoever waits for the node to have left is not to be cut short.
                return std::future::pending().await;
            }
            let listeners = match Listeners::bind(ports.addrs.clone()) {
                Ok(listeners) => listeners,
                Err(error) => {
                    tracing::error!(%error, "the client port cannot be opened; trying again");
                    tokio::time::sleep(BIND_PAUSE).await;
                    continue;
                }
            };
            let closed = async {
                let mut is_open = self.clients.is_open.subscribe();
                let _ = is_open.wait_for(|is_open| !*is_open).await;
            };
            self.port.send_replace(true);
            let served = listeners.serve(Arc::clone(&self.node), closed).await;
            self.port.send_replace(false);
            served?;
        }
    }

    /// Leaves the cluster's view: leadership handed over, clients closed over some time, everything answered.
    pub(super) async fn leave(&self, over: Duration) {
        let cluster = self.cluster.borrow().clone();
        if let Some(cluster) = &cluster {
            cluster.begin_to_drain();
            cluster.hand_over().await;
        }
        self.node.close_clients(over).await;
        if let Some(cluster) = cluster {
            cluster.leave().await;
            cluster.stop().await;
        }
    }
}

/// What the node proves to its peers that it belongs to them with.
pub(super) fn credentials(settings: &Settings) -> Result<Credentials, RunError> {
    if let Some(secret) = &settings.cluster_secret_file {
        return Ok(Credentials::from_secret_file(secret).map_err(EndpointError::from)?);
    }
    match (&settings.peer_ca_file, &settings.peer_cert_file, &settings.peer_key_file) {
        (Some(ca), Some(cert), Some(key)) => {
            Ok(Credentials::from_pem_files(ca, cert, key, settings.peer_cert_name.clone())
                .map_err(EndpointError::from)?)
        }
        _ => Err(RunError::Ended),
    }
}

fn cluster_settings(settings: &Settings) -> Result<ClusterSettings, RunError> {
    Ok(ClusterSettings {
        name: settings.name.clone(),
        advertise: settings.advertise()?,
        peers: settings.peers.clone(),
        expect: settings.expected()?,
        times: LeaseTimes {
            lease: settings.lease_ms * 1_000_000,
            eviction: settings.eviction_ms * 1_000_000,
        },
        renewal: Duration::from_millis(settings.renewal_ms()),
        dead_after: Duration::from_secs(settings.dead_after_s),
    })
}

pub(super) fn plane_settings(settings: &Settings) -> PlaneSettings {
    PlaneSettings {
        grace: Duration::from_millis(settings.grace_ms),
        unacked_bytes_max: settings.unacked_bytes_max as usize,
        lag: Duration::from_millis(settings.eviction_ms),
        // Whoever lacks a message is voted out before it is forgotten: it is given the eviction time to take it,
        // and as much again until its last lease is over.
        ring_time: Duration::from_millis(3 * settings.eviction_ms),
        recent_bytes_max: settings.recent_bytes_max as usize,
        recent_time: Duration::from_millis(settings.recent_ms),
    }
}

fn raft_times(settings: &Settings) -> RaftTimes {
    RaftTimes {
        heartbeat_ms: settings.election_ms / 3,
        election_min_ms: settings.election_ms,
        election_max_ms: 2 * settings.election_ms,
    }
}
