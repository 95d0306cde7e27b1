//! Where the users of a node are kept when that is the node's own affair: in its data folder, or in an ACL file.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
};

use tokio::sync::Mutex;

use super::{
    cluster_users::{ClusterUserStore, ClusterUsers},
    ports::client_addrs,
};
use crate::{
    Contents,
    acl::{Change, Changed, DEFAULT, FileError, Known, User, UserTable, Users, parse_file, write_file},
    config::{Settings, TlsClientAuth},
    lock::lock,
    raft::store::Disk,
    server::{Answer, Node, StoreError, UserStore},
};

/// Where the table lies in the data folder of a node on its own. A folder without it has no users.
const USERS_KEY: &[u8] = b"users";

/// Why users cannot be had, or must not be as they are.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// A file cannot be read.
    #[error("{setting} {file} cannot be read: {source}")]
    Unreadable {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        file: Contents,
        /// What the system said.
        source: io::Error,
    },
    /// The ACL file holds something else.
    #[error("--acl-file {}: {error}", path.display())]
    AclFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: FileError,
    },
    /// There is no password in the file.
    #[error("--password-file {0} is empty; a password is its first line")]
    NoPassword(Contents),
    /// Strangers could do what they like.
    #[error(
        "{0} can be reached from other machines, and clients need no password: give them one with \
         --password-file or --acl-file, or say --allow-anonymous"
    )]
    Open(SocketAddr),
}

/// The default user as long as nothing is kept of it. Fails if strangers could be it and nobody has asked for that: what
/// the data folder may hold does not count, since the first start has the same settings and nothing there.
pub(super) fn checked_default(settings: &Settings) -> Result<User, AccessError> {
    let default = default_user(settings)?;
    let users = match &settings.acl_file {
        Some(path) => Users::new(default.clone(), read(path)?),
        None => Users::new(default.clone(), []),
    };
    if users.default_user().is_open() && !settings.allow_anonymous {
        check_open(settings)?;
    }
    Ok(default)
}

/// With the password of the settings and the one before it, or with none.
pub(super) fn default_user(settings: &Settings) -> Result<User, AccessError> {
    let mut default = User::unrestricted(DEFAULT);
    let Some(file) = &settings.password_file else { return Ok(default) };
    let password = first_line("--password-file", file)?;
    if password.is_empty() {
        return Err(AccessError::NoPassword(file.clone()));
    }
    let before = settings.previous_password_file.as_ref();
    let before = match before.map(|file| first_line("--previous-password-file", file)) {
        // It is there only while passwords are changed.
        None => Vec::new(),
        Some(Err(AccessError::Unreadable { source, .. })) if source.kind() == io::ErrorKind::NotFound => {
            Vec::new()
        }
        Some(read) => read?,
    };
    for password in [password, before].iter().filter(|password| !password.is_empty()) {
        let added = default.apply(&[b">", password.as_slice()].concat(), Known::Table);
        debug_assert_eq!(added, Ok(()), "every password is one");
    }
    Ok(default)
}

fn first_line(setting: &'static str, file: &Contents) -> Result<Vec<u8>, AccessError> {
    let text =
        file.read().map_err(|source| AccessError::Unreadable { setting, file: file.clone(), source })?;
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(line.strip_suffix(b"\r").unwrap_or(line).to_vec())
}

/// The one place where the node's users are kept.
#[derive(Clone, Debug)]
pub(super) enum Keeper {
    /// This node's folder, or its ACL file.
    Local(Arc<Local>),
    /// The cluster.
    Cluster(Arc<ClusterUsers>),
}

impl Keeper {
    /// Who the default user is from now on, as long as nothing is kept of it. Over once every connection has felt it.
    pub(super) async fn set_default(&self, default: User) {
        match self {
            Self::Local(local) => {
                *lock(&local.default) = default;
                let table = local.table.lock().await;
                local.install(&table).await;
            }
            Self::Cluster(users) => users.set_default(default).await,
        }
    }

    /// The cluster's, if they are kept there.
    pub(super) fn cluster(&self) -> Option<Arc<ClusterUsers>> {
        match self {
            Self::Local(_) => None,
            Self::Cluster(users) => Some(Arc::clone(users)),
        }
    }
}

/// Begins with the users of the one place where they are kept, and returns that.
pub(super) async fn start(
    settings: &Settings,
    node: &Arc<Node>,
    disk: &Disk,
    default: User,
) -> Result<Keeper, super::RunError> {
    let local = match &settings.acl_file {
        Some(path) => LocalUsers::in_file(node, path, default)?,
        None if settings.peer_addr.is_none() => LocalUsers::in_folder(node, disk, default)?,
        None => {
            let users = ClusterUsers::new(node, default.clone());
            drop(node.install_users(Users::new(default, [])));
            node.set_user_store(Arc::new(ClusterUserStore(Arc::clone(&users))));
            return Ok(Keeper::Cluster(users));
        }
    };
    let keeper = Keeper::Local(Arc::clone(&local.0));
    local.start(node).await;
    Ok(keeper)
}

/// Refuses an address that others can reach.
fn check_open(settings: &Settings) -> Result<(), AccessError> {
    let addrs = client_addrs(settings);
    // A client that had to show a certificate is no stranger.
    let tls = addrs.tls.filter(|_| settings.tls_client_auth != TlsClientAuth::Required);
    let open = addrs.plain.into_iter().chain(tls).find(|addr| !addr.ip().to_canonical().is_loopback());
    open.map_or(Ok(()), |addr| Err(AccessError::Open(addr)))
}

/// The users of one node.
#[derive(Debug)]
pub(super) struct LocalUsers(Arc<Local>);

#[derive(Debug)]
pub(super) struct Local {
    /// Locked while a change is made, so that changes come one after the other to the disk and to the connections.
    table: Mutex<UserTable>,
    place: Place,
    /// The default user as long as nothing is kept of it.
    default: std::sync::Mutex<User>,
    /// The node holds this.
    node: Weak<Node>,
}

/// Where they are kept.
#[derive(Debug)]
enum Place {
    /// The data folder: every change.
    Folder(Disk),
    /// The ACL file: what ACL SAVE writes. Changes are in memory until then, as in Redis.
    File(PathBuf),
}

impl LocalUsers {
    /// The users of the data folder.
    pub(super) fn in_folder(node: &Arc<Node>, disk: &Disk, default: User) -> Result<Self, super::RunError> {
        let table: UserTable = disk.found(USERS_KEY)?.unwrap_or_default();
        Ok(Self::new(node, table, Place::Folder(disk.clone()), default))
    }

    /// The users of an ACL file.
    pub(super) fn in_file(node: &Arc<Node>, path: &Path, default: User) -> Result<Self, AccessError> {
        let table = UserTable::default().replaced(read(path)?);
        Ok(Self::new(node, table, Place::File(path.to_owned()), default))
    }

    fn new(node: &Arc<Node>, table: UserTable, place: Place, default: User) -> Self {
        let node = Arc::downgrade(node);
        let default = std::sync::Mutex::new(default);
        Self(Arc::new(Local { table: Mutex::new(table), place, default, node }))
    }

    /// Makes these users those of the node, before its first connection.
    pub(super) async fn start(self, node: &Node) {
        let users = self.0.users(&*self.0.table.lock().await);
        // Nobody is there yet whom it could take time to reach.
        drop(node.install_users(users));
        node.set_user_store(Arc::new(self));
    }
}

impl Local {
    fn users(&self, table: &UserTable) -> Users {
        table.users(lock(&self.default).clone())
    }

    async fn install(&self, table: &UserTable) {
        if let Some(node) = self.node.upgrade() {
            node.install_users(self.users(table)).await;
        }
    }
}

impl UserStore for LocalUsers {
    fn change(&self, change: Change) -> Answer<Result<Changed, StoreError>> {
        let local = Arc::clone(&self.0);
        Box::pin(async move {
            let mut table = local.table.lock().await;
            let mut next = table.clone();
            let changed = next.apply(&change)?;
            if let Place::Folder(disk) = &local.place {
                disk.put(USERS_KEY, &next).await.map_err(|error| {
                    tracing::error!(%error, "users could not be written to the data folder");
                    StoreError::Failed(format!("the change could not be written to the disk: {error}"))
                })?;
            }
            *table = next;
            local.install(&table).await;
            Ok(changed)
        })
    }

    fn load(&self) -> Answer<Result<(), StoreError>> {
        let local = Arc::clone(&self.0);
        Box::pin(async move {
            let Place::File(path) = &local.place else { return Err(StoreError::NoFile) };
            let mut table = local.table.lock().await;
            let users = read(path).map_err(|error| StoreError::Unreadable(error.to_string()))?;
            *table = table.replaced(users);
            local.install(&table).await;
            tracing::info!(path = %path.display(), "users read again");
            Ok(())
        })
    }

    fn save(&self) -> Answer<Result<(), StoreError>> {
        let local = Arc::clone(&self.0);
        Box::pin(async move {
            let Place::File(path) = &local.place else { return Err(StoreError::NoFile) };
            let table = local.table.lock().await;
            let users = local.users(&table);
            let text = write_file(users.iter().map(|user| &**user));
            let file = path.clone();
            let written = tokio::task::spawn_blocking(move || replace(&file, &text)).await;
            written.map_err(io::Error::other).flatten().map_err(|error| {
                tracing::error!(%error, path = %path.display(), "users could not be written to the ACL file");
                StoreError::NotSaved
            })
        })
    }
}

fn read(path: &Path) -> Result<Vec<User>, AccessError> {
    let unreadable = |source| AccessError::Unreadable { setting: "--acl-file", file: path.into(), source };
    let text = fs::read(path).map_err(unreadable)?;
    parse_file(&text).map_err(|error| AccessError::AclFile { path: path.to_owned(), error })
}

/// Writes a file that is whole at any moment. Only its owner can read it: hashes of passwords are for nobody else.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    io::Write::write_all(&mut file, text)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    fs::File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all())
}
