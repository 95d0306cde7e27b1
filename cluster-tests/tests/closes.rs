//! Whoever is closed is counted under the reason for it, and named in the log: [the page about them](../../broker/CLOSES.md)
//! is what operators go by. Reasons that need more than a client have tests of their own, which are named below.

use std::{io::Write as _, net::SocketAddr, time::Duration};

use carillon_cluster_tests::{Ports, Running, Wire, command, eventually, http};
use carillon_proto::resp::Value;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Reasons that are met elsewhere: in which file, by which words.
const ELSEWHERE: [(&str, &str, &str); 7] = [
    ("memory_budget", "tests/hostile/connections.rs", "\"memory_budget\""),
    ("address_limit", "tests/hostile/connections.rs", "\"address_limit\""),
    ("no_descriptors", "tests/hostile/descriptors.rs", "\"no_descriptors\""),
    ("panic", "../broker/src/server/serve.rs", "CloseReason::Panic.index()"),
    ("fenced", "tests/cluster/partitions.rs", "\"fenced\""),
    ("tls_error", "tests/tls.rs", "\"tls_error\""),
    ("tls_timeout", "tests/tls.rs", "\"tls_timeout\""),
];

/// A node, what it logs, and one client that is never closed.
struct Watched {
    running: Running,
    addr: SocketAddr,
    admin: SocketAddr,
    operator: Wire,
    seen: Vec<&'static str>,
    _data: tempfile::TempDir,
    _ports: Ports,
}

impl Watched {
    fn start(flags: &[&str], password: Option<&str>) -> Self {
        let (data, mut ports) = (tempfile::tempdir().expect("a temporary folder"), Ports::take());
        let (addr, admin) = (ports.next_addr(), ports.next_addr());
        let (client, operators) = (addr.to_string(), admin.to_string());
        let folder = data.path().join("data").display().to_string();
        let all = ["serve", "--data-dir", &folder, "--client-addr", &client, "--admin-addr", &operators];
        let level = ["--log-level", "info,carillon_broker::server=debug"];
        let mut running = Running::start(&[&all[..], &level, flags].concat());
        running.errors_until(&["ready for clients"]);
        let mut operator = Wire::connect(addr);
        if let Some(password) = password {
            operator.ask(&["auth", password]);
        }
        // It subscribes to something, so that it is never idle; with RESP3 it may ask all the same.
        operator.ask(&["hello", "3"]);
        operator.ask(&["subscribe", "nothing"]);
        Self { running, addr, admin, operator, seen: Vec::new(), _data: data, _ports: ports }
    }

    fn client(&self) -> Wire {
        Wire::connect(self.addr)
    }

    fn ask(&mut self, request: &str) -> Value {
        let answer = self.operator.ask(&request.split(' ').collect::<Vec<_>>());
        assert!(!matches!(answer, Value::Error(_)), "{request}: {answer:?}");
        answer
    }

    /// Waits until the log says that this client was closed for this reason, and nobody else is counted with it.
    fn closed(&mut self, reason: &'static str, client: &Wire) {
        self.closed_at(reason, &addr(client));
    }

    fn closed_at(&mut self, reason: &'static str, addr: &str) {
        let log = self.running.errors_until(&[&format!("reason=\"{reason}\""), addr]);
        let counted = eventually(PATIENCE, || {
            let count = http::closed(self.admin, reason)?;
            ((count - 1.0).abs() < 0.5).then_some(())
        });
        assert!(counted.is_some(), "not counted once as {reason}: {log}");
        let (told, line) = (self.operator.ask(&["info", "stats"]), format!("closed_{reason}:1\r\n"));
        let Value::Bulk(text) = &told else { panic!("INFO is a text: {told:?}") };
        assert!(String::from_utf8_lossy(text).contains(&line), "INFO does not count {reason}");
        self.seen.push(reason);
    }
}

fn addr(client: &Wire) -> String {
    client.socket.local_addr().expect("was connected").to_string()
}

#[test]
fn every_reason_is_counted_and_told_with_its_client() {
    let mut node = Watched::start(
        &["--subscriptions-max", "3", "--tcp-keepalive-s", "1", "--tcp-user-timeout-ms", "5000"],
        None,
    );
    says_goodbye(&mut node);
    breaks_rules(&mut node);
    loses_its_rights(&mut node);
    reads_too_slowly(&mut node);
    let mut seen = std::mem::take(&mut node.seen);
    node.running.signal("TERM");
    node.running.errors_until(&["reason=\"shutdown\"", &addr(&node.operator)]);
    seen.push("shutdown");

    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("password");
    std::fs::write(&file, "open sesame").expect("a file can be written");
    let file = file.display().to_string();
    let flags =
        ["--password-file", &file, "--auth-timeout-s", "4", "--unauthenticated-input-bytes-max", "1000000"];
    let mut node = Watched::start(&flags, Some("open sesame"));
    is_a_stranger(&mut node);
    seen.append(&mut node.seen);

    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../broker/CLOSES.md");
    let page = std::fs::read_to_string(page).expect("the page about reasons");
    let reasons = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    for (reason, _) in reasons {
        if let Some((_, file, words)) = ELSEWHERE.iter().find(|(name, ..)| *name == reason) {
            let text = std::fs::read_to_string(format!("{}/{file}", env!("CARGO_MANIFEST_DIR")));
            assert!(text.is_ok_and(|text| text.contains(words)), "{file} does not meet {reason} any more");
        } else {
            assert!(seen.contains(&reason), "no test meets {reason}");
        }
    }
}

fn says_goodbye(node: &mut Watched) {
    let mut client = node.client();
    client.ask(&["quit"]);
    node.closed("quit", &client);

    let client = node.client();
    client.socket.shutdown(std::net::Shutdown::Write).expect("is connected");
    node.closed("peer_closed", &client);

    let client = node.client();
    let reset = addr(&client);
    socket2::SockRef::from(&client.socket).set_linger(Some(Duration::ZERO)).expect("a socket lingers");
    drop(client);
    node.closed_at("peer_reset", &reset);

    let mut client = node.client();
    client.ask(&["client", "setname", "victim"]);
    node.ask(&format!("client kill addr {}", addr(&client)));
    node.closed("killed", &client);

    let mut client = node.client();
    client.ask(&["subscribe", "a"]);
    if client.die() {
        node.closed("peer_silent", &client);
    } else {
        node.seen.push("peer_silent");
    }
}

fn breaks_rules(node: &mut Watched) {
    for (reason, request) in [("protocol_error", "*x\r\n"), ("http_request", "POST / HTTP/1.1\r\n")] {
        let mut client = node.client();
        client.send(request.as_bytes());
        node.closed(reason, &client);
    }

    let mut client = node.client();
    client.ask(&["publish", &"x".repeat(16 * 1024), "x"]);
    client.send(&command(&["publish", &"x".repeat(16 * 1024 + 1), "x"]));
    node.closed("name_too_long", &client);

    let mut client = node.client();
    client.send(&command(&["subscribe", "1", "2", "3", "4"]));
    node.closed("subscription_limit", &client);

    node.ask("config set maxclients 1");
    let client = node.client();
    node.closed("too_many_clients", &client);
    node.ask("config set maxclients 100");

    let client = node.client();
    node.ask("config set timeout 1");
    node.closed("idle", &client);
    node.ask("config set timeout 0");
}

fn loses_its_rights(node: &mut Watched) {
    node.ask("acl setuser limited on >word allchannels +@all");
    let mut client = node.client();
    client.ask(&["auth", "limited", "word"]);
    client.ask(&["subscribe", "secret"]);
    node.ask("acl setuser limited resetchannels &public");
    node.closed("access_revoked", &client);

    let mut client = node.client();
    client.ask(&["auth", "limited", "word"]);
    node.ask("acl deluser limited");
    node.closed("user_removed", &client);
}

fn reads_too_slowly(node: &mut Watched) {
    let payload = "x".repeat(1024 * 1024);
    for (limits, reason) in
        [("pubsub 0 100000 1", "outbox_soft_limit"), ("pubsub 200000 0 0", "outbox_hard_limit")]
    {
        let set = node.operator.ask(&["config", "set", "client-output-buffer-limit", limits]);
        assert_eq!(set, Value::Simple("OK".into()));
        let mut client = node.client();
        client.ask(&["subscribe", "flood"]);
        // What the kernel takes for a reader is some of these megabytes; the rest waits here.
        for _ in 0..16 {
            node.operator.ask(&["publish", "flood", &payload]);
        }
        node.closed(reason, &client);
    }
}

fn is_a_stranger(node: &mut Watched) {
    let client = node.client();
    node.closed("auth_timeout", &client);

    let mut client = node.client();
    let line = format!("{}\r\n", "x".repeat(30_000));
    let _ = client.socket.write_all(line.repeat(40).as_bytes());
    node.closed("unauthenticated_input", &client);

    // Each refusal is longer than its request; the socket takes few of them.
    let client = node.client();
    let socket = socket2::SockRef::from(&client.socket);
    socket.set_recv_buffer_size(2048).expect("a socket has a buffer");
    let mut writer = client.socket.try_clone().expect("a socket can be cloned");
    let _ = writer.write_all(&b"x\r\n".repeat(300_000));
    node.closed("unauthenticated_output", &client);
}
