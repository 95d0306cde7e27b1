//! A stream to an endpoint, TCP or Unix.

use std::io;

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};

use crate::Endpoint;

/// The two directions of a stream; boxed, as one virtual call is nothing beside a system call.
pub(crate) struct Socket {
    pub(crate) reader: Box<dyn AsyncRead + Send + Unpin>,
    pub(crate) writer: Box<dyn AsyncWrite + Send + Unpin>,
}

pub(crate) async fn open(endpoint: &Endpoint) -> io::Result<Socket> {
    match endpoint {
        Endpoint::Tcp { host, port } => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            // Connecting to a free port of the ephemeral range can reach itself; a loop of attempts would, one
            // day, and keep the port from the server.
            if stream.local_addr()? == stream.peer_addr()? {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            // What is written together is sent together already; waiting for more only adds latency.
            stream.set_nodelay(true)?;
            let (reader, writer) = stream.into_split();
            Ok(Socket { reader: Box::new(reader), writer: Box::new(writer) })
        }
        Endpoint::Unix(path) => {
            let (reader, writer) = UnixStream::connect(path).await?.into_split();
            Ok(Socket { reader: Box::new(reader), writer: Box::new(writer) })
        }
    }
}
