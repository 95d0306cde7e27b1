//! What a node promises beyond what Redis answers.

use std::{
    io::Read,
    time::{Duration, Instant},
};

use carillon_cluster_tests::{Server, Wire, command};
use carillon_proto::resp::Value;

fn integer(value: &Value) -> i64 {
    let Value::Integer(integer) = value else { panic!("{value:?} is not an integer") };
    *integer
}

/// Publishers and subscribers on several shards: every message once, in its publisher's order, and every reply
/// is the number of subscribers.
#[test]
fn shards_deliver_exactly_once_and_count_exactly() {
    const SUBSCRIBERS: usize = 6;
    const PUBLISHERS: usize = 4;
    const MESSAGES: usize = 2000;
    let server = Server::carillon(&["--shards", "3"]);
    let mut subscribers: Vec<Wire> = (0..SUBSCRIBERS).map(|_| Wire::connect(server.addr)).collect();
    for (index, subscriber) in subscribers.iter_mut().enumerate() {
        let (verb, name) = if index % 2 == 0 { ("subscribe", "news") } else { ("psubscribe", "n*") };
        subscriber.ask(&[verb, name]);
    }
    std::thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let addr = server.addr;
            scope.spawn(move || {
                let mut wire = Wire::connect(addr);
                let requests: Vec<u8> = (0..MESSAGES)
                    .flat_map(|number| command(&["publish", "news", &format!("{publisher}:{number}")]))
                    .collect();
                let mut sender = wire.socket.try_clone().expect("a socket can be cloned");
                scope.spawn(move || {
                    std::io::Write::write_all(&mut sender, &requests).expect("the server reads");
                });
                for _ in 0..MESSAGES {
                    assert_eq!(integer(&wire.receive()), SUBSCRIBERS as i64);
                }
            });
        }
        for subscriber in &mut subscribers {
            scope.spawn(move || {
                let mut next = [0; PUBLISHERS];
                for _ in 0..PUBLISHERS * MESSAGES {
                    let Value::Array(message) = subscriber.receive() else { panic!("a message is an array") };
                    let Some(Value::Bulk(payload)) = message.last() else { panic!("a payload is a string") };
                    let payload = String::from_utf8_lossy(payload).into_owned();
                    let (publisher, number) = payload.split_once(':').expect("publisher:number");
                    let publisher: usize = publisher.parse().expect("a number");
                    assert_eq!(number.parse::<usize>(), Ok(next[publisher]), "publisher {publisher}");
                    next[publisher] += 1;
                }
            });
        }
    });
}

/// A publish that waits for other shards keeps its place: nothing behind it is answered first.
#[test]
fn replies_keep_the_order_of_commands_across_shards() {
    let server = Server::carillon(&["--shards", "4"]);
    let mut subscribers: Vec<Wire> = (0..4).map(|_| Wire::connect(server.addr)).collect();
    subscribers.iter_mut().for_each(|subscriber| drop(subscriber.ask(&["ssubscribe", "s"])));
    let mut wire = Wire::connect(server.addr);
    for round in 0..200 {
        let ping = format!("after {round}");
        wire.send(&[command(&["spublish", "s", "x"]), command(&["ping", &ping])].concat());
        wire.send(&[command(&["multi"]), command(&["spublish", "s", "y"]), command(&["exec"])].concat());
        assert_eq!(integer(&wire.receive()), 4);
        assert_eq!(wire.receive(), Value::Bulk(ping.into_bytes()));
        assert_eq!(wire.receive(), Value::Simple("OK".into()));
        assert_eq!(wire.receive(), Value::Simple("QUEUED".into()));
        assert_eq!(wire.receive(), Value::Array(vec![Value::Integer(4)]));
    }
}

/// A killed connection waits for its publishes to be answered; that wait once never let its shard go on.
#[test]
fn killing_a_client_with_publishes_in_flight_does_not_stop_its_shard() {
    let server = Server::carillon(&["--shards", "2"]);
    let mut subscribers: Vec<Wire> = (0..4).map(|_| Wire::connect(server.addr)).collect();
    subscribers.iter_mut().for_each(|subscriber| drop(subscriber.ask(&["subscribe", "a"])));
    let mut others: Vec<Wire> = (0..2).map(|_| Wire::connect(server.addr)).collect();
    for _ in 0..50 {
        let mut publisher = Wire::connect(server.addr);
        let number = integer(&publisher.ask(&["client", "id"])).to_string();
        publisher.send(&command(&["publish", "a", "x"]).repeat(500));
        others[0].ask(&["client", "kill", "id", &number]);
        for other in &mut others {
            assert_eq!(other.ask(&["ping"]), Value::Simple("PONG".into()));
        }
    }
}

/// A FIN with a PUBLISH in flight ends node-redis applications: what has been sent is answered first.
#[test]
fn a_stopping_node_answers_what_it_was_sent() {
    let server = Server::carillon(&[]);
    let mut wire = Wire::connect(server.addr);
    wire.ask(&["ping"]);
    wire.send(&command(&["publish", "a", "b"]).repeat(1000));
    assert!(server.terminate(), "SIGTERM ends with success");
    for _ in 0..1000 {
        assert_eq!(integer(&wire.receive()), 0);
    }
    assert!(wire.bytes_until_end().is_empty());
}

#[test]
fn a_dead_subscriber_leaves_numsub_within_seconds() {
    let server = Server::carillon(&["--tcp-keepalive-s", "1", "--tcp-user-timeout-ms", "2000"]);
    let mut dead = Wire::connect(server.addr);
    dead.ask(&["subscribe", "a"]);
    let mut wire = Wire::connect(server.addr);
    let numsub = |wire: &mut Wire| {
        let Value::Array(reply) = wire.ask(&["pubsub", "numsub", "a"]) else { panic!("an array") };
        integer(&reply[1])
    };
    assert_eq!(numsub(&mut wire), 1);
    if !dead.die() {
        return;
    }
    let start = Instant::now();
    while numsub(&mut wire) == 1 {
        assert!(start.elapsed() < Duration::from_secs(8), "still counted after {:?}", start.elapsed());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A subscriber that does not read is closed at the limit; the publisher and the others do not notice.
#[test]
fn a_subscriber_that_does_not_read_is_closed() {
    let server = Server::carillon(&[]);
    let mut slow = Wire::connect(server.addr);
    slow.ask(&["subscribe", "a"]);
    let mut wire = Wire::connect(server.addr);
    let payload = "x".repeat(1024 * 1024);
    let mut published = 0;
    while integer(&wire.ask(&["publish", "a", &payload])) == 1 {
        published += 1;
        assert!(published < 100, "100 MiB wait for one subscriber");
    }
    let mut received = Vec::new();
    let _ = slow.socket.read_to_end(&mut received);
    assert!(received.len() < published * payload.len(), "closed before it had everything");
}

/// The same over a Unix socket, with a payload above the size from which payloads are shared.
#[test]
fn a_unix_socket_serves_as_well() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("carillon.sock");
    let server = Server::carillon(&["--client-unix", path.to_str().expect("a plain path")]);
    let mut wire = Wire::connect(server.addr);
    wire.ask(&["subscribe", "a"]);
    let payload = vec![7; 300_000];
    let mut unix = std::os::unix::net::UnixStream::connect(&path).expect("listens on the path");
    std::io::Write::write_all(&mut unix, &command(&[&b"publish"[..], b"a", &payload])).expect("writes");
    let mut reply = [0; 4];
    unix.read_exact(&mut reply).expect("answers");
    assert_eq!(&reply, b":1\r\n");
    let Value::Array(message) = wire.receive() else { panic!("a message is an array") };
    assert_eq!(message[2], Value::Bulk(payload));
    assert!(server.terminate());
    assert!(!path.exists(), "the socket file is removed");
}

/// Statistics start again, and the numbers of connections go on: they must never be given twice.
#[test]
fn resetstat_sets_counters_back_and_keeps_client_numbers_apart() {
    let server = Server::carillon(&["--shards", "2"]);
    let mut wire = Wire::connect(server.addr);
    let received = |wire: &mut Wire| {
        let Value::Bulk(info) = wire.ask(&["info", "stats"]) else { panic!("INFO is a string") };
        let info = String::from_utf8(info).expect("INFO is text");
        let line =
            info.lines().find(|line| line.starts_with("total_commands_processed:")).expect("is in INFO");
        line.split(':').nth(1).and_then(|count| count.parse::<u64>().ok()).expect("a number")
    };
    (0..100).for_each(|_| drop(wire.ask(&["ping"])));
    assert!(received(&mut wire) >= 100);
    assert_eq!(wire.ask(&["config", "resetstat"]), Value::Simple("OK".into()));
    assert!(received(&mut wire) < 10);
    let mut numbers: Vec<i64> = vec![integer(&wire.ask(&["client", "id"]))];
    let mut others: Vec<Wire> = (0..8).map(|_| Wire::connect(server.addr)).collect();
    numbers.extend(others.iter_mut().map(|other| integer(&other.ask(&["client", "id"]))));
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 9);
}
