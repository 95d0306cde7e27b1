//! What a connection reads from and writes to.

use std::{collections::VecDeque, fmt, io, sync::Arc};

use bytes::BytesMut;
use carillon_proto::pipe::{ClientEnd, Piece};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The two directions of a stream, or a server in the same process: what a [`Transport`](crate::Transport) makes.
pub struct Socket {
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
}

/// Boxed, as one virtual call is nothing beside a system call.
pub(crate) enum Reader {
    Stream(Box<dyn AsyncRead + Send + Unpin>),
    Pipe(Arc<ClientEnd>),
}

pub(crate) enum Writer {
    Stream(Box<dyn AsyncWrite + Send + Unpin>),
    Pipe(Arc<ClientEnd>),
}

impl Socket {
    /// Both directions of one stream.
    pub fn new(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self::of_halves(reader, writer)
    }

    /// A stream whose directions are separate already.
    pub fn of_halves(
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Self {
        Self { reader: Reader::Stream(Box::new(reader)), writer: Writer::Stream(Box::new(writer)) }
    }

    /// A node in the same process, which hands messages over as they are.
    #[doc(hidden)]
    pub fn of_pipe(end: ClientEnd) -> Self {
        let end = Arc::new(end);
        Self { reader: Reader::Pipe(Arc::clone(&end)), writer: Writer::Pipe(end) }
    }

    pub(crate) fn is_pipe(&self) -> bool {
        matches!(self.reader, Reader::Pipe(_))
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Socket")
    }
}

impl Reader {
    /// Reads some bytes behind those in `input`, and behind these whatever else there is into `pieces`. Returns 0 at the
    /// end, else about how many bytes it was. Dropped, it has read nothing.
    pub(crate) async fn read(
        &mut self,
        input: &mut BytesMut,
        pieces: &mut VecDeque<Piece>,
    ) -> io::Result<usize> {
        match self {
            Self::Stream(stream) => stream.read_buf(input).await,
            Self::Pipe(end) => {
                let count = std::future::poll_fn(|context| end.poll_receive(context, pieces)).await;
                take_bytes(input, pieces);
                Ok(count)
            }
        }
    }

    /// Why the server has ended the connection, if it is one that can say so.
    pub(crate) fn end(&self) -> Option<&'static str> {
        match self {
            Self::Stream(_) => None,
            Self::Pipe(end) => end.end(),
        }
    }
}

/// Moves the bytes that are in front of `pieces` behind those in `input`.
pub(crate) fn take_bytes(input: &mut BytesMut, pieces: &mut VecDeque<Piece>) {
    while let Some(Piece::Bytes(bytes)) = pieces.front() {
        input.extend_from_slice(bytes);
        pieces.pop_front();
    }
}

impl Writer {
    /// Writes some of `output`, which it takes out of it. Dropped, it has written nothing.
    pub(crate) async fn write(&mut self, output: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Stream(stream) => stream.write_buf(output).await,
            Self::Pipe(end) => {
                std::future::poll_fn(|context| end.poll_send(context, || output.split().freeze())).await
            }
        }
    }
}
