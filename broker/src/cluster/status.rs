//! How the node and its cluster are, for people and tools.

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{ClusterNode, Condition};
use crate::{clock, mesh::PlaneCommand};

impl ClusterNode {
    /// What `/status` tells.
    pub async fn status(&self) -> Value {
        let (role, state, me) = (self.role(), self.state().unwrap_or_default(), self.node());
        let report = {
            let (answer, wait) = oneshot::channel();
            let _ = self.plane.send(PlaneCommand::Report(answer));
            wait.await.unwrap_or_default()
        };
        let condition = self.condition.borrow().clone();
        let (label, why) = match &condition {
            Condition::Joining(why) => ("joining", Some(why.clone())),
            Condition::Entering(why) => ("entering", Some(why.clone())),
            Condition::Serving => ("serving", None),
            Condition::Draining => ("draining", None),
        };
        let now = clock::now_ns();
        let members: Vec<Value> = state
            .members
            .iter()
            .map(|(node, member)| {
                let link = self.links.get(*node);
                let incarnation = state.view.members.get(node);
                let heard = incarnation.and_then(|incarnation| {
                    self.leases().as_ref().and_then(|leases| leases.heard(*node, *incarnation))
                });
                json!({
                    "id": node,
                    "name": member.name,
                    "addr": member.addr,
                    "in_view": incarnation.is_some(),
                    "voter": role.voters.contains(node),
                    "link_up": link.is_some() || *node == me,
                    "rtt_us": link.map(|link| link.round_trip().as_micros() as u64),
                    "lag": report.lag.get(node),
                    "lease_asked_ms_ago": heard.map(|heard| now.saturating_sub(heard) / 1_000_000),
                })
            })
            .collect();
        let role_label = if role.is_leader {
            "leader"
        } else if me == 0 {
            "none"
        } else if !role.voters.contains(&me) {
            "learner"
        } else if role.leader.is_some() {
            "follower"
        } else {
            "candidate"
        };
        json!({
            "name": self.settings.name,
            "version": env!("CARGO_PKG_VERSION"),
            "node": me,
            "cluster_id": state.cluster_id,
            "condition": label,
            "reason": why,
            "incarnation": self.incarnation(),
            "epoch": state.view.epoch,
            "in_view": condition == Condition::Serving,
            "lease_ms_left": self.clients.lease_until().saturating_sub(now) / 1_000_000,
            "role": role_label,
            "leader": role.leader,
            "term": role.term,
            "voters": role.voters,
            "members": members,
            "clients": self.clients.count(),
            "messages": {
                "published": report.published,
                "unanswered": report.unanswered,
                "received": report.received,
            },
        })
    }
}
