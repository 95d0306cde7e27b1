//! CONFIG SET: what it answers, beside redis-server, and what it changes.

use std::{
    io::Read,
    time::{Duration, Instant},
};

use carillon_cluster_tests::{Server, Wire, command};
use carillon_proto::resp::Value;

fn ok() -> Value {
    Value::Simple("OK".into())
}

fn config_get(wire: &mut Wire, name: &str) -> String {
    let Value::Array(pair) = wire.ask(&["config", "get", name]) else { panic!("CONFIG GET is an array") };
    let Some(Value::Bulk(value)) = pair.last() else { panic!("no setting {name}") };
    String::from_utf8_lossy(value).into_owned()
}

fn is_subscribed(wire: &mut Wire, channel: &str) -> bool {
    let Value::Array(reply) = wire.ask(&["pubsub", "numsub", channel]) else { panic!("NUMSUB is an array") };
    reply[1] == Value::Integer(1)
}

#[test]
fn config_set_is_answered_as_redis_answers_it() {
    const LIMITS: &str = "client-output-buffer-limit";
    let (redis, carillon) = (Server::redis(), Server::carillon(&["--tcp-keepalive-s", "300"]));
    let mut wires = [Wire::connect(redis.addr), Wire::connect(carillon.addr)];
    for request in [
        &["get", LIMITS][..],
        &["get", "maxclients"],
        &["get", "timeout"],
        &["get", "tcp-keepalive"],
        &["set", "maxclients", "0"],
        &["set", "maxclients", "4294967296"],
        &["set", "maxclients", "abc"],
        &["set", "maxclients", "100"],
        &["get", "maxclients"],
        &["set", "timeout", "-1"],
        &["set", "timeout", "2147483648"],
        &["set", "timeout", "1s"],
        &["set", "Timeout", "3600", "tcp-keepalive", "60"],
        &["get", "timeout"],
        &["get", "tcp-keepalive"],
        &["set", "tcp-keepalive", "x"],
        &["set", "timeout", "1", "TIMEOUT", "2"],
        &["set", "timeout", "1", "nosuch", "2"],
        &["set", "Databases", "16", "nosuch", "2"],
        &["set", "databases", "16"],
        // One wrong value, and nothing is set.
        &["set", "timeout", "7", "maxclients", "0"],
        &["get", "timeout"],
        &["set", "loglevel", "chatty"],
        &["set", "loglevel", "WARNING"],
        &["get", "loglevel"],
        &["set", "loglevel", "notice"],
        &["set", LIMITS, "pubsub 64mb 16mb 90"],
        &["get", LIMITS],
        &["set", LIMITS, "normal 1k 1kb 1 replica 1m 2g 3 pubsub 0 0 0"],
        &["get", LIMITS],
        &["set", LIMITS, "pubsub 1 2"],
        &["set", LIMITS, "pubsub  1 2 3"],
        &["set", LIMITS, "master 1 2 3"],
        &["set", LIMITS, "nosuch 1 2 3"],
        &["set", LIMITS, "pubsub 1x 2 3"],
        &["set", LIMITS, "pubsub -1 2 3"],
        &["set", LIMITS, "pubsub 1 2 -3"],
        &["set", LIMITS, "pubsub 1 2 3s"],
        &["set", LIMITS, "pubsub 32mb 8mb 60 nosuch 1 2 3"],
        &["get", LIMITS],
    ] {
        let request = [&["config"], request].concat();
        let [expected, actual] = wires.each_mut().map(|wire| wire.ask(&request));
        assert_eq!(actual, expected, "{request:?}");
    }
}

#[test]
fn maxclients_holds_for_the_next_connection() {
    let server = Server::carillon(&[]);
    let mut wire = Wire::connect(server.addr);
    assert_eq!(wire.ask(&["config", "set", "maxclients", "1"]), ok());
    let mut refused = Wire::connect(server.addr);
    assert_eq!(refused.bytes_until_end(), b"-ERR max number of clients reached\r\n");
    assert_eq!(wire.ask(&["config", "set", "maxclients", "2"]), ok());
    assert_eq!(Wire::connect(server.addr).ask(&["ping"]), Value::Simple("PONG".into()));
}

/// A subscriber that reads nothing is closed at the limit that holds by then, and nobody at one of zero.
#[test]
fn the_outbox_limit_holds_for_connections_that_are_there() {
    const LIMITS: &str = "client-output-buffer-limit";
    let server = Server::carillon(&[]);
    let mut slow = Wire::connect(server.addr);
    slow.ask(&["subscribe", "a"]);
    let mut wire = Wire::connect(server.addr);
    let payload = "x".repeat(1024 * 1024);
    assert_eq!(wire.ask(&["config", "set", LIMITS, "pubsub 0 0 0"]), ok());
    for _ in 0..48 {
        assert_eq!(wire.ask(&["publish", "a", &payload]), Value::Integer(1), "above the default of 32 MiB");
    }
    assert_eq!(wire.ask(&["config", "set", LIMITS, "pubsub 1mb 0 0"]), ok());
    wire.ask(&["publish", "a", "x"]);
    let _ = slow.socket.read_to_end(&mut Vec::new());
    assert!(!is_subscribed(&mut wire, "a"));
}

#[test]
fn a_soft_limit_closes_after_its_time() {
    let server = Server::carillon(&[]);
    let mut slow = Wire::connect(server.addr);
    slow.ask(&["subscribe", "a"]);
    let mut wire = Wire::connect(server.addr);
    assert_eq!(wire.ask(&["config", "set", "client-output-buffer-limit", "pubsub 0 1mb 1"]), ok());
    let payload = "x".repeat(1024 * 1024);
    for _ in 0..24 {
        assert_eq!(wire.ask(&["publish", "a", &payload]), Value::Integer(1));
    }
    let start = Instant::now();
    while is_subscribed(&mut wire, "a") {
        assert!(start.elapsed() < Duration::from_secs(10), "still there after {:?}", start.elapsed());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// As in Redis, who subscribes or monitors may be quiet; a request that arrives bit by bit is no silence.
#[test]
fn an_idle_client_is_closed_after_the_timeout() {
    let server = Server::carillon(&[]);
    let mut wire = Wire::connect(server.addr);
    let mut subscriber = Wire::connect(server.addr);
    subscriber.ask(&["subscribe", "a"]);
    let mut monitor = Wire::connect(server.addr);
    monitor.ask(&["monitor"]);
    let mut idle = Wire::connect(server.addr);
    idle.ask(&["ping"]);
    assert_eq!(wire.ask(&["config", "set", "timeout", "2"]), ok());
    let start = Instant::now();
    let mut slow = Wire::connect(server.addr);
    let slow_request = command(&["ping", "0123456789"]);
    let sender = std::thread::spawn(move || {
        for byte in &slow_request {
            slow.send(&[*byte]);
            std::thread::sleep(Duration::from_millis(150));
        }
        slow.receive()
    });
    // Nothing wakes this connection but the end.
    assert!(idle.bytes_until_end().is_empty());
    assert!(start.elapsed() > Duration::from_secs(1), "closed after {:?}", start.elapsed());
    assert_eq!(sender.join().expect("the slow client is answered"), Value::Bulk(b"0123456789".to_vec()));
    let mut wire = Wire::connect(server.addr);
    assert_eq!(wire.ask(&["publish", "a", "x"]), Value::Integer(1));
    assert!(matches!(subscriber.receive(), Value::Array(_)));
    assert!(matches!(monitor.receive(), Value::Simple(_)));
    let Value::Bulk(info) = wire.ask(&["info", "stats"]) else { panic!("INFO is a string") };
    assert!(String::from_utf8_lossy(&info).contains("closed_idle:"));
}

#[test]
fn keepalive_holds_for_the_next_connection() {
    let server = Server::carillon(&["--tcp-keepalive-s", "0", "--tcp-user-timeout-ms", "2000"]);
    let mut wire = Wire::connect(server.addr);
    assert_eq!(config_get(&mut wire, "tcp-keepalive"), "0");
    assert_eq!(wire.ask(&["config", "set", "tcp-keepalive", "1"]), ok());
    let mut dead = Wire::connect(server.addr);
    dead.ask(&["subscribe", "a"]);
    // Nothing but a probe can notice.
    if !dead.die() {
        return;
    }
    let start = Instant::now();
    while is_subscribed(&mut wire, "a") {
        assert!(start.elapsed() < Duration::from_secs(8), "still counted after {:?}", start.elapsed());
        std::thread::sleep(Duration::from_millis(50));
    }
}
