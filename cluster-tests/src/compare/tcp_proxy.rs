//! Between the nodes of a Redis Cluster: every connection of its bus passes through here, and can be closed and refused
//! between two nodes.
//!
//! A node's gate knows who connects by the source address: each node has a loopback address of its own for that.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
};

/// The last part of the first node's source address.
const FIRST_SOURCE: u8 = 10;

/// Bytes passed on at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// The running proxy; ends when dropped.
#[derive(Debug)]
pub(super) struct TcpProxy {
    shared: Arc<Shared>,
    gates: Vec<SocketAddr>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    is_over: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// Two nodes that must not talk, the smaller number first.
    cut: Option<(usize, usize)>,
    /// Both ends of each connection, and between which nodes it is.
    open: Vec<((usize, usize), [TcpStream; 2])>,
}

/// The source address by which node `index` is known.
pub(super) fn source(index: usize) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, FIRST_SOURCE + index as u8).into()
}

impl TcpProxy {
    /// Starts with one gate for each of `nodes`.
    pub(super) fn start(gates: Vec<SocketAddr>, nodes: &[SocketAddr]) -> Self {
        let shared = Arc::new(Shared::default());
        let listen = |(index, (gate, node)): (usize, (&SocketAddr, &SocketAddr))| {
            let listener = TcpListener::bind(gate).expect("the gate's port is free");
            let (shared, node) = (Arc::clone(&shared), *node);
            thread::spawn(move || {
                for socket in listener.incoming().flatten() {
                    if shared.is_over.load(Relaxed) {
                        return;
                    }
                    // One that cannot be passed on is closed, as a node that is down would.
                    let _ = shared.pass(socket, index, node);
                }
            })
        };
        let threads = gates.iter().zip(nodes).enumerate().map(listen).collect();
        Self { shared, gates, threads }
    }

    /// Closes what is open between two nodes, and refuses more until [`heal`](Self::heal).
    pub(super) fn cut(&self, one: usize, other: usize) {
        let pair = (one.min(other), one.max(other));
        let mut state = self.shared.lock();
        state.cut = Some(pair);
        state.close(|between| between == pair);
    }

    /// Lets everything pass again.
    pub(super) fn heal(&self) {
        self.shared.lock().cut = None;
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass(&self, from: TcpStream, to: usize, node: SocketAddr) -> std::io::Result<()> {
        let sender = (0..usize::from(u8::MAX - FIRST_SOURCE))
            .find(|index| from.peer_addr().is_ok_and(|addr| addr.ip() == source(*index)));
        let mut state = self.lock();
        let pair = sender.map(|sender| (sender.min(to), sender.max(to)));
        if pair.is_some() && pair == state.cut {
            return Ok(());
        }
        let onward = TcpStream::connect(node)?;
        for socket in [&from, &onward] {
            socket.set_nodelay(true)?;
        }
        for (one, other) in [(&from, &onward), (&onward, &from)] {
            let (one, other) = (one.try_clone()?, other.try_clone()?);
            thread::spawn(move || copy(one, other));
        }
        if let Some(pair) = pair {
            state.open.push((pair, [from, onward]));
        }
        Ok(())
    }
}

impl State {
    fn close(&mut self, which: impl Fn((usize, usize)) -> bool) {
        self.open.retain(|(pair, sockets)| {
            if which(*pair) {
                sockets.iter().for_each(|socket| drop(socket.shutdown(Shutdown::Both)));
            }
            !which(*pair)
        });
    }
}

/// Until either end is closed, and then closes the other.
fn copy(mut from: TcpStream, mut to: TcpStream) {
    let mut chunk = vec![0; CHUNK_BYTES];
    while let Ok(count @ 1..) = from.read(&mut chunk) {
        if to.write_all(&chunk[..count]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Relaxed);
        self.shared.lock().close(|_| true);
        // Wakes each listener, which then ends.
        self.gates.iter().for_each(|gate| drop(TcpStream::connect(gate)));
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}
