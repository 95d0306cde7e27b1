//! The users of a cluster: in Raft's state, the same on every node.

use std::{
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use tokio::{sync::watch, task::JoinHandle};

use crate::{
    acl::{Change, Changed, User, from_text},
    cluster::{ClusterNode, UsersError},
    lock::lock,
    raft::ClusterState,
    server::{Answer, Node, StoreError, UserStore},
};

/// How long this node may take to notice a change that a majority has.
const NOTICED_TIME_MAX: Duration = Duration::from_secs(4);

/// The users of the cluster, for this node's connections.
#[derive(Debug)]
pub(super) struct ClusterUsers {
    cluster: Mutex<Option<Arc<ClusterNode>>>,
    /// The default user as long as nothing is kept of it.
    default: Mutex<User>,
    /// The number of the users' state that this node's connections have felt.
    felt: watch::Sender<u64>,
    follower: Mutex<Option<JoinHandle<()>>>,
    /// The node holds this.
    node: Weak<Node>,
}

impl ClusterUsers {
    pub(super) fn new(node: &Arc<Node>, default: User) -> Arc<Self> {
        Arc::new(Self {
            cluster: Mutex::default(),
            default: Mutex::new(default),
            felt: watch::Sender::new(0),
            follower: Mutex::default(),
            node: Arc::downgrade(node),
        })
    }

    /// Belongs to this membership from now on, or to none.
    pub(super) fn set(&self, cluster: Option<Arc<ClusterNode>>) {
        *lock(&self.cluster) = cluster;
        if let Some(follower) = lock(&self.follower).take() {
            follower.abort();
        }
    }

    /// Makes the users of the replicated state those of the node, now and whenever they change. To be called before
    /// clients are let in: what the node has applied by then holds every change that was answered before it came into
    /// the view.
    pub(super) fn follow(self: &Arc<Self>) {
        let Some(mut state) = lock(&self.cluster).as_ref().and_then(|cluster| cluster.follow_state()) else {
            return;
        };
        let now = Arc::clone(&state.borrow_and_update());
        // Whoever connects from now on comes behind this in the shards' queues.
        drop(self.install(&now));
        let this = Arc::clone(self);
        let follower = tokio::spawn(async move {
            let mut revision = revision(&now);
            while state.changed().await.is_ok() {
                let now = Arc::clone(&state.borrow_and_update());
                if self::revision(&now) != revision {
                    revision = self::revision(&now);
                    this.install(&now).await;
                    this.felt.send_replace(revision);
                }
            }
        });
        if let Some(before) = lock(&self.follower).replace(follower) {
            before.abort();
        }
    }

    fn install(&self, state: &ClusterState) -> impl Future<Output = ()> + Send + use<> {
        let default = lock(&self.default).clone();
        let users = state.users.clone().unwrap_or_default().users(default);
        let installing = self.node.upgrade().map(|node| node.install_users(users));
        async move {
            if let Some(installing) = installing {
                installing.await;
            }
        }
    }

    /// Who the default user is from now on, as long as the cluster keeps nothing of it.
    pub(super) async fn set_default(&self, default: User) {
        *lock(&self.default) = default;
        let state = lock(&self.cluster).as_ref().and_then(|cluster| cluster.follow_state());
        let state = state.map(|state| Arc::clone(&state.borrow()));
        // What is in no cluster has no clients, and begins with this when it is in one.
        if let Some(state) = state {
            self.install(&state).await;
        }
    }

    async fn wait_until_felt(&self, revision: u64) {
        let mut felt = self.felt.subscribe();
        let is_felt = felt.wait_for(|felt| *felt >= revision);
        if !matches!(tokio::time::timeout(NOTICED_TIME_MAX, is_felt).await, Ok(Ok(_))) {
            tracing::warn!(revision, "users have changed, and this node has not noticed it yet");
        }
    }
}

fn revision(state: &ClusterState) -> u64 {
    state.users.as_ref().map_or(0, |users| users.revision)
}

/// What a client's command holds of the users.
#[derive(Debug)]
pub(super) struct ClusterUserStore(pub(super) Arc<ClusterUsers>);

impl UserStore for ClusterUserStore {
    fn change(&self, change: Change) -> Answer<Result<Changed, StoreError>> {
        let users = Arc::clone(&self.0);
        Box::pin(async move {
            let cluster = lock(&users.cluster).clone();
            let Some(cluster) = cluster else {
                return Err(StoreError::Failed("this node is in no cluster now".to_owned()));
            };
            let changed = cluster.change_users(&change).await.map_err(|error| match error {
                UsersError::Refused(text) => {
                    StoreError::Failed(String::from_utf8_lossy(&from_text(&text)).into_owned())
                }
                error => StoreError::Failed(error.to_string()),
            })?;
            users.wait_until_felt(changed.revision).await;
            Ok(changed)
        })
    }

    fn load(&self) -> Answer<Result<(), StoreError>> {
        Box::pin(std::future::ready(Err(StoreError::NoFile)))
    }

    fn save(&self) -> Answer<Result<(), StoreError>> {
        Box::pin(std::future::ready(Err(StoreError::NoFile)))
    }
}
