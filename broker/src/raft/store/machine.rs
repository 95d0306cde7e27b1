//! The state machine: the cluster's state in memory, its last snapshot on disk.

use std::{io, sync::Arc};

use futures_util::{Stream, TryStreamExt as _};
use openraft::{
    EntryPayload, OptionalSend, RaftSnapshotBuilder,
    storage::{EntryResponder, RaftStateMachine},
    type_config::alias::{SnapshotMetaOf, SnapshotOf},
};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{Disk, DiskError, writer::Batch};
use crate::raft::{
    ClusterState, Outcome,
    types::{LogId, StoredMembership, TypeConfig},
};

const SNAPSHOT_KEY: &[u8] = b"raft/snapshot";

/// Where everyone on this node reads the cluster's state.
pub type StateWatch = watch::Receiver<Arc<ClusterState>>;

/// A snapshot as it lies on disk and goes to other nodes.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Snapshot {
    meta: SnapshotMetaOf<TypeConfig>,
    state: ClusterState,
}

/// The state machine of this node.
#[derive(Debug)]
pub struct StateMachine {
    disk: Disk,
    applied: Option<LogId>,
    membership: StoredMembership,
    state: watch::Sender<Arc<ClusterState>>,
}

impl StateMachine {
    /// The state of the snapshot on disk; openraft applies again what the log has behind it.
    pub fn open(disk: &Disk) -> Result<(Self, StateWatch), DiskError> {
        let snapshot: Option<Snapshot> = disk.found(SNAPSHOT_KEY)?;
        let (meta, state) =
            snapshot.map_or_else(Default::default, |snapshot| (snapshot.meta, snapshot.state));
        let state = watch::Sender::new(Arc::new(state));
        let reader = state.subscribe();
        let machine =
            Self { disk: disk.clone(), applied: meta.last_log_id, membership: meta.last_membership, state };
        Ok((machine, reader))
    }
}

/// Writes a snapshot of a moment.
#[derive(Debug)]
pub struct MachineBuilder {
    disk: Disk,
    snapshot: Snapshot,
}

impl RaftSnapshotBuilder<TypeConfig> for MachineBuilder {
    type SnapshotData = Vec<u8>;

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<TypeConfig, Vec<u8>>, io::Error> {
        let mut batch = Batch::default();
        batch.put(SNAPSHOT_KEY, &self.snapshot)?;
        self.disk.write_and_wait(batch).await?;
        Ok(openraft::Snapshot {
            meta: self.snapshot.meta.clone(),
            snapshot: serde_json::to_vec(&self.snapshot.state)?,
        })
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = Vec<u8>;
    type SnapshotBuilder = MachineBuilder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            let log_id = entry.log_id;
            let outcome = match entry.payload {
                EntryPayload::Blank => Outcome::Done,
                EntryPayload::Membership(membership) => {
                    self.membership = StoredMembership::new(Some(log_id), membership);
                    Outcome::Done
                }
                EntryPayload::Normal(command) => {
                    let mut state = ClusterState::clone(&self.state.borrow());
                    let outcome = state.apply(log_id.index(), &command);
                    self.state.send_replace(Arc::new(state));
                    outcome
                }
            };
            self.applied = Some(log_id);
            if let Some(responder) = responder {
                responder.send(outcome);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> MachineBuilder {
        let meta =
            openraft::SnapshotMeta { last_log_id: self.applied, last_membership: self.membership.clone() };
        let state = ClusterState::clone(&self.state.borrow());
        MachineBuilder { disk: self.disk.clone(), snapshot: Snapshot { meta, state } }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMetaOf<TypeConfig>,
        data: Vec<u8>,
    ) -> Result<(), io::Error> {
        let state: ClusterState = serde_json::from_slice(&data)?;
        let snapshot = Snapshot { meta: meta.clone(), state: state.clone() };
        let mut batch = Batch::default();
        batch.put(SNAPSHOT_KEY, &snapshot)?;
        self.disk.write_and_wait(batch).await?;
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.state.send_replace(Arc::new(state));
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<SnapshotOf<TypeConfig, Vec<u8>>>, io::Error> {
        // What is on disk may be older than this moment; what is here is a snapshot as good, and needs no read.
        if self.applied.is_none() {
            return Ok(None);
        }
        let mut builder = self.get_snapshot_builder().await;
        builder.build_snapshot().await.map(Some)
    }
}
