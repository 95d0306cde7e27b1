//! Accepting connections.

use std::{
    io::{self, Write as _},
    net::{IpAddr, SocketAddr, TcpListener},
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    CloseReason, Node,
    admission::{AcceptRate, SpareDescriptor, is_out_of_descriptors},
    stream::SocketKind,
};

/// How long accepting rests after an error.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// How long it rests after it has refused a client for want of a file descriptor.
const REFUSE_REST: Duration = Duration::from_millis(5);

/// How often errors of accepting are told in the log.
const WARN_INTERVAL: Duration = Duration::from_secs(10);

const BACKLOG: i32 = 4096;

/// An address that could not be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// A TCP address.
    #[error("cannot listen on {addr}: {source}{}", crate::bind::advice(source))]
    Tcp {
        /// The address asked for.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A Unix socket.
    #[error("cannot listen on {}: {source}", path.display())]
    Unix {
        /// The path asked for.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Where clients arrive.
#[derive(Clone, Debug, Default)]
pub struct ClientAddrs {
    /// The address without TLS.
    pub plain: Option<SocketAddr>,
    /// The address with TLS.
    pub tls: Option<SocketAddr>,
    /// The Unix socket.
    pub unix: Option<PathBuf>,
}

impl ClientAddrs {
    /// Takes the ports without a client ever getting through: each is refused until [`Listeners::bind`] listens on it, and
    /// is nobody else's meanwhile.
    pub fn reserve(mut self) -> Result<ReservedPorts, ListenError> {
        let mut sockets = Vec::new();
        for addr in self.plain.iter_mut().chain(&mut self.tls) {
            let (socket, bound) = reserve(*addr)?;
            sockets.push(socket);
            *addr = bound;
        }
        Ok(ReservedPorts { addrs: self, _sockets: sockets })
    }

    /// The port that clients are told: the one without TLS, if there is one.
    pub fn port(&self) -> u16 {
        self.plain.or(self.tls).map_or(0, |addr| addr.port())
    }
}

/// Ports that are this node's, whether it listens on them or not: the system gives them to no outgoing connection, and to
/// nobody who asks for any free port.
#[derive(Debug)]
pub struct ReservedPorts {
    /// Where they are, with the ports that were chosen when 0 was asked for.
    pub addrs: ClientAddrs,
    /// Bound, but not listening: Linux lets another socket listen beside these, as both may reuse the address.
    _sockets: Vec<socket2::Socket>,
}

/// The sockets on which clients arrive.
#[derive(Debug)]
pub struct Listeners {
    plain: Option<TcpListener>,
    tls: Option<TcpListener>,
    unix: Option<(UnixListener, PathBuf)>,
    /// Where they are, with the ports that were chosen when 0 was asked for.
    pub addrs: ClientAddrs,
}

impl Listeners {
    /// Listens on all of these. A socket file that nobody listens on is replaced.
    pub fn bind(mut addrs: ClientAddrs) -> Result<Self, ListenError> {
        let listen = |addr: &mut Option<SocketAddr>| {
            let Some(addr) = addr else { return Ok(None) };
            let tcp_error = |source| ListenError::Tcp { addr: *addr, source };
            let tcp = bind_tcp(*addr).map_err(tcp_error)?;
            *addr = tcp.local_addr().map_err(tcp_error)?;
            Ok(Some(tcp))
        };
        let (plain, tls) = (listen(&mut addrs.plain)?, listen(&mut addrs.tls)?);
        let unix = match &addrs.unix {
            None => None,
            Some(path) => {
                let listener =
                    bind_unix(path).map_err(|source| ListenError::Unix { path: path.clone(), source })?;
                Some((listener, path.clone()))
            }
        };
        Ok(Self { plain, tls, unix, addrs })
    }

    /// Accepts until the node stops or `closed` is over, then closes the sockets.
    pub async fn serve(self, node: Arc<Node>, closed: impl Future<Output = ()>) -> io::Result<()> {
        let tcp = |socket: TcpListener, kind| {
            tokio::net::TcpListener::from_std(socket).map(|listener| Acceptor::Tcp(listener, kind))
        };
        let plain = self.plain.map(|socket| tcp(socket, SocketKind::Tcp)).transpose()?;
        let tls = self.tls.map(|socket| tcp(socket, SocketKind::Tls)).transpose()?;
        let (unix, path) = self.unix.unzip();
        // What CLIENT LIST shows for these, as Redis does: the path, and a port that is none.
        let name = path.as_ref().map(|path| format!("{}:0", path.display())).unwrap_or_default();
        let unix = unix.map(tokio::net::UnixListener::from_std).transpose()?;
        let unix = unix.map(|listener| Acceptor::Unix(listener, name));
        tokio::select! {
            () = accept_all(&node, plain) => {}
            () = accept_all(&node, tls) => {}
            () = accept_all(&node, unix) => {}
            () = node.stopped() => {}
            () = closed => {}
        }
        path.map_or(Ok(()), std::fs::remove_file)
    }
}

/// A connection, its client's address, its own, and the client's address without a port.
type Accepted = (SocketKind, String, Arc<str>, Option<IpAddr>);

/// A listening socket, and what is known of whoever connects to it.
enum Acceptor {
    Tcp(tokio::net::TcpListener, fn(std::net::TcpStream) -> SocketKind),
    /// With the name of both ends.
    Unix(tokio::net::UnixListener, String),
}

impl Acceptor {
    async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener, kind) => {
                let (stream, peer) = listener.accept().await?;
                let stream = stream.into_std()?;
                let local = stream.local_addr()?.to_string().into();
                Ok((kind(stream), peer.to_string(), local, Some(peer.ip())))
            }
            Self::Unix(listener, name) => {
                let stream = listener.accept().await?.0.into_std()?;
                Ok((SocketKind::Unix(stream), name.clone(), name.as_str().into(), None))
            }
        }
    }
}

/// Hands connections on. Whatever happens to one of them, the listener goes on.
async fn accept_all(node: &Node, acceptor: Option<Acceptor>) {
    let Some(acceptor) = acceptor else { return std::future::pending().await };
    let (mut rate, mut spare) = (AcceptRate::new(Instant::now()), SpareDescriptor::new().ok());
    let mut warned = None;
    loop {
        let wait = rate.take_turn(node.settings.live.limits.accepts_per_s.get(), Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        match acceptor.accept().await {
            Ok((kind, peer, local, ip)) => {
                if let Err((kind, reason)) = node.adopt(kind, &peer, local, ip) {
                    refuse(kind, &peer, reason);
                }
            }
            Err(error) if is_out_of_descriptors(&error) => {
                node.count_refused(CloseReason::NoDescriptors);
                warn_now_and_then(&mut warned, &error);
                let can_refuse = spare.as_mut().is_some_and(SpareDescriptor::give_up);
                if can_refuse {
                    // There is one now for the client that waits. It may be gone meanwhile, so this waits for none.
                    if let Ok(Ok((kind, peer, ..))) =
                        tokio::time::timeout(Duration::ZERO, acceptor.accept()).await
                    {
                        refuse(kind, &peer, CloseReason::NoDescriptors);
                    }
                }
                if let Some(spare) = &mut spare {
                    spare.take_back();
                }
                tokio::time::sleep(if can_refuse { REFUSE_REST } else { ACCEPT_REST }).await;
            }
            Err(error) => {
                warn_now_and_then(&mut warned, &error);
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
}

fn warn_now_and_then(warned: &mut Option<Instant>, error: &io::Error) {
    if warned.is_none_or(|at| at.elapsed() >= WARN_INTERVAL) {
        *warned = Some(Instant::now());
        tracing::warn!(%error, "a connection could not be accepted; going on, and saying so again only after a while");
    }
}

/// Closes a connection that is not taken.
fn refuse(kind: SocketKind, addr: &str, reason: CloseReason) {
    tracing::debug!(addr, reason = reason.label(), "refused");
    // Fits into the buffer of any new connection.
    let text = b"-ERR max number of clients reached\r\n";
    let _ = match kind {
        SocketKind::Tcp(mut stream) => stream.write_all(text),
        SocketKind::Unix(mut stream) => stream.write_all(text),
        // What is not encrypted, this client would not understand; and one in this process has been told otherwise.
        SocketKind::Tls(_) | SocketKind::Pipe(_) => Ok(()),
    };
}

/// Binds a socket to an address and tells which port it got.
fn reserve(addr: SocketAddr) -> Result<(socket2::Socket, SocketAddr), ListenError> {
    let tcp_error = |source| ListenError::Tcp { addr, source };
    let socket = bind_socket(addr).map_err(tcp_error)?;
    let local = socket.local_addr().map_err(tcp_error)?;
    let bound = local.as_socket().ok_or_else(|| tcp_error(io::ErrorKind::AddrNotAvailable.into()))?;
    Ok((socket, bound))
}

fn bind_tcp(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = bind_socket(addr)?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn bind_socket(addr: SocketAddr) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(addr), socket2::Type::STREAM, None)?;
    // A node that restarts must get its port back while old connections linger.
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    Ok(socket)
}

fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    if path.exists() && std::os::unix::net::UnixStream::connect(path).is_err() {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpStream};

    use super::*;

    fn refuses(addr: SocketAddr) -> bool {
        TcpStream::connect(addr).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    }

    /// As an outgoing connection would take it.
    fn can_be_taken(addr: SocketAddr) -> bool {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&addr.into()).is_ok()
    }

    #[test]
    fn a_reserved_port_refuses_clients_and_is_nobody_elses_whether_it_is_listened_on_or_not() {
        let plain = Some((Ipv4Addr::LOCALHOST, 0).into());
        let ports = ClientAddrs { plain, ..ClientAddrs::default() }.reserve().unwrap();
        let addr = ports.addrs.plain.unwrap();
        for _ in 0..2 {
            assert!(refuses(addr) && !can_be_taken(addr));
            let listeners = Listeners::bind(ports.addrs.clone()).unwrap();
            TcpStream::connect(addr).unwrap();
            assert!(ports.addrs.clone().reserve().is_err(), "another node asks for it");
            drop(listeners);
        }
        assert!(refuses(addr) && !can_be_taken(addr));
        drop(ports);
        assert!(can_be_taken(addr));
    }
}
