//! Nodes inside this process.

#[path = "../examples/common/mod.rs"]
mod common;

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream, UdpSocket},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use carillon_broker::{Broker, Contents, RunError, Settings};
use carillon_client::{Client, ClientSettings, Event, Network, Tls};

/// Long: three nodes on one thread of a debug build take four seconds to form a cluster, and many times that on a machine
/// whose cores are taken.
const PATIENCE: Duration = Duration::from_secs(90);

fn settings(data: &Path) -> Settings {
    let any_port = ([127, 0, 0, 1], 0);
    Settings::default().client_addr(any_port).admin_addr(any_port).data_dir(data)
}

/// Sends a request and reads exactly what is expected.
fn expect(client: &mut TcpStream, request: &str, expected: &str) {
    client.write_all(request.as_bytes()).expect("is sent");
    let mut answer = vec![0; expected.len()];
    client.read_exact(&mut answer).unwrap_or_else(|error| panic!("{request:?}: {error}"));
    assert_eq!(String::from_utf8_lossy(&answer), expected);
}

fn connect(addr: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(addr).expect("the node takes clients");
    client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    client
}

/// Threads and open files of this process, and its resident memory. Threads of this test's own runtime, which come and go
/// for what blocks, do not count.
fn held() -> (usize, usize, u64) {
    let names = fs::read_dir("/proc/self/task").expect("/proc is there").flatten();
    let names = names.filter_map(|thread| fs::read_to_string(thread.path().join("comm")).ok());
    let threads = names.filter(|name| !name.starts_with("tokio-rt")).count();
    let files = fs::read_dir("/proc/self/fd").expect("/proc is there").count();
    let statm = fs::read_to_string("/proc/self/statm").expect("/proc is there");
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("a number");
    (threads, files, pages * 4096)
}

/// Waits until this process holds no more threads and files than so many: one that has been joined is listed for a moment more.
fn wait_until_held(threads: usize, files: usize, when: &str) {
    let start = Instant::now();
    let mut now = held();
    while now.0 > threads || now.1 > files {
        assert!(
            start.elapsed() < PATIENCE,
            "{when}: {now:?} are held, and {threads} and {files} were before"
        );
        std::thread::yield_now();
        now = held();
    }
}

#[tokio::test]
async fn a_hundred_nodes_one_after_another_leave_nothing_behind() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut before = None;
    for round in 0..100 {
        let broker = Broker::start(settings(&folder.path().join("data"))).await.expect("starts");
        broker.ready().await.expect("takes clients at once");
        let addr = broker.client_addr().expect("a port without TLS");
        // A node that has numbered messages once had its shards kept by its data plane, and that by them.
        let client = broker.client();
        let mut heard = client.subscribe(["c"]).await.expect("subscribes");
        let ends = tokio::task::spawn_blocking(move || {
            let (mut subscriber, mut publisher) = (connect(addr), connect(addr));
            expect(&mut subscriber, "SUBSCRIBE c\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
            expect(&mut publisher, "PUBLISH c hello\r\n", ":2\r\n");
            expect(&mut subscriber, "", "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$5\r\nhello\r\n");
            (subscriber, publisher)
        });
        let (mut subscriber, mut publisher) = ends.await.expect("no panic");
        assert_eq!(broker.clients(), 3);
        let event = heard.next().await.expect("goes on");
        assert!(matches!(event, Ok(Event::Message(message)) if message.payload == "hello"));
        let closed = tokio::task::spawn_blocking(move || {
            for client in [&mut subscriber, &mut publisher] {
                assert_eq!(client.read(&mut [0; 1]).expect("an orderly end"), 0);
            }
        });
        broker.shutdown().await.expect("ends in order");
        closed.await.expect("both saw the end");
        while heard.next().await.is_some() {}
        TcpStream::connect(addr).expect_err("the port is closed");
        // The first few make the process what it is from then on: the allocator's pools, the runtime's threads.
        match before {
            _ if round < 10 => before = Some(held()),
            Some((threads, files, _)) => wait_until_held(threads, files, &format!("in round {round}")),
            None => unreachable!("the first rounds have set it"),
        }
    }
    let (before, after) = (before.expect("rounds have run").2, held().2);
    assert!(after < before + 16 * 1024 * 1024, "memory grew from {before} to {after} bytes");
}

#[tokio::test]
async fn three_nodes_in_one_process_are_one_broker_and_any_of_them_may_go() {
    // Shown if it fails.
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cluster = common::cluster(3, folder.path()).expect("free ports");
    let peers: Vec<SocketAddr> = cluster.iter().filter_map(|node| node.peer_addr).collect();
    assert_eq!(peers.len(), 3);
    let mut nodes = Vec::new();
    for node in cluster {
        // On a machine with much else to do, a count must not leave out a node for being late.
        let settings = node.drain_ms(100).grace_ms(1000);
        nodes.push(Broker::start(settings).await.expect("starts"));
    }
    for node in &nodes {
        tokio::time::timeout(PATIENCE, node.ready()).await.expect("in time").expect("is in the view");
        assert_eq!(node.readiness(), Ok(()));
    }
    let addrs: Vec<SocketAddr> = nodes.iter().filter_map(Broker::client_addr).collect();
    let [first, second, third] = addrs[..] else { panic!("{addrs:?}") };
    let clients = tokio::task::spawn_blocking(move || {
        let (mut subscriber, mut publisher) = (connect(first), connect(second));
        expect(&mut subscriber, "SUBSCRIBE c\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
        expect(&mut publisher, "PUBLISH c hello\r\n", ":1\r\n");
        expect(&mut subscriber, "", "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$5\r\nhello\r\n");
        expect(&mut connect(third), "PUBLISH c again\r\n", ":1\r\n");
        expect(&mut subscriber, "", "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$5\r\nagain\r\n");
        (subscriber, publisher)
    });
    let (mut subscriber, mut publisher) = clients.await.expect("no panic");
    let status = nodes[0].status().await;
    assert_eq!(status["members"].as_array().map(Vec::len), Some(3), "{status}");
    nodes.remove(2).shutdown().await.expect("leaves in order");
    let go_on = tokio::task::spawn_blocking(move || {
        expect(&mut publisher, "PUBLISH c on\r\n", ":1\r\n");
        expect(&mut subscriber, "", "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\non\r\n");
    });
    go_on.await.expect("the others go on");
    for node in nodes {
        node.shutdown().await.expect("ends in order");
    }
    for peer in peers {
        UdpSocket::bind(peer).expect("the port between nodes is free");
    }
}

#[tokio::test]
async fn secrets_and_certificates_need_no_file_and_are_not_shown() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (cert, key) = (own.cert.pem(), own.signing_key.serialize_pem());
    let settings = settings(&folder.path().join("data"))
        .tls_addr(([127, 0, 0, 1], 0))
        .tls_cert_file(Contents::new(cert.clone()))
        .tls_key_file(Contents::new(key.clone()))
        .password_file(Contents::new("a password of clients"))
        .admin_token_file(Contents::new("a token of operators"));
    let told = format!("{settings:?}");
    let broker = Broker::start(settings.clone()).await.expect("starts");

    let authority = folder.path().join("authority.pem");
    fs::write(&authority, &cert).expect("writes what clients trust");
    let network = Network::with_tls(Tls::with_authorities(&authority).expect("an authority"));
    let port = broker.tls_addr().expect("a port with TLS").port();
    let client = |password: &str| {
        let address = format!("rediss://:{password}@localhost:{port}").parse().expect("an address");
        Client::with(vec![address], Arc::new(network.clone()), ClientSettings::default())
    };
    assert_eq!(client("a%20password%20of%20clients").publish("c", "hello").await.expect("is let in"), 0);
    client("another").publish("c", "hello").await.expect_err("is not let in");

    let admin = broker.admin_addr();
    let status = |token: &'static str| async move {
        let ask = move || {
            let mut operator = connect(admin);
            let request = format!("GET /status HTTP/1.0\r\nAuthorization: Bearer {token}\r\n\r\n");
            operator.write_all(request.as_bytes()).expect("is sent");
            let mut answer = String::new();
            operator.read_to_string(&mut answer).expect("is answered");
            answer
        };
        tokio::task::spawn_blocking(ask).await.expect("no panic")
    };
    assert!(status("a token of operators").await.contains(" 200 "));
    assert!(status("another").await.contains(" 401 "));
    broker.shutdown().await.expect("ends in order");

    let short = settings.clone().peer_addr(([127, 0, 0, 1], 0)).advertise_addr("localhost:1").expect(1);
    let short = Broker::start(short.cluster_secret_file(Contents::new("too short a secret"))).await;
    let error = short.expect_err("it could be guessed").to_string();
    assert!(error.contains("(given by the program) has 18 bytes"), "{error}");
    let wrong = Broker::start(settings.tls_key_file(Contents::new("no key"))).await;
    let error = wrong.expect_err("it is no key").to_string();
    assert!(error.contains("--tls-key-file (given by the program)"), "{error}");
    for secret in ["a password", "a token", "too short a", key.lines().nth(1).expect("a key of some lines")] {
        assert!(!told.contains(secret) && !error.contains(secret), "{told} {error}");
    }
}

#[tokio::test]
async fn a_node_that_cannot_start_says_why_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let running = Broker::start(settings(&folder.path().join("data"))).await.expect("starts");
    // Its shard's thread opens what it needs after the start: once it has answered, it has all.
    let addr = running.client_addr().expect("a port without TLS");
    let mut client = connect(addr);
    let answered = tokio::task::spawn_blocking(move || {
        expect(&mut client, "PING\r\n", "+PONG\r\n");
        client
    });
    let _client = answered.await.expect("no panic");
    let before = held();
    let taken = settings(&folder.path().join("other")).client_addr(addr);
    let error = Broker::start(taken).await.expect_err("the port is taken").to_string();
    assert!(error.contains("cannot listen on"), "{error}");
    let same = Broker::start(settings(&folder.path().join("data"))).await;
    let error = same.expect_err("the folder is in use").to_string();
    assert!(error.contains("data"), "{error}");
    wait_until_held(before.0, before.1, "after two that could not start");
    running.shutdown().await.expect("ends in order");
}

#[tokio::test]
async fn a_node_that_is_dropped_ends_by_itself() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broker = Broker::start(settings(&folder.path().join("data"))).await.expect("starts");
    let addr = broker.client_addr().expect("a port without TLS");
    drop(broker);
    let start = Instant::now();
    while TcpStream::connect(addr).is_ok() {
        assert!(start.elapsed() < PATIENCE, "it still takes clients");
        tokio::task::yield_now().await;
    }
    // Its folder can be used again: nobody holds it.
    let again = loop {
        match Broker::start(settings(&folder.path().join("data"))).await {
            Ok(broker) => break broker,
            Err(_) if start.elapsed() < PATIENCE => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    again.shutdown().await.expect("ends in order");
}

/// The runtime has not even begun to run it.
#[test]
fn a_node_whose_runtime_never_ran_ends_with_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let first = runtime();
    let broker = first.block_on(Broker::start(settings(folder.path()))).expect("starts");
    drop(first);
    assert!(broker.readiness().is_err());
    let second = runtime();
    assert!(matches!(second.block_on(broker.shutdown()), Err(RunError::RuntimeEnded)));
    second.block_on(wait_until_free(folder.path()));
}

/// Starts a node in the folder as soon as the one before has let go of it.
async fn wait_until_free(folder: &Path) {
    let start = Instant::now();
    let again = loop {
        match Broker::start(settings(folder)).await {
            Ok(again) => break again,
            Err(error) => assert!(start.elapsed() < PATIENCE, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    again.shutdown().await.expect("ends in order");
}

/// The node's threads are not the runtime's: they must not serve on for nobody, and the folder has to become free.
#[test]
fn a_node_whose_runtime_ends_first_ends_too_and_says_so() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let runtime = || tokio::runtime::Runtime::new().expect("a runtime");
    let first = runtime();
    let broker = first.block_on(Broker::start(settings(folder.path()))).expect("starts");
    let client = broker.client();
    first.block_on(client.publish("c", "first")).expect("publishes");
    drop(first);

    let second = runtime();
    let error = second.block_on(client.publish("c", "second")).expect_err("there is nobody");
    assert!(error.to_string().contains("has ended"), "{error}");
    assert!(broker.readiness().is_err());
    assert!(matches!(second.block_on(broker.ready()), Err(RunError::Ended)));
    let end = second.block_on(broker.shutdown());
    assert!(matches!(end, Err(RunError::RuntimeEnded)), "{end:?}");
    second.block_on(wait_until_free(folder.path()));
}
