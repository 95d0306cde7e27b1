//! TLS on the client port: what goes through it, what does not, and how certificates change.

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use carillon_cluster_tests::{Authority, Server, Wire, command, eventually, free_addr, run};
use carillon_proto::resp::Value;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};

const PATIENCE: Duration = Duration::from_secs(10);

/// Writes `name.pem` and `name.key`.
fn sign(authority: &Authority, name: &str) -> (PathBuf, PathBuf) {
    authority.sign(name, &["localhost", name])
}

/// A client's settings that trust this authority, with a certificate of its own if it has one.
fn client(authority: &Authority, own: Option<&(PathBuf, PathBuf)>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority.path("ca.pem")).expect("PEM")).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    Arc::new(match own {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let chain = vec![CertificateDer::from_pem_file(cert).expect("PEM")];
            let key = PrivateKeyDer::from_pem_file(key).expect("PEM");
            builder.with_client_auth_cert(chain, key).expect("a certificate and its key")
        }
    })
}

type Client = StreamOwned<ClientConnection, TcpStream>;

fn connect(addr: SocketAddr, config: &Arc<ClientConfig>) -> Client {
    let socket = TcpStream::connect(addr).expect("the server accepts");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let name = ServerName::try_from("localhost").expect("a name");
    StreamOwned::new(ClientConnection::new(Arc::clone(config), name).expect("settings"), socket)
}

/// Sends a request and reads exactly what is expected.
fn expect(client: &mut Client, request: &[&str], expected: &[u8]) {
    client.write_all(&command(request)).expect("is sent");
    let mut answer = vec![0; expected.len()];
    client.read_exact(&mut answer).unwrap_or_else(|error| panic!("{request:?}: {error}"));
    assert_eq!(answer, expected, "{}", answer.escape_ascii());
}

struct TlsServer {
    server: Server,
    tls: SocketAddr,
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn serve((cert, key): &(PathBuf, PathBuf), more: &[&str]) -> TlsServer {
    let tls = free_addr();
    let (cert, key) = (text(cert), text(key));
    let addr = tls.to_string();
    let flags = ["--tls-addr", &addr, "--tls-cert-file", &cert, "--tls-key-file", &key];
    TlsServer { server: Server::carillon(&[&flags, more].concat()), tls }
}

fn closed(server: &Server, reason: &str) -> u64 {
    let Value::Bulk(info) = Wire::connect(server.addr).ask(&["info", "stats"]) else {
        panic!("INFO is text")
    };
    let info = String::from_utf8_lossy(&info).into_owned();
    let field = format!("closed_{reason}:");
    let value = info.lines().find_map(|line| line.strip_prefix(&field)).expect("a reason");
    value.parse().expect("a number")
}

#[test]
fn everything_passes_through_tls_as_it_does_without() {
    let authority = Authority::new();
    let TlsServer { server, tls } = serve(&sign(&authority, "server"), &["--shards", "2"]);
    let config = client(&authority, None);
    let mut subscriber = connect(tls, &config);
    expect(&mut subscriber, &["subscribe", "c"], b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
    let mut publisher = connect(tls, &config);
    // Sizes around those of records and buffers, in both directions.
    for len in [0, 1, 100, 4_096, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537, 300_000, 1_000_000] {
        let payload = "x".repeat(len);
        expect(&mut publisher, &["publish", "c", &payload], b":1\r\n");
        let message = format!("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n${len}\r\n{payload}\r\n");
        let mut got = vec![0; message.len()];
        subscriber.read_exact(&mut got).expect("the message");
        assert!(got == message.as_bytes(), "{len} bytes");
    }
    // Many requests at once, each answered in its turn.
    let pipeline: Vec<u8> = (0..5_000).flat_map(|number| command(&["echo", &number.to_string()])).collect();
    publisher.write_all(&pipeline).expect("is sent");
    for number in 0..5_000 {
        let number = number.to_string();
        let expected = format!("${}\r\n{number}\r\n", number.len());
        let mut answer = vec![0; expected.len()];
        publisher.read_exact(&mut answer).expect("an answer");
        assert_eq!(answer, expected.as_bytes());
    }
    // QUIT ends in order: the answer, then the word that nothing follows, which rustls asks for.
    publisher.write_all(&command(&["quit"])).expect("is sent");
    let mut rest = Vec::new();
    publisher.read_to_end(&mut rest).expect("an orderly end, with close_notify");
    assert_eq!(rest, b"+OK\r\n");
    assert!(
        Wire::connect(server.addr).ask(&["ping"]) == Value::Simple("PONG".into()),
        "beside it, without TLS"
    );
}

/// A request that arrives byte by byte, each in a record of its own.
#[test]
fn records_of_single_bytes_are_a_request_as_well() {
    let authority = Authority::new();
    let TlsServer { tls, server: _server } = serve(&sign(&authority, "server"), &[]);
    let mut client = connect(tls, &client(&authority, None));
    for byte in command(&["echo", "slowly"]) {
        client.write_all(&[byte]).and_then(|()| client.flush()).expect("is sent");
    }
    let mut answer = [0; 12];
    client.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"$6\r\nslowly\r\n");
}

/// What waits for a client that does not read is in its outbox, where the limit is, and nowhere else.
#[test]
fn a_tls_subscriber_that_does_not_read_is_closed_at_the_same_limit() {
    let authority = Authority::new();
    let TlsServer { server, tls } = serve(&sign(&authority, "server"), &[]);
    let mut subscriber = connect(tls, &client(&authority, None));
    expect(&mut subscriber, &["subscribe", "c"], b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
    let mut publisher = Wire::connect(server.addr);
    publisher.ask(&["config", "set", "client-output-buffer-limit", "pubsub 1mb 0 0"]);
    let payload = "x".repeat(100_000);
    let mut sent = 0;
    while closed(&server, "outbox_hard_limit") == 0 {
        publisher.ask(&["publish", "c", &payload]);
        sent += 1;
        assert!(sent < 1_000, "100 MB wait for a client that reads nothing");
    }
}

#[test]
fn wrong_certificates_and_no_tls_are_told_apart_and_cost_nothing() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let own = sign(&authority, "server");
    let ca = text(&authority.path("ca.pem"));
    let TlsServer { server, tls } = serve(&own, &["--tls-client-auth", "required", "--tls-ca-file", &ca]);
    let mut welcome = connect(tls, &client(&authority, Some(&sign(&authority, "client"))));
    expect(&mut welcome, &["ping"], b"+PONG\r\n");
    let fails = |mut client: Client| {
        let outcome = client.write_all(&command(&["ping"])).and_then(|()| client.read_exact(&mut [0; 7]));
        outcome.expect_err("it must not get in").to_string()
    };
    let without = fails(connect(tls, &client(&authority, None)));
    assert!(without.contains("CertificateRequired"), "{without}");
    let unknown = fails(connect(tls, &client(&authority, Some(&sign(&stranger, "client")))));
    assert!(unknown.contains("UnknownCA") || unknown.contains("DecryptError"), "{unknown}");
    let untrusting = fails(connect(tls, &client(&stranger, None)));
    assert!(untrusting.contains("invalid peer certificate"), "{untrusting}");
    // One that speaks no TLS is closed.
    let mut plain = TcpStream::connect(tls).expect("the server accepts");
    plain.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    plain.write_all(&command(&["ping"])).expect("is sent");
    let mut rest = Vec::new();
    match plain.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    assert!(!rest.windows(4).any(|part| part == b"PONG"));
    let counted = eventually(PATIENCE, || (closed(&server, "tls_error") >= 3).then_some(()));
    assert!(counted.is_some(), "{} of them are counted", closed(&server, "tls_error"));
    // Whoever says nothing holds a connection open for some seconds, and no processor.
    let _silent: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(tls).expect("accepts")).collect();
    let before = cpu_ms(server.pid());
    let start = Instant::now();
    let gone = eventually(Duration::from_secs(20), || (closed(&server, "tls_timeout") == 20).then_some(()));
    assert!(gone.is_some(), "{} of 20", closed(&server, "tls_timeout"));
    let spent = cpu_ms(server.pid()) - before;
    assert!(
        spent < start.elapsed().as_millis() as u64 / 5,
        "{spent} ms of processor time in {:?}",
        start.elapsed()
    );
    expect(&mut welcome, &["ping"], b"+PONG\r\n");
}

/// Processor time of a process.
fn cpu_ms(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
    let ticks = fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().expect("ticks"));
    ticks.sum::<u64>() * 10
}

#[test]
fn certificates_change_on_sighup_and_open_connections_go_on() {
    let (old, new) = (Authority::new(), Authority::new());
    let files = sign(&old, "server");
    let TlsServer { server, tls } = serve(&files, &[]);
    let mut open = connect(tls, &client(&old, None));
    expect(&mut open, &["ping"], b"+PONG\r\n");
    let (cert, key) = sign(&new, "server");
    // First one that cannot be used: the key of another certificate. Nothing changes.
    fs::copy(&key, &files.1).expect("copies");
    server.signal("HUP");
    expect(&mut open, &["ping"], b"+PONG\r\n");
    expect(&mut connect(tls, &client(&old, None)), &["ping"], b"+PONG\r\n");
    fs::copy(&cert, &files.0).expect("copies");
    server.signal("HUP");
    let accepts = |authority: &Authority| {
        let mut client = connect(tls, &client(authority, None));
        client.write_all(&command(&["ping"])).and_then(|()| client.read_exact(&mut [0; 7])).is_ok()
    };
    assert!(eventually(PATIENCE, || accepts(&new).then_some(())).is_some(), "the new one is in use");
    assert!(!accepts(&old));
    expect(&mut open, &["ping"], b"+PONG\r\n");
}

#[test]
fn certificates_change_when_their_files_do() {
    let (old, new) = (Authority::new(), Authority::new());
    let files = sign(&old, "server");
    let TlsServer { server: _server, tls } = serve(&files, &[]);
    let mut open = connect(tls, &client(&old, None));
    expect(&mut open, &["ping"], b"+PONG\r\n");
    let (cert, key) = sign(&new, "server");
    fs::copy(&key, &files.1).expect("copies");
    fs::copy(&cert, &files.0).expect("copies");
    let mut is_taken = || {
        let mut client = connect(tls, &client(&new, None));
        client.write_all(&command(&["ping"])).and_then(|()| client.read_exact(&mut [0; 7])).ok()
    };
    assert!(eventually(PATIENCE, &mut is_taken).is_some(), "nobody sent a signal");
    expect(&mut open, &["ping"], b"+PONG\r\n");
}

#[test]
fn files_that_cannot_be_used_end_the_start_with_one_line() {
    let authority = Authority::new();
    let (cert, key) = sign(&authority, "server");
    let (_, other_key) = sign(&authority, "other");
    let empty = authority.path("empty");
    fs::write(&empty, "").expect("writes a file");
    let [cert, key, other_key, empty] = [cert, key, other_key, empty].map(|path| text(&path));
    let data = text(&authority.path("data"));
    for (cert, key, more, says) in [
        ("nowhere", key.as_str(), &[][..], "--tls-cert-file nowhere"),
        (&cert, "nowhere", &[], "--tls-key-file nowhere"),
        (&empty, &key, &[], "there is no certificate in it"),
        (&cert, &empty, &[], "--tls-key-file"),
        (&cert, &other_key, &[], "--tls-key-file"),
        (&cert, &key, &["--tls-client-auth", "required"], "--tls-ca-file"),
        (
            &cert,
            &key,
            &["--tls-client-auth", "optional", "--tls-ca-file", &empty],
            "there is no certificate in it",
        ),
    ] {
        let common =
            ["serve", "--client-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--data-dir", &data];
        let tls = ["--tls-addr", "127.0.0.1:0", "--tls-cert-file", cert, "--tls-key-file", key];
        let ended = run(&[&common[..], &tls, more].concat(), &[], b"");
        let is_told = |line: &&str| line.contains("ERROR") || line.starts_with("carillon: ");
        let lines: Vec<&str> = ended.errors.lines().filter(is_told).collect();
        assert_eq!((lines.len(), ended.code), (1, Some(64)), "{}", ended.errors);
        assert!(lines[0].contains(says), "'{says}' is not in {}", lines[0]);
    }
}

/// `--tls-only` leaves no other way in.
#[test]
fn without_tls_nobody_gets_in_where_that_is_asked_for() {
    let authority = Authority::new();
    let (cert, key) = sign(&authority, "server");
    let (cert, key) = (text(&cert), text(&key));
    // The harness waits for the address that it gives: here it is that with TLS.
    let server = Server::carillon_tls_only(&["--tls-cert-file", &cert, "--tls-key-file", &key, "--tls-only"]);
    expect(&mut connect(server.addr, &client(&authority, None)), &["ping"], b"+PONG\r\n");
}

#[test]
fn other_machines_are_not_let_in_without_a_password_unless_it_is_asked_for() {
    let authority = Authority::new();
    let data = text(&authority.path("data"));
    let serve = |addr: &str, more: &[&str]| {
        let common = ["serve", "--client-addr", addr, "--admin-addr", "127.0.0.1:0", "--data-dir", &data];
        run(&[&common[..], more].concat(), &[], b"")
    };
    let refused = serve("0.0.0.0:0", &[]);
    assert_eq!(refused.code, Some(64), "{}", refused.errors);
    let says = ["--password-file", "--acl-file", "--allow-anonymous"];
    assert!(says.iter().all(|words| refused.errors.contains(words)), "{}", refused.errors);
    let empty = authority.path("empty");
    fs::write(&empty, "\n").expect("writes a file");
    let refused = serve("127.0.0.1:0", &["--password-file", &text(&empty)]);
    assert_eq!(refused.code, Some(64), "{}", refused.errors);
    assert!(refused.errors.contains("is empty"), "{}", refused.errors);
}

#[test]
fn bench_loads_a_server_over_tls_and_nothing_is_missing() {
    let authority = Authority::new();
    // Publishers may be far ahead of subscribers that share a processor with them: nobody is to be closed for that.
    let server = serve(&sign(&authority, "server"), &["--outbox-bytes-max", "1GiB"]);
    let (addr, ca) = (format!("rediss://localhost:{}", server.tls.port()), text(&authority.path("ca.pem")));
    let bench = |more: &[&str]| {
        let words = ["bench", "--json", "--seconds", "0.5", "--warmup", "0.1", "--server", &addr];
        run(&[&words, more].concat(), &[], b"")
    };
    // Payloads of one record and of several, and more at a time than the kernel takes at once.
    for load in
        [&["--size", "64", "--pipeline", "16"][..], &["--size", "100000", "--pipeline", "64", "--resp", "3"]]
    {
        let ended = bench(&[&["--ca-file", &ca, "--subscribers", "5", "--publishers", "2"], load].concat());
        assert_eq!(ended.code, Some(0), "{load:?}: {ended:?}");
        let report: serde_json::Value = serde_json::from_str(&ended.output).expect("is JSON");
        let round = &report["targets"][0]["rounds"][0];
        assert!(round["delivered"].as_u64().is_some_and(|count| count > 100), "{round}");
        assert_eq!(round["closed"].as_u64(), Some(0), "{round}");
    }
    let stranger = Authority::new();
    let ended = bench(&["--ca-file", &text(&stranger.path("ca.pem"))]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.errors.contains("certificate"), "{ended:?}");
}
