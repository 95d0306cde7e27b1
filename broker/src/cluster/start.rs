//! From a data folder to a member.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use carillon_proto::peer::{RaftRequest, reply, request};
use tokio::{sync::mpsc, task::JoinSet};

use super::{ClusterNode, Condition, Ended, Identity, node::Membership};
use crate::{
    mesh::{Links, PlaneCommand, PlaneEvent},
    raft::{
        Command, Member, Network, Peers, RaftNode, RaftStartError, RaftTimes, Unanswered, WriteError,
        store::{Disk, DiskError},
    },
};

/// Why a node could not become a member.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Raft.
    #[error(transparent)]
    Raft(#[from] RaftStartError),
    /// The cluster could not be formed.
    #[error("the cluster could not be formed: {0}")]
    Form(WriteError),
}

/// Raft's way to other nodes: the links.
struct RaftOverLinks(Arc<Links>);

impl Peers for RaftOverLinks {
    fn call(
        &self,
        node: u64,
        request: RaftRequest,
        timeout: Duration,
    ) -> Pin<Box<dyn Future<Output = Result<Bytes, Unanswered>> + Send + '_>> {
        Box::pin(async move {
            let link =
                self.0.get(node).ok_or_else(|| Unanswered { node, reason: "there is no link".to_owned() })?;
            match link.call(request::Kind::Raft(request), timeout).await {
                Ok(reply::Kind::Raft(answer)) => Ok(answer.body),
                Ok(_) => Err(Unanswered { node, reason: "it gave another answer".to_owned() }),
                Err(error) => Err(Unanswered { node, reason: error.to_string() }),
            }
        })
    }
}

impl ClusterNode {
    /// Finds or forms the cluster, and lives in it until the node cannot be a member any more.
    pub async fn run(
        self: &Arc<Self>,
        disk: &Disk,
        times: RaftTimes,
        events: &mut mpsc::UnboundedReceiver<PlaneEvent>,
    ) -> Result<Ended, StartError> {
        // Ended with this future, also when nobody waits for it any more.
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(self).accept());
        // As the first node, it may have been killed before its first entry was written.
        let (identity, forms) = if let Some(identity) = Identity::load(disk)? {
            (identity.clone(), identity.node == 1)
        } else {
            let (identity, forms) = self.find_cluster().await;
            identity.store(disk)?;
            (identity, forms)
        };
        tracing::info!(cluster = identity.cluster_id, node = identity.node, "member of a cluster");
        let network = Network::new(Arc::new(RaftOverLinks(Arc::clone(&self.links))));
        let raft = RaftNode::start(identity.node, disk, network, times).await?;
        let role = raft.watch_role();
        let cluster_id = identity.cluster_id.clone();
        let _ = self.membership.set(Membership { identity, raft: raft.clone(), role });
        self.set_condition(Condition::Entering("looking for the leader".to_owned()));
        if forms {
            self.form(&raft, cluster_id).await.map_err(StartError::Form)?;
        }
        tasks.spawn(Arc::clone(self).keep_links());
        tasks.spawn(Arc::clone(self).lead());
        tasks.spawn(Arc::clone(self).pass_views_on());
        Ok(self.live(events).await)
    }

    async fn form(&self, raft: &RaftNode, cluster_id: String) -> Result<(), WriteError> {
        let is_new = !raft.is_initialized().await;
        if is_new {
            raft.initialize(&self.settings.name).await?;
        }
        // Whoever finds it unfounded founds it: a kill may have come between the two. Right after the
        // initialisation the role may not tell yet who votes.
        let is_alone = is_new || raft.role().voters.iter().eq([&raft.id()]);
        if raft.state().borrow().cluster_id.is_empty() && is_alone {
            raft.wait_until_leader().await;
            let member = Member { name: self.settings.name.clone(), addr: self.settings.advertise.clone() };
            match raft.write(Command::Found { cluster_id, member }).await {
                Ok(_) | Err(WriteError::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Hands every view and every change of the voters to the data plane.
    async fn pass_views_on(self: Arc<Self>) {
        let Some(membership) = self.membership.get() else { return };
        let (mut state, mut role) = (membership.raft.state(), membership.role.clone());
        let mut told = None;
        loop {
            let (view, voters) = (self.view(), self.voters());
            if told.as_ref() != Some(&(view.clone(), voters.clone())) {
                if told.as_ref().is_none_or(|(before, _)| *before != view) {
                    Self::count(&self.counters.views);
                    tracing::info!(epoch = view.epoch, members = ?view.members.keys().collect::<Vec<_>>(), "view");
                }
                let _ = self.plane.send(PlaneCommand::Install { view: view.clone(), voters: voters.clone() });
                told = Some((view, voters));
            }
            tokio::select! {
                changed = state.changed() => if changed.is_err() { return },
                changed = role.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Stops Raft and closes the endpoint.
    pub async fn stop(&self) {
        if let Some(membership) = self.membership.get() {
            membership.raft.stop().await;
        }
        self.endpoint.close().await;
    }
}
