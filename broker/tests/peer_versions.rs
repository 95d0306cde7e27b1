//! A node of another version of the protocol between nodes, as an upgrade meets it: a node of this build in this
//! process, and a peer that says what a later build would say.

use std::{
    net::{SocketAddr, UdpSocket},
    path::Path,
    time::{Duration, Instant},
};

use carillon_broker::{
    Broker,
    config::Settings,
    mesh::quic::{Credentials, EndpointKeys, EndpointSettings, Link, PeerEndpoint, PeerError},
};
use carillon_proto::peer::{
    Hello, Reply, Request, StreamHead, VERSION, VERSION_OLDEST, reply, request, stream_head,
};
use prost::Message as _;

/// How long the node may take to be there.
const PATIENCE: Duration = Duration::from_secs(10);

/// Fields 98 (a number) and 99 (a string) of a message, which no message of this build has.
const UNKNOWN_FIELDS: [u8; 9] = [0x90, 0x06, 0x01, 0x9a, 0x06, 0x03, b'n', b'e', b'w'];

/// Starts a node of this build.
async fn start_node(folder: &Path, secret: &Path) -> (Broker, SocketAddr) {
    // A port that was free a moment ago.
    let addr = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
    let settings = Settings::default()
        .client_addr(([127, 0, 0, 1], 0))
        .admin_addr(([127, 0, 0, 1], 0))
        .peer_addr(addr)
        .expect(1)
        .cluster_secret_file(secret)
        .data_dir(folder.join("data"));
    (Broker::start(settings).await.expect("starts"), addr)
}

/// What a node says that speaks these versions.
fn hello(version_oldest: u32, version: u32) -> Hello {
    Hello { version, version_oldest, run: 7, name: "another".into(), ..Hello::default() }
}

/// Dials until the node is there.
async fn dial(endpoint: &PeerEndpoint, addr: SocketAddr, hello: &Hello) -> Result<Link, PeerError> {
    let start = Instant::now();
    loop {
        match endpoint.dial(addr, hello).await {
            Err(PeerError::Connection(_) | PeerError::Timeout(_)) if start.elapsed() < PATIENCE => {}
            dialled => return dialled,
        }
    }
}

async fn is_answered(link: &Link) -> bool {
    let answer = link.call(request::Kind::Who(()), PATIENCE).await;
    matches!(answer, Ok(reply::Kind::Who(who)) if who.expect == 1)
}

/// A frame of something that a later version says.
fn frame(message: &[u8]) -> bytes::Bytes {
    let mut frame = Vec::new();
    prost::encode_length_delimiter(message.len(), &mut frame).expect("a vector grows");
    frame.extend_from_slice(message);
    frame.into()
}

#[tokio::test]
async fn a_node_of_the_next_version_is_spoken_to_in_this_one_and_one_beyond_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "a secret that only this test's nodes know\n").expect("writes the secret");
    let (_broker, addr) = start_node(folder.path(), &secret).await;
    let credentials = Credentials::from_secret_file(&secret.into()).expect("a good secret");
    let times = EndpointSettings { idle: Duration::from_secs(2), keep_alive: Duration::from_millis(500) };
    let keys = EndpointKeys::random().expect("random numbers");
    let local = "127.0.0.1:0".parse().expect("an address");
    let endpoint = PeerEndpoint::bind(local, &credentials, &keys, times).expect("a free port");

    // The next version, which still speaks this one.
    let link = dial(&endpoint, addr, &hello(VERSION, VERSION + 1)).await.expect("welcome");
    assert_eq!(link.peer.version, VERSION);
    assert!(is_answered(&link).await);

    // A request that has gained fields is answered as if it had not.
    let known = Request { kind: Some(request::Kind::Who(())) };
    let head = StreamHead { kind: Some(stream_head::Kind::Request(known)) };
    let mut channel = link.open().await.expect("a stream");
    let extended = [&head.encode_to_vec()[..], &UNKNOWN_FIELDS].concat();
    channel.sender.write_chunk(frame(&extended)).await.expect("is taken");
    let answer: Reply = channel.receive().await.expect("an answer");
    assert!(matches!(answer.kind, Some(reply::Kind::Who(_))), "{answer:?}");

    // A kind of stream that this build does not know is the end of that stream and of nothing else.
    let mut channel = link.open().await.expect("a stream");
    channel.sender.write_chunk(frame(&UNKNOWN_FIELDS)).await.expect("is taken");
    assert!(channel.receive::<Reply>().await.is_err());
    assert!(is_answered(&link).await, "the link is as good as before");

    // Versions without any in common, on either side: one line that says what to do.
    for (oldest, newest) in [(VERSION + 1, VERSION + 2), (VERSION_OLDEST - 1, VERSION_OLDEST - 1)] {
        match dial(&endpoint, addr, &hello(oldest, newest)).await {
            Err(PeerError::Refused(refusal)) => {
                assert!(!refusal.is_temporary, "{}", refusal.text);
                let expected = format!("it speaks versions {oldest} to {newest} of the peer protocol");
                assert!(refusal.text.starts_with(&expected), "{}", refusal.text);
                assert!(refusal.text.contains("upgrade one version at a time"), "{}", refusal.text);
            }
            other => panic!("versions {oldest} to {newest}: {other:?}"),
        }
    }
}
