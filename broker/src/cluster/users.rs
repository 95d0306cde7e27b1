//! Changes of the cluster's users: from any node to the leader, and into the log.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use carillon_proto::peer::{Refusal, UsersRequest, VERSION_WITH_USERS, reply, request};
use tokio::time::Instant;

use super::ClusterNode;
use crate::{
    acl::{Change, Changed},
    mesh::quic::PeerError,
    raft::{ClusterState, Command, Outcome, RaftNode, WriteError},
};

/// How long a change may take: an election and a commit. Clients give up after 5 seconds.
const CHANGE_TIME_MAX: Duration = Duration::from_secs(4);

/// Pause before the leader is looked for again.
const PAUSE: Duration = Duration::from_millis(50);

/// Why users could not be changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum UsersError {
    /// The change is not one that can be made. In the form of [`to_text`](crate::acl::to_text).
    #[error("{0}")]
    Refused(String),
    /// Nothing was changed.
    #[error("users cannot be changed now: {0}")]
    Unavailable(String),
    /// It may have been changed, or may still be.
    #[error("it is not known whether the change was made: {0}; ask ACL LIST")]
    Unknown(String),
}

impl ClusterNode {
    /// Changes users in the whole cluster. When this is over, a majority has the change on disk.
    pub async fn change_users(&self, change: &Change) -> Result<Changed, UsersError> {
        let body = serde_json::to_vec(change).map_err(|error| UsersError::Refused(error.to_string()))?;
        let (body, number, start) = (Bytes::from(body), rand::random(), Instant::now());
        let mut may_be_made = false;
        loop {
            let left = CHANGE_TIME_MAX.saturating_sub(start.elapsed());
            let request = request::Kind::Users(UsersRequest { change: body.clone(), number });
            let why = if self.leader_knows_users() {
                match self.ask_leader(request, left).await {
                    Ok(reply::Kind::Users(done)) => {
                        return Ok(Changed { revision: done.revision, removed: done.removed });
                    }
                    Ok(_) => return Err(UsersError::Unknown("the leader gave another answer".to_owned())),
                    Err(PeerError::Refused(refusal)) if refusal.is_temporary => refusal.text,
                    Err(PeerError::Refused(refusal)) => return Err(UsersError::Refused(refusal.text)),
                    // It may have arrived. With the same number it is made once, however often it is sent.
                    Err(error) => {
                        may_be_made = true;
                        error.to_string()
                    }
                }
            } else {
                "no leader can be reached, or it is of an older version".to_owned()
            };
            if start.elapsed() + PAUSE > CHANGE_TIME_MAX {
                return Err(if may_be_made {
                    UsersError::Unknown(why)
                } else {
                    UsersError::Unavailable(why)
                });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn leader_knows_users(&self) -> bool {
        self.role().leader.is_some_and(|leader| leader == self.node() || self.knows_users(leader))
    }

    fn knows_users(&self, node: u64) -> bool {
        self.links.get(node).is_some_and(|link| link.peer.version >= VERSION_WITH_USERS)
    }

    /// As the leader.
    pub(super) async fn answer_users(&self, request: &UsersRequest) -> reply::Kind {
        let refuse = reply::Kind::Refusal;
        let Some((membership, state)) = self.membership.get().zip(self.state()) else {
            return refuse(Refusal::temporary("this node is not in a cluster yet"));
        };
        let change = match serde_json::from_slice(&request.change) {
            Ok(change) => change,
            Err(error) => return refuse(Refusal::lasting(format!("the change cannot be read: {error}"))),
        };
        if let Err(why) = self.may_keep_users(&state) {
            return refuse(Refusal::temporary(why));
        }
        match write(&membership.raft, request.number, change).await {
            Ok((revision, removed)) => {
                reply::Kind::Users(carillon_proto::peer::UsersReply { revision, removed })
            }
            Err(refusal) => refuse(refusal),
        }
    }

    /// Whether every member can read a log that tells of users. Once it does, older ones are not let in.
    fn may_keep_users(&self, state: &Arc<ClusterState>) -> Result<(), String> {
        let me = self.node();
        if state.users.is_some() {
            return Ok(());
        }
        let old = state.members.iter().find(|(node, _)| **node != me && !self.knows_users(**node));
        old.map_or(Ok(()), |(_, member)| {
            Err(format!(
                "for the first change every node has to be there, and to be of a version that knows users: \
                 '{}' is not",
                member.name
            ))
        })
    }
}

async fn write(raft: &RaftNode, number: u64, change: Change) -> Result<(u64, u64), Refusal> {
    match raft.write(Command::Users { number, change }).await {
        Ok(Outcome::UsersChanged { revision, removed }) => Ok((revision, removed)),
        Ok(outcome) => Err(Refusal::lasting(outcome.to_string())),
        Err(WriteError::Refused(text)) => Err(Refusal::lasting(text)),
        // Asked again, the next leader knows whether it was made.
        Err(error) => Err(Refusal::temporary(error.to_string())),
    }
}
