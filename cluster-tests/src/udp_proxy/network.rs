//! What moves the datagrams: one thread, one task for each gate.

use std::{
    cell::RefCell,
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    io::{self, IoSliceMut},
    net::{SocketAddr, UdpSocket as StdUdpSocket},
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use tokio::{
    io::Interest,
    net::UdpSocket,
    sync::{Notify, oneshot},
};

use super::{Path, Shared};

/// How long a datagram is held that others are to overtake.
const OVERTAKEN_FOR: Duration = Duration::from_millis(5);

/// Bytes that one receive call may bring: what the kernel puts together of one sender.
const RECEIVE_BYTES: usize = 64 * 1024;

struct Gate {
    socket: UdpSocket,
    state: UdpSocketState,
}

/// A datagram that is held: when it is due, a number that keeps equals in order, from where, to where.
type Held = Reverse<(Instant, u64, usize, usize, Vec<u8>)>;

struct Network {
    gates: Vec<Gate>,
    nodes: Vec<SocketAddr>,
    by_port: HashMap<u16, usize>,
    shared: Arc<Shared>,
    held: RefCell<BinaryHeap<Held>>,
    held_count: RefCell<u64>,
    is_held: Notify,
    random: RefCell<fastrand::Rng>,
}

/// Passes datagrams on until `stopped` tells or is dropped.
pub(super) fn run(
    sockets: Vec<StdUdpSocket>,
    nodes: Vec<SocketAddr>,
    shared: Arc<Shared>,
    seed: u64,
    stopped: oneshot::Receiver<()>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async move {
        let gates = sockets.into_iter().map(|socket| {
            let state = UdpSocketState::new((&socket).into()).expect("the kernel has what quinn needs");
            let _ = state.set_recv_buffer_size((&socket).into(), 4 << 20);
            Gate { socket: UdpSocket::from_std(socket).expect("a runtime"), state }
        });
        let network = Rc::new(Network {
            gates: gates.collect(),
            by_port: nodes.iter().enumerate().map(|(index, addr)| (addr.port(), index)).collect(),
            nodes,
            shared,
            held: RefCell::default(),
            held_count: RefCell::default(),
            is_held: Notify::new(),
            random: RefCell::new(fastrand::Rng::with_seed(seed)),
        });
        for gate in 0..network.gates.len() {
            tokio::task::spawn_local(Rc::clone(&network).pass(gate));
        }
        tokio::task::spawn_local(Rc::clone(&network).release());
        // Ends when the sender is dropped, too.
        let _ = stopped.await;
    });
}

impl Network {
    /// Passes on what arrives at one gate.
    async fn pass(self: Rc<Self>, to: usize) {
        let gate = &self.gates[to];
        let mut buffers: Vec<Vec<u8>> = (0..quinn_udp::BATCH_SIZE).map(|_| vec![0; RECEIVE_BYTES]).collect();
        let mut meta = vec![RecvMeta::default(); quinn_udp::BATCH_SIZE];
        loop {
            let received = gate.socket.async_io(Interest::READABLE, || {
                let mut slices: Vec<IoSliceMut<'_>> =
                    buffers.iter_mut().map(|buffer| IoSliceMut::new(buffer)).collect();
                gate.state.recv((&gate.socket).into(), &mut slices, &mut meta)
            });
            // An error is the echo of a datagram to a node that is down.
            let Ok(count) = received.await else { continue };
            for (meta, buffer) in meta.iter().zip(&buffers).take(count) {
                self.batch(meta, &buffer[..meta.len], to);
            }
        }
    }

    fn batch(&self, meta: &RecvMeta, bytes: &[u8], to: usize) {
        let Some(from) = self.by_port.get(&meta.addr.port()).copied() else {
            self.shared.strangers.fetch_add(1, Relaxed);
            return;
        };
        if bytes.is_empty() {
            return;
        }
        let pair = from * self.shared.nodes + to;
        let stride = meta.stride.max(1);
        let count = bytes.len().div_ceil(stride) as u64;
        let path = self.shared.path(from, to);
        if path == Path::default() {
            self.shared.passed[pair].fetch_add(count, Relaxed);
            self.send(from, to, bytes, (bytes.len() > stride).then_some(stride));
            return;
        }
        if path.is_cut {
            self.shared.lost[pair].fetch_add(count, Relaxed);
            return;
        }
        let mut random = self.random.borrow_mut();
        for datagram in bytes.chunks(stride) {
            if random.f64() < path.loss {
                self.shared.lost[pair].fetch_add(1, Relaxed);
                continue;
            }
            self.shared.passed[pair].fetch_add(1, Relaxed);
            let copies = 1 + usize::from(random.f64() < path.duplicate);
            for _ in 0..copies {
                let is_overtaken = random.f64() < path.reorder;
                let wait = path.delay + if is_overtaken { OVERTAKEN_FOR } else { Duration::ZERO };
                if wait.is_zero() {
                    self.send(from, to, datagram, None);
                } else {
                    self.hold(Instant::now() + wait, from, to, datagram);
                }
            }
        }
    }

    fn hold(&self, due: Instant, from: usize, to: usize, datagram: &[u8]) {
        let mut count = self.held_count.borrow_mut();
        *count += 1;
        self.held.borrow_mut().push(Reverse((due, *count, from, to, datagram.to_vec())));
        self.is_held.notify_one();
    }

    async fn release(self: Rc<Self>) {
        loop {
            let due = self.held.borrow().peek().map(|Reverse(held)| held.0);
            let Some(due) = due else {
                self.is_held.notified().await;
                continue;
            };
            if due > Instant::now() {
                tokio::select! {
                    () = tokio::time::sleep_until(due.into()) => {}
                    () = self.is_held.notified() => {}
                }
                continue;
            }
            let held = self.held.borrow_mut().pop();
            if let Some(Reverse((_, _, from, to, datagram))) = held {
                self.send(from, to, &datagram, None);
            }
        }
    }

    fn send(&self, from: usize, to: usize, contents: &[u8], segment_size: Option<usize>) {
        let gate = &self.gates[from];
        let transmit =
            Transmit { destination: self.nodes[to], ecn: None, contents, segment_size, src_ip: None };
        let sent: io::Result<()> =
            gate.socket.try_io(Interest::WRITABLE, || gate.state.send((&gate.socket).into(), &transmit));
        // A full socket loses datagrams, as any network does.
        drop(sent);
    }
}
