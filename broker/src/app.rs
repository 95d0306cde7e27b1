//! The composition root: the only file that knows every layer.

use std::{io, sync::Arc, thread::JoinHandle};

use ahash::RandomState;

use crate::{
    config::ServeSettings,
    server::{ListenError, Listeners, Liveness, Node, NodeSettings},
};

/// Bytes that may wait for one client: Redis's defaults for pub/sub clients.
const OUTBOX_HARD_BYTES: usize = 32 * 1024 * 1024;
/// Bytes that may wait for one client for [`OUTBOX_SOFT_S`] only.
const OUTBOX_SOFT_BYTES: usize = 8 * 1024 * 1024;
/// Seconds above the soft limit after which a client is closed.
const OUTBOX_SOFT_S: u64 = 60;

/// Why a node could not start, or did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// An address could not be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The system refused something else.
    #[error("the system refused what a node needs: {0}")]
    Io(#[from] io::Error),
}

/// Runs a node until a signal or SHUTDOWN stops it.
pub async fn serve(settings: &ServeSettings) -> Result<(), RunError> {
    let listeners = Listeners::bind(settings.client_addr, settings.client_unix.as_deref())?;
    let node =
        Node::new(node_settings(settings, listeners.addr.port()), false, RandomState::new(), random_hex()?);
    let shards = node.start()?;
    tracing::info!(
        name = settings.name,
        client_addr = %listeners.addr,
        shards = settings.shards,
        version = env!("CARGO_PKG_VERSION"),
        "ready for clients"
    );
    tokio::spawn(stop_on_signal(Arc::clone(&node))?);
    listeners.serve(Arc::clone(&node)).await?;
    tracing::info!(clients = node.clients(), "stopping: answering what clients have sent, then closing");
    node.drain();
    join(shards).await?;
    tracing::info!("stopped");
    Ok(())
}

fn node_settings(settings: &ServeSettings, tcp_port: u16) -> NodeSettings {
    NodeSettings {
        shards: settings.shards.into(),
        clients_max: settings.clients_max,
        argument_bytes_max: settings.payload_bytes_max as usize,
        liveness: Liveness {
            keepalive_s: settings.tcp_keepalive_s,
            user_timeout_ms: settings.tcp_user_timeout_ms,
        },
        outbox_hard_bytes: OUTBOX_HARD_BYTES,
        outbox_soft_bytes: OUTBOX_SOFT_BYTES,
        outbox_soft_s: OUTBOX_SOFT_S,
        tcp_port,
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
