//! What is kept of users: the same on a disk, in Raft's log and snapshots, and in an ACL file.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::{
    User, Users,
    rule::{Known, RuleError},
};

/// Most users: each node looks through all of them when one changes.
const USERS_MAX: usize = 10_000;

/// Longest description of a user, in bytes. It is sent to every node and checked for every command of the user.
const USER_BYTES_MAX: usize = 64 * 1024;

/// Changes whose numbers are remembered: many more than can be on their way at a time, since each waits at most for some
/// seconds.
const RECENT_MAX: usize = 64;

/// A change of users. Names and rules are bytes in the form of [`to_text`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// ACL SETUSER. Rules hold no passwords, only hashes.
    Set {
        /// Whom.
        name: String,
        /// The rules that make what the user is as long as nothing is kept of it: the default user's own.
        base: String,
        /// The rules to apply.
        rules: Vec<String>,
    },
    /// ACL DELUSER.
    Delete {
        /// Whom.
        names: Vec<String>,
    },
}

/// Log entries are shown in logs, where hashes of passwords have no place.
impl fmt::Debug for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set { name, rules, .. } => {
                write!(formatter, "Set({name:?}, {} rules)", rules.len())
            }
            Self::Delete { names } => write!(formatter, "Delete({names:?})"),
        }
    }
}

/// What has come of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The table's number from then on.
    pub revision: u64,
    /// How many users were removed.
    pub removed: u64,
}

/// Why a change is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// One of the rules.
    #[error("Error in ACL SETUSER modifier '{rule}': {error}")]
    Rule {
        /// The rule, in the form of [`to_text`].
        rule: String,
        /// What is wrong with it.
        error: RuleError,
    },
    /// There are as many users as there may be.
    #[error("there are {USERS_MAX} users already, which is the most")]
    TooManyUsers,
    /// A user has more rules than it may have.
    #[error("the rules of user '{0}' take more than {USER_BYTES_MAX} bytes")]
    TooManyRules(String),
}

/// What is kept of one user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    /// The table's revision when this user was made.
    created: u64,
    rules: String,
}

/// Users as text. Every node of a cluster has the same table after the same changes, also when it knows fewer
/// commands than the rules name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserTable {
    /// How often it has changed.
    pub revision: u64,
    users: BTreeMap<String, Kept>,
    /// The latest changes that had a number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    recent: Vec<(u64, Changed)>,
}

impl UserTable {
    /// A table of these users instead. Those who are there still are the same.
    #[must_use]
    pub fn replaced(&self, users: impl IntoIterator<Item = User>) -> Self {
        let revision = self.revision + 1;
        let kept = users.into_iter().map(|user| {
            let name = to_text(&user.name);
            let created = self.users.get(&name).map_or(revision, |kept| kept.created);
            (name, Kept { created, rules: to_text(&user.describe()) })
        });
        Self { revision, users: kept.collect(), recent: Vec::new() }
    }

    /// Makes a change once: whoever does not know whether a change was made asks for it again, with the same number.
    pub fn apply_once(&mut self, number: u64, change: &Change) -> Result<Changed, ChangeError> {
        if let Some((_, changed)) = self.recent.iter().find(|(known, _)| *known == number) {
            return Ok(*changed);
        }
        let changed = self.apply(change)?;
        if self.recent.len() >= RECENT_MAX {
            self.recent.remove(0);
        }
        self.recent.push((number, changed));
        Ok(changed)
    }

    /// Makes a change, or none if any of it is refused.
    pub fn apply(&mut self, change: &Change) -> Result<Changed, ChangeError> {
        let mut removed = 0;
        match change {
            Change::Set { name, base, rules } => {
                let kept = self.users.get(name);
                if kept.is_none() && self.users.len() >= USERS_MAX {
                    return Err(ChangeError::TooManyUsers);
                }
                let created = kept.map_or(self.revision + 1, |kept| kept.created);
                let mut user = rebuilt(name, kept.map_or(base, |kept| &kept.rules), created);
                for rule in rules {
                    user.apply(&from_text(rule), Known::Any)
                        .map_err(|error| ChangeError::Rule { rule: rule.clone(), error })?;
                }
                let rules = to_text(&user.describe());
                if rules.len() > USER_BYTES_MAX {
                    return Err(ChangeError::TooManyRules(name.clone()));
                }
                self.users.insert(name.clone(), Kept { created, rules });
            }
            Change::Delete { names } => {
                removed = names.iter().filter(|name| self.users.remove(*name).is_some()).count() as u64;
            }
        }
        self.revision += 1;
        Ok(Changed { revision: self.revision, removed })
    }

    /// The users. `default` is the default user as long as the table has none.
    pub fn users(&self, default: User) -> Users {
        let kept = self.users.iter();
        Users::new(default, kept.map(|(name, kept)| rebuilt(name, &kept.rules, kept.created)))
    }
}

/// A user made of kept rules. One with a rule that this version cannot read may do nothing: the rule may be one that
/// forbids.
fn rebuilt(name: &str, rules: &str, created: u64) -> User {
    let new = || {
        let mut user = User::new(&from_text(name));
        user.created = created;
        user
    };
    let mut user = new();
    let rules = from_text(rules);
    let words = rules.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let is_readable = super::merge_selectors(words)
        .is_ok_and(|rules| rules.iter().all(|rule| user.apply(rule, Known::Any).is_ok()));
    if is_readable { user } else { new() }
}

/// Bytes as text that JSON can hold: each byte is the character of its number.
pub fn to_text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// The bytes of [`to_text`]. Other characters, which it never makes, become question marks.
pub fn from_text(text: &str) -> Vec<u8> {
    text.chars().map(|character| u8::try_from(u32::from(character)).unwrap_or(b'?')).collect()
}
