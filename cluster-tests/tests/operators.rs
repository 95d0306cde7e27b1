//! What operators see of single clients, and how they watch a node.

use std::time::Duration;

use carillon_cluster_tests::{Server, Wire, command, eventually, http, run};
use carillon_proto::resp::Value;

const PATIENCE: Duration = Duration::from_secs(20);

/// Who is it, what is it subscribed to, how far is it behind: before it is closed, not afterwards.
#[test]
fn a_slow_subscriber_is_seen_before_it_is_closed() {
    let server = Server::carillon(&["--outbox-soft-bytes", "100000", "--outbox-soft-s", "600"]);
    let mut slow = Wire::connect(server.addr);
    slow.ask(&["client", "setname", "sleepyhead"]);
    slow.ask(&["subscribe", "flood"]);
    let (mut publisher, payload) = (Wire::connect(server.addr), "x".repeat(64 * 1024));
    let admin = server.admin.to_string();
    let row = eventually(PATIENCE, || {
        assert_eq!(publisher.ask(&["publish", "flood", &payload]), Value::Integer(1));
        let told = run(&["clients", "--count", "1", "--admin-addr", &admin], &[], b"");
        let row = told.output.lines().nth(1)?.to_owned();
        // Once its socket is full and what waits is above the soft limit, it is told for how long.
        (row.contains("sleepyhead") && row.ends_with("flood") && !row.contains(" - ")).then_some(row)
    });
    let row = row.expect("the slow one comes first");
    assert!(row.contains(&slow.socket.local_addr().expect("connected").to_string()), "{row}");
    let seen = eventually(PATIENCE, || (server.metric("carillon_clients_blocked") > 0.5).then_some(()));
    assert!(seen.is_some(), "no client is counted as blocked");
    assert!(server.metric("carillon_outbox_bytes_largest") > 100_000.0);
    assert!(server.metric("carillon_clients_held_bytes") > 100_000.0);
}

#[test]
fn metrics_add_up_and_prometheus_can_read_them() {
    let server = Server::carillon(&[]);
    let mut subscriber = Wire::connect(server.addr);
    subscriber.ask(&["subscribe", "a"]);
    subscriber.ask(&["psubscribe", "a*"]);
    let mut publisher = Wire::connect(server.addr);
    for _ in 0..100 {
        assert_eq!(publisher.ask(&["publish", "a", "x"]), Value::Integer(2));
        subscriber.receive();
        subscriber.receive();
    }
    let delivered =
        eventually(PATIENCE, || (server.metric("carillon_delivery_seconds_count") > 199.5).then_some(()));
    assert!(delivered.is_some(), "the last turn is over soon");
    for (name, expected) in [
        ("carillon_messages_published_total", 100.0),
        ("carillon_messages_delivered_total", 200.0),
        ("carillon_delivery_seconds_bucket{le=\"+Inf\"}", 200.0),
        ("carillon_clients", 2.0),
    ] {
        assert!((server.metric(name) - expected).abs() < 0.5, "{name}: {}", server.metric(name));
    }
    let subscribed = eventually(PATIENCE, || (server.metric("carillon_subscriptions") > 1.5).then_some(()));
    assert!(subscribed.is_some(), "subscriptions are counted once a second");
    assert!(server.metric("carillon_process_open_fds") < server.metric("carillon_process_max_fds"));
    assert!(server.metric("carillon_process_cpu_seconds_total") >= 0.0);
    assert!(server.metric("carillon_delivery_seconds_sum") < 60.0);
}

#[test]
fn the_log_becomes_wordier_on_request() {
    let server = Server::carillon(&[]);
    let admin = server.admin.to_string();
    let set = |level: &str| run(&["log-level", level, "--admin-addr", &admin], &[], b"");
    assert_eq!(set("debug").output, "logging debug\n");
    let mut wire = Wire::connect(server.addr);
    let debug = |wire: &mut Wire| wire.ask(&["config", "get", "loglevel"]);
    let level = |text: &str| Value::Array(vec![Value::Bulk(b"loglevel".to_vec()), Value::Bulk(text.into())]);
    assert_eq!(debug(&mut wire), level("verbose"));
    let wrong = set("=loud=");
    assert_eq!(wrong.code, Some(1));
    assert!(wrong.errors.contains("'=loud=' is not error, warn, info"), "{}", wrong.errors);
    assert_eq!(set("warn").code, Some(0));
    assert_eq!(debug(&mut wire), level("warning"));
}

/// With a token, nobody is told anything without it, but for probes.
#[test]
fn the_admin_port_asks_for_its_token() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("token");
    std::fs::write(&path, "open sesame\n").expect("a file can be written");
    let file = path.display().to_string();
    let server = Server::carillon(&["--admin-token-file", &file]);
    for (path, code) in
        [("/livez", 200), ("/readyz", 200), ("/status", 401), ("/metrics", 401), ("/clients", 401)]
    {
        assert_eq!(http::get(server.admin, path).map(|answer| answer.0), Some(code), "{path}");
    }
    let admin = server.admin.to_string();
    let refused = run(&["status", "--admin-addr", &admin], &[], b"");
    assert_eq!(refused.code, Some(1));
    assert!(refused.errors.contains("--admin-token-file"), "{}", refused.errors);
    let told = run(&["status", "--admin-addr", &admin, "--admin-token-file", &file], &[], b"");
    assert_eq!(told.code, Some(0), "{}", told.errors);
    let other = folder.path().join("another");
    std::fs::write(&other, "another").expect("a file can be written");
    let other = other.display().to_string();
    let wrong = run(&["drain", "--admin-addr", &admin, "--admin-token-file", &other], &[], b"");
    assert_eq!(wrong.code, Some(1), "{}", wrong.errors);
    let mut wire = Wire::connect(server.addr);
    wire.send(&command(&["ping"]));
    assert_eq!(wire.receive(), Value::Simple("PONG".into()));
}
