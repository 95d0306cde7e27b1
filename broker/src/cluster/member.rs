//! A member's life: into the view, lease after lease, and out again when it has to be.

use std::{sync::Arc, time::Duration};

use carillon_proto::peer::{AccuseRequest, EnterRequest, LeaseReply, LeaseRequest, reply, request};
use tokio::sync::mpsc;

use super::{ClusterNode, Condition, MemberLease};
use crate::{
    clock,
    mesh::{PlaneCommand, PlaneEvent, quic::PeerError},
};

/// How long a change of the view may take.
const ENTER_TIME_MAX: Duration = Duration::from_secs(2);

/// Pause between two attempts to enter.
const PAUSE: Duration = Duration::from_millis(50);

/// How a member's life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The cluster has removed it: its identity is worth nothing any more.
    Removed,
    /// Its disk failed, so that Raft had to stop.
    DiskFailed,
}

/// An answer to a request for a lease.
struct Answered {
    term: u64,
    asked: u64,
    reply: LeaseReply,
}

impl ClusterNode {
    /// Keeps this node in the view as well as can be. Returns when it cannot be a member any more.
    pub async fn live(self: &Arc<Self>, events: &mut mpsc::UnboundedReceiver<PlaneEvent>) -> Ended {
        let mut lease = MemberLease::default();
        loop {
            let incarnation = rand::random_range(1..u64::MAX);
            self.incarnation.send_replace(incarnation);
            let _ = self.plane.send(PlaneCommand::Begin { node: self.node(), incarnation });
            if let Some(ended) = self.enter(incarnation).await {
                return ended;
            }
            let why = match self.stay(incarnation, &mut lease, events).await {
                Ok(why) => why,
                Err(ended) => {
                    self.leave_view("it cannot be a member any more");
                    return ended;
                }
            };
            self.leave_view(&why);
        }
    }

    /// Fences this node: nothing more is delivered, acknowledged or answered.
    fn leave_view(&self, why: &str) {
        let clients = self.clients.count();
        self.clients.fence();
        Self::count(&self.counters.fences);
        self.incarnation.send_replace(0);
        let _ = self.plane.send(PlaneCommand::Fence);
        self.set_condition(Condition::Entering(format!("fenced: {why}")));
        tracing::warn!(
            why,
            clients,
            "fenced: clients are closed, the port is closed until this node is back in the view"
        );
    }

    /// Asks for a view with this incarnation in it until there is one.
    async fn enter(&self, incarnation: u64) -> Option<Ended> {
        let wish = EnterRequest { node: self.node(), incarnation, addr: self.settings.advertise.clone() };
        loop {
            if *self.is_removed.borrow() {
                return Some(Ended::Removed);
            }
            if self.is_draining() {
                return std::future::pending().await;
            }
            if self.role().has_failed {
                return Some(Ended::DiskFailed);
            }
            match self.ask_leader(request::Kind::Enter(wish.clone()), ENTER_TIME_MAX).await {
                Ok(_) => return None,
                Err(PeerError::Refused(refusal)) if refusal.is_removed => return Some(Ended::Removed),
                Err(error) => {
                    let was_fenced = matches!(&*self.condition.borrow(), Condition::Entering(why) if why.starts_with("fenced"));
                    if !was_fenced {
                        self.set_condition(Condition::Entering(format!("asking to enter the view: {error}")));
                    }
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Renews the lease and opens the port once all is ready. Returns why the node had to be fenced.
    async fn stay(
        self: &Arc<Self>,
        incarnation: u64,
        lease: &mut MemberLease,
        events: &mut mpsc::UnboundedReceiver<PlaneEvent>,
    ) -> Result<String, Ended> {
        let (answers, mut answered) = mpsc::unbounded_channel();
        let mut renewal = tokio::time::interval(self.settings.renewal);
        renewal.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let Some(membership) = self.membership.get() else { return Ok("it is no member".to_owned()) };
        let (mut state, mut role) = (membership.raft.state(), membership.role.clone());
        let mut progress = self.progress.clone();
        let mut is_removed = self.is_removed.subscribe();
        let mut asks_again = false;
        let (mut has_lease, mut is_open, mut was_in) = (false, false, false);
        loop {
            // The end of the lease, or at least a look at it now and then.
            let left = self.clients.lease_until().saturating_sub(clock::now_ns());
            let expiry = if has_lease { Duration::from_nanos(left) } else { Duration::from_secs(1) };
            tokio::select! {
                _ = renewal.tick() => self.ask_for_lease(incarnation, lease, &answers),
                Some(answer) = answered.recv() => {
                    let Answered { term, asked, reply } = answer;
                    if !reply.is_member {
                        return Err(Ended::Removed);
                    }
                    if !reply.is_in_view && was_in && reply.epoch >= state.borrow().view.epoch {
                        return Ok(format!("the view with epoch {} is without it", reply.epoch));
                    }
                    // A lease that has run out is not prolonged: clients have missed something by now.
                    if has_lease && !self.clients.lease_holds() {
                        return Ok("its lease ran out".to_owned());
                    }
                    if let Some(until) = lease.granted(term, reply.stamp_ns, reply.lease_ns, asked) {
                        self.clients.prolong(until);
                        has_lease = has_lease || self.clients.lease_holds();
                    } else if !asks_again {
                        // The leader needs its first time stamp repeated before it can give a lease.
                        asks_again = true;
                        self.ask_for_lease(incarnation, lease, &answers);
                    }
                }
                () = tokio::time::sleep(expiry) => {}
                Some(event) = events.recv() => match event {
                    PlaneEvent::Hole { by, .. } | PlaneEvent::Lags { by, .. } if by != incarnation => {}
                    PlaneEvent::Hole { node, .. } => {
                        return Ok(format!("messages of node {node}, which has left, cannot be had any more, or nobody can say whether"));
                    }
                    // A node that has just woken up finds everyone late but itself.
                    PlaneEvent::Lags { .. } if !self.clients.lease_holds() => {}
                    PlaneEvent::Lags { node, incarnation, .. } => self.accuse(node, incarnation),
                },
                _ = state.changed() => {}
                _ = progress.changed() => {}
                _ = is_removed.changed() => return Err(Ended::Removed),
                _ = role.changed() => {
                    asks_again = false;
                    let has_stopped = role.borrow().has_failed;
                    if has_stopped && self.is_draining() {
                        // On purpose: it has left.
                        return std::future::pending().await;
                    }
                    if has_stopped {
                        return Err(Ended::DiskFailed);
                    }
                    self.ask_for_lease(incarnation, lease, &answers);
                }
            }
            let is_in = state.borrow().view.has(self.node(), incarnation);
            if was_in && !is_in {
                return Ok(format!("the view with epoch {} is without it", state.borrow().view.epoch));
            }
            was_in = is_in;
            if has_lease && !self.clients.lease_holds() {
                return Ok("its lease ran out".to_owned());
            }
            let now = *progress.borrow();
            let is_ready = is_in && has_lease && now.incarnation == incarnation && now.is_complete;
            if is_ready && !is_open && !self.is_draining() {
                is_open = true;
                self.clients.open();
                self.set_condition(Condition::Serving);
                tracing::info!(
                    epoch = now.epoch,
                    members = state.borrow().view.members.len(),
                    "in the view: ready for clients"
                );
            } else if !is_open {
                self.set_condition(Condition::Entering(why_not_ready(is_in, has_lease).to_owned()));
            }
        }
    }

    fn ask_for_lease(
        self: &Arc<Self>,
        incarnation: u64,
        lease: &MemberLease,
        answers: &mpsc::UnboundedSender<Answered>,
    ) {
        let term = self.role().term;
        let request = LeaseRequest { node: self.node(), incarnation, term, echo_ns: lease.echo(term) };
        let (node, answers, time) = (Arc::clone(self), answers.clone(), self.settings.renewal * 4);
        // Each request stands for itself: one that is lost or late must not hold up the next.
        tokio::spawn(async move {
            let asked = clock::now_ns();
            if let Ok(reply::Kind::Lease(reply)) = node.ask_leader(request::Kind::Lease(request), time).await
            {
                let _ = answers.send(Answered { term, asked, reply });
            }
        });
    }

    fn accuse(self: &Arc<Self>, accused: u64, incarnation: u64) {
        let node = Arc::clone(self);
        tokio::spawn(async move {
            let accusation = AccuseRequest { by: node.node(), node: accused, incarnation };
            let _ = node.ask_leader(request::Kind::Accuse(accusation), ENTER_TIME_MAX).await;
        });
    }

    /// Hands leadership over, if this node leads and there is another that can.
    pub async fn hand_over(&self) {
        let Some(membership) = self.membership.get() else { return };
        let me = self.node();
        if self.role().is_leader {
            let heir = {
                let (role, view) = (self.role(), self.view());
                let mut heirs: Vec<(u64, u64)> = role
                    .voters
                    .iter()
                    .filter(|voter| **voter != me && view.members.contains_key(voter))
                    .map(|voter| (role.matched.get(voter).copied().unwrap_or_default(), *voter))
                    .collect();
                heirs.sort_unstable();
                heirs.last().map(|(_, voter)| *voter)
            };
            if let Some(heir) = heir {
                tracing::info!(to = heir, "handing leadership over");
                if membership.raft.transfer_leadership(heir).await.is_ok() {
                    let mut role = membership.role.clone();
                    let _ = tokio::time::timeout(
                        ENTER_TIME_MAX,
                        role.wait_for(|role| !role.is_leader && role.leader.is_some()),
                    )
                    .await;
                }
            }
        }
    }

    /// Leaves the view on purpose, when the clients are closed and everything is answered.
    pub async fn leave(&self) {
        if self.incarnation() == 0 {
            return;
        }
        let wish =
            EnterRequest { node: self.node(), incarnation: self.incarnation(), ..EnterRequest::default() };
        let left = async {
            while let Err(error) = self.ask_leader(request::Kind::Leave(wish.clone()), ENTER_TIME_MAX).await {
                tracing::debug!(%error, "not out of the view yet");
                tokio::time::sleep(PAUSE).await;
            }
        };
        if tokio::time::timeout(ENTER_TIME_MAX, left).await.is_err() {
            tracing::warn!("stopping without having left the view; the others will vote this node out");
        }
    }
}

fn why_not_ready(is_in: bool, has_lease: bool) -> &'static str {
    if !is_in {
        "the view that it is in has not arrived yet"
    } else if !has_lease {
        "the leader has given it no lease yet"
    } else {
        "not every other member has said from where on it sends"
    }
}
