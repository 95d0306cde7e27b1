//! Nodes of a cluster in one process. In real life each is in a process of its own, on a host of its own, and the addresses
//! are known.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    path::Path,
};

use carillon_broker::{Contents, Settings};

/// The settings of `count` nodes that know each other, on free ports, with all that they keep in `folder`.
pub(crate) fn cluster(count: usize, folder: &Path) -> io::Result<Vec<Settings>> {
    let any_port = ([127, 0, 0, 1], 0);
    let secret = Contents::new("what only these nodes know, from openssl rand -hex 32");
    let free = (0..count).map(|_| UdpSocket::bind("127.0.0.1:0")).collect::<io::Result<Vec<_>>>()?;
    let peers = free.iter().map(UdpSocket::local_addr).collect::<io::Result<Vec<_>>>()?;
    let node = |(index, peer): (usize, &SocketAddr)| {
        Settings::default()
            .name(format!("n{index}"))
            .client_addr(any_port)
            .admin_addr(any_port)
            .peer_addr(*peer)
            .peers(peers.iter().map(ToString::to_string))
            .cluster_secret_file(secret.clone())
            .data_dir(folder.join(format!("n{index}")))
    };
    Ok(peers.iter().enumerate().map(node).collect())
}
