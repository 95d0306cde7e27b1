//! Answers to other nodes' requests.

use std::time::Duration;

use carillon_proto::peer::{
    Counts, EnterRequest, FlushQueryRequest, JoinReply, JoinRequest, LeaseReply, LeaseRequest, Names,
    NodeStatus, QueryRequest, RaftPayload, Refusal, WhoReply, query_request, reply, request,
};
use tokio::sync::oneshot;

use super::{ClusterNode, autopilot};
use crate::{
    clock,
    mesh::{PlaneCommand, quic::PeerIdentity},
    raft::{Command, Member, Outcome, WriteError, serve_rpc},
};

/// How long the view that a question is about may take to arrive here.
const VIEW_TIME_MAX: Duration = Duration::from_secs(1);

impl ClusterNode {
    /// Answers a request of another node.
    pub(super) async fn answer(&self, peer: &PeerIdentity, request: request::Kind) -> reply::Kind {
        let Some(membership) = self.membership.get() else {
            return match request {
                request::Kind::Who(()) => reply::Kind::Who(self.who_reply()),
                _ => refuse(Refusal::temporary("this node is not in a cluster yet")),
            };
        };
        let is_member = peer.cluster_id == membership.identity.cluster_id && peer.node != 0;
        match request {
            request::Kind::Who(()) => reply::Kind::Who(self.who_reply()),
            request::Kind::Join(_) => self.answer_as_leader(request).await,
            request::Kind::Status(()) => {
                reply::Kind::Status(NodeStatus { json: self.status().await.to_string() })
            }
            _ if !is_member => refuse(Refusal::lasting("only members of the cluster may ask that")),
            request::Kind::Raft(request) => match serve_rpc(membership.raft.raft(), request).await {
                Ok(body) => reply::Kind::Raft(RaftPayload { body }),
                Err(error) => refuse(Refusal::temporary(error)),
            },
            request::Kind::Query(query) => self.answer_query(query).await,
            request::Kind::FlushQuery(query) => self.answer_flush_query(query).await,
            request::Kind::FlushFetch(fetch) => {
                let (answer, wait) = oneshot::channel();
                let _ = self.plane.send(PlaneCommand::FlushFetch(fetch, answer));
                wait.await.ok().flatten().map_or_else(
                    || reply::Kind::FlushFetch(carillon_proto::peer::FlushFetchReply::default()),
                    reply::Kind::FlushFetch,
                )
            }
            request::Kind::Lease(_)
            | request::Kind::Enter(_)
            | request::Kind::Leave(_)
            | request::Kind::Accuse(_)
            | request::Kind::Users(_) => self.answer_as_leader(request).await,
        }
    }

    /// Answers what only the leader can; says who that is if it is another node.
    pub(super) async fn answer_as_leader(&self, request: request::Kind) -> reply::Kind {
        let role = self.role();
        if !role.is_leader {
            let addr = self
                .state()
                .zip(role.leader)
                .and_then(|(state, leader)| state.members.get(&leader).map(|member| member.addr.clone()));
            let text = if addr.is_some() { "another node leads" } else { "no leader is known" };
            return refuse(Refusal { leader_addr: addr.unwrap_or_default(), ..Refusal::temporary(text) });
        }
        match request {
            request::Kind::Lease(request) => self.grant(&request),
            request::Kind::Join(request) => self.answer_join(request).await,
            request::Kind::Enter(EnterRequest { node, incarnation, addr }) => {
                self.answer_write(Command::Enter { node, incarnation, addr }).await
            }
            request::Kind::Leave(EnterRequest { node, incarnation, .. }) => {
                self.answer_leave(node, incarnation).await
            }
            request::Kind::Users(request) => self.answer_users(&request).await,
            request::Kind::Accuse(accusation) => {
                self.hear_accusation((accusation.node, accusation.incarnation), accusation.by).await;
                reply::Kind::Done(())
            }
            _ => refuse(Refusal::lasting("that is not for the leader")),
        }
    }

    fn who_reply(&self) -> WhoReply {
        WhoReply {
            name: self.settings.name.clone(),
            cluster_id: self.identity().map(|identity| identity.cluster_id.clone()).unwrap_or_default(),
            expect: self.settings.expect,
            run: self.run,
            addr: self.settings.advertise.clone(),
        }
    }

    fn grant(&self, request: &LeaseRequest) -> reply::Kind {
        let (view, voters, now) = (self.view(), self.voters(), clock::now_ns());
        let mut leases = self.leases();
        let Some(leases) = leases.as_mut().filter(|leases| leases.term() == request.term) else {
            return refuse(Refusal::temporary("this node does not lead in that term"));
        };
        let grant = leases.request((request.node, request.incarnation), request.echo_ns, &view, &voters, now);
        reply::Kind::Lease(LeaseReply {
            stamp_ns: now,
            lease_ns: grant.lease,
            epoch: view.epoch,
            is_in_view: view.has(request.node, request.incarnation),
            // A leader that is new may not have applied yet what admitted the node.
            is_member: !self.knows_as_removed(request.node),
        })
    }

    /// A member that does not keep up gets no further lease, and is voted out when the last one is over. One at a
    /// time, and never so many that those who are left are no majority. Of the leader another leader has to judge.
    async fn hear_accusation(&self, accused: (u64, u64), by: u64) {
        if accused == (self.node(), self.incarnation()) {
            tracing::warn!(by, "this node does not keep up; another is to lead and judge");
            return self.hand_over().await;
        }
        let (view, voters) = (self.view(), self.voters());
        if !view.has(accused.0, accused.1) || accused.0 == self.node() || accused.0 == by {
            return;
        }
        let left =
            voters.iter().filter(|voter| **voter != accused.0 && view.members.contains_key(voter)).count();
        if left * 2 <= voters.len() {
            return;
        }
        let mut leases = self.leases();
        if let Some(leases) = leases.as_mut().filter(|leases| !leases.has_condemned(&view))
            && leases.condemn(accused.0, accused.1)
        {
            tracing::warn!(
                node = accused.0,
                by,
                "a node does not keep up; its lease is not prolonged any more"
            );
        }
    }

    async fn answer_join(&self, request: JoinRequest) -> reply::Kind {
        let Some((membership, state)) = self.membership.get().zip(self.state()) else {
            return refuse(Refusal::temporary("this node is not in a cluster yet"));
        };
        if let Some(taken) = state.named(&request.name)
            && state.view.members.contains_key(&taken)
        {
            return refuse(Refusal::temporary(format!(
                "the name '{}' belongs to node {taken}, which is alive, or was until a moment ago; give each node its own --name",
                request.name
            )));
        }
        let member = Member { name: request.name.clone(), addr: request.addr };
        let node = match membership.raft.write(Command::Admit { member }).await {
            Ok(Outcome::Admitted(node)) => node,
            Ok(outcome) => return refuse(Refusal::temporary(outcome.to_string())),
            Err(error) => return refuse(Refusal::temporary(error.to_string())),
        };
        tracing::info!(node, name = request.name, "admitted a new member");
        // The autopilot does this again should it fail.
        if let Err(error) = membership.raft.add_learner(node, request.name).await {
            tracing::warn!(node, %error, "the log is not replicated to the new member yet");
        }
        let addrs = self.state().map(|state| {
            let others = state.members.iter().filter(|(member, _)| **member != node);
            others.map(|(_, member)| member.addr.clone()).collect()
        });
        let cluster_id = membership.identity.cluster_id.clone();
        reply::Kind::Join(JoinReply { cluster_id, node, addrs: addrs.unwrap_or_default() })
    }

    /// Lets a member leave by itself. When several do so at once, each waits until the votes of those before it are given
    /// up, if its own leaving would take the majority away: it asks again.
    async fn answer_leave(&self, node: u64, incarnation: u64) -> reply::Kind {
        let _one_at_a_time = self.leaving.lock().await;
        let (role, state) = (self.role(), self.state().unwrap_or_default());
        let stays = |voter: &&u64| **voter != node && state.view.members.contains_key(voter);
        let has_majority = role.voters.iter().filter(stays).count() * 2 > role.voters.len();
        if !has_majority && (role.is_joint || autopilot::relief(self.node(), &state, &role).is_some()) {
            return refuse(Refusal::temporary("the votes of those who have just left are given up first"));
        }
        self.answer_write(Command::Leave { node, incarnation, by_itself: true }).await
    }

    async fn answer_write(&self, command: Command) -> reply::Kind {
        let Some(membership) = self.membership.get() else {
            return refuse(Refusal::temporary("this node is not in a cluster yet"));
        };
        match membership.raft.write(command).await {
            Ok(_) => reply::Kind::Done(()),
            Err(WriteError::Refused(text)) => refuse(Refusal { is_removed: true, ..Refusal::lasting(text) }),
            Err(error) => refuse(Refusal::temporary(error.to_string())),
        }
    }

    async fn answer_query(&self, query: QueryRequest) -> reply::Kind {
        match query.what {
            Some(query_request::What::Counts(Names { names })) => {
                reply::Kind::Counts(Counts { counts: self.clients.subscribers(query.kind, &names) })
            }
            Some(query_request::What::Matching(pattern)) => {
                reply::Kind::Names(Names { names: self.clients.names(query.kind, &pattern) })
            }
            Some(query_request::What::Listeners(channel)) => {
                let listeners = self.clients.listeners(query.kind, channel).await;
                reply::Kind::Status(NodeStatus { json: listeners.to_string() })
            }
            Some(query_request::What::Overview(())) => {
                let overview = self.overview().await;
                reply::Kind::Status(NodeStatus { json: overview.to_string() })
            }
            None => refuse(Refusal::lasting("a question that this version does not know")),
        }
    }

    async fn answer_flush_query(&self, query: FlushQueryRequest) -> reply::Kind {
        let mut progress = self.progress.clone();
        let installed = progress.wait_for(|progress| progress.epoch >= query.epoch);
        if !matches!(tokio::time::timeout(VIEW_TIME_MAX, installed).await, Ok(Ok(_))) {
            return refuse(Refusal::temporary("the view has not arrived here yet"));
        }
        let (answer, wait) = oneshot::channel();
        let _ = self.plane.send(PlaneCommand::FlushQuery(query, answer));
        match wait.await {
            Ok(held) => reply::Kind::FlushQuery(held),
            Err(_) => refuse(Refusal::temporary("this node stops")),
        }
    }
}

fn refuse(refusal: Refusal) -> reply::Kind {
    reply::Kind::Refusal(refusal)
}
