//! One nonblocking connection: bytes that are not written yet, and bytes that are not whole yet.

use std::{
    io::{self, Read as _, Write as _},
    sync::Arc,
};

use rustls::{ClientConfig, ClientConnection, pki_types::ServerName};
use socket2::{Domain, SockAddr, Socket, Type};

use super::poller::Poller;

/// Plaintext that is encrypted before the kernel has to take it: a record of TLS.
const RECORD_BYTES: usize = 16 * 1024;

/// Room that is left in the buffer before more is decrypted: what rustls reads at a time fits into it.
const DECRYPTED_BYTES_MAX: usize = 64 * 1024;

/// Where a server is, and how it is spoken to.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) addr: SockAddr,
    /// With TLS, whom to trust and the name that has to be in the server's certificate.
    pub(super) tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

/// A connection, or one that is being made.
#[derive(Debug)]
pub(super) struct Link {
    socket: Socket,
    tls: Option<Box<ClientConnection>>,
    /// To be written; those before `written` are.
    pub(super) out: Vec<u8>,
    written: usize,
    /// The beginning of a frame.
    rest: Vec<u8>,
    waits_to_write: bool,
}

impl Link {
    /// Begins to connect and waits for nothing. What is put into `out` is sent once the server accepts.
    pub(super) fn dial(place: Place, poller: &Poller, client: usize) -> io::Result<Self> {
        let Place { addr, tls } = place;
        let tls = tls.map(|(config, name)| ClientConnection::new(config, name)).transpose();
        let tls = tls.map_err(io::Error::other)?.map(Box::new);
        let socket = Socket::new(Domain::from(i32::from(addr.family())), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        if addr.as_socket().is_some() {
            socket.set_tcp_nodelay(true)?;
        }
        match socket.connect(&addr) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
            Err(error) => return Err(error),
        }
        poller.add(&socket, client, true)?;
        Ok(Self { socket, tls, out: Vec::new(), written: 0, rest: Vec::new(), waits_to_write: true })
    }

    /// Bytes that the kernel, or TLS, has not taken yet.
    pub(super) fn unwritten(&self) -> usize {
        self.out.len() - self.written
    }

    /// Writes what the kernel takes, and has the poller tell when it takes more.
    pub(super) fn flush(&mut self, poller: &Poller, client: usize) -> io::Result<()> {
        let is_stuck = self.write()?;
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
        }
        if self.waits_to_write != is_stuck {
            self.waits_to_write = is_stuck;
            poller.set_write(&self.socket, client, is_stuck)?;
        }
        Ok(())
    }

    /// Writes until all is written, or the kernel takes no more, which is returned. What has to wait for the other side's part of a
    /// handshake is not stuck.
    fn write(&mut self) -> io::Result<bool> {
        loop {
            let plain = &self.out[self.written..];
            let wrote = match &mut self.tls {
                Some(tls) if tls.wants_write() => tls.write_tls(&mut self.socket).map(|_| 0),
                Some(tls) if !plain.is_empty() && !tls.is_handshaking() => {
                    tls.writer().write(&plain[..plain.len().min(RECORD_BYTES)])
                }
                None if !plain.is_empty() => self.socket.write(plain),
                _ => return Ok(false),
            };
            match wrote {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether there is something to write that came of reading: the next part of a handshake, and what waited for its end.
    pub(super) fn has_more_to_write(&self) -> bool {
        self.tls
            .as_ref()
            .is_some_and(|tls| tls.wants_write() || !tls.is_handshaking() && self.unwritten() > 0)
    }

    /// Reads what there is, to behind the frame that has begun. Returns how many bytes of `buffer` there are now; `None` at
    /// the end of the connection.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let begun = self.rest.len();
        buffer[..begun].copy_from_slice(&self.rest);
        let read = match &mut self.tls {
            Some(tls) => decrypt(tls, &self.socket, &mut buffer[begun..]),
            None => self.socket.read(&mut buffer[begun..]),
        };
        match read {
            Ok(0) => Ok(None),
            Ok(count) => Ok(Some(begun + count)),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Ok(Some(begun))
            }
            Err(error) => Err(error),
        }
    }

    /// Keeps the beginning of a frame for the next read.
    pub(super) fn keep(&mut self, rest: &[u8]) {
        self.rest.clear();
        self.rest.extend_from_slice(rest);
    }
}

/// Reads and decrypts until there is nothing more, or no room. Nothing that is decrypted is left behind: the poller knows of the
/// socket only. Returns as a socket's read does.
fn decrypt(tls: &mut ClientConnection, mut socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    loop {
        match tls.reader().read(&mut buffer[len..]) {
            Ok(0) => return Ok(len),
            Ok(count) => {
                len += count;
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        if buffer.len() - len < DECRYPTED_BYTES_MAX {
            return Ok(len);
        }
        match tls.read_tls(&mut socket) {
            // What came before is worked on first; the end is there again.
            Ok(0) => return Ok(len),
            Ok(_) => {
                tls.process_new_packets().map_err(io::Error::other)?;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && len > 0 => return Ok(len),
            Err(error) => return Err(error),
        }
    }
}
