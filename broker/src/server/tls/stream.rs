//! A connection with TLS, on its shard's runtime.
//!
//! What goes through it is held in four bounded places: what has arrived and is not decrypted yet, what is decrypted and
//! not read, what is written and not encrypted because hands are still being shaken, and what is encrypted and not sent.
//! The last two are bounded by [`UNSENT_BYTES_MAX`]; everything else that waits for a client is in its outbox.

use std::{
    cell::{Cell, RefCell},
    io::{self, BufRead as _, IoSlice, Write},
    sync::Arc,
    task::{Context, Poll},
};

use rustls::{ServerConfig, ServerConnection};
use tokio::net::TcpStream;

/// Bytes that may be encrypted, or wait for it, before the outbox has to wait: a few records of TLS (16 KiB each).
const UNSENT_BYTES_MAX: usize = 64 * 1024;

/// A socket and its TLS session.
#[derive(Debug)]
pub(crate) struct TlsStream {
    pub(crate) socket: TcpStream,
    session: RefCell<ServerConnection>,
    /// Decrypted bytes wait to be read: the socket need not become readable again for them.
    has_plaintext: Cell<bool>,
    /// What is encrypted and not sent is the session's own, of the handshake say, and nothing that was written. Only that
    /// may be sent without asking whether the node may act.
    is_unsent_own: Cell<bool>,
}

/// The socket for a library that reads and writes: neither ever blocks.
struct NonBlocking<'a>(&'a TcpStream);

impl io::Read for NonBlocking<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for NonBlocking<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TlsStream {
    pub(super) fn new(socket: TcpStream, config: Arc<ServerConfig>) -> io::Result<Self> {
        let mut session = ServerConnection::new(config).map_err(io::Error::other)?;
        session.set_buffer_limit(Some(UNSENT_BYTES_MAX));
        Ok(Self {
            socket,
            session: RefCell::new(session),
            has_plaintext: Cell::new(false),
            is_unsent_own: Cell::new(false),
        })
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.session.borrow().is_handshaking()
    }

    /// Whether something encrypted has not been sent.
    pub(crate) fn has_unsent(&self) -> bool {
        self.session.borrow().wants_write()
    }

    /// Ready when there may be something to read. Sends meanwhile what the session itself has to say.
    pub(crate) fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.has_plaintext.get() {
            return Poll::Ready(Ok(()));
        }
        while self.is_unsent_own.get() {
            let Poll::Ready(is_ready) = self.socket.poll_write_ready(context) else { break };
            is_ready?;
            // One that blocks again has made the socket not ready, so this ends by waiting for it.
            match self.send_unsent() {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Poll::Ready(Err(error)),
                _ => {}
            }
        }
        self.socket.poll_read_ready(context)
    }

    /// Reads what there is into the spare room of `buffer`: zero at the end.
    pub(crate) fn try_read(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let (before, mut session) = (buffer.len(), self.session.borrow_mut());
        let has_written = session.wants_write() && !self.is_unsent_own.get();
        let outcome = read(&mut session, &self.socket, buffer);
        // A full buffer may have left something behind.
        self.has_plaintext.set(buffer.len() == buffer.capacity() && !is_empty(&mut session));
        drop(session);
        let sent = if has_written { Ok(()) } else { self.send_own() };
        match outcome {
            _ if buffer.len() > before => Ok(buffer.len() - before),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sent.and(Err(error)),
            outcome => outcome.map(|()| 0),
        }
    }

    /// Sends what the session itself has to say. Without room for it, the socket is waited for.
    fn send_own(&self) -> io::Result<()> {
        let sent = self.send_unsent();
        self.is_unsent_own.set(self.has_unsent());
        match sent {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }

    /// Takes what fits into the session's buffers and sends as much of it as the socket takes.
    pub(crate) fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.send_unsent()?;
        let mut session = self.session.borrow_mut();
        let taken = session.writer().write_vectored(slices)?;
        if taken == 0 {
            // Only before hands are shaken is there nothing that could make room, and nobody has asked for anything yet.
            return Err(io::Error::other("more was written than may wait for a handshake"));
        }
        match send(&mut session, &self.socket) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(taken),
        }
    }

    /// Sends what is encrypted.
    pub(crate) fn send_unsent(&self) -> io::Result<()> {
        let sent = send(&mut self.session.borrow_mut(), &self.socket);
        if sent.is_ok() {
            self.is_unsent_own.set(false);
        }
        sent
    }

    /// Says that nothing more follows (RFC 8446, section 6.1), as far as the socket takes it.
    pub(crate) fn close_notify(&self) {
        let mut session = self.session.borrow_mut();
        session.send_close_notify();
        let _ = send(&mut session, &self.socket);
    }
}

/// Decrypts until the socket is empty or the buffer full. `Ok` is the end.
fn read(session: &mut ServerConnection, socket: &TcpStream, buffer: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let room = buffer.capacity() - buffer.len();
        if room == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut reader = session.reader();
        match reader.fill_buf() {
            Ok([]) => return Ok(()),
            Ok(chunk) => {
                let len = chunk.len().min(room);
                buffer.extend_from_slice(&chunk[..len]);
                reader.consume(len);
                continue;
            }
            // Whoever closes without a word has closed all the same: requests have lengths of their own.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        session.read_tls(&mut NonBlocking(socket))?;
        if let Err(error) = session.process_new_packets() {
            // The client is told why.
            let _ = send(session, socket);
            let addr = socket.peer_addr().map(|addr| addr.to_string()).unwrap_or_default();
            tracing::info!(addr, %error, "TLS with a client has failed");
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
    }
}

fn is_empty(session: &mut ServerConnection) -> bool {
    session.reader().fill_buf().map_or(true, <[u8]>::is_empty)
}

fn send(session: &mut ServerConnection, socket: &TcpStream) -> io::Result<()> {
    while session.wants_write() {
        session.write_tls(&mut NonBlocking(socket))?;
    }
    Ok(())
}
