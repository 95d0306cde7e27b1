//! Accepting connections.

use std::{
    io::{self, Write as _},
    net::{SocketAddr, TcpListener},
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{
    Node,
    stream::{Socket, SocketKind},
};

/// How long accepting rests after an error, which is nearly always a lack of file descriptors.
const ACCEPT_REST: Duration = Duration::from_millis(100);

const BACKLOG: i32 = 4096;

/// An address that could not be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// A TCP address.
    #[error("cannot listen on {addr}: {source}; is another server running there?")]
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

/// The sockets on which clients arrive.
#[derive(Debug)]
pub struct Listeners {
    tcp: TcpListener,
    unix: Option<(UnixListener, PathBuf)>,
    /// The TCP address, with the port that was chosen when 0 was asked for.
    pub addr: SocketAddr,
}

impl Listeners {
    /// Listens on a TCP address and, if given, on a Unix socket. A socket file that nobody listens on is
    /// replaced.
    pub fn bind(addr: SocketAddr, unix: Option<&Path>) -> Result<Self, ListenError> {
        let tcp_error = |source| ListenError::Tcp { addr, source };
        let tcp = bind_tcp(addr).map_err(tcp_error)?;
        let addr = tcp.local_addr().map_err(tcp_error)?;
        let unix = match unix {
            None => None,
            Some(path) => {
                let listener =
                    bind_unix(path).map_err(|source| ListenError::Unix { path: path.to_owned(), source })?;
                Some((listener, path.to_owned()))
            }
        };
        Ok(Self { tcp, unix, addr })
    }

    /// Sees that a TCP address can be listened on, without a client ever getting through. Returns it with the port
    /// that was chosen when 0 was asked for.
    pub fn check(addr: SocketAddr) -> Result<SocketAddr, ListenError> {
        let tcp_error = |source| ListenError::Tcp { addr, source };
        let local = bind_socket(addr).and_then(|socket| socket.local_addr()).map_err(tcp_error)?;
        local.as_socket().ok_or_else(|| tcp_error(io::ErrorKind::AddrNotAvailable.into()))
    }

    /// Accepts until the node stops or `closed` is over, then closes the sockets.
    pub async fn serve(self, node: Arc<Node>, closed: impl Future<Output = ()>) -> io::Result<()> {
        let tcp = tokio::net::TcpListener::from_std(self.tcp)?;
        let unix = match self.unix {
            None => None,
            Some((listener, path)) => Some((tokio::net::UnixListener::from_std(listener)?, path)),
        };
        let accept_unix = async {
            match &unix {
                Some((listener, path)) => accept_unix(&node, listener, path).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = accept_tcp(&node, &tcp) => {}
            () = accept_unix => {}
            () = node.stopped() => {}
            () = closed => {}
        }
        unix.map_or(Ok(()), |(_, path)| std::fs::remove_file(path))
    }
}

async fn accept_tcp(node: &Node, listener: &tokio::net::TcpListener) {
    loop {
        let socket = match listener.accept().await {
            Ok((stream, peer)) => stream.into_std().and_then(|stream| {
                let local = stream.local_addr()?.to_string().into();
                Ok(Socket { kind: SocketKind::Tcp(stream), peer: peer.to_string(), local })
            }),
            Err(error) => Err(error),
        };
        take(node, socket).await;
    }
}

async fn accept_unix(node: &Node, listener: &tokio::net::UnixListener, path: &Path) {
    // What CLIENT LIST shows for these, as Redis does: the path, and a port that is none.
    let name = format!("{}:0", path.display());
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream.into_std(),
            Err(error) => Err(error),
        };
        let socket = stream.map(|stream| Socket {
            kind: SocketKind::Unix(stream),
            peer: name.clone(),
            local: name.as_str().into(),
        });
        take(node, socket).await;
    }
}

/// Hands a connection on. Whatever happened to it, the listener goes on.
async fn take(node: &Node, socket: io::Result<Socket>) {
    match socket {
        Ok(socket) => {
            if let Err(socket) = node.adopt(socket) {
                refuse(node, socket);
            }
        }
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted; trying again");
            tokio::time::sleep(ACCEPT_REST).await;
        }
    }
}

fn refuse(node: &Node, socket: Socket) {
    tracing::warn!(
        addr = socket.peer,
        max = node.settings.live.clients_max.get(),
        "refused: too many clients"
    );
    // Fits into the buffer of any new connection.
    let text = b"-ERR max number of clients reached\r\n";
    let _ = match socket.kind {
        SocketKind::Tcp(mut stream) => stream.write_all(text),
        SocketKind::Unix(mut stream) => stream.write_all(text),
    };
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
