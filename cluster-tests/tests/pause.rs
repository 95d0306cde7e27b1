//! CLIENT PAUSE, told as stories that redis-server follows too.

use std::{
    io::{ErrorKind, Read},
    time::{Duration, Instant},
};

use carillon_cluster_tests::{Server, Wire, command};
use carillon_proto::resp::Value;

/// Longer than any of these tests takes: who waits for its end fails.
const LONG: &str = "60000";

fn ok() -> Value {
    Value::Simple("OK".into())
}

fn pong() -> Value {
    Value::Simple("PONG".into())
}

/// Plays a story on both servers; Carillon's connections are on several shards.
fn on_both(story: impl Fn(&Server)) {
    eprintln!("on redis-server");
    story(&Server::redis());
    eprintln!("on carillon");
    story(&Server::carillon(&["--shards", "3"]));
}

/// Nothing has come for `wire` by the time that the server has answered another connection.
fn assert_is_held_back(server: &Server, wire: &mut Wire, what: &str) {
    // An error is answered in any pause.
    let Value::Error(_) = Wire::connect(server.addr).ask(&["nosuch"]) else { panic!("an unknown command") };
    wire.socket.set_nonblocking(true).expect("a socket can be non-blocking");
    let read = wire.socket.read(&mut [0; 64]);
    assert!(read.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "{what}: {read:?}");
    wire.socket.set_nonblocking(false).expect("a socket can be blocking");
}

#[test]
fn a_pause_of_writes_holds_publishes_back_and_nothing_else() {
    on_both(|server| {
        let [mut control, mut subscriber, mut publisher] = [(); 3].map(|()| Wire::connect(server.addr));
        subscriber.ask(&["subscribe", "a"]);
        assert_eq!(control.ask(&["client", "pause", LONG, "write"]), ok());
        for request in [["publish", "a", "1"], ["spublish", "a", "2"], ["publish", "a", "3"]] {
            publisher.send(&command(&request));
        }
        publisher.send(&command(&["ping"]));
        assert_is_held_back(server, &mut publisher, "publishes, and what comes behind them");
        assert_eq!(control.ask(&["ping"]), pong());
        assert!(matches!(subscriber.ask(&["subscribe", "b"]), Value::Array(_)));
        assert_is_held_back(server, &mut subscriber, "messages");
        assert_eq!(control.ask(&["client", "unpause"]), ok());
        let replies = [(); 4].map(|()| publisher.receive());
        assert_eq!(replies, [Value::Integer(1), Value::Integer(0), Value::Integer(1), pong()]);
        for payload in [b"1", b"3"] {
            let Value::Array(message) = subscriber.receive() else { panic!("a message is an array") };
            assert_eq!(message[2], Value::Bulk(payload.to_vec()));
        }
    });
}

#[test]
fn a_pause_of_writes_holds_transactions_back_that_publish() {
    on_both(|server| {
        let [mut control, mut before, mut after, mut harmless] = [(); 4].map(|()| Wire::connect(server.addr));
        before.ask(&["multi"]);
        before.ask(&["publish", "a", "x"]);
        assert_eq!(control.ask(&["client", "pause", LONG, "write"]), ok());
        before.send(&command(&["exec"]));
        assert_is_held_back(server, &mut before, "EXEC of a PUBLISH");
        after.ask(&["multi"]);
        after.send(&command(&["publish", "a", "x"]));
        assert_is_held_back(server, &mut after, "PUBLISH that is to be queued");
        harmless.ask(&["multi"]);
        harmless.ask(&["ping"]);
        assert_eq!(harmless.ask(&["exec"]), Value::Array(vec![pong()]));
        assert_eq!(control.ask(&["client", "unpause"]), ok());
        assert_eq!(before.receive(), Value::Array(vec![Value::Integer(0)]));
        assert_eq!(after.receive(), Value::Simple("QUEUED".into()));
    });
}

#[test]
fn a_pause_of_everything_ends_by_itself() {
    const PAUSE: Duration = Duration::from_millis(400);
    on_both(|server| {
        let [mut control, mut waiting] = [(); 2].map(|()| Wire::connect(server.addr));
        let start = Instant::now();
        assert_eq!(control.ask(&["client", "pause", "400"]), ok());
        // UNPAUSE waits as well: this pause can only run out.
        control.send(&command(&["client", "unpause"]));
        assert_eq!(waiting.ask(&["ping"]), pong());
        assert!(start.elapsed() >= PAUSE, "answered after {:?}", start.elapsed());
        assert_eq!(control.receive(), ok());
        assert_eq!(waiting.ask(&["publish", "a", "x"]), Value::Integer(0));
    });
}

#[test]
fn what_is_refused_is_refused_in_any_pause() {
    on_both(|server| {
        let [mut control, mut subscriber] = [(); 2].map(|()| Wire::connect(server.addr));
        subscriber.ask(&["subscribe", "a"]);
        assert_eq!(control.ask(&["client", "pause", LONG, "all"]), ok());
        assert!(matches!(control.ask(&["nosuch"]), Value::Error(_)));
        assert!(matches!(control.ask(&["publish", "a"]), Value::Error(_)));
        assert!(matches!(subscriber.ask(&["publish", "a", "x"]), Value::Error(_)));
        control.send(&command(&["ping"]));
        assert_is_held_back(server, &mut control, "PING");
    });
}

/// What was published before is delivered, however long the pause.
#[test]
fn subscribers_are_fed_during_a_pause() {
    on_both(|server| {
        let [mut control, mut subscriber] = [(); 2].map(|()| Wire::connect(server.addr));
        subscriber.ask(&["subscribe", "a"]);
        // More than the kernel holds for a connection: most of it waits in the server.
        let payload = vec![b'x'; 16 << 20];
        control.send(&command(&[&b"publish"[..], b"a", &payload]));
        assert_eq!(control.receive(), Value::Integer(1));
        assert_eq!(control.ask(&["client", "pause", LONG, "all"]), ok());
        let Value::Array(message) = subscriber.receive() else { panic!("a message is an array") };
        assert_eq!(message[2], Value::Bulk(payload));
    });
}

/// A connection whose command is held back is not forgotten: it still gets its messages, and can be closed.
#[test]
fn a_client_that_is_held_back_is_fed_and_can_be_killed() {
    let server = Server::carillon(&["--shards", "2"]);
    let [mut control, mut subscriber, mut killed] = [(); 3].map(|()| Wire::connect(server.addr));
    subscriber.ask(&["subscribe", "a"]);
    let Value::Integer(number) = killed.ask(&["client", "id"]) else { panic!("CLIENT ID is a number") };
    let payload = vec![b'x'; 16 << 20];
    control.send(&command(&[&b"publish"[..], b"a", &payload]));
    assert_eq!(control.receive(), Value::Integer(1));
    assert_eq!(control.ask(&["client", "pause", LONG, "write"]), ok());
    killed.send(&command(&["publish", "a", "x"]));
    assert_is_held_back(&server, &mut killed, "PUBLISH");
    assert_eq!(control.ask(&["client", "kill", "id", &number.to_string()]), Value::Integer(1));
    let start = Instant::now();
    assert!(killed.bytes_until_end().is_empty());
    assert!(start.elapsed() < Duration::from_secs(8), "closed after {:?}", start.elapsed());
    assert_eq!(control.ask(&["client", "pause", LONG, "all"]), ok());
    subscriber.send(&command(&["ping"]));
    let Value::Array(message) = subscriber.receive() else { panic!("a message is an array") };
    assert_eq!(message[2], Value::Bulk(payload));
    assert_is_held_back(&server, &mut subscriber, "PING");
    // A node that stops does not wait for a pause, and answers what it was sent.
    let start = Instant::now();
    assert!(server.terminate(), "SIGTERM ends with success");
    assert!(start.elapsed() < Duration::from_secs(8), "stopped after {:?}", start.elapsed());
    assert!(matches!(subscriber.receive(), Value::Array(_)), "PONG");
}

#[test]
fn a_pause_is_never_made_shorter_or_narrower() {
    on_both(|server| {
        let [mut control, mut publisher] = [(); 2].map(|()| Wire::connect(server.addr));
        assert_eq!(control.ask(&["client", "pause", LONG, "write"]), ok());
        assert_eq!(control.ask(&["client", "pause", "1", "write"]), ok());
        publisher.send(&command(&["publish", "a", "x"]));
        assert_is_held_back(server, &mut publisher, "PUBLISH");
        assert_eq!(control.ask(&["client", "pause", "1", "all"]), ok());
        control.send(&command(&["ping"]));
        assert_is_held_back(server, &mut control, "PING");
    });
}
