//! One nonblocking connection: bytes that are not written yet, and bytes that are not whole yet.

use std::io::{self, Read as _, Write as _};

use socket2::{Domain, SockAddr, Socket, Type};

use super::poller::Poller;

/// A connection, or one that is being made.
#[derive(Debug)]
pub(super) struct Link {
    socket: Socket,
    /// To be written; those before `written` are.
    pub(super) out: Vec<u8>,
    written: usize,
    /// The beginning of a frame.
    rest: Vec<u8>,
    waits_to_write: bool,
}

impl Link {
    /// Begins to connect and waits for nothing. What is put into `out` is sent once the server accepts.
    pub(super) fn dial(address: &SockAddr, poller: &Poller, client: usize) -> io::Result<Self> {
        let socket = Socket::new(Domain::from(i32::from(address.family())), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        if address.as_socket().is_some() {
            socket.set_tcp_nodelay(true)?;
        }
        match socket.connect(address) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
            Err(error) => return Err(error),
        }
        poller.add(&socket, client, true)?;
        Ok(Self { socket, out: Vec::new(), written: 0, rest: Vec::new(), waits_to_write: true })
    }

    /// Bytes that the kernel has not taken yet.
    pub(super) fn unwritten(&self) -> usize {
        self.out.len() - self.written
    }

    /// Writes what the kernel takes, and has the poller tell when it takes more.
    pub(super) fn flush(&mut self, poller: &Poller, client: usize) -> io::Result<()> {
        while self.written < self.out.len() {
            match self.socket.write(&self.out[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let is_all = self.written == self.out.len();
        if is_all {
            self.out.clear();
            self.written = 0;
        }
        if self.waits_to_write == is_all {
            self.waits_to_write = !is_all;
            poller.set_write(&self.socket, client, !is_all)?;
        }
        Ok(())
    }

    /// Reads once, to behind the frame that has begun. Returns how many bytes of `buffer` there are now; `None` at the
    /// end of the connection.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let begun = self.rest.len();
        buffer[..begun].copy_from_slice(&self.rest);
        match self.socket.read(&mut buffer[begun..]) {
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
