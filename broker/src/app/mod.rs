//! The composition root: the only folder that knows every layer.

mod clients;
mod cluster_users;
mod dev;
mod embedded;
mod member;
mod metrics;
mod operators;
mod plane;
mod ports;
mod prepared;
mod recorder;
mod reload;
mod users;

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use crate::{
    admin::AdminError,
    cluster::StartError,
    config::{Settings, SettingsError, Sources},
    mesh::quic::EndpointError,
    raft::store::DiskError,
    server::{ListenError, Log, Node, TlsError},
};
use prepared::Prepared;

pub use dev::dev;
pub use embedded::Broker;
pub use users::AccessError;

/// Why a node could not start, or did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Settings that do not go together.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// An address could not be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Who may do what.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The client port's certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The admin address could not be listened on.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The peer address could not be listened on, or its credentials cannot be used.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The data folder.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The cluster.
    #[error(transparent)]
    Cluster(#[from] StartError),
    /// A single node's data folder is corrupt, and only its owner may put it aside.
    #[error("{error}; 'carillon set-aside --data-dir {path}' renames it, and the node starts without it")]
    Corrupt {
        /// What is wrong.
        error: DiskError,
        /// The folder.
        path: String,
    },
    /// The disk failed while the node ran.
    #[error(
        "the data folder could not be written; the node stops rather than acknowledge what it cannot keep"
    )]
    DiskFailed,
    /// The node stopped while it was starting.
    #[error("the node stopped while it was starting")]
    Ended,
    /// A file that a setting names cannot be used.
    #[error("{setting} {}: {error}", path.display())]
    File {
        /// The setting.
        setting: &'static str,
        /// Its value.
        path: PathBuf,
        /// What is wrong with it.
        error: io::Error,
    },
    /// The system refused something else.
    #[error("the system refused what a node needs: {0}")]
    Io(#[from] io::Error),
}

impl RunError {
    /// The exit status, from sysexits.h: 64 for settings, 70 for a corrupt store, 1 for the rest.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Settings(_) | Self::Access(_) | Self::Tls(_) | Self::File { .. } => 64,
            Self::Corrupt { .. } => 70,
            _ => 1,
        }
    }
}

/// Finds whatever can be found to be wrong with settings without binding and writing anything.
pub fn check(settings: &Settings) -> Result<(), RunError> {
    settings.check()?;
    if settings.peer_addr.is_some() {
        member::credentials(settings)?;
    }
    users::checked_default(settings)?;
    ports::load_tls(settings)?;
    Ok(())
}

/// How long a node that has stopped waits for what cannot be broken off.
const LAST_LOOKUPS_TIME_MAX: Duration = Duration::from_millis(500);

/// Runs a node on this thread, which must not run a runtime. See [`serve`].
pub fn serve_here(settings: &Settings, sources: Option<Sources>, log: Log) -> Result<(), RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(serve(settings, sources, log));
    // Looking up a name cannot be broken off, and takes half a minute where the name server does not answer.
    runtime.shutdown_timeout(LAST_LOOKUPS_TIME_MAX);
    ended
}

/// Runs a node until a signal or SHUTDOWN stops it. At SIGHUP it reads its `sources` again, if it has any; without,
/// that signal is none of its business. `log` changes what is logged meanwhile.
pub async fn serve(settings: &Settings, sources: Option<Sources>, log: Log) -> Result<(), RunError> {
    // Nodes that share a process are no service of systemd's.
    let is_service = sources.is_some();
    let watched = sources.map(|sources| reload::Watched::begin(sources, settings));
    let prepared = Prepared::new(settings.clone(), log).await?;
    tokio::spawn(stop_on_signal(Arc::clone(&prepared.node))?);
    if let Some(watched) = watched {
        tokio::spawn(watched.follow(Arc::clone(&prepared.node), prepared.users.clone())?);
    }
    if is_service {
        tell_systemd(sd_notify::NotifyState::Ready);
        let node = Arc::clone(&prepared.node);
        tokio::spawn(async move {
            node.stopped().await;
            tell_systemd(sd_notify::NotifyState::Stopping);
        });
    }
    Box::pin(prepared.run()).await
}

/// Tells systemd how the node is, if that has started it and wants to know.
fn tell_systemd(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "systemd could not be told how the node is");
    }
}

fn stop_on_signal(node: Arc<Node>) -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        let signal = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal, "asked to stop");
        node.stop();
    })
}
