//! All users of a node at a moment.

use std::{collections::BTreeMap, sync::Arc};

use super::User;

/// The user of everyone who has not said otherwise.
pub const DEFAULT: &[u8] = b"default";

/// Users by name. There is always a default user.
#[derive(Clone, Debug)]
pub struct Users {
    by_name: BTreeMap<Box<[u8]>, Arc<User>>,
    default: Arc<User>,
}

impl Users {
    /// These users, and `default` if there is no default user among them.
    pub fn new(mut default: User, users: impl IntoIterator<Item = User>) -> Self {
        default.name = DEFAULT.into();
        let mut by_name: BTreeMap<Box<[u8]>, Arc<User>> =
            users.into_iter().map(|user| (user.name.clone(), Arc::new(user))).collect();
        let default = Arc::clone(by_name.entry(DEFAULT.into()).or_insert_with(|| Arc::new(default)));
        Self { by_name, default }
    }

    /// Everyone may do everything.
    pub fn open() -> Self {
        Self::new(User::unrestricted(DEFAULT), [])
    }

    /// The user of this name.
    pub fn get(&self, name: &[u8]) -> Option<&Arc<User>> {
        self.by_name.get(name)
    }

    /// The default user.
    pub fn default_user(&self) -> &Arc<User> {
        &self.default
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<User>> {
        self.by_name.values()
    }

    /// The user of this name, if it is one whose password this is.
    pub fn authenticate(&self, name: &[u8], password: &[u8]) -> Option<&Arc<User>> {
        self.get(name).filter(|user| user.accepts(password))
    }
}
