//! Sockets of clients, TCP and Unix, behind one face.

use std::{
    io::{self, IoSlice},
    os::fd::AsRawFd,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::Interest,
    net::{TcpStream, UnixStream},
};

use super::addresses::Place;

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
    Unix(std::os::unix::net::UnixStream),
}

/// A connection on its shard's runtime.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

macro_rules! on_either {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream {
            Stream::Tcp($inner) => $call,
            Stream::Unix($inner) => $call,
        }
    };
}

impl Stream {
    pub(crate) fn new(kind: SocketKind, liveness: Liveness) -> io::Result<Self> {
        Ok(match kind {
            SocketKind::Tcp(socket) => {
                socket.set_nodelay(true)?;
                set_liveness(&SockRef::from(&socket), liveness)?;
                Self::Tcp(TcpStream::from_std(socket)?)
            }
            SocketKind::Unix(socket) => Self::Unix(UnixStream::from_std(socket)?),
        })
    }

    pub(crate) fn is_unix(&self) -> bool {
        matches!(self, Self::Unix(_))
    }

    pub(crate) fn fd(&self) -> i32 {
        on_either!(self, stream => stream.as_raw_fd())
    }

    pub(crate) fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_either!(self, stream => stream.poll_read_ready(context))
    }

    pub(crate) fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_either!(self, stream => stream.poll_write_ready(context))
    }

    /// Reads what there is into the spare room of `buffer`.
    pub(crate) fn try_read(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let room = buffer.capacity() - buffer.len();
        let count = on_either!(self, stream => stream.try_read_buf(buffer))?;
        if 0 < count && count < room {
            // A short read has emptied the socket. Saying so here saves the read that would only find that out;
            // what arrives from now on raises a new event.
            let nothing = || -> io::Result<()> { Err(io::ErrorKind::WouldBlock.into()) };
            let _ = on_either!(self, stream => stream.try_io(Interest::READABLE, nothing));
        }
        Ok(count)
    }

    pub(crate) fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match slices {
            [slice] => on_either!(self, stream => stream.try_write(slice)),
            _ => on_either!(self, stream => stream.try_write_vectored(slices)),
        }
    }

    /// Sends FIN behind what has been written.
    pub(crate) fn finish(&self) -> io::Result<()> {
        let how = std::net::Shutdown::Write;
        on_either!(self, stream => SockRef::from(stream).shutdown(how))
    }
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
