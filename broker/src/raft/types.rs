//! The types that openraft is configured with.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Command, Outcome};

/// A node's number: minted by the cluster, never used again.
pub type NodeId = u64;

/// What Raft's own membership knows of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberNode {
    /// Its name.
    pub name: String,
}

impl fmt::Display for MemberNode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}

openraft::declare_raft_types!(
    /// openraft's configuration.
    pub TypeConfig:
        D = Command,
        R = Outcome,
        NodeId = NodeId,
        Node = MemberNode,
);

pub(super) type LogId = openraft::type_config::alias::LogIdOf<TypeConfig>;
pub(super) type Vote = openraft::type_config::alias::VoteOf<TypeConfig>;
pub(super) type Entry = openraft::type_config::alias::EntryOf<TypeConfig>;
pub(super) type StoredMembership = openraft::type_config::alias::StoredMembershipOf<TypeConfig>;
