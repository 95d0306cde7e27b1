//! The composition root: the only folder that knows every layer.

mod clients;
mod cluster_users;
mod dev;
mod member;
mod metrics;
mod operators;
mod plane;
mod ports;
mod recorder;
mod reload;
mod users;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use ahash::RandomState;

use crate::{
    admin::{Admin, AdminError, Token},
    cluster::StartError,
    config::{Settings, SettingsError, Sources},
    mesh::quic::EndpointError,
    raft::store::{Disk, DiskError, set_aside},
    server::{ListenError, Listeners, LiveSettings, Log, Node, NodeSettings, TlsError},
};
use member::MemberNode;
use operators::Operators;
use recorder::Recorder;

pub use dev::dev;
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

/// Runs a node on this thread, which must not run a runtime. See [`serve`].
pub fn serve_here(settings: &Settings, sources: Option<Sources>, log: Log) -> Result<(), RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(settings, sources, log))
}

/// Runs a node until a signal or SHUTDOWN stops it. At SIGHUP it reads its `sources` again, if it has any; without,
/// that signal is none of its business. `log` changes what is logged meanwhile.
pub async fn serve(settings: &Settings, sources: Option<Sources>, log: Log) -> Result<(), RunError> {
    settings.check()?;
    // Nodes that share a process are no service of systemd's.
    let is_service = sources.is_some();
    let watched = sources.map(|sources| reload::Watched::begin(sources, settings));
    let (default, tls) = (users::checked_default(settings)?, ports::load_tls(settings)?);
    let is_member = settings.peer_addr.is_some();
    // A member's port opens when it is in the view: until then no client may get as far as the backlog.
    let listeners = if is_member { None } else { Some(Listeners::bind(ports::client_addrs(settings))?) };
    let client_addrs = match &listeners {
        Some(listeners) => listeners.addrs.clone(),
        None => ports::client_addrs(settings).check()?,
    };
    let admin = Admin::bind(settings.admin_addr).await?;
    // Whatever may be wrong with the settings is found before anything is written.
    let token = settings.admin_token_file.as_deref().map(admin_token).transpose()?;
    let credentials = is_member.then(|| member::credentials(settings)).transpose()?;
    let disk = open_disk(settings, is_member)?;
    let node_settings = node_settings(settings, client_addrs.port(), log);
    let node = Node::new(node_settings, is_member, RandomState::new(), random_hex()?);
    let users = users::start(settings, &node, &disk, default).await?;
    if let Some(tls) = tls {
        let _ = node.tls.set(tls);
    }
    let shards = node.start()?;
    tokio::spawn(stop_on_signal(Arc::clone(&node))?);
    if let Some(watched) = watched {
        tokio::spawn(watched.follow(Arc::clone(&node), users.clone())?);
    }
    tracing::info!(
        name = settings.name,
        client_addr = client_addrs.plain.map(tracing::field::display),
        tls_addr = client_addrs.tls.map(tracing::field::display),
        admin_addr = %admin.addr,
        data_dir = %disk.path().display(),
        shards = settings.shards,
        version = env!("CARGO_PKG_VERSION"),
        "started"
    );
    let recorder = Recorder::new(Arc::clone(&node));
    let member = credentials.map(|credentials| {
        Arc::new(MemberNode::new(Arc::clone(&node), credentials, users.cluster(), Arc::clone(&recorder)))
    });
    let operators = Arc::new(Operators {
        name: settings.name.clone(),
        node: Arc::clone(&node),
        member: member.clone(),
        recorder: Arc::clone(&recorder),
    });
    let of_recorder = Arc::clone(&operators);
    let recording = tokio::spawn(async move { recorder.run(|| of_recorder.cluster()).await });
    let admin = tokio::spawn(admin.serve(operators, token));
    if is_service {
        tell_systemd(sd_notify::NotifyState::Ready);
    }
    let result = match (&member, listeners) {
        (None, None) => unreachable!("a node on its own listens from the start"),
        (None, Some(listeners)) => {
            tracing::info!("ready for clients");
            listeners.serve(Arc::clone(&node), std::future::pending()).await.map_err(RunError::from)
        }
        (Some(member), _) => {
            tokio::select! {
                ended = member.run(settings, disk) => ended,
                ended = member.keep_port(client_addrs) => ended.map_err(RunError::from),
                () = stopped_and_left(&node, member, settings) => Ok(()),
            }
        }
    };
    if is_service {
        tell_systemd(sd_notify::NotifyState::Stopping);
    }
    tracing::info!(clients = node.clients(), "stopping: answering what clients have sent, then closing");
    node.stop();
    node.close_clients(Duration::ZERO).await;
    node.end();
    join(shards).await?;
    admin.abort();
    recording.abort();
    tracing::info!("stopped");
    result
}

/// Tells systemd how the node is, if that has started it and wants to know.
fn tell_systemd(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "systemd could not be told how the node is");
    }
}

async fn stopped_and_left(node: &Node, member: &MemberNode, settings: &Settings) {
    node.stopped().await;
    member.leave(Duration::from_millis(settings.drain_ms)).await;
}

fn admin_token(path: &Path) -> Result<Token, RunError> {
    Token::read(path).map_err(|error| RunError::File {
        setting: "--admin-token-file",
        path: path.to_owned(),
        error,
    })
}

/// Opens the data folder. A member of a cluster can do without a corrupt one: it joins as a new node.
fn open_disk(settings: &Settings, is_member: bool) -> Result<Disk, RunError> {
    let path = &settings.data_dir;
    match Disk::open(path) {
        Err(error @ DiskError::Corrupt { .. }) if is_member => {
            let aside = set_aside(path)?;
            tracing::error!(%error, aside = %aside.display(), "set aside; this node joins its cluster as a new one");
            Ok(Disk::open(path)?)
        }
        Err(error @ DiskError::Corrupt { .. }) => {
            Err(RunError::Corrupt { error, path: path.display().to_string() })
        }
        opened => Ok(opened?),
    }
}

fn node_settings(settings: &Settings, tcp_port: u16, log: Log) -> NodeSettings {
    NodeSettings {
        shards: settings.shards.into(),
        argument_bytes_max: settings.payload_bytes_max as usize,
        user_timeout_ms: settings.tcp_user_timeout_ms,
        tcp_port,
        live: LiveSettings::new(settings, log),
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

async fn join(shards: Vec<JoinHandle<()>>) -> io::Result<()> {
    for shard in shards {
        let ended = tokio::task::spawn_blocking(move || shard.join()).await;
        if !matches!(ended, Ok(Ok(()))) {
            return Err(io::Error::other("a shard ended with a panic; its message is above"));
        }
    }
    Ok(())
}

fn random_hex() -> io::Result<String> {
    let mut bytes = [0; 20];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    Ok(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect())
}
