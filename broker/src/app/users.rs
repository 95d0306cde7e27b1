//! Where the users of a node on its own are kept.

use std::sync::{Arc, Weak};

use tokio::sync::Mutex;

use crate::{
    acl::{Change, Changed, DEFAULT, User, UserTable},
    raft::store::{Disk, DiskError},
    server::{Answer, Node, StoreError, UserStore},
};

/// Where the table lies in the data folder of a node on its own. A folder without it has no users.
const USERS_KEY: &[u8] = b"users";

/// The users of a node on its own: in its data folder.
#[derive(Debug)]
pub(super) struct LocalUsers(Arc<Local>);

#[derive(Debug)]
struct Local {
    /// Locked while a change is made, so that changes come one after the other to the disk and to the connections.
    table: Mutex<UserTable>,
    disk: Disk,
    /// The default user as long as nothing is kept of it.
    default: User,
    /// The node holds this.
    node: Weak<Node>,
}

impl LocalUsers {
    /// Makes the users of the data folder those of the node, before its first connection.
    pub(super) fn start(node: &Arc<Node>, disk: &Disk) -> Result<(), DiskError> {
        let table: UserTable = disk.found(USERS_KEY)?.unwrap_or_default();
        let default = User::unrestricted(DEFAULT);
        // Nobody is there yet whom it could take time to reach.
        drop(node.install_users(table.users(default.clone())));
        let local =
            Local { table: Mutex::new(table), disk: disk.clone(), default, node: Arc::downgrade(node) };
        node.set_user_store(Arc::new(Self(Arc::new(local))));
        Ok(())
    }
}

impl UserStore for LocalUsers {
    fn change(&self, change: Change) -> Answer<Result<Changed, StoreError>> {
        let local = Arc::clone(&self.0);
        Box::pin(async move {
            let mut table = local.table.lock().await;
            let mut next = table.clone();
            let changed = next.apply(&change)?;
            local.disk.put(USERS_KEY, &next).await.map_err(|error| {
                tracing::error!(%error, "users could not be written to the data folder");
                StoreError::Failed(format!("the change could not be written to the disk: {error}"))
            })?;
            *table = next;
            if let Some(node) = local.node.upgrade() {
                node.install_users(table.users(local.default.clone())).await;
            }
            Ok(changed)
        })
    }

    fn load(&self) -> Answer<Result<(), StoreError>> {
        Box::pin(std::future::ready(Err(StoreError::NoFile)))
    }

    fn save(&self) -> Answer<Result<(), StoreError>> {
        Box::pin(std::future::ready(Err(StoreError::NoFile)))
    }
}
