//! How streams to servers are made: TCP, TLS and Unix sockets, or anything else that reads and writes.

use std::{fmt, future::Future, io, pin::Pin, sync::Arc};

use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use crate::{Endpoint, Socket, Tls};

/// A stream on its way; dropping it gives it up.
pub type Opening<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// What makes streams to servers. [`Network`] does it for the endpoints that there are; a server in the same process, a
/// tunnel or a test can bring its own.
///
/// ```
/// use carillon_client::{Endpoint, Network, Opening, Socket, Transport};
///
/// /// Every server is reached through a tunnel on this machine.
/// #[derive(Debug)]
/// struct Tunnel(Network);
///
/// impl Transport for Tunnel {
///     fn open<'a>(&'a self, _endpoint: &'a Endpoint) -> Opening<'a, Socket> {
///         Box::pin(async { Ok(Socket::new(tokio::net::TcpStream::connect("127.0.0.1:7000").await?)) })
///     }
/// }
/// ```
pub trait Transport: fmt::Debug + Send + Sync {
    /// Makes a stream to a server. It may be dropped when it takes too long. An error that is made of [`TlsFailed`] counts as one
    /// of TLS, one that is made of [`ServerEnded`] as final, and all others are tried again.
    fn open<'a>(&'a self, endpoint: &'a Endpoint) -> Opening<'a, Socket>;

    /// The endpoints that one stands for: a name may have many addresses, each of another server.
    fn resolve<'a>(&'a self, endpoint: &'a Endpoint) -> Opening<'a, Vec<Endpoint>> {
        Box::pin(async { Ok(vec![endpoint.clone()]) })
    }
}

/// TCP, TLS and Unix sockets of this machine.
#[derive(Clone, Debug, Default)]
pub struct Network {
    tls: Option<Tls>,
}

impl Network {
    /// Trusts what `tls` says; without it, the system's authorities.
    pub fn with_tls(tls: Tls) -> Self {
        Self { tls: Some(tls) }
    }
}

impl Transport for Network {
    fn open<'a>(&'a self, endpoint: &'a Endpoint) -> Opening<'a, Socket> {
        Box::pin(async move {
            match endpoint {
                Endpoint::Tcp { host, port } => {
                    let (reader, writer) = tcp(host, *port).await?.into_split();
                    Ok(Socket::of_halves(reader, writer))
                }
                Endpoint::Tls { host, port, name } => {
                    let tls = match &self.tls {
                        Some(tls) => tls.clone(),
                        None => Tls::system()?,
                    };
                    let name = name.clone().try_into().map_err(io::Error::other)?;
                    let stream = tcp(host, *port).await?;
                    Ok(Socket::new(TlsConnector::from(Arc::clone(&tls.config)).connect(name, stream).await?))
                }
                Endpoint::Unix(path) => {
                    let (reader, writer) = UnixStream::connect(path).await?.into_split();
                    Ok(Socket::of_halves(reader, writer))
                }
                Endpoint::InProcess(_) => {
                    let problem = "a node in this process is reached by the transport that it gives";
                    Err(io::Error::new(io::ErrorKind::Unsupported, problem))
                }
            }
        })
    }

    fn resolve<'a>(&'a self, endpoint: &'a Endpoint) -> Opening<'a, Vec<Endpoint>> {
        Box::pin(async move {
            let (Endpoint::Tcp { host, port } | Endpoint::Tls { host, port, .. }) = endpoint else {
                return Ok(vec![endpoint.clone()]);
            };
            let addrs = tokio::net::lookup_host((host.as_str(), *port)).await?;
            let hosts = addrs.map(|addr| addr.ip().to_string());
            Ok(match endpoint {
                Endpoint::Tls { name, .. } => {
                    hosts.map(|host| Endpoint::Tls { host, port: *port, name: name.clone() }).collect()
                }
                _ => hosts.map(|host| Endpoint::Tcp { host, port: *port }).collect(),
            })
        })
    }
}

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    // Connecting to a free port of the ephemeral range can reach itself; a loop of attempts would, one day, and keep the
    // port from the server.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    // What is written together is sent together already; waiting for more only adds latency.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The error of a [`Transport`] whose server has ended for good, so that it is of no use to try again.
#[derive(Clone, Copy, Debug, Default, thiserror::Error)]
#[error("it has ended and does not come back")]
pub struct ServerEnded;

impl From<ServerEnded> for io::Error {
    fn from(ended: ServerEnded) -> Self {
        Self::new(io::ErrorKind::NotConnected, ended)
    }
}

/// The error of a [`Transport`] that could connect, and could not agree on TLS.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct TlsFailed(Box<dyn std::error::Error + Send + Sync>);

impl TlsFailed {
    /// With what the TLS library says.
    pub fn new(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(error.into())
    }
}

impl From<TlsFailed> for io::Error {
    fn from(failed: TlsFailed) -> Self {
        Self::new(io::ErrorKind::InvalidData, failed)
    }
}

/// Whether it says that the server has ended for good.
pub(crate) fn has_ended(error: &io::Error) -> bool {
    error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<ServerEnded>)
}

/// Whether it is TLS that failed, and not the stream below.
pub(crate) fn is_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<TlsFailed>() || inner.is::<tokio_rustls::rustls::Error>())
}
