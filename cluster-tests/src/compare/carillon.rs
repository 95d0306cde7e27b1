//! Carillon, with the times that it has by default.

use std::{net::SocketAddr, time::Duration};

use super::contender::{NODES, Servers, VICTIM};
use crate::{Cluster, ClusterSettings, Path, cluster::Node};

/// A cluster of Carillon.
#[derive(Debug)]
pub(super) struct Carillon(Cluster);

impl Carillon {
    pub(super) fn start(is_breakable: bool) -> Self {
        let settings = ClusterSettings {
            lease: Duration::from_millis(2500),
            eviction: Duration::from_millis(3500),
            drain: Duration::from_secs(2),
            is_direct: !is_breakable,
            ..ClusterSettings::of(NODES)
        };
        Self(Cluster::form(settings))
    }
}

impl Servers for Carillon {
    fn target(&self) -> Vec<String> {
        let addrs: Vec<String> = self.0.client_addrs().iter().map(SocketAddr::to_string).collect();
        vec!["--server".to_owned(), addrs.join(",")]
    }

    fn pids(&self) -> Vec<u32> {
        self.0.nodes.iter().filter_map(Node::pid).collect()
    }

    fn kill(&mut self) {
        self.0.nodes[VICTIM].kill();
    }

    fn stop(&mut self) {
        self.0.stop(VICTIM);
    }

    fn go_on(&mut self) {
        self.0.go_on(VICTIM);
    }

    fn cut(&mut self) -> bool {
        self.0.network.set_both(0, VICTIM, Path { is_cut: true, ..Path::default() });
        true
    }

    fn heal(&mut self) {
        self.0.network.heal();
    }
}
