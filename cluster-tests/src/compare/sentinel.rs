//! Redis Sentinel: a primary, two replicas and three Sentinels.

use std::path::Path;

use rustix::process::Signal;
use tempfile::TempDir;

use super::{
    contender::Servers,
    redis_process::{RedisProcess, START_TIME_MAX},
};
use crate::{Ports, eventually};

/// The name under which the Sentinels know the primary.
const NAME: &str = "primary";

/// Its processes.
#[derive(Debug)]
pub(super) struct Sentinel {
    /// The first is the primary at the start.
    servers: Vec<RedisProcess>,
    sentinels: Vec<RedisProcess>,
    _folder: TempDir,
    _ports: Ports,
}

impl Sentinel {
    pub(super) fn start(binary: &Path) -> Self {
        let mut ports = Ports::take();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let bind = ["--bind", "127.0.0.1"];
        let primary = RedisProcess::start(binary, ports.next_addr(), folder.path(), &bind);
        let of_primary = format!("127.0.0.1 {}", primary.addr.port());
        let replicate = [bind[0], bind[1], "--replicaof", &of_primary, "--repl-diskless-sync-delay", "0"];
        let replica = |addr| RedisProcess::start(binary, addr, folder.path(), &replicate);
        let replicas = [ports.next_addr(), ports.next_addr()].map(replica);
        let lines = [
            format!("sentinel monitor {NAME} {of_primary} 2"),
            format!("sentinel down-after-milliseconds {NAME} 1000"),
            format!("sentinel failover-timeout {NAME} 10000"),
        ];
        let sentinels = (0..3)
            .map(|_| RedisProcess::start_sentinel(binary, ports.next_addr(), folder.path(), &lines))
            .collect();
        let servers = std::iter::once(primary).chain(replicas).collect();
        let sentinel = Self { servers, sentinels, _folder: folder, _ports: ports };
        sentinel.wait();
        sentinel
    }

    /// Until replicas follow and the Sentinels know all of it.
    fn wait(&self) {
        let ready = eventually(START_TIME_MAX, || {
            let follow = self.servers[1..]
                .iter()
                .all(|replica| replica.tells(&["INFO", "replication"], "master_link_status:up"));
            let known = self.sentinels.iter().all(|sentinel| {
                sentinel.tells(&["INFO", "sentinel"], "status=ok")
                    && sentinel.tells(&["INFO", "sentinel"], "slaves=2,sentinels=3")
            });
            (follow && known).then_some(())
        });
        assert!(ready.is_some(), "the Sentinels have not found each other within {START_TIME_MAX:?}");
    }
}

impl Servers for Sentinel {
    fn target(&self) -> Vec<String> {
        let addrs: Vec<String> = self.sentinels.iter().map(|sentinel| sentinel.addr.to_string()).collect();
        ["--server", &addrs.join(","), "--sentinel", NAME].map(str::to_owned).to_vec()
    }

    fn pids(&self) -> Vec<u32> {
        self.servers.iter().chain(&self.sentinels).map(RedisProcess::pid).collect()
    }

    fn kill(&mut self) {
        self.servers[0].kill();
    }

    fn stop(&mut self) {
        self.servers[0].signal(Signal::STOP);
    }

    fn go_on(&mut self) {
        self.servers[0].signal(Signal::CONT);
    }

    fn cut(&mut self) -> bool {
        // All clients are at the primary: no message crosses a link.
        false
    }

    fn heal(&mut self) {}
}
