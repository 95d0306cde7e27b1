//! `carillon dev`: a whole cluster in one process, to develop and to show with.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use super::{RunError, serve_here};
use crate::{cli::DevSettings, config::Settings, server::Log};

/// Runs the nodes until they are stopped by a signal, or until one of them fails. `defaults` are the settings
/// that `carillon serve` has without flags.
pub fn dev(settings: &DevSettings, defaults: &Settings, log: &Log) -> Result<(), RunError> {
    fs::create_dir_all(&settings.data_dir)?;
    let secret = secret_file(&settings.data_dir.join("secret"))?;
    let addr = |port: u16, index: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port.saturating_add(index)));
    let (ended, ends) = std::sync::mpsc::channel();
    for index in 0..settings.nodes {
        let mut node = defaults.clone();
        node.name = format!("n{}", index + 1);
        node.client_addr = addr(settings.client_port, index);
        node.admin_addr = addr(settings.admin_port, index);
        node.data_dir = settings.data_dir.join(&node.name);
        node.peer_addr = Some(addr(settings.peer_port, index));
        node.peers = (0..settings.nodes).map(|peer| addr(settings.peer_port, peer).to_string()).collect();
        node.cluster_secret_file = Some(secret.clone());
        let (ended, log) = (ended.clone(), log.clone());
        std::thread::Builder::new().name(node.name.clone()).spawn(move || {
            let _ = ended.send(serve_here(&node, None, log));
        })?;
    }
    drop(ended);
    // All of them hear the signal; one that fails ends the process, and with it the others.
    ends.into_iter().collect()
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
