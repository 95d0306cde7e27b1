//! The replicated state: who belongs to the cluster, and the view. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};

use crate::{
    acl::{Change, Changed, UserTable},
    mesh::View,
};

/// A node that belongs to the cluster, in the view or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The name under which people know it.
    pub name: String,
    /// The address that other nodes dial: host and port.
    pub addr: String,
}

/// A change of the replicated state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// The cluster exists from now on; its first node is number 1.
    Found {
        /// The cluster's random id.
        cluster_id: String,
        /// The first member.
        member: Member,
    },
    /// A new member. Its number is the index of this entry.
    Admit {
        /// Who it is.
        member: Member,
    },
    /// A member is gone for good.
    Remove {
        /// Its number.
        node: u64,
    },
    /// A member's incarnation comes into the view.
    Enter {
        /// Its number.
        node: u64,
        /// Its incarnation.
        incarnation: u64,
        /// The address that other nodes dial.
        addr: String,
    },
    /// An incarnation leaves the view: by itself, or voted out.
    Leave {
        /// Its number.
        node: u64,
        /// Its incarnation.
        incarnation: u64,
        /// It has left by itself, and said so. Absent in entries of before nodes told.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        by_itself: bool,
    },
    /// Users change. Written only once every member knows this form.
    Users {
        /// The same when it is asked for again by someone who does not know whether it was done.
        number: u64,
        /// The change.
        change: Change,
    },
}

impl fmt::Display for Command {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self:?}")
    }
}

/// What a change has come to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Done, or nothing to do.
    #[default]
    Done,
    /// A new member's number.
    Admitted(u64),
    /// It cannot be: a reason for people.
    Refused(String),
    /// Users were changed.
    UsersChanged {
        /// The number of their state from then on.
        revision: u64,
        /// How many were removed.
        removed: u64,
    },
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self:?}")
    }
}

/// What Raft replicates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterState {
    /// The cluster's random id; empty before it is founded.
    pub cluster_id: String,
    /// Everyone who belongs to it.
    pub members: BTreeMap<u64, Member>,
    /// Who is in the view.
    pub view: View,
    /// Members that have left the view by themselves and not come back. Absent when empty, so that older nodes can read
    /// the rest.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub left: BTreeSet<u64>,
    /// The users, once there are any but those of the settings. Absent before, so that older nodes can read the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<UserTable>,
}

impl ClusterState {
    /// Applies the entry with this index.
    pub fn apply(&mut self, index: u64, command: &Command) -> Outcome {
        match command {
            Command::Found { cluster_id, member } => {
                if !self.cluster_id.is_empty() {
                    return Outcome::Refused(format!("the cluster exists already, as {}", self.cluster_id));
                }
                self.cluster_id.clone_from(cluster_id);
                self.members.insert(1, member.clone());
                Outcome::Admitted(1)
            }
            Command::Admit { member } => {
                self.members.insert(index, member.clone());
                Outcome::Admitted(index)
            }
            Command::Remove { node } => {
                self.members.remove(node);
                self.left.remove(node);
                if self.view.members.remove(node).is_some() {
                    self.view.epoch += 1;
                }
                Outcome::Done
            }
            Command::Enter { node, incarnation, addr } => {
                let Some(member) = self.members.get_mut(node) else {
                    return Outcome::Refused(format!("node {node} is not a member of this cluster any more"));
                };
                member.addr.clone_from(addr);
                self.left.remove(node);
                if self.view.members.insert(*node, *incarnation) != Some(*incarnation) {
                    self.view.epoch += 1;
                }
                Outcome::Done
            }
            Command::Leave { node, incarnation, by_itself } => {
                if self.view.has(*node, *incarnation) {
                    self.view.members.remove(node);
                    self.view.epoch += 1;
                    if *by_itself {
                        self.left.insert(*node);
                    }
                }
                Outcome::Done
            }
            Command::Users { number, change } => {
                match self.users.get_or_insert_default().apply_once(*number, change) {
                    Ok(Changed { revision, removed }) => Outcome::UsersChanged { revision, removed },
                    Err(error) => Outcome::Refused(error.to_string()),
                }
            }
        }
    }

    /// The member with this name and the highest number.
    pub fn named(&self, name: &str) -> Option<u64> {
        self.members.iter().rev().find(|(_, member)| member.name == name).map(|(node, _)| *node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acl::to_text;

    fn member(name: &str) -> Member {
        Member { name: name.into(), addr: format!("{name}:7379") }
    }

    #[test]
    fn states_of_before_there_were_users_are_read_and_written_as_before() {
        let old =
            r#"{"cluster_id":"c","members":{"1":{"name":"a","addr":"a:1"}},"view":{"epoch":0,"members":{}}}"#;
        let mut state: ClusterState = serde_json::from_str(old).unwrap();
        assert_eq!(state.users, None);
        assert_eq!(serde_json::to_string(&state).unwrap(), old);
        let set = |number, rules: &[&str]| {
            let rules = rules.iter().map(|rule| to_text(rule.as_bytes())).collect();
            Command::Users { number, change: Change::Set { name: "bob".into(), base: "off".into(), rules } }
        };
        assert_eq!(
            state.apply(3, &set(1, &["on", "nopass"])),
            Outcome::UsersChanged { revision: 1, removed: 0 }
        );
        assert!(matches!(state.apply(4, &set(2, &["<x"])), Outcome::Refused(_)));
        let again: ClusterState = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
        assert_eq!(again, state);
        let delete = Command::Users { number: 3, change: Change::Delete { names: vec!["bob".into()] } };
        assert_eq!(state.apply(5, &delete), Outcome::UsersChanged { revision: 2, removed: 1 });
    }

    #[test]
    fn numbers_are_log_indexes_and_the_epoch_grows_with_each_change_of_the_view() {
        let mut state = ClusterState::default();
        let found = Command::Found { cluster_id: "c".into(), member: member("a") };
        assert_eq!(state.apply(2, &found), Outcome::Admitted(1));
        assert!(matches!(state.apply(3, &found), Outcome::Refused(_)));
        assert_eq!(state.apply(9, &Command::Admit { member: member("b") }), Outcome::Admitted(9));
        let enter = |incarnation| Command::Enter { node: 9, incarnation, addr: "b:1".into() };
        assert_eq!(state.apply(10, &enter(5)), Outcome::Done);
        assert_eq!(state.apply(11, &enter(5)), Outcome::Done);
        assert_eq!((state.view.epoch, state.view.has(9, 5)), (1, true));
        state.apply(12, &enter(6));
        state.apply(13, &Command::Leave { node: 9, incarnation: 5, by_itself: false });
        assert_eq!(
            (state.view.epoch, state.view.has(9, 6)),
            (2, true),
            "an old incarnation cannot take the new one out"
        );
        state.apply(14, &Command::Remove { node: 9 });
        assert_eq!((state.view.epoch, state.members.len()), (3, 1));
        assert!(
            matches!(state.apply(15, &enter(7)), Outcome::Refused(_)),
            "who was removed does not come back"
        );
    }

    #[test]
    fn who_left_by_itself_is_known_until_it_is_back_and_older_nodes_read_the_rest() {
        let mut state = ClusterState::default();
        state.apply(2, &Command::Found { cluster_id: "c".into(), member: member("a") });
        let before = serde_json::to_string(&state).unwrap();
        let enter = |incarnation| Command::Enter { node: 1, incarnation, addr: "a:1".into() };
        let leave = |incarnation, by_itself| Command::Leave { node: 1, incarnation, by_itself };
        state.apply(3, &enter(5));
        state.apply(4, &leave(4, true));
        assert!(state.left.is_empty(), "an old incarnation says nothing about the new one");
        state.apply(5, &leave(5, true));
        assert_eq!(state.left, [1].into());
        let again: ClusterState = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
        assert_eq!(again, state);
        state.apply(6, &enter(6));
        assert!(state.left.is_empty());
        state.apply(7, &leave(6, false));
        assert!(state.left.is_empty(), "it was voted out");
        state.view.epoch = 0;
        assert_eq!(serde_json::to_string(&state).unwrap(), before.replace("a:7379", "a:1"));
        let old = r#"{"Leave":{"node":1,"incarnation":6}}"#;
        assert_eq!(serde_json::from_str::<Command>(old).unwrap(), leave(6, false));
        assert_eq!(serde_json::to_string(&leave(6, false)).unwrap(), old);
    }
}
