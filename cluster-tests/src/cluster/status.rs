//! What a node tells operators, as far as tests ask.

use serde::Deserialize;

/// `/status`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Status {
    /// The node's name.
    pub name: String,
    /// Its number, once it has one.
    pub node: Option<u64>,
    /// The cluster's id, once it belongs to one.
    pub cluster_id: Option<String>,
    /// Its incarnation.
    pub incarnation: Option<u64>,
    /// The view's number.
    pub epoch: u64,
    /// Whether it serves clients.
    pub in_view: bool,
    /// `leader`, `follower`, `learner` or `candidate`.
    pub role: String,
    /// Whom it follows.
    pub leader: Option<u64>,
    /// Raft's term.
    pub term: u64,
    /// Who votes.
    pub voters: Vec<u64>,
    /// Everyone.
    pub members: Vec<MemberStatus>,
    /// Connected clients.
    pub clients: u64,
}

/// One member in `/status`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct MemberStatus {
    /// Its number.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Whether it is in the view.
    pub in_view: bool,
    /// Whether it votes.
    pub voter: bool,
    /// Messages that it has not acknowledged to the node that tells this.
    pub lag: Option<u64>,
}

impl Status {
    /// Names of the members in the view, sorted.
    pub fn view(&self) -> Vec<&str> {
        let in_view = self.members.iter().filter(|member| member.in_view);
        let mut names: Vec<&str> = in_view.map(|member| member.name.as_str()).collect();
        names.sort_unstable();
        names
    }
}
