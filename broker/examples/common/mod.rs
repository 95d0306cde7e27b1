//! Nodes of a cluster in one process. In real life each is in a process of its own, on a host of its own, and the addresses
//! are known.

use std::{fs, io, net::UdpSocket, path::Path};

use carillon_broker::config::Settings;

/// The settings of `count` nodes that know each other, on free ports, with all that they keep in `folder`.
pub(crate) fn cluster(count: usize, folder: &Path) -> io::Result<Vec<Settings>> {
    let loopback = |port| ([127, 0, 0, 1], port).into();
    let secret = folder.join("secret");
    fs::write(&secret, "what only these nodes know, from openssl rand -hex 32\n")?;
    let free = (0..count).map(|_| UdpSocket::bind("127.0.0.1:0")).collect::<io::Result<Vec<_>>>()?;
    let peers = free.iter().map(UdpSocket::local_addr).collect::<io::Result<Vec<_>>>()?;
    let node = |(index, peer): (usize, &std::net::SocketAddr)| Settings {
        name: format!("n{index}"),
        client_addr: loopback(0),
        admin_addr: loopback(0),
        peer_addr: Some(*peer),
        peers: peers.iter().map(ToString::to_string).collect(),
        cluster_secret_file: Some(secret.clone()),
        data_dir: folder.join(format!("n{index}")),
        ..Settings::default()
    };
    Ok(peers.iter().enumerate().map(node).collect())
}
