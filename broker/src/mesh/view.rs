//! The view: who is in.

use std::collections::BTreeMap;

/// The nodes among which messages flow, agreed upon through Raft.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct View {
    /// Grows by one with each change.
    pub epoch: u64,
    /// Node ids, each with the incarnation that is in. A node that was fenced or restarted comes back as
    /// another incarnation.
    pub members: BTreeMap<u64, u64>,
}

impl View {
    /// Whether this incarnation of a node is in.
    pub fn has(&self, node: u64, incarnation: u64) -> bool {
        self.members.get(&node) == Some(&incarnation)
    }
}
