//! Sockets of clients, TCP and Unix, and what takes their place inside this process, behind one face.

use std::{
    io::{self, IoSlice},
    os::fd::AsRawFd,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use carillon_proto::pipe::NodeEnd;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::Interest,
    net::{TcpStream, UnixStream},
};

use super::{
    CloseReason,
    addresses::Place,
    tls::{Tls, TlsStream},
};

/// How a dead peer is told from a quiet one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Liveness {
    /// Seconds without a sign of the peer before the first keep-alive probe; 0 turns probes off.
    pub(crate) keepalive_s: u64,
    /// Milliseconds for which sent data may stay unacknowledged, and probes unanswered.
    pub(crate) user_timeout_ms: u64,
}

/// Time between two keep-alive probes.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// An accepted connection on its way to its shard.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) kind: SocketKind,
    pub(crate) caller: Caller,
}

/// Who a connection is from.
#[derive(Debug)]
pub(crate) struct Caller {
    /// The client's address as CLIENT LIST shows it.
    pub(crate) peer: String,
    /// The address it connected to.
    pub(crate) local: Arc<str>,
    /// Its place among the connections of the same address; none on a Unix socket.
    pub(crate) place: Option<Place>,
}

#[derive(Debug)]
pub(crate) enum SocketKind {
    Tcp(std::net::TcpStream),
    /// With TLS to be spoken on it.
    Tls(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
    /// From inside this process.
    Pipe(NodeEnd),
}

/// A connection on its shard's runtime.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Tls(Box<TlsStream>),
    Unix(UnixStream),
    Pipe(NodeEnd),
}

/// On the socket itself, whatever is spoken on it, or on what takes its place.
macro_rules! on_socket {
    ($stream:expr, $inner:ident => $call:expr, $pipe:ident => $other:expr) => {
        match $stream {
            Stream::Pipe($pipe) => $other,
            Stream::Tcp($inner) => $call,
            Stream::Tls(tls) => {
                let $inner = &tls.socket;
                $call
            }
            Stream::Unix($inner) => $call,
        }
    };
}

impl Stream {
    /// `tls` is there if sockets are accepted that need it.
    pub(crate) fn new(kind: SocketKind, liveness: Liveness, tls: Option<&Tls>) -> io::Result<Self> {
        Ok(match kind {
            SocketKind::Tcp(socket) => Self::Tcp(new_tcp(socket, liveness)?),
            SocketKind::Tls(socket) => {
                let tls = tls.ok_or_else(|| io::Error::other("there are no certificates"))?;
                Self::Tls(Box::new(tls.accept(new_tcp(socket, liveness)?)?))
            }
            SocketKind::Unix(socket) => Self::Unix(UnixStream::from_std(socket)?),
            SocketKind::Pipe(end) => Self::Pipe(end),
        })
    }

    pub(crate) fn is_unix(&self) -> bool {
        matches!(self, Self::Unix(_))
    }

    /// What CLIENT LIST shows; -1 if there is no socket.
    pub(crate) fn fd(&self) -> i32 {
        on_socket!(self, stream => stream.as_raw_fd(), _pipe => -1)
    }

    /// Says why the connection is about to end, if the client is in this process: it sees no log.
    pub(crate) fn set_end(&self, reason: CloseReason) {
        if let Self::Pipe(pipe) = self {
            pipe.set_end(reason.label());
        }
    }

    pub(crate) fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(context),
            Self::Tls(stream) => stream.poll_read_ready(context),
            Self::Unix(stream) => stream.poll_read_ready(context),
            Self::Pipe(pipe) => pipe.poll_readable(context).map(Ok),
        }
    }

    pub(crate) fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_socket!(self, stream => stream.poll_write_ready(context), pipe => pipe.poll_writable(context).map(Ok))
    }

    /// Reads what there is into the spare room of `buffer`.
    pub(crate) fn try_read(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let room = buffer.capacity() - buffer.len();
        let count = match self {
            Self::Tcp(stream) => stream.try_read_buf(buffer)?,
            Self::Tls(stream) => return stream.try_read(buffer),
            Self::Unix(stream) => stream.try_read_buf(buffer)?,
            Self::Pipe(pipe) => return pipe.try_read(buffer),
        };
        if 0 < count && count < room {
            // A short read has emptied the socket. Saying so here saves the read that would only find that out;
            // what arrives from now on raises a new event.
            let nothing = || -> io::Result<()> { Err(io::ErrorKind::WouldBlock.into()) };
            let _ = on_socket!(self, stream => stream.try_io(Interest::READABLE, nothing), _pipe => Ok(()));
        }
        Ok(count)
    }

    pub(crate) fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match (self, slices) {
            (Self::Tcp(stream), [slice]) => stream.try_write(slice),
            (Self::Tcp(stream), _) => stream.try_write_vectored(slices),
            (Self::Tls(stream), _) => stream.try_write(slices),
            (Self::Unix(stream), [slice]) => stream.try_write(slice),
            (Self::Unix(stream), _) => stream.try_write_vectored(slices),
            (Self::Pipe(_), _) => unreachable!("what waits for it is handed over in pieces"),
        }
    }

    /// Whether something has been taken by [`try_write`](Self::try_write) that the socket has not.
    pub(crate) fn has_unsent(&self) -> bool {
        matches!(self, Self::Tls(stream) if stream.has_unsent())
    }

    /// Hands that to the socket.
    pub(crate) fn send_unsent(&self) -> io::Result<()> {
        if let Self::Tls(stream) = self { stream.send_unsent() } else { Ok(()) }
    }

    /// Whether it is too early for commands.
    pub(crate) fn is_handshaking(&self) -> bool {
        matches!(self, Self::Tls(stream) if stream.is_handshaking())
    }

    /// Sends FIN behind what has been written.
    pub(crate) fn finish(&self) -> io::Result<()> {
        if let Self::Tls(stream) = self {
            stream.close_notify();
        }
        let how = std::net::Shutdown::Write;
        on_socket!(self, stream => SockRef::from(stream).shutdown(how), pipe => {
            pipe.finish();
            Ok(())
        })
    }
}

fn new_tcp(socket: std::net::TcpStream, liveness: Liveness) -> io::Result<TcpStream> {
    socket.set_nodelay(true)?;
    set_liveness(&SockRef::from(&socket), liveness)?;
    TcpStream::from_std(socket)
}

/// Makes the kernel notice a peer that is gone without a word, within seconds instead of the two hours and the
/// fifteen minutes of its defaults: a dead subscriber that still counts makes Socket.IO wait for it in vain.
fn set_liveness(socket: &SockRef<'_>, liveness: Liveness) -> io::Result<()> {
    if liveness.keepalive_s > 0 {
        let keepalive = TcpKeepalive::new()
            .with_time(Duration::from_secs(liveness.keepalive_s))
            .with_interval(PROBE_INTERVAL)
            .with_retries(3);
        socket.set_tcp_keepalive(&keepalive)?;
    }
    if liveness.user_timeout_ms > 0 {
        socket.set_tcp_user_timeout(Some(Duration::from_millis(liveness.user_timeout_ms)))?;
    }
    Ok(())
}
