//! Redis Cluster: three primaries that share the slots, without replicas, as Carillon's nodes have none.

use std::{net::SocketAddr, path::Path};

use carillon_proto::resp::Value;
use rustix::process::Signal;
use tempfile::TempDir;

use super::{
    contender::{NODES, Servers, VICTIM},
    redis_process::{RedisProcess, START_TIME_MAX},
};
use crate::{Ports, eventually};

/// Slots of a cluster, by the Redis Cluster specification.
const SLOTS: usize = 16_384;

/// Silence, in milliseconds, after which a node counts as failing: near to Carillon's own times.
const NODE_TIMEOUT_MS: &str = "2000";

/// Its processes.
#[derive(Debug)]
pub(super) struct RedisCluster {
    nodes: Vec<RedisProcess>,
    _folder: TempDir,
    _ports: Ports,
}

impl RedisCluster {
    pub(super) fn start(binary: &Path, _is_breakable: bool) -> Self {
        let mut ports = Ports::take();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let addrs: Vec<[SocketAddr; 2]> =
            (0..NODES).map(|_| [ports.next_addr(), ports.next_addr()]).collect();
        let node = |[client, bus]: &[SocketAddr; 2]| {
            let bus = bus.port().to_string();
            let flags = [
                "--bind",
                "127.0.0.1",
                "--cluster-enabled",
                "yes",
                "--cluster-port",
                &bus,
                "--cluster-node-timeout",
                NODE_TIMEOUT_MS,
                "--cluster-require-full-coverage",
                "no",
            ];
            RedisProcess::start(binary, *client, folder.path(), &flags)
        };
        let nodes: Vec<RedisProcess> = addrs.iter().map(node).collect();
        for (index, node) in nodes.iter().enumerate() {
            let slots = [index * SLOTS / NODES, (index + 1) * SLOTS / NODES - 1].map(|slot| slot.to_string());
            assert_eq!(node.ask(&["CLUSTER", "ADDSLOTSRANGE", &slots[0], &slots[1]]), ok());
        }
        for [client, bus] in &addrs[1..] {
            let ports = [client.port().to_string(), bus.port().to_string()];
            assert_eq!(nodes[0].ask(&["CLUSTER", "MEET", "127.0.0.1", &ports[0], &ports[1]]), ok());
        }
        let is_formed = |node: &RedisProcess| {
            let knows = format!("cluster_size:{NODES}\r\n");
            node.tells(&["CLUSTER", "INFO"], "cluster_state:ok") && node.tells(&["CLUSTER", "INFO"], &knows)
        };
        let formed = eventually(START_TIME_MAX, || nodes.iter().all(is_formed).then_some(()));
        assert!(formed.is_some(), "the Redis Cluster has not formed within {START_TIME_MAX:?}");
        Self { nodes, _folder: folder, _ports: ports }
    }
}

fn ok() -> Value {
    Value::Simple("OK".to_owned())
}

impl Servers for RedisCluster {
    fn target(&self) -> Vec<String> {
        let addrs: Vec<String> = self.nodes.iter().map(|node| node.addr.to_string()).collect();
        vec!["--server".to_owned(), addrs.join(",")]
    }

    fn pids(&self) -> Vec<u32> {
        self.nodes.iter().map(RedisProcess::pid).collect()
    }

    fn kill(&mut self) {
        self.nodes[VICTIM].kill();
    }

    fn stop(&mut self) {
        self.nodes[VICTIM].signal(Signal::STOP);
    }

    fn go_on(&mut self) {
        self.nodes[VICTIM].signal(Signal::CONT);
    }

    fn cut(&mut self) -> bool {
        false
    }

    fn heal(&mut self) {}
}
