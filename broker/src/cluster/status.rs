//! How the node and its cluster are, for people and tools.

use std::time::Duration;

use bytes::Bytes;
use carillon_proto::peer::{NodeStatus, QueryRequest, query_request, reply, request};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{ClusterNode, Condition};
use crate::{clock, mesh::PlaneCommand};

/// How long another node may take to say how it is.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(1);

impl ClusterNode {
    /// What `/nodes` tells: this node's [`status`](Self::status), in which each member has its own under `"status"`;
    /// `null` for one that does not answer.
    pub async fn nodes(&self) -> Value {
        let mut status = self.status().await;
        let own = status.clone();
        let Some(members) = status["members"].as_array_mut() else { return status };
        let asked = members.iter().map(|member| {
            let (id, own) = (member["id"].as_u64().unwrap_or_default(), &own);
            async move { if id == self.node() { Some(own.clone()) } else { self.status_of(id).await } }
        });
        let answers = futures_util::future::join_all(asked).await;
        for (member, answer) in members.iter_mut().zip(answers) {
            member["status"] = without_members(answer.unwrap_or_default());
        }
        status
    }

    /// Who on the other nodes of the view gets what is published to a channel: for each node its name and its
    /// subscribers, or `null` where it does not answer, which older versions do not.
    pub async fn listeners(&self, kind: u32, channel: Bytes) -> Vec<Value> {
        let state = self.state().unwrap_or_default();
        let others = state.view.members.keys().filter(|node| **node != self.node());
        let asked = others.map(|node| {
            let what = Some(query_request::What::Listeners(channel.clone()));
            let name = state.members.get(node).map(|member| member.name.clone());
            async move {
                let query = request::Kind::Query(QueryRequest { kind, what });
                let subscribers = self.ask_for_json(*node, query).await;
                json!({"name": name, "subscribers": subscribers})
            }
        });
        futures_util::future::join_all(asked).await
    }

    /// What a console shows: [`nodes`](Self::nodes), and an overview of each by its name; `null` for one that does not
    /// answer. Each is asked once for both.
    pub async fn console(&self) -> Value {
        let mut nodes = self.status().await;
        let own = nodes.clone();
        let Some(members) = nodes["members"].as_array_mut() else {
            return json!({"nodes": nodes, "overviews": {}});
        };
        let asked = members.iter().map(|member| {
            let (id, own) = (member["id"].as_u64().unwrap_or_default(), &own);
            async move {
                if id == self.node() {
                    return (own.clone(), self.clients.overview().await);
                }
                let what = Some(query_request::What::Overview(()));
                let overview =
                    self.ask_for_json(id, request::Kind::Query(QueryRequest { kind: 0, what })).await;
                let mut overview = overview.unwrap_or_default();
                // Older versions tell it only when they are asked for that.
                let status = match overview.get_mut("status") {
                    Some(status) => status.take(),
                    None => self.status_of(id).await.unwrap_or_default(),
                };
                (status, overview)
            }
        });
        let answers = futures_util::future::join_all(asked).await;
        let mut overviews = serde_json::Map::new();
        for (member, (status, overview)) in members.iter_mut().zip(answers) {
            overviews.insert(member["name"].as_str().unwrap_or_default().to_owned(), overview);
            member["status"] = without_members(status);
        }
        json!({"nodes": nodes, "overviews": overviews})
    }

    /// This node's part of it.
    pub(super) async fn overview(&self) -> Value {
        let mut overview = self.clients.overview().await;
        overview["status"] = without_members(self.status().await);
        overview
    }

    async fn status_of(&self, node: u64) -> Option<Value> {
        self.ask_for_json(node, request::Kind::Status(())).await
    }

    async fn ask_for_json(&self, node: u64, question: request::Kind) -> Option<Value> {
        match self.links.get(node)?.call(question, ANSWER_TIME_MAX).await {
            Ok(reply::Kind::Status(NodeStatus { json })) => serde_json::from_str(&json).ok(),
            _ => None,
        }
    }

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

/// Everyone knows the same members: they are told once.
fn without_members(mut status: Value) -> Value {
    if let Some(status) = status.as_object_mut() {
        status.remove("members");
    }
    status
}
