//! A node that is all of its process: stopped by signals, known to systemd, with a configuration that is read again.

mod reload;

use std::{io, sync::Arc, time::Duration};

use super::{RunError, prepared::Prepared};
use crate::{
    config::{Settings, Sources},
    server::{Log, Node},
};

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
        let (node, member) = (Arc::clone(&prepared.node), prepared.operators.member.clone());
        tokio::spawn(watched.follow(node, prepared.users.clone(), member)?);
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
