//! What the leader does besides replicating the log: leases, evictions, and the autopilot of the voters.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{ClusterNode, LeaderLeases, autopilot};
use crate::{
    clock,
    raft::{Command, RaftNode, Role, WriteError},
};

/// How often the leader looks around.
const ROUND: Duration = Duration::from_millis(100);

impl ClusterNode {
    /// Leads whenever this node is the leader.
    pub async fn lead(self: Arc<Self>) {
        let Some(membership) = self.membership.get() else { return };
        let mut role = membership.role.clone();
        let mut interval = tokio::time::interval(ROUND);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut absent, mut announced) = (BTreeMap::new(), BTreeSet::new());
        loop {
            tokio::select! {
                _ = interval.tick() => {}
                changed = role.changed() => if changed.is_err() { return },
            }
            let now = role.borrow().clone();
            if !self.take_office(&now) {
                absent.clear();
                announced.clear();
                continue;
            }
            self.evict(&membership.raft, &mut announced).await;
            self.look_after_voters(&membership.raft, &mut absent).await;
        }
    }

    /// Begins a new term as the leader, or ends one. Returns whether this node leads.
    fn take_office(&self, role: &Role) -> bool {
        let mut leases = self.leases();
        if !role.is_leader {
            if leases.take().is_some() {
                tracing::info!(leader = role.leader, "no longer the leader");
            }
            return false;
        }
        if leases.as_ref().is_none_or(|leases| leases.term() != role.term) {
            tracing::info!(term = role.term, voters = ?role.voters, "this node leads");
            Self::count(&self.counters.elections_won);
            *leases = Some(LeaderLeases::new(self.node(), role.term, self.settings.times, clock::now_ns()));
        }
        true
    }

    /// Votes out whoever has to leave. `announced` are those of whom the log has told already: a leader that has
    /// lost its majority tries in vain until it finds out.
    async fn evict(&self, raft: &RaftNode, announced: &mut BTreeSet<(u64, u64)>) {
        let view = self.view();
        let overdue = {
            let (voters, now) = (self.voters(), clock::now_ns());
            let mut leases = self.leases();
            let Some(leases) = leases.as_mut() else { return };
            leases.forget(&view, &voters, now);
            leases.overdue(&view, now)
        };
        announced.retain(|(node, incarnation)| view.has(*node, *incarnation));
        for (node, incarnation) in overdue {
            let is_new = announced.insert((node, incarnation));
            if is_new {
                tracing::warn!(node, "voting out a node: its lease is over and it has not renewed it");
            }
            if let Err(error) = raft.write(Command::Leave { node, incarnation, by_itself: false }).await {
                if is_new {
                    tracing::warn!(node, %error, "could not vote out a node; it will be tried again");
                }
                return;
            }
            Self::count(&self.counters.evictions);
        }
    }

    async fn look_after_voters(&self, raft: &RaftNode, absent: &mut BTreeMap<u64, Instant>) {
        let Some(state) = self.state() else { return };
        absent.retain(|node, _| state.members.contains_key(node) && !state.view.members.contains_key(node));
        for node in state.members.keys().filter(|node| !state.view.members.contains_key(node)) {
            absent.entry(*node).or_insert_with(Instant::now);
        }
        let dead: BTreeSet<u64> = absent
            .iter()
            .filter(|(_, since)| since.elapsed() >= self.settings.dead_after)
            .map(|(node, _)| *node)
            .collect();
        let Some(step) = autopilot::next_step(self.node(), &state, &self.role(), &dead) else { return };
        tracing::info!(?step, "autopilot");
        if let Err(error) = self.take_step(raft, &state, step).await {
            tracing::warn!(%error, "the autopilot's step has failed; it will be tried again");
        }
    }

    async fn take_step(
        &self,
        raft: &RaftNode,
        state: &crate::raft::ClusterState,
        step: autopilot::Step,
    ) -> Result<(), WriteError> {
        match step {
            autopilot::Step::Replicate(node) => {
                let name = state.members.get(&node).map(|member| member.name.clone()).unwrap_or_default();
                raft.add_learner(node, name).await
            }
            autopilot::Step::Voters(voters) => raft.set_voters(voters, true).await,
            autopilot::Step::Unlearn(node) => raft.remove_learner(node).await,
            autopilot::Step::Remove(node) => raft.write(Command::Remove { node }).await.map(drop),
        }
    }
}
