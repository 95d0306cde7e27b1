//! Connections and their streams.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use carillon_proto::{
    limits::{HANDSHAKE_BYTES_MAX, PEER_FRAME_BYTES_MAX},
    peer::{
        FrameError, FrameReader, Hello, Refusal, Reply, Request, StreamHead, VERSION, VERSION_OLDEST,
        Verdict, Welcome, encode_frame, reply, request, stream_head, verdict,
    },
};
use prost::Message;
use quinn::{ReadError, VarInt, WriteError};

use super::PeerEndpoint;

/// How long a handshake may take.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(3);

/// Chunks that one read takes.
const CHUNKS: usize = 32;

/// Why speaking to a peer failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PeerError {
    /// The connection cannot be made, or is gone.
    #[error("{0}")]
    Connection(String),
    /// One of both does not take the other's certificate.
    #[error(
        "it has another secret or authority than this node, or a certificate has run out; \
         check --cluster-secret-file on both, or --peer-cert-file: {0}"
    )]
    Untrusted(String),
    /// The stream ended before its time.
    #[error("the stream ended: {0}")]
    Stream(String),
    /// The peer sent what is no answer.
    #[error("the peer does not follow the protocol: {0}")]
    Protocol(String),
    /// The peer refuses, and says why.
    #[error("refused: {}", .0.text)]
    Refused(Refusal),
    /// It took too long.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
}

impl From<quinn::ConnectionError> for PeerError {
    fn from(error: quinn::ConnectionError) -> Self {
        // RFC 9001, section 4.8: alerts of TLS are the error codes from 0x100 on.
        let is_tls = |code: quinn::TransportErrorCode| (0x100..0x200).contains(&u64::from(code));
        let code = match &error {
            quinn::ConnectionError::TransportError(error) => Some(error.code),
            quinn::ConnectionError::ConnectionClosed(close) => Some(close.error_code),
            _ => None,
        };
        if code.is_some_and(is_tls) {
            return Self::Untrusted(error.to_string());
        }
        Self::Connection(error.to_string())
    }
}

impl From<WriteError> for PeerError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::ConnectionLost(error) => error.into(),
            error => Self::Stream(error.to_string()),
        }
    }
}

impl From<ReadError> for PeerError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::ConnectionLost(error) => error.into(),
            error => Self::Stream(error.to_string()),
        }
    }
}

impl From<FrameError> for PeerError {
    fn from(error: FrameError) -> Self {
        Self::Protocol(error.to_string())
    }
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub struct PeerIdentity {
    /// Its cluster; empty if it has none.
    pub cluster_id: String,
    /// Its number; 0 if it has none.
    pub node: u64,
    /// Its name.
    pub name: String,
    /// The run of its process.
    pub run: u64,
    /// The protocol version that both speak.
    pub version: u32,
}

/// A connection to another node.
#[derive(Clone, Debug)]
pub struct Link {
    connection: quinn::Connection,
    /// Who is at the other end.
    pub peer: PeerIdentity,
}

/// A connection that another node wants.
#[derive(Debug)]
pub struct Incoming {
    connection: quinn::Connection,
    answer: quinn::SendStream,
    /// What it said.
    pub hello: Hello,
}

impl PeerEndpoint {
    /// Connects to a node and shakes hands.
    pub async fn dial(&self, addr: SocketAddr, hello: &Hello) -> Result<Link, PeerError> {
        let handshake = async {
            let connecting = self.connect(addr).map_err(|error| PeerError::Connection(error.to_string()))?;
            let connection = connecting.await?;
            let mut channel = Channel::open(&connection, HANDSHAKE_BYTES_MAX).await?;
            channel.send(hello).await?;
            match channel.receive::<Verdict>().await?.kind {
                Some(verdict::Kind::Welcome(welcome)) => {
                    let peer = PeerIdentity {
                        cluster_id: welcome.cluster_id,
                        node: welcome.node,
                        name: welcome.name,
                        run: welcome.run,
                        version: welcome.version,
                    };
                    Ok(Link { connection, peer })
                }
                Some(verdict::Kind::Refusal(refusal)) => Err(PeerError::Refused(refusal)),
                None => Err(PeerError::Protocol("neither welcomed nor refused".to_owned())),
            }
        };
        timeout(HANDSHAKE_TIME_MAX, handshake).await
    }

    /// Waits for the next node that connects; `None` once the endpoint is closed. What comes still has to prove
    /// that it knows the cluster's secret: the future inside does that.
    pub async fn accept(&self) -> Option<impl Future<Output = Result<Incoming, PeerError>> + Send + 'static> {
        let incoming = self.endpoint.accept().await?;
        Some(async move {
            let handshake = async {
                // An address that has not been shown to be the sender's own gets no more than a small answer.
                if !incoming.remote_address_validated() {
                    let _ = incoming.retry();
                    return Ok(None);
                }
                let connection = incoming.await?;
                let (answer, receive) = connection.accept_bi().await?;
                let hello = Receiver::new(receive, HANDSHAKE_BYTES_MAX).receive().await?;
                Ok(Some(Incoming { connection, answer, hello }))
            };
            match timeout(HANDSHAKE_TIME_MAX, handshake).await? {
                Some(incoming) => Ok(incoming),
                None => Err(PeerError::Connection("asked to show its address".to_owned())),
            }
        })
    }
}

impl Incoming {
    /// The version that both sides speak, if there is one.
    pub fn common_version(&self) -> Option<u32> {
        self.hello.common_version(VERSION_OLDEST..=VERSION)
    }

    /// Where it comes from.
    pub fn addr(&self) -> SocketAddr {
        self.connection.remote_address()
    }

    /// Accepts.
    pub async fn welcome(mut self, welcome: Welcome) -> Result<Link, PeerError> {
        let peer = PeerIdentity {
            cluster_id: self.hello.cluster_id,
            node: self.hello.node,
            name: self.hello.name,
            run: self.hello.run,
            version: welcome.version,
        };
        let verdict = Verdict { kind: Some(verdict::Kind::Welcome(welcome)) };
        self.answer.write_chunk(encode_frame(&verdict)).await?;
        let _ = self.answer.finish();
        Ok(Link { connection: self.connection, peer })
    }

    /// Refuses, and says why.
    pub async fn refuse(mut self, refusal: Refusal) {
        let verdict = Verdict { kind: Some(verdict::Kind::Refusal(refusal)) };
        if self.answer.write_chunk(encode_frame(&verdict)).await.is_ok() {
            let _ = self.answer.finish();
            // The peer closes once it has read.
            let _ = tokio::time::timeout(Duration::from_secs(1), self.connection.closed()).await;
        }
        self.connection.close(VarInt::from_u32(1), b"refused");
    }
}

impl Link {
    /// Sends one request and waits for its answer.
    pub async fn call(&self, request: request::Kind, time: Duration) -> Result<reply::Kind, PeerError> {
        let exchange = async {
            let mut channel = Channel::open(&self.connection, PEER_FRAME_BYTES_MAX).await?;
            let request = Request { kind: Some(request) };
            channel.send(&StreamHead { kind: Some(stream_head::Kind::Request(request)) }).await?;
            let _ = channel.sender.finish();
            match channel.receive::<Reply>().await?.kind {
                Some(reply::Kind::Refusal(refusal)) => Err(PeerError::Refused(refusal)),
                Some(reply) => Ok(reply),
                None => Err(PeerError::Protocol("an empty answer".to_owned())),
            }
        };
        timeout(time, exchange).await
    }

    /// Opens a stream of messages.
    pub async fn open(&self) -> Result<Channel, PeerError> {
        Channel::open(&self.connection, PEER_FRAME_BYTES_MAX).await
    }

    /// Waits for the next stream that the peer opens.
    pub async fn accept(&self) -> Result<Channel, PeerError> {
        let (sender, receiver) = self.connection.accept_bi().await?;
        Ok(Channel { sender, receiver: Receiver::new(receiver, PEER_FRAME_BYTES_MAX) })
    }

    /// Waits until the connection is gone, and tells why.
    pub async fn closed(&self) -> String {
        self.connection.closed().await.to_string()
    }

    /// Whether the connection is gone.
    pub fn is_closed(&self) -> bool {
        self.connection.close_reason().is_some()
    }

    /// Closes the connection.
    pub fn close(&self, why: &str) {
        self.connection.close(VarInt::from_u32(0), why.as_bytes());
    }

    /// The smoothed round-trip time.
    pub fn round_trip(&self) -> Duration {
        self.connection.rtt()
    }

    /// The peer's address as this node sees it.
    pub fn addr(&self) -> SocketAddr {
        self.connection.remote_address()
    }

    /// Whether both are the same connection.
    pub fn is(&self, other: &Self) -> bool {
        self.connection.stable_id() == other.connection.stable_id()
    }
}

async fn timeout<T>(
    time: Duration,
    future: impl Future<Output = Result<T, PeerError>>,
) -> Result<T, PeerError> {
    tokio::time::timeout(time, future).await.unwrap_or(Err(PeerError::Timeout(time)))
}

/// Both directions of a stream.
#[derive(Debug)]
pub struct Channel {
    /// The way there.
    pub sender: quinn::SendStream,
    /// The way back.
    pub receiver: Receiver,
}

impl Channel {
    async fn open(connection: &quinn::Connection, len_max: usize) -> Result<Self, PeerError> {
        let (sender, receiver) = connection.open_bi().await?;
        Ok(Self { sender, receiver: Receiver::new(receiver, len_max) })
    }

    /// Sends a frame.
    pub async fn send(&mut self, message: &impl Message) -> Result<(), PeerError> {
        Ok(self.sender.write_chunk(encode_frame(message)).await?)
    }

    /// Waits for a frame.
    pub async fn receive<M: Message + Default>(&mut self) -> Result<M, PeerError> {
        self.receiver.receive().await
    }

    /// Answers the request that this stream carried.
    pub async fn answer(mut self, reply: reply::Kind) -> Result<(), PeerError> {
        self.send(&Reply { kind: Some(reply) }).await?;
        let _ = self.sender.finish();
        Ok(())
    }
}

/// The receiving direction of a stream, cut into frames.
#[derive(Debug)]
pub struct Receiver {
    stream: quinn::RecvStream,
    frames: FrameReader,
    /// Chunks that have been read and not yet been cut.
    chunks: std::collections::VecDeque<Bytes>,
}

impl Receiver {
    fn new(stream: quinn::RecvStream, len_max: usize) -> Self {
        Self { stream, frames: FrameReader::new(len_max), chunks: std::collections::VecDeque::new() }
    }

    /// Waits for a frame.
    pub async fn receive<M: Message + Default>(&mut self) -> Result<M, PeerError> {
        loop {
            if let Some((mut frame, prefix)) = self.next_raw()? {
                bytes::Buf::advance(&mut frame, prefix);
                return M::decode(frame).map_err(|error| PeerError::Protocol(error.to_string()));
            }
            self.read().await?;
        }
    }

    /// Waits until something has arrived.
    pub async fn read(&mut self) -> Result<(), PeerError> {
        let mut chunks = [const { Bytes::new() }; CHUNKS];
        let count = self.stream.read_chunks(&mut chunks).await?;
        let count = count.ok_or_else(|| PeerError::Stream("the peer has finished it".to_owned()))?;
        self.chunks.extend(chunks.into_iter().take(count));
        Ok(())
    }

    /// The next frame of what has arrived, and the length of its prefix.
    pub fn next_raw(&mut self) -> Result<Option<(Bytes, usize)>, PeerError> {
        loop {
            if let Some(frame) = self.frames.next_raw()? {
                return Ok(Some(frame));
            }
            let Some(chunk) = self.chunks.pop_front() else { return Ok(None) };
            self.frames.push(chunk);
        }
    }
}
