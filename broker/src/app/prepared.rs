//! A node between its settings and its end: set up, then run.

use std::{io, sync::Arc, thread::JoinHandle, time::Duration};

use ahash::RandomState;

use super::{
    RunError,
    member::{self, MemberNode},
    operators::Operators,
    plane, ports,
    recorder::Recorder,
    users::{self, Keeper},
};
use crate::{
    Contents,
    admin::{Admin, Token},
    config::Settings,
    raft::store::{Disk, DiskError, set_aside},
    server::{ClientAddrs, Listeners, LiveSettings, Log, Node, NodeSettings, ReservedPorts},
};

/// Where clients arrive.
enum ClientPorts {
    /// Those of a node on its own.
    Open(Listeners),
    /// Those of a member of a cluster: they open when it is in the view, and until then no client may get as far as the
    /// backlog.
    Reserved(ReservedPorts),
}

impl ClientPorts {
    fn addrs(&self) -> &ClientAddrs {
        match self {
            Self::Open(listeners) => &listeners.addrs,
            Self::Reserved(ports) => &ports.addrs,
        }
    }
}

/// A node whose addresses are bound and whose shards run. It does nothing yet.
pub(super) struct Prepared {
    pub(super) node: Arc<Node>,
    pub(super) operators: Arc<Operators>,
    #[cfg_attr(not(feature = "service"), expect(dead_code, reason = "a service reads passwords again"))]
    pub(super) users: Keeper,
    /// Where clients are to arrive, with the ports that were chosen where 0 was asked for.
    pub(super) client_addrs: ClientAddrs,
    settings: Settings,
    disk: Disk,
    shards: Vec<JoinHandle<()>>,
    ports: ClientPorts,
    pub(super) admin: Admin,
    token: Option<Token>,
    last_words: LastWords,
}

impl Prepared {
    /// Sets it up. Whatever may be wrong with the settings is found before anything is written.
    pub(super) async fn new(settings: Settings, log: Log) -> Result<Self, RunError> {
        settings.check()?;
        let (default, tls) = (users::checked_default(&settings)?, ports::load_tls(&settings)?);
        let is_member = settings.peer_addr.is_some();
        // Before the clients' port, which is what the world waits for: who can connect there finds the operators' port, too.
        let admin = Admin::bind(settings.admin_addr).await?;
        let wanted = ports::client_addrs(&settings);
        let ports = if is_member {
            ClientPorts::Reserved(wanted.reserve()?)
        } else {
            ClientPorts::Open(Listeners::bind(wanted)?)
        };
        let client_addrs = ports.addrs().clone();
        let token = settings.admin_token_file.as_ref().map(admin_token).transpose()?;
        let credentials = is_member.then(|| member::credentials(&settings)).transpose()?;
        let disk = open_disk(&settings, is_member)?;
        let node_settings = node_settings(&settings, client_addrs.port(), log);
        let node = Node::new(node_settings, is_member, RandomState::new(), random_hex()?);
        let users = users::start(&settings, &node, &disk, default).await?;
        if let Some(tls) = tls {
            let _ = node.tls.set(tls);
        }
        if !is_member {
            plane::set_lone_relay(&node, member::plane_settings(&settings));
        }
        let shards = node.start()?;
        let last_words = LastWords(Arc::clone(&node));
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
            let (node, recorder) = (Arc::clone(&node), Arc::clone(&recorder));
            Arc::new(MemberNode::new(node, credentials, users.cluster(), recorder))
        });
        let name = settings.name.clone();
        let operators = Arc::new(Operators { name, node: Arc::clone(&node), member, recorder });
        Ok(Self {
            node,
            operators,
            users,
            client_addrs,
            settings,
            disk,
            shards,
            ports,
            admin,
            token,
            last_words,
        })
    }

    /// Serves until the node is told to stop, or cannot go on. Nothing of it is left when this returns.
    pub(super) async fn run(self) -> Result<(), RunError> {
        let Self {
            node,
            operators,
            settings,
            disk,
            shards,
            ports,
            admin,
            token,
            last_words: _last_words,
            ..
        } = self;
        let member = operators.member.clone();
        let of_recorder = Arc::clone(&operators);
        let recording = tokio::spawn(async move { of_recorder.recorder.run(|| of_recorder.cluster()).await });
        let admin = tokio::spawn(admin.serve(operators, token));
        let result = match (member, ports) {
            (Some(member), ClientPorts::Reserved(ports)) => run_member(member, settings, disk, ports).await,
            (None, ClientPorts::Open(listeners)) => {
                tracing::info!("ready for clients");
                listeners.serve(Arc::clone(&node), std::future::pending()).await.map_err(RunError::from)
            }
            _ => unreachable!("a node on its own listens from the start, a member when it is in the view"),
        };
        tracing::info!(clients = node.clients(), "stopping: answering what clients have sent, then closing");
        node.stop();
        node.close_clients(Duration::ZERO).await;
        node.end();
        let joined = join(shards).await;
        recording.abort();
        admin.abort();
        // Until it has, it listens.
        let _ = tokio::join!(recording, admin);
        joined?;
        tracing::info!("stopped");
        result
    }
}

/// When the runtime ends before the node, this is all that is left to run: without it the shards would serve on, for nobody.
struct LastWords(Arc<Node>);

impl Drop for LastWords {
    fn drop(&mut self) {
        self.0.stop();
        self.0.end();
    }
}

/// Is a member until the node is told to stop and has left, or cannot go on.
async fn run_member(
    member: Arc<MemberNode>,
    settings: Settings,
    disk: Disk,
    ports: ReservedPorts,
) -> Result<(), RunError> {
    let left = async {
        member.node.stopped().await;
        member.leave(Duration::from_millis(settings.drain_ms)).await;
    };
    let ended = tokio::select! {
        ended = member.run(&settings, disk) => ended,
        ended = member.keep_port(&ports) => ended.map_err(RunError::from),
        () = left => Ok(()),
    };
    member.forget_cluster();
    ended
}

fn admin_token(file: &Contents) -> Result<Token, RunError> {
    let setting = "--admin-token-file";
    Token::read(file).map_err(|error| RunError::File { setting, file: file.clone(), error })
}

/// Opens the data folder. A member of a cluster can do without a corrupt one: it joins as a new node.
pub(super) fn open_disk(settings: &Settings, is_member: bool) -> Result<Disk, RunError> {
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
