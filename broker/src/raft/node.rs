//! openraft, started and spoken to.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use openraft::{
    ChangeMembers, Config, LogId, ServerState, SnapshotPolicy,
    async_runtime::watch::WatchReceiver as _,
    errors::{ClientWriteError, RaftError},
};
use tokio::sync::watch;

use super::{
    Command, MemberNode, NodeId, Outcome, TypeConfig,
    network::Network,
    store::{Disk, DiskError, LogStore, StateMachine, StateWatch},
};

pub(super) type Raft = openraft::Raft<TypeConfig, StateMachine>;
type Metrics = openraft::RaftMetrics<TypeConfig>;

/// Raft's times, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct RaftTimes {
    /// Between two heartbeats of the leader.
    pub heartbeat_ms: u64,
    /// Shortest silence after which a follower stands for election.
    pub election_min_ms: u64,
    /// Longest such silence.
    pub election_max_ms: u64,
}

/// Log entries after which a snapshot is made, and the log behind it forgotten.
const SNAPSHOT_AFTER: u64 = 2000;

/// Entries kept behind a snapshot, so that a node that was away briefly needs none.
const KEPT_BEHIND_SNAPSHOT: u64 = 500;

/// Why a change could not be made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WriteError {
    /// Another node leads, or none.
    #[error("not the leader; {}", .0.map_or("there is none at present".to_owned(), |leader| format!("that is node {leader}")))]
    NotLeader(Option<NodeId>),
    /// It is not known whether the change was made.
    #[error("{0}")]
    Failed(String),
    /// The change is not allowed.
    #[error("{0}")]
    Refused(String),
}

/// What this node is for Raft at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Role {
    /// The term it is in.
    pub term: u64,
    /// Who leads, as far as it knows.
    pub leader: Option<NodeId>,
    /// Whether it leads itself.
    pub is_leader: bool,
    /// The voters. During a joint change, those of both configurations.
    pub voters: BTreeSet<NodeId>,
    /// All that the log is replicated to.
    pub replicated_to: BTreeSet<NodeId>,
    /// Whether a change of the voters is under way.
    pub is_joint: bool,
    /// Index of the last entry that it has applied.
    pub last_applied: u64,
    /// Index of the last entry of its log.
    pub last_log_index: u64,
    /// As a leader: how far the log of each node matches its own.
    pub matched: BTreeMap<NodeId, u64>,
    /// It has stopped after an error of its disk.
    pub has_failed: bool,
}

/// The Raft side of this node.
#[derive(Clone)]
pub struct RaftNode {
    id: NodeId,
    raft: Raft,
    state: StateWatch,
    /// Whether the data folder can be written no more: openraft asks for some writes whose end it does not wait for.
    disk_has_failed: watch::Receiver<bool>,
}

impl std::fmt::Debug for RaftNode {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("RaftNode").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Why Raft could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The times, or something inside.
    #[error("Raft cannot start: {0}")]
    Raft(String),
}

impl RaftNode {
    /// Starts Raft on what is in the data folder.
    pub async fn start(
        id: NodeId,
        disk: &Disk,
        network: Network,
        times: RaftTimes,
    ) -> Result<Self, StartError> {
        let config = Config {
            cluster_name: "carillon".to_owned(),
            heartbeat_interval: times.heartbeat_ms,
            election_timeout_min: times.election_min_ms,
            election_timeout_max: times.election_max_ms,
            enable_pre_vote: Some(true),
            snapshot_policy: SnapshotPolicy::LogsSinceLast(SNAPSHOT_AFTER),
            max_in_snapshot_log_to_keep: KEPT_BEHIND_SNAPSHOT,
            max_payload_entries: 1000,
            ..Config::default()
        };
        let config = config.validate().map_err(|error| StartError::Raft(error.to_string()))?;
        let log = LogStore::open(disk)?;
        let (machine, state) = StateMachine::open(disk)?;
        let raft = Raft::new(id, Arc::new(config), network, log, machine)
            .await
            .map_err(|error| StartError::Raft(error.to_string()))?;
        Ok(Self { id, raft, state, disk_has_failed: disk.has_failed() })
    }

    /// This node's number.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// openraft itself, for RPCs of other nodes.
    pub fn raft(&self) -> &Raft {
        &self.raft
    }

    /// The replicated state as this node has applied it.
    pub fn state(&self) -> StateWatch {
        self.state.clone()
    }

    /// Forms a cluster of this node alone. Only ever called on an empty data folder.
    pub async fn initialize(&self, name: &str) -> Result<(), WriteError> {
        let members = BTreeMap::from([(self.id, MemberNode { name: name.to_owned() })]);
        self.raft.initialize(members).await.map_err(|error| WriteError::Failed(error.to_string()))
    }

    /// Whether there is anything in the log.
    pub async fn is_initialized(&self) -> bool {
        self.raft.is_initialized().await.unwrap_or(false)
    }

    /// Waits until this node leads.
    pub async fn wait_until_leader(&self) {
        while !self.role().is_leader {
            self.changed().await;
        }
    }

    /// Changes the replicated state. On the leader only.
    pub async fn write(&self, command: Command) -> Result<Outcome, WriteError> {
        let written = self.raft.client_write(command).await.map_err(write_error)?;
        match written.data {
            Outcome::Refused(reason) => Err(WriteError::Refused(reason)),
            outcome => Ok(outcome),
        }
    }

    /// Has the log replicated to one more node, without a vote.
    pub async fn add_learner(&self, node: NodeId, name: String) -> Result<(), WriteError> {
        self.raft.add_learner(node, MemberNode { name }, false).await.map(drop).map_err(write_error)
    }

    /// Changes the voters to exactly these. Nodes that lose their vote stay as learners if `keep` says so.
    pub async fn set_voters(&self, voters: BTreeSet<NodeId>, keep: bool) -> Result<(), WriteError> {
        self.raft.change_membership(voters, keep).await.map(drop).map_err(write_error)
    }

    /// Stops replicating to a node that has no vote.
    pub async fn remove_learner(&self, node: NodeId) -> Result<(), WriteError> {
        let change = ChangeMembers::RemoveNodes(BTreeSet::from([node]));
        self.raft.change_membership(change, false).await.map(drop).map_err(write_error)
    }

    /// Hands leadership to another voter.
    pub async fn transfer_leadership(&self, to: NodeId) -> Result<(), WriteError> {
        self.raft.trigger().transfer_leader(to).await.map_err(|error| WriteError::Failed(error.to_string()))
    }

    /// What this node is now.
    pub fn role(&self) -> Role {
        let has_failed = *self.disk_has_failed.borrow();
        role(self.id, &self.raft.metrics().borrow_watched(), has_failed)
    }

    /// Waits until Raft's state has changed, or a moment.
    async fn changed(&self) {
        let mut metrics = self.raft.metrics();
        let _ = tokio::time::timeout(Duration::from_millis(50), metrics.changed()).await;
    }

    /// A watch that follows what this node is.
    pub fn watch_role(&self) -> watch::Receiver<Role> {
        let (sender, receiver) = watch::channel(self.role());
        let node = self.clone();
        tokio::spawn(async move {
            let (mut metrics, mut disk_has_failed) = (node.raft.metrics(), node.disk_has_failed.clone());
            loop {
                let has_failed = *disk_has_failed.borrow_and_update();
                let now = role(node.id, &metrics.borrow_watched(), has_failed);
                sender.send_if_modified(|role| {
                    let is_new = *role != now;
                    *role = now;
                    is_new
                });
                let is_over = tokio::select! {
                    changed = metrics.changed() => changed.is_err(),
                    // The writer ends with the last that may write, after Raft.
                    Ok(()) = disk_has_failed.changed() => false,
                };
                if is_over || sender.is_closed() {
                    return;
                }
            }
        });
        receiver
    }

    /// Stops Raft.
    pub async fn stop(&self) {
        let _ = tokio::time::timeout(Duration::from_secs(2), self.raft.shutdown()).await;
    }
}

fn role(id: NodeId, metrics: &Metrics, disk_has_failed: bool) -> Role {
    let membership = metrics.membership_config.membership();
    Role {
        term: metrics.current_term,
        leader: metrics.current_leader,
        is_leader: metrics.state == ServerState::Leader && metrics.current_leader == Some(id),
        voters: membership.voter_ids().collect(),
        replicated_to: membership.nodes().map(|(node, _)| *node).collect(),
        is_joint: membership.get_joint_config().len() > 1,
        last_applied: metrics.last_applied.as_ref().map_or(0, LogId::index),
        last_log_index: metrics.last_log_index.unwrap_or_default(),
        matched: metrics
            .replication
            .iter()
            .flatten()
            .map(|(node, log_id)| (*node, log_id.as_ref().map_or(0, LogId::index)))
            .collect(),
        has_failed: disk_has_failed || metrics.running_state.is_err(),
    }
}

fn write_error(error: RaftError<TypeConfig, ClientWriteError<TypeConfig>>) -> WriteError {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(forward)) => {
            WriteError::NotLeader(forward.leader_id)
        }
        other => WriteError::Failed(other.to_string()),
    }
}
