//! How a blank node gets into a cluster: it joins one if there is one, and takes part in forming one only if every
//! node that is expected answers and is blank, too.

use std::{collections::BTreeMap, time::Duration};

use carillon_proto::peer::{JoinRequest, WhoReply, reply, request};

use super::{ClusterNode, Condition, Identity, discovery};
use crate::{lock::lock, mesh::quic::PeerError};

/// How long an answer may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);

/// Admission takes commits, and may take the leader some attempts.
const JOIN_TIME_MAX: Duration = Duration::from_secs(5);

/// Pause between two rounds.
const PAUSE: Duration = Duration::from_millis(200);

/// Redirections to the leader that are followed in one round.
const REDIRECTIONS_MAX: usize = 3;

/// What a round of questions has come to.
enum Round {
    /// A cluster has admitted this node.
    Joined(Identity, Vec<String>),
    /// It is this node's turn to form the cluster.
    Form,
    /// Not yet: why.
    Wait(String),
}

impl ClusterNode {
    /// Looks for a cluster, joins or forms it. Returns the new identity, and whether the cluster is to be formed.
    pub async fn find_cluster(&self) -> (Identity, bool) {
        let mut told = String::new();
        loop {
            let why = match self.round().await {
                Round::Joined(identity, addrs) => {
                    *lock(&self.told_addrs) = addrs;
                    return (identity, false);
                }
                Round::Form => {
                    let cluster_id = format!("{:016x}{:016x}", rand::random::<u64>(), rand::random::<u64>());
                    return (Identity { cluster_id, node: 1 }, true);
                }
                Round::Wait(why) => why,
            };
            if told != why {
                tracing::info!(%why, "not in a cluster yet");
                told.clone_from(&why);
            }
            self.set_condition(Condition::Joining(why));
            tokio::time::sleep(PAUSE.mul_f64(rand::random_range(0.75..1.25))).await;
        }
    }

    async fn round(&self) -> Round {
        let found = discovery::resolve(&self.settings.peers).await;
        let mut blank = BTreeMap::from([(self.run, self.settings.name.clone())]);
        let mut silent: Vec<String> =
            found.unresolved.iter().map(|(name, error)| format!("{name} ({error})")).collect();
        let answers =
            found.addrs.into_iter().map(|addr| async move { (addr, self.who(&addr.to_string()).await) });
        let mut other_expectation = None;
        for (addr, answer) in futures_util::future::join_all(answers).await {
            let who = match answer {
                Ok(who) => who,
                Err(PeerError::Refused(refusal)) => {
                    return Round::Wait(format!("{addr} refuses: {}", refusal.text));
                }
                Err(error) => {
                    silent.push(format!("{addr} ({error})"));
                    continue;
                }
            };
            if !who.cluster_id.is_empty() {
                return self.join(addr.to_string()).await;
            }
            if who.expect != self.settings.expect {
                other_expectation = Some((who.name.clone(), who.expect));
            }
            blank.insert(who.run, who.name);
        }
        if let Some((name, expect)) = other_expectation {
            return Round::Wait(format!(
                "node '{name}' expects {expect} nodes and this one {}; give all the same --expect",
                self.settings.expect
            ));
        }
        let present = blank.len() as u32;
        if present < self.settings.expect {
            let silent = if silent.is_empty() {
                String::new()
            } else {
                format!("; no answer from {}", silent.join(", "))
            };
            return Round::Wait(format!(
                "{present} of {} expected nodes are there{silent}",
                self.settings.expect
            ));
        }
        let mut names: Vec<&String> = blank.values().collect();
        names.sort_unstable();
        if let Some((same, _)) = names.iter().zip(&names[1..]).find(|(name, next)| name == next) {
            return Round::Wait(format!("two nodes are called '{same}'; give each its own --name"));
        }
        if *names[0] == self.settings.name {
            return Round::Form;
        }
        Round::Wait(format!("node '{}' is to form the cluster", names[0]))
    }

    async fn who(&self, addr: &str) -> Result<WhoReply, PeerError> {
        let link = self.visit(addr).await?;
        let answer = link.call(request::Kind::Who(()), ANSWER_TIME_MAX).await;
        link.close("asked");
        match answer? {
            reply::Kind::Who(who) => Ok(who),
            _ => Err(PeerError::Protocol("no answer to who it is".to_owned())),
        }
    }

    async fn join(&self, mut addr: String) -> Round {
        let wish = JoinRequest { name: self.settings.name.clone(), addr: self.settings.advertise.clone() };
        for _ in 0..REDIRECTIONS_MAX {
            let answer = async {
                let link = self.visit(&addr).await?;
                let answer = link.call(request::Kind::Join(wish.clone()), JOIN_TIME_MAX).await;
                link.close("asked");
                answer
            };
            match answer.await {
                Ok(reply::Kind::Join(joined)) => {
                    let identity = Identity { cluster_id: joined.cluster_id, node: joined.node };
                    return Round::Joined(identity, joined.addrs);
                }
                Ok(_) => return Round::Wait(format!("{addr} gave no answer to a wish to join")),
                Err(PeerError::Refused(refusal))
                    if !refusal.leader_addr.is_empty() && refusal.leader_addr != addr =>
                {
                    addr = refusal.leader_addr;
                }
                Err(PeerError::Refused(refusal)) => {
                    return Round::Wait(format!("{addr} refuses: {}", refusal.text));
                }
                Err(error) => return Round::Wait(format!("{addr}: {error}")),
            }
        }
        Round::Wait("the leader is changing".to_owned())
    }
}
