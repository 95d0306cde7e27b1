//! The UDP socket of a node and the settings of its connections.

use std::{
    future::Future,
    io,
    net::{SocketAddr, UdpSocket},
    pin::Pin,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use quinn::{
    AsyncTimer, AsyncUdpSocket, EndpointConfig, Runtime, TransportConfig, VarInt,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};

use super::{Credentials, CredentialsError};
use crate::lock::lock;

/// What the kernel is asked to hold for the socket in each direction, in bytes: its default loses packets at
/// full rate.
const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// Most handshakes at a time: what strangers can make a node hold.
const HANDSHAKES_MAX: usize = 64;

/// Bytes of one stream on their way: what a node holds for a peer that it does not read from.
const STREAM_WINDOW_BYTES: u32 = 8 * 1024 * 1024;

/// Bytes of all streams of a connection on their way.
const CONNECTION_WINDOW_BYTES: u32 = 32 * 1024 * 1024;

/// Streams that a peer may have open: requests at a time.
const STREAMS_MAX: u32 = 256;

/// First guess of the round-trip time: nodes are near each other, and a lost handshake packet should not cost
/// the third of a second of QUIC's own guess.
const ROUND_TRIP_GUESS: Duration = Duration::from_millis(30);

/// Times of the links.
#[derive(Clone, Copy, Debug)]
pub struct EndpointSettings {
    /// Silence after which a link counts as broken.
    pub idle: Duration,
    /// Between two signs of life on a quiet link.
    pub keep_alive: Duration,
}

/// Random numbers that outlive the process, so that a restarted node is recognised at once instead of after the
/// idle time: it can tell its peers, by stateless resets, that their connections are gone.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct EndpointKeys {
    reset: [u8; 32],
    connection_id: u64,
}

impl EndpointKeys {
    /// New ones.
    pub fn random() -> io::Result<Self> {
        let mut reset = [0; 32];
        getrandom::fill(&mut reset).map_err(io::Error::other)?;
        Ok(Self { reset, connection_id: getrandom::u64().map_err(io::Error::other)? })
    }
}

/// Why a node cannot be reached by its peers.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The address.
    #[error("cannot listen for peers on {addr}/udp: {source}{}", crate::bind::advice(source))]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The certificates.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
}

/// A node's end of all its links.
#[derive(Debug)]
pub struct PeerEndpoint {
    pub(super) endpoint: quinn::Endpoint,
    pub(super) name: String,
    transport: Arc<TransportConfig>,
    /// What the next connection is made with.
    client: Mutex<quinn::ClientConfig>,
}

impl PeerEndpoint {
    /// Binds the socket. Everything that quinn does runs on the runtime that this is called on, whichever thread
    /// dials or accepts later.
    pub fn bind(
        addr: SocketAddr,
        credentials: &Credentials,
        keys: &EndpointKeys,
        settings: EndpointSettings,
    ) -> Result<Self, EndpointError> {
        let bind_error = |source| EndpointError::Bind { addr, source };
        let socket = UdpSocket::bind(addr).map_err(bind_error)?;
        size_buffers(&socket);
        let transport = Arc::new(transport(settings));
        let (server, client) = configs(credentials, &transport)?;
        let reset_key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &keys.reset);
        let mut config = EndpointConfig::new(Arc::new(reset_key));
        let connection_id = keys.connection_id;
        config.cid_generator(move || {
            Box::new(quinn_proto::HashedConnectionIdGenerator::from_key(connection_id))
        });
        let runtime = Arc::new(OnOneRuntime(tokio::runtime::Handle::current()));
        let endpoint = quinn::Endpoint::new(config, Some(server), socket, runtime).map_err(bind_error)?;
        Ok(Self { endpoint, name: credentials.name.clone(), transport, client: Mutex::new(client) })
    }

    /// Shows these, and asks for what they trust, from the next connection on. Those that are there stay. The name in
    /// peers' certificates is the one that it was.
    pub fn renew(&self, credentials: &Credentials) -> Result<(), CredentialsError> {
        let (server, client) = configs(credentials, &self.transport)?;
        self.endpoint.set_server_config(Some(server));
        *lock(&self.client) = client;
        Ok(())
    }

    pub(super) fn connect(&self, addr: SocketAddr) -> Result<quinn::Connecting, quinn::ConnectError> {
        let config = lock(&self.client).clone();
        self.endpoint.connect_with(config, addr, &self.name)
    }

    /// The address, with the port that was chosen when 0 was asked for.
    pub fn addr(&self) -> io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// Closes all connections and tells the peers.
    pub async fn close(&self) {
        self.endpoint.close(VarInt::from_u32(0), b"the node stops");
        let _ = tokio::time::timeout(Duration::from_millis(200), self.endpoint.wait_idle()).await;
    }
}

/// How connections are accepted, and how they are made.
fn configs(
    credentials: &Credentials,
    transport: &Arc<TransportConfig>,
) -> Result<(quinn::ServerConfig, quinn::ClientConfig), CredentialsError> {
    let tls = |error: &dyn std::fmt::Display| CredentialsError::Tls(error.to_string());
    let server = QuicServerConfig::try_from(credentials.server_config()?).map_err(|error| tls(&error))?;
    let mut server = quinn::ServerConfig::with_crypto(Arc::new(server));
    server.transport_config(Arc::clone(transport)).max_incoming(HANDSHAKES_MAX);
    let client = QuicClientConfig::try_from(credentials.client_config()?).map_err(|error| tls(&error))?;
    let mut client = quinn::ClientConfig::new(Arc::new(client));
    client.transport_config(Arc::clone(transport));
    Ok((server, client))
}

fn transport(settings: EndpointSettings) -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_idle_timeout(settings.idle.try_into().ok())
        .keep_alive_interval(Some(settings.keep_alive))
        .initial_rtt(ROUND_TRIP_GUESS)
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW_BYTES))
        .send_window(u64::from(CONNECTION_WINDOW_BYTES))
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None);
    transport
}

fn size_buffers(socket: &UdpSocket) {
    let socket = socket2::SockRef::from(socket);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    // Linux tells twice what it gives, and gives no more than net.core.rmem_max.
    let granted = socket.recv_buffer_size().unwrap_or_default() / 2;
    if granted < SOCKET_BUFFER_BYTES {
        tracing::info!(
            granted,
            wanted = SOCKET_BUFFER_BYTES,
            "small UDP buffers: bursts between nodes may lose packets; raise net.core.rmem_max and wmem_max"
        );
    }
}

/// Runs quinn's tasks on one runtime, whichever thread they are started from.
#[derive(Debug)]
struct OnOneRuntime(tokio::runtime::Handle);

impl Runtime for OnOneRuntime {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        let _guard = self.0.enter();
        quinn::TokioRuntime.new_timer(at)
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.0.spawn(future);
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let _guard = self.0.enter();
        quinn::TokioRuntime.wrap_udp_socket(socket)
    }
}
