//! A network between nodes that can be broken: every datagram passes through here.
//!
//! Each node advertises the address of its gate. A datagram that arrives at the gate of node B from the socket of
//! node A (known by its port) leaves through the gate of A to the socket of B. So B sees it come from where it
//! would dial A itself, and answers the same way back.

mod network;

use std::{
    net::{SocketAddr, UdpSocket as StdUdpSocket},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::Duration,
};

use tokio::sync::oneshot;

/// What happens to datagrams on their way from one node to another. The default lets them pass.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Path {
    /// Nothing passes.
    pub is_cut: bool,
    /// Each is held this long.
    pub delay: Duration,
    /// Probability of being lost.
    pub loss: f64,
    /// Probability of being overtaken by those behind it.
    pub reorder: f64,
    /// Probability of arriving twice.
    pub duplicate: f64,
}

/// Datagrams of one direction between two nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathCounts {
    /// Those that were let through.
    pub passed: u64,
    /// Those that were not.
    pub lost: u64,
}

/// The running proxy; ends when dropped.
#[derive(Debug)]
pub struct UdpProxy {
    shared: Arc<Shared>,
    gates: Vec<SocketAddr>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    nodes: usize,
    /// By sender, then receiver.
    paths: Mutex<Vec<Path>>,
    passed: Vec<AtomicU64>,
    lost: Vec<AtomicU64>,
    strangers: AtomicU64,
}

impl Shared {
    fn path(&self, from: usize, to: usize) -> Path {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)[from * self.nodes + to]
    }
}

impl UdpProxy {
    /// Starts with one gate for each of `nodes`, which are their own addresses.
    pub fn start(gates: &[SocketAddr], nodes: &[SocketAddr], seed: u64) -> Self {
        let sockets: Vec<StdUdpSocket> =
            gates.iter().map(|gate| StdUdpSocket::bind(gate).expect("the gate's port is free")).collect();
        let gates = sockets.iter().map(|socket| socket.local_addr().expect("is bound")).collect();
        let pairs = nodes.len() * nodes.len();
        let counters = || (0..pairs).map(|_| AtomicU64::new(0)).collect();
        let shared = Arc::new(Shared {
            nodes: nodes.len(),
            paths: Mutex::new(vec![Path::default(); pairs]),
            passed: counters(),
            lost: counters(),
            strangers: AtomicU64::new(0),
        });
        let (stop, stopped) = oneshot::channel();
        let (of_thread, nodes) = (Arc::clone(&shared), nodes.to_vec());
        let thread = std::thread::Builder::new()
            .name("udp-proxy".to_owned())
            .spawn(move || network::run(sockets, nodes, of_thread, seed, stopped))
            .expect("a thread");
        Self { shared, gates, stop: Some(stop), thread: Some(thread) }
    }

    /// The address at which node `index` is reached.
    pub fn gate(&self, index: usize) -> SocketAddr {
        self.gates[index]
    }

    /// Sets what happens from one node to another, in this direction only.
    pub fn set(&self, from: usize, to: usize, path: Path) {
        self.shared.paths.lock().unwrap_or_else(PoisonError::into_inner)[from * self.shared.nodes + to] =
            path;
    }

    /// Sets both directions between two nodes.
    pub fn set_both(&self, one: usize, other: usize, path: Path) {
        self.set(one, other, path);
        self.set(other, one, path);
    }

    /// Sets every direction between every two nodes.
    pub fn set_all(&self, path: Path) {
        self.shared.paths.lock().unwrap_or_else(PoisonError::into_inner).fill(path);
    }

    /// Cuts `part` off from all others, in both directions.
    pub fn part(&self, part: &[usize]) {
        let cut = Path { is_cut: true, ..Path::default() };
        for one in 0..self.shared.nodes {
            for other in (0..self.shared.nodes).filter(|other| part.contains(&one) != part.contains(other)) {
                self.set(one, other, cut);
            }
        }
    }

    /// Lets everything pass again.
    pub fn heal(&self) {
        self.set_all(Path::default());
    }

    /// What went from one node to another by now.
    pub fn counts(&self, from: usize, to: usize) -> PathCounts {
        let pair = from * self.shared.nodes + to;
        PathCounts {
            passed: self.shared.passed[pair].load(Relaxed),
            lost: self.shared.lost[pair].load(Relaxed),
        }
    }

    /// What went between all nodes by now.
    pub fn totals(&self) -> PathCounts {
        let sum = |counters: &[AtomicU64]| counters.iter().map(|counter| counter.load(Relaxed)).sum();
        PathCounts { passed: sum(&self.shared.passed), lost: sum(&self.shared.lost) }
    }

    /// Datagrams from sockets that belong to no node.
    pub fn strangers(&self) -> u64 {
        self.shared.strangers.load(Relaxed)
    }
}

impl Drop for UdpProxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::Ports;

    struct World {
        proxy: UdpProxy,
        nodes: Vec<StdUdpSocket>,
        _ports: Ports,
    }

    fn world() -> World {
        let mut ports = Ports::take();
        let nodes: Vec<StdUdpSocket> =
            (0..3).map(|_| StdUdpSocket::bind(ports.next_addr()).expect("a free port")).collect();
        let gates: Vec<SocketAddr> = nodes.iter().map(|_| ports.next_addr()).collect();
        let addrs: Vec<SocketAddr> = nodes.iter().map(|node| node.local_addr().expect("is bound")).collect();
        nodes.iter().for_each(|node| {
            node.set_read_timeout(Some(Duration::from_millis(200))).expect("takes a timeout");
        });
        World { proxy: UdpProxy::start(&gates, &addrs, 1), nodes, _ports: ports }
    }

    impl World {
        fn send(&self, from: usize, to: usize, text: &str) {
            self.nodes[from].send_to(text.as_bytes(), self.proxy.gate(to)).expect("sends");
        }

        fn receive(&self, at: usize) -> Option<(String, SocketAddr)> {
            let mut buffer = [0; 100];
            let (len, addr) = self.nodes[at].recv_from(&mut buffer).ok()?;
            Some((String::from_utf8_lossy(&buffer[..len]).into_owned(), addr))
        }

        /// What arrives until nothing does.
        fn receive_all(&self, at: usize) -> Vec<String> {
            std::iter::from_fn(|| self.receive(at)).map(|(text, _)| text).collect()
        }
    }

    #[test]
    fn a_datagram_comes_from_the_gate_of_its_sender_and_the_answer_finds_back() {
        let world = world();
        world.send(0, 1, "question");
        let (text, from) = world.receive(1).expect("arrives");
        assert_eq!((text.as_str(), from), ("question", world.proxy.gate(0)));
        world.nodes[1].send_to(b"answer", from).expect("sends");
        assert_eq!(world.receive(0), Some(("answer".to_owned(), world.proxy.gate(1))));
        assert_eq!(world.proxy.counts(0, 1), PathCounts { passed: 1, lost: 0 });
    }

    #[test]
    fn one_direction_is_cut_and_the_other_is_not() {
        let world = world();
        world.proxy.set(0, 1, Path { is_cut: true, ..Path::default() });
        world.send(0, 1, "lost");
        world.send(1, 0, "passes");
        assert_eq!(world.receive_all(0), ["passes"]);
        assert!(world.receive_all(1).is_empty());
        assert_eq!(world.proxy.counts(0, 1), PathCounts { passed: 0, lost: 1 });
        world.proxy.heal();
        world.send(0, 1, "passes again");
        assert_eq!(world.receive_all(1), ["passes again"]);
    }

    #[test]
    fn a_part_is_cut_off_from_the_others_only() {
        let world = world();
        world.proxy.part(&[2]);
        for (from, to) in [(0, 1), (1, 0), (0, 2), (2, 1)] {
            world.send(from, to, &format!("{from} to {to}"));
        }
        assert_eq!(world.receive_all(0), ["1 to 0"]);
        assert_eq!(world.receive_all(1), ["0 to 1"]);
        assert!(world.receive_all(2).is_empty());
    }

    #[test]
    fn datagrams_are_delayed_lost_doubled_and_overtaken() {
        let world = world();
        let numbers: Vec<String> = (0..200).map(|number| number.to_string()).collect();
        let send_all = || numbers.iter().for_each(|number| world.send(0, 1, number));
        world.proxy.set(0, 1, Path { delay: Duration::from_millis(60), ..Path::default() });
        let start = Instant::now();
        send_all();
        assert_eq!(world.receive_all(1), numbers, "a delay alone keeps the order");
        assert!(start.elapsed() >= Duration::from_millis(60));
        world.proxy.set(0, 1, Path { loss: 0.3, ..Path::default() });
        send_all();
        let arrived = world.receive_all(1).len();
        assert!((100..180).contains(&arrived), "{arrived} of 200 arrived");
        world.proxy.set(0, 1, Path { duplicate: 0.5, ..Path::default() });
        send_all();
        let arrived = world.receive_all(1).len();
        assert!((250..350).contains(&arrived), "{arrived} of 200 arrived");
        world.proxy.set(0, 1, Path { reorder: 0.2, ..Path::default() });
        send_all();
        let mut arrived = world.receive_all(1);
        assert_ne!(arrived, numbers);
        arrived.sort_by_key(|number| number.parse::<u32>().expect("a number"));
        assert_eq!(arrived, numbers);
    }
}
