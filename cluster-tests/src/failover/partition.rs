//! A server that the subscriber can reach no more, without a word from anyone: nothing arrives from it, what is sent to it is
//! taken and vanishes, and nothing answers who wants to connect.

use std::{
    collections::HashSet,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use carillon_client::Socket;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// The servers that are lost, and the connections to all of them.
#[derive(Debug, Default)]
pub(super) struct Partition(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    lost: HashSet<SocketAddr>,
    open: Vec<(SocketAddr, Arc<AtomicBool>)>,
}

impl Partition {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn connect(&self, addr: SocketAddr) -> io::Result<Socket> {
        if self.state().lost.contains(&addr) {
            return std::future::pending().await;
        }
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let is_lost = Arc::<AtomicBool>::default();
        let mut state = self.state();
        is_lost.store(state.lost.contains(&addr), Ordering::SeqCst);
        state.open.push((addr, Arc::clone(&is_lost)));
        Ok(Socket::new(Line { stream, is_lost }))
    }

    /// Nothing comes through to or from this server any more.
    pub(super) fn lose(&self, addr: SocketAddr) {
        let mut state = self.state();
        state.lost.insert(addr);
        state.open.retain(|(to, is_lost)| {
            is_lost.fetch_or(*to == addr, Ordering::SeqCst);
            *to != addr
        });
    }

    /// It can be connected to again.
    pub(super) fn find(&self, addr: SocketAddr) {
        self.state().lost.remove(&addr);
    }
}

/// One connection.
struct Line {
    stream: TcpStream,
    is_lost: Arc<AtomicBool>,
}

impl Line {
    fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::SeqCst)
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_lost() { Poll::Pending } else { Pin::new(&mut self.stream).poll_read(context, buffer) }
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_lost() {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
