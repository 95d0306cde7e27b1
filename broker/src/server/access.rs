//! Who a connection is, and what changes when users do.

use std::{
    fmt,
    rc::Rc,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use carillon_proto::command::CommandSpec;

use super::{Answer, CloseReason, Node, Shard, cmd, connection::Connection, dispatch::Call, serve};
use crate::{
    acl::{
        AclLog, Change, ChangeError, Changed, Context, DEFAULT, Denied, LogEntry, Reason, User, Users,
        from_text,
    },
    hub::SubscriptionKind,
    lock::lock,
};

/// Where users are kept. A change is answered once it will not be lost any more and this node's connections have felt
/// it.
pub trait UserStore: fmt::Debug + Send + Sync {
    /// Makes a change.
    fn change(&self, change: Change) -> Answer<Result<Changed, StoreError>>;

    /// ACL LOAD: takes the users from the ACL file.
    fn load(&self) -> Answer<Result<(), StoreError>>;

    /// ACL SAVE: writes the users to the ACL file.
    fn save(&self) -> Answer<Result<(), StoreError>>;
}

/// Why users could not be changed, loaded or saved.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The change is not one that can be made.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// There is no ACL file.
    #[error(
        "This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER \
         command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store \
         users in the Redis configuration."
    )]
    NoFile,
    /// The ACL file cannot be read.
    #[error("{0} WARNING: ACL errors detected, no change to the previously active ACL rules was performed")]
    Unreadable(String),
    /// The ACL file could not be written; the log says why.
    #[error("There was an error trying to save the ACLs. Please check the server logs for more information")]
    NotSaved,
    /// It could not be made durable, or it is not known whether it was.
    #[error("{0}")]
    Failed(String),
}

impl StoreError {
    /// What the client is told.
    pub(crate) fn text(&self) -> Vec<u8> {
        match self {
            Self::Change(error @ ChangeError::Rule { .. }) => {
                [b"ERR ".to_vec(), from_text(&error.to_string())].concat()
            }
            error => format!("ERR {error}").into_bytes(),
        }
    }
}

/// The users of a node, and what they were denied.
#[derive(Debug)]
pub(crate) struct Access {
    users: Mutex<Arc<Users>>,
    log: Mutex<AclLog>,
    store: OnceLock<Arc<dyn UserStore>>,
    /// How often someone gave a wrong password, or a name that is none.
    wrong_passwords: AtomicU64,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            users: Mutex::new(Arc::new(Users::open())),
            log: Mutex::default(),
            store: OnceLock::new(),
            wrong_passwords: AtomicU64::new(0),
        }
    }
}

impl Access {
    pub(crate) fn users(&self) -> Arc<Users> {
        Arc::clone(&lock(&self.users))
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, AclLog> {
        lock(&self.log)
    }

    /// Where users are kept; there is none before the node has started.
    pub(crate) fn store(&self) -> Option<&Arc<dyn UserStore>> {
        self.store.get()
    }
}

impl Node {
    /// Says where users are kept. The first word counts.
    pub fn set_user_store(&self, store: Arc<dyn UserStore>) {
        let _ = self.access.store.set(store);
    }

    /// The users now.
    pub fn users(&self) -> Arc<Users> {
        self.access.users()
    }

    /// Makes these the node's users. What this returns is over once every connection has felt it.
    pub fn install_users(&self, users: Users) -> impl Future<Output = ()> + Send + use<> {
        let users = Arc::new(users);
        // Locked until all shards have been told: two changes must come to all of them in the same order.
        let mut current = lock(&self.access.users);
        *current = Arc::clone(&users);
        let felt = self.ask_shards(None, move |shard| shard.install_users(&users));
        drop(current);
        async move {
            for wait in felt {
                // A shard that has ended has no connections.
                let _ = wait.await;
            }
        }
    }
}

impl Shard {
    /// Makes these users those of every connection. As in Redis, who is not there any more is closed, and so is who is
    /// subscribed to something that it may not hear any more; who was disabled, or has another password, stays.
    fn install_users(&self, users: &Arc<Users>) {
        *self.users.borrow_mut() = Arc::clone(users);
        let is_owner = |connection: &Rc<Connection>| connection.session.borrow().is_owner;
        for connection in self.connections().into_iter().filter(|connection| !is_owner(connection)) {
            let old = Arc::clone(&connection.session.borrow().user);
            let is_same = |user: &&Arc<User>| user.created == old.created || *user.name == *DEFAULT;
            if let Some(user) = users.get(&old.name).filter(is_same) {
                connection.session.borrow_mut().user = Arc::clone(user);
                if !user.may_hear_everything() && self.hears_what_it_may_not(&connection) {
                    self.revoke(&connection, CloseReason::AccessRevoked);
                }
            } else {
                let mut session = connection.session.borrow_mut();
                session.user = Arc::clone(users.default_user());
                session.is_authenticated = false;
                drop(session);
                self.revoke(&connection, CloseReason::UserRemoved);
            }
            look_again(self, &connection);
        }
    }

    fn hears_what_it_may_not(&self, connection: &Connection) -> bool {
        let (hub, session) = (self.hub.borrow(), connection.session.borrow());
        SubscriptionKind::ALL.into_iter().any(|kind| {
            hub.subscriptions(connection.seat, kind)
                .any(|name| !session.user.may_hear(name, kind == SubscriptionKind::Pattern))
        })
    }

    /// Nothing that is published from now on reaches it, even if it closes a moment later.
    fn revoke(&self, connection: &Connection, reason: CloseReason) {
        serve::end_subscriptions(self, connection);
        connection.close(reason);
    }
}

/// Whether the connection has to say who it is before anything else.
pub(crate) fn needs_auth(shard: &Shard, connection: &Connection) -> bool {
    !connection.is_unchecked.get()
        && !connection.session.borrow().is_authenticated
        && !shard.users.borrow().default_user().is_open()
}

/// Finds out again whether the connection's commands have to be looked at. To be called whenever it becomes someone else,
/// or users have changed.
pub(crate) fn look_again(shard: &Shard, connection: &Connection) {
    let session = connection.session.borrow();
    let is_known = session.is_authenticated || shard.users.borrow().default_user().is_open();
    connection.is_unchecked.set(is_known && session.user.is_unrestricted());
}

/// Makes it one of the program that the node runs in, which may do everything whoever the users are, as long as it does
/// not say that it is one of them.
pub(crate) fn make_owner(connection: &Connection) {
    let mut session = connection.session.borrow_mut();
    session.user = Arc::clone(Users::open().default_user());
    (session.is_authenticated, session.is_owner) = (true, true);
    connection.is_unchecked.set(true);
}

/// Makes the connection one of this user, if the password is right. Returns whether it is.
pub(crate) fn log_in(call: &Call<'_>, user: &[u8], password: &[u8]) -> bool {
    let (shard, connection) = (call.shard, call.connection);
    let found = shard.users.borrow().authenticate(user, password).cloned();
    if let Some(user) = found {
        let mut session = connection.session.borrow_mut();
        session.user = user;
        (session.is_authenticated, session.is_owner) = (true, false);
        drop(session);
        look_again(shard, connection);
        return true;
    }
    let is_in_transaction = connection.session.borrow().transaction.is_some();
    let count = shard.node.access.wrong_passwords.fetch_add(1, Ordering::Relaxed) + 1;
    if count.is_power_of_two() {
        // What a stranger can make happen at will is told once in a while; ACL LOG has the rest.
        let (client, addr) = (connection.id, &connection.peer);
        tracing::warn!(client, addr, user = %user.escape_ascii(), count, "wrong password, or no such user");
    }
    note(shard, connection, is_in_transaction, Reason::Auth, call.arg(0), user);
    false
}

/// Notes in ACL LOG that a command was not run.
pub(crate) fn note_denied(call: &Call<'_>, spec: &CommandSpec, denied: Denied) {
    let (reason, object) = match denied {
        Denied::Command => (Reason::Command, spec.name.as_bytes()),
        Denied::Channel(at) => (Reason::Channel, call.arg(at)),
    };
    let connection = call.connection;
    connection.session.borrow_mut().last_command = spec.name;
    let user = Arc::clone(&connection.session.borrow().user);
    let is_in_transaction = call.is_queued || connection.session.borrow().transaction.is_some();
    note(call.shard, connection, is_in_transaction, reason, object, &user.name);
}

fn note(
    shard: &Shard,
    connection: &Connection,
    is_in_transaction: bool,
    reason: Reason,
    object: &[u8],
    user: &[u8],
) {
    let client = cmd::describe_client(shard, connection);
    shard.node.access.log().add(LogEntry {
        count: 1,
        reason,
        context: if is_in_transaction { Context::Multi } else { Context::Toplevel },
        object: object.to_vec(),
        username: user.to_vec(),
        client: client.trim_ascii_end().to_vec(),
        at: shard.node.started.elapsed(),
    });
}
