//! Redis Cluster: three primaries that share the slots, without replicas, as Carillon's nodes have none.

use std::{net::SocketAddr, path::Path};

use carillon_proto::resp::Value;
use rustix::process::Signal;
use tempfile::TempDir;

use super::{
    contender::{NODES, Purpose, Servers, VICTIM},
    redis_process::{RedisProcess, START_TIME_MAX},
    tcp_proxy::{TcpProxy, source},
};
use crate::{Ports, eventually};

/// Slots of a cluster, by the Redis Cluster specification.
const SLOTS: usize = 16_384;

/// Silence, in milliseconds, after which a node counts as failing: near to Carillon's own times. Half of it without an
/// answer closes a link of the bus, and what waits there is lost; so not under load, where answers come late.
const NODE_TIMEOUT_MS: &str = "2000";

/// The same under load: Redis's default.
const NODE_TIMEOUT_MS_DEFAULT: &str = "15000";

/// Its processes.
#[derive(Debug)]
pub(super) struct RedisCluster {
    nodes: Vec<RedisProcess>,
    /// Behind the nodes, which are gone before it.
    proxy: Option<TcpProxy>,
    _folder: TempDir,
    _ports: Ports,
}

impl RedisCluster {
    /// Forms it. When links will be cut, its bus goes through a proxy.
    pub(super) fn start(binary: &Path, purpose: Purpose) -> Self {
        let is_breakable = purpose == Purpose::Cut;
        let timeout = if purpose == Purpose::Load { NODE_TIMEOUT_MS_DEFAULT } else { NODE_TIMEOUT_MS };
        let mut ports = Ports::take();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let clients: Vec<SocketAddr> = (0..NODES).map(|_| ports.next_addr()).collect();
        let buses: Vec<SocketAddr> = (0..NODES).map(|_| ports.next_addr()).collect();
        let gates: Vec<SocketAddr> = (0..NODES).map(|_| ports.next_addr()).collect();
        let proxy = is_breakable.then(|| TcpProxy::start(gates.clone(), &buses));
        let announced = if is_breakable { &gates } else { &buses };
        let node = |index: usize| {
            let (bus, announced) = (buses[index].port().to_string(), announced[index].port().to_string());
            let source = source(index).to_string();
            let mut flags = vec!["--bind", "127.0.0.1", "--cluster-enabled", "yes", "--cluster-port", &bus];
            flags.extend(["--cluster-node-timeout", timeout, "--cluster-require-full-coverage", "no"]);
            flags.extend(["--cluster-announce-ip", "127.0.0.1", "--cluster-announce-bus-port", &announced]);
            flags.extend(["--bind-source-addr", &source]);
            RedisProcess::start(binary, clients[index], folder.path(), &flags)
        };
        let nodes: Vec<RedisProcess> = (0..NODES).map(node).collect();
        for (index, node) in nodes.iter().enumerate() {
            let slots = [index * SLOTS / NODES, (index + 1) * SLOTS / NODES - 1].map(|slot| slot.to_string());
            assert_eq!(node.ask(&["CLUSTER", "ADDSLOTSRANGE", &slots[0], &slots[1]]), ok());
        }
        for (client, bus) in clients.iter().zip(announced).skip(1) {
            let ports = [client.port().to_string(), bus.port().to_string()];
            assert_eq!(nodes[0].ask(&["CLUSTER", "MEET", "127.0.0.1", &ports[0], &ports[1]]), ok());
        }
        let is_formed = |node: &RedisProcess| {
            let knows = format!("cluster_size:{NODES}\r\n");
            node.tells(&["CLUSTER", "INFO"], "cluster_state:ok") && node.tells(&["CLUSTER", "INFO"], &knows)
        };
        let formed = eventually(START_TIME_MAX, || nodes.iter().all(is_formed).then_some(()));
        assert!(formed.is_some(), "the Redis Cluster has not formed within {START_TIME_MAX:?}");
        Self { nodes, proxy, _folder: folder, _ports: ports }
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
        if let Some(proxy) = &self.proxy {
            proxy.cut(0, VICTIM);
        }
        self.proxy.is_some()
    }

    fn heal(&mut self) {
        if let Some(proxy) = &self.proxy {
            proxy.heal();
        }
    }
}
