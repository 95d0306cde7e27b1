//! `carillon dev`: a whole cluster in one process, to develop and to show with.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use carillon_broker::{Broker, app::RunError, config::Settings, server::Log};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};

use crate::cli::DevSettings;

/// Runs the nodes until they are stopped by a signal, or until one of them ends. `defaults` are the settings that
/// `carillon serve` has without flags.
pub fn run(settings: &DevSettings, defaults: &Settings, log: &Log) -> Result<(), RunError> {
    fs::create_dir_all(&settings.data_dir)?;
    let secret = secret_file(&settings.data_dir.join("secret"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let mut nodes = Vec::new();
        for index in 0..settings.nodes {
            nodes.push(Broker::start_with(node(settings, defaults, &secret, index), log.clone()).await?);
        }
        let mut ends = JoinSet::new();
        let (stop, stopped) = tokio::sync::watch::channel(false);
        for mut node in nodes {
            let mut stopped = stopped.clone();
            ends.spawn(async move {
                tokio::select! {
                    ended = node.ended() => return ended,
                    _ = stopped.wait_for(|is_stopped| *is_stopped) => {}
                }
                node.shutdown().await
            });
        }
        // One that ends by itself takes the others with it: what is shown is a cluster that is whole.
        let first = tokio::select! {
            first = ends.join_next() => first,
            _ = terminate.recv() => None,
            _ = interrupt.recv() => None,
        };
        stop.send_replace(true);
        let mut results = Vec::from_iter(first);
        while let Some(ended) = ends.join_next().await {
            results.push(ended);
        }
        results.into_iter().try_for_each(|ended| ended.unwrap_or(Err(RunError::Ended)))
    })
}

/// The settings of one of the nodes.
fn node(settings: &DevSettings, defaults: &Settings, secret: &Path, index: u16) -> Settings {
    let addr = |port: u16, index: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port.saturating_add(index)));
    let name = format!("n{}", index + 1);
    defaults
        .clone()
        .client_addr(addr(settings.client_port, index))
        .admin_addr(addr(settings.admin_port, index))
        .data_dir(settings.data_dir.join(&name))
        .peer_addr(addr(settings.peer_port, index))
        .peers((0..settings.nodes).map(|peer| addr(settings.peer_port, peer).to_string()))
        .cluster_secret_file(secret)
        .name(name)
}

/// The secret in a file that only its owner can read, made if it is not there.
fn secret_file(path: &Path) -> io::Result<PathBuf> {
    if !path.exists() {
        let secret = format!("{:032x}{:032x}\n", rand::random::<u128>(), rand::random::<u128>());
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        file.and_then(|mut file| io::Write::write_all(&mut file, secret.as_bytes()))?;
    }
    Ok(path.to_owned())
}
