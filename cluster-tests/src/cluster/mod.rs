//! A whole cluster of real processes, each behind its gate of a network that can be broken.

mod node;
mod status;

use std::{
    fmt::Write as _,
    net::SocketAddr,
    time::{Duration, Instant},
};

use tempfile::TempDir;

pub use node::Node;
pub use status::{MemberStatus, Status};

use crate::{
    Ports, UdpProxy, eventually,
    history::{Bounds, Stopped},
};

/// How long anything may take that waits for the cluster.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Nodes that vote, at most.
const VOTERS_MAX: usize = 5;

/// Lines of each node's log that a failure shows.
const LOG_LINES: usize = 80;

/// Messages on their way to a node that keeps up.
const CAUGHT_UP: u64 = 10;

/// How a cluster is set up.
#[derive(Clone, Debug)]
pub struct ClusterSettings {
    /// Nodes that form it.
    pub size: usize,
    /// Nodes beyond, that may join later.
    pub spare: usize,
    /// For how long a lease holds.
    pub lease: Duration,
    /// Silence after which a node is voted out.
    pub eviction: Duration,
    /// How long a publish waits for a node that does not answer.
    pub grace: Duration,
    /// Silence after which a link counts as broken.
    pub link_idle: Duration,
    /// Time over which a node that stops closes its clients.
    pub drain: Duration,
    /// Shortest election timeout.
    pub election: Duration,
    /// Where all randomness begins.
    pub seed: u64,
    /// Whether the nodes reach each other without the network that can be broken, which costs time.
    pub is_direct: bool,
}

impl ClusterSettings {
    /// A cluster of `size`, with short times.
    pub fn of(size: usize) -> Self {
        Self {
            size,
            spare: 0,
            lease: Duration::from_millis(1200),
            eviction: Duration::from_millis(1700),
            grace: Duration::from_millis(50),
            link_idle: Duration::from_millis(800),
            drain: Duration::from_millis(300),
            election: Duration::from_millis(150),
            seed: seed(),
            is_direct: false,
        }
    }
}

/// The seed of this run: `CARILLON_TEST_SEED`, or another each time.
pub fn seed() -> u64 {
    let given = std::env::var("CARILLON_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| fastrand::u64(..1_000_000))
}

/// A cluster under test; all its processes are killed when it is dropped.
#[derive(Debug)]
pub struct Cluster {
    /// The nodes, started or not.
    pub nodes: Vec<Node>,
    /// The network between them.
    pub network: UdpProxy,
    /// How it was set up.
    pub settings: ClusterSettings,
    /// When nodes were stopped, for the judge.
    pub stopped: Vec<Stopped>,
    /// Random numbers from the seed.
    pub random: fastrand::Rng,
    folder: TempDir,
    _ports: Ports,
}

impl Cluster {
    /// Prepares a cluster and starts nothing. Prints the seed.
    pub fn prepare(settings: ClusterSettings) -> Self {
        eprintln!("seed: CARILLON_TEST_SEED={}", settings.seed);
        let mut ports = Ports::take();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let secret = folder.path().join("secret");
        std::fs::write(&secret, "a secret that only this test's nodes know\n").expect("writes the secret");
        let count = settings.size + settings.spare;
        let gates: Vec<SocketAddr> = (0..count).map(|_| ports.next_addr()).collect();
        let addrs: Vec<[SocketAddr; 3]> =
            (0..count).map(|_| [ports.next_addr(), ports.next_addr(), ports.next_addr()]).collect();
        let peers: Vec<SocketAddr> = addrs.iter().map(|[_, _, peer]| *peer).collect();
        let advertised = if settings.is_direct { &peers } else { &gates };
        let list =
            |addrs: &[SocketAddr]| addrs.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(",");
        let ms = |duration: Duration| duration.as_millis().to_string();
        let node = |index: usize| {
            let flags = [
                ("--advertise-addr", advertised[index].to_string()),
                ("--peers", list(advertised)),
                ("--expect", settings.size.to_string()),
                ("--cluster-secret-file", secret.display().to_string()),
                ("--lease-ms", ms(settings.lease)),
                ("--eviction-ms", ms(settings.eviction)),
                ("--election-ms", ms(settings.election)),
                ("--grace-ms", ms(settings.grace)),
                ("--link-idle-ms", ms(settings.link_idle)),
                ("--drain-ms", ms(settings.drain)),
            ];
            Node::new(&format!("n{}", index + 1), addrs[index], folder.path(), &flags)
        };
        let nodes: Vec<Node> = (0..count).map(node).collect();
        let network = UdpProxy::start(&gates, &peers, settings.seed);
        let random = fastrand::Rng::with_seed(settings.seed);
        Self { nodes, network, settings, stopped: Vec::new(), random, folder, _ports: ports }
    }

    /// Forms a cluster: starts its nodes and waits until all serve.
    pub fn form(settings: ClusterSettings) -> Self {
        let mut cluster = Self::prepare(settings);
        cluster.start();
        cluster
    }

    /// Starts the nodes that form it and waits until all serve, and as many vote as are to: before that a majority of the
    /// nodes is not one of the voters.
    pub fn start(&mut self) {
        let all: Vec<usize> = (0..self.settings.size).collect();
        all.iter().for_each(|index| self.nodes[*index].start());
        self.wait_until_serving(&all);
        let odd = self.settings.size - usize::from(self.settings.size.is_multiple_of(2));
        let voters = odd.min(VOTERS_MAX);
        self.wait(&format!("there are {voters} voters, as all know"), || {
            let known = |index: &usize| Some(self.status(*index)?.voters.len());
            all.iter().all(|index| known(index) == Some(voters)).then_some(())
        });
    }

    /// The folder of this cluster, for more files.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Client addresses of all nodes, started or not.
    pub fn client_addrs(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|node| node.client).collect()
    }

    /// The bounds to judge a history of this cluster by.
    pub fn bounds(&self) -> Bounds {
        Bounds {
            // An election, after which the eviction's clock begins anew, and the completion.
            settle: self.settings.eviction + Duration::from_millis(2500),
            answer_max: Duration::from_secs(5),
            grace: self.settings.grace,
        }
    }

    /// What node `index` tells; `None` while it does not answer.
    pub fn status(&self, index: usize) -> Option<Status> {
        self.nodes[index].status()
    }

    /// Waits until exactly these nodes are in the view, agree on it, and serve clients.
    pub fn wait_until_serving(&self, nodes: &[usize]) {
        let mut names: Vec<&str> = nodes.iter().map(|index| self.nodes[*index].name.as_str()).collect();
        names.sort_unstable();
        self.wait(&format!("only {names:?} are in the view and serve"), || {
            let statuses: Option<Vec<Status>> = nodes.iter().map(|index| self.status(*index)).collect();
            let statuses = statuses?;
            let is_agreed = statuses
                .iter()
                .all(|status| status.in_view && status.epoch == statuses[0].epoch && status.view() == names);
            let is_open = |index: &usize| self.nodes[*index].readiness().is_ok();
            (is_agreed && nodes.iter().all(is_open)).then_some(())
        });
    }

    /// Waits until no node leaves much unacknowledged: until then answers may count fewer subscribers than there are.
    pub fn wait_until_caught_up(&self, nodes: &[usize]) {
        self.wait("all nodes have caught up", || {
            let statuses: Option<Vec<Status>> = nodes.iter().map(|index| self.status(*index)).collect();
            let mut lags =
                statuses?.into_iter().flat_map(|status| status.members).filter_map(|member| member.lag);
            lags.all(|lag| lag <= CAUGHT_UP).then_some(())
        });
        // What was sent while a node was behind is being answered still.
        std::thread::sleep(self.settings.grace * 2);
    }

    /// Waits until there is a leader that a majority of `nodes` follows. Returns its index.
    pub fn wait_for_leader(&self, nodes: &[usize]) -> usize {
        self.wait("they follow one leader", || {
            let statuses: Option<Vec<Status>> = nodes.iter().map(|index| self.status(*index)).collect();
            let statuses = statuses?;
            let newest = statuses.iter().max_by_key(|status| status.term)?;
            let leader = newest.leader?;
            let follow = |status: &&Status| status.leader == Some(leader) && status.term == newest.term;
            if statuses.iter().filter(follow).count() <= nodes.len() / 2 {
                return None;
            }
            nodes
                .iter()
                .zip(&statuses)
                .find(|(_, status)| status.node == Some(leader))
                .map(|(index, _)| *index)
        })
    }

    /// Waits for anything; panics with the state of all nodes when it does not come.
    pub fn wait<T>(&self, what: &str, found: impl FnMut() -> Option<T>) -> T {
        eventually(PATIENCE, found).unwrap_or_else(|| panic!("after {PATIENCE:?} it is not so that {what}"))
    }

    /// Stops a node's process.
    pub fn stop(&mut self, index: usize) {
        self.nodes[index].stop();
    }

    /// Lets a stopped one go on, and notes the time for the judge.
    pub fn go_on(&mut self, index: usize) {
        if let Some(from) = self.nodes[index].go_on() {
            self.stopped.push(Stopped { node: index, from, to: Instant::now() });
        }
    }

    /// The state of all nodes and the ends of their logs.
    pub fn report(&mut self) -> String {
        let mut report = format!("seed {}; datagrams {:?}\n", self.settings.seed, self.network.totals());
        for node in &mut self.nodes {
            let is_running = node.is_running();
            let log = node.log();
            if log.is_empty() {
                continue;
            }
            let lines: Vec<&str> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n  ");
            let status = is_running.then(|| (node.status(), node.readiness()));
            let name = &node.name;
            let _ = writeln!(report, "{name}: running: {is_running}, {status:?}\n  {last}");
        }
        report
    }

    /// Keeps the folder with data and logs, and says where it is.
    pub fn keep_folder(&mut self) {
        self.folder.disable_cleanup(true);
        eprintln!("logs and data are kept in {}", self.folder.path().display());
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.report());
            if std::env::var_os("CARILLON_TEST_KEEP").is_some() {
                self.keep_folder();
            }
        }
    }
}
