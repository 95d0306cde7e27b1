//! Requests that nobody in their right mind sends.

use std::{io::Write as _, net::TcpStream};

use carillon_cluster_tests::{Server, Wire, command};
use carillon_proto::resp::Value;

use crate::{Siege, last_words};

#[test]
fn empty_and_negative_arrays_by_the_million_are_passed_over() {
    let siege = Siege::begin(&[]);
    let mut wire = Wire::connect(siege.server.addr);
    for _ in 0..16 {
        wire.send(&b"*0\r\n*-1\r\n\r\n*-2147483648\r\n".repeat(50_000));
    }
    assert_eq!(wire.ask(&["ping"]), Value::Simple("PONG".into()));
    siege.end(100);
}

#[test]
fn an_endless_inline_line_is_cut_off() {
    let siege = Siege::begin(&[]);
    let mut socket = TcpStream::connect(siege.server.addr).expect("the node accepts");
    let line = vec![b'a'; 64 * 1024];
    while socket.write_all(&line).is_ok() {}
    siege.wait_for_closed("protocol_error", 1.0);
    siege.end(100);
}

/// Sends a request very often, before and while the replies are read, which are all that come.
fn assert_all_answered(count: usize, request: &[u8], reply: &[u8]) {
    let siege = Siege::begin(&[]);
    let mut wire = Wire::connect(siege.server.addr);
    let mut sender = wire.socket.try_clone().expect("a socket can be cloned");
    let (requests, all) = (request.repeat(count), count * reply.len());
    std::thread::scope(|scope| {
        scope.spawn(move || sender.write_all(&requests).expect("the node reads"));
        let replies = wire.read_until(|bytes| (bytes.len() >= all).then_some(all));
        let is_right = replies.is_ok_and(|replies| replies == reply.repeat(count));
        assert!(is_right, "{count} times {}", reply.escape_ascii());
    });
    siege.end(100);
}

/// The replies wait until there is room for them, and the requests until the replies have left.
#[test]
fn a_deep_pipeline_is_answered_to_the_last() {
    assert_all_answered(1_000_000, &command(&["ping"]), b"+PONG\r\n");
}

/// One read of these makes more replies than may wait for a client, which waits for room then: room that came before it
/// waited was never told, and the connection stood still.
#[test]
fn short_requests_with_long_replies_are_answered_to_the_last() {
    let reply = b"-ERR unknown command 'x', with args beginning with: \r\n";
    assert_all_answered(300_000, b"x\r\n", reply);
}

#[test]
fn a_million_arguments_cost_their_bytes() {
    let siege = Siege::begin(&[]);
    let mut wire = Wire::connect(siege.server.addr);
    wire.send(b"*1048576\r\n$4\r\nnone\r\n");
    wire.send(&b"$1\r\nx\r\n".repeat(1_048_575));
    let Value::Error(text) = wire.receive() else { panic!("an unknown command is an error") };
    assert!(text.starts_with("ERR unknown command 'none'"), "{text}");
    assert_eq!(wire.ask(&["ping"]), Value::Simple("PONG".into()));
    siege.end(160);
}

#[test]
fn what_is_too_large_closes_the_connection_with_an_error() {
    let siege = Siege::begin(&[]);
    for request in [
        &b"*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$16777217\r\n"[..],
        b"*1048577\r\n",
        b"*3\r\n$-1\r\n",
        b"*3\r\n$99999999999999999999\r\n",
        b"*1\r\n!4\r\nPING\r\n",
    ] {
        let mut socket = TcpStream::connect(siege.server.addr).expect("the node accepts");
        socket.write_all(request).expect("the node reads");
        let words = last_words(&socket);
        assert!(words.starts_with("-ERR Protocol error: "), "{words:?}");
    }
    siege.wait_for_closed("protocol_error", 5.0);
    siege.end(100);
}

/// A page that has a browser post to the port must not run commands.
#[test]
fn a_browsers_request_runs_nothing() {
    let siege = Siege::begin(&[]);
    for head in ["POST / HTTP/1.1\r\n", "Host: localhost\r\n", "host: x\r\n"] {
        let mut socket = TcpStream::connect(siege.server.addr).expect("the node accepts");
        let _ = write!(socket, "{head}\r\nPUBLISH bystander forged\r\n");
        assert_eq!(last_words(&socket), "");
    }
    siege.wait_for_closed("http_request", 3.0);
    siege.end(100);
}

/// Patterns made to be slow, on names made for them.
#[test]
fn glob_bombs_do_not_keep_the_others_waiting() {
    let siege = Siege::begin(&[]);
    let mut bomber = Wire::connect(siege.server.addr);
    let mut patterns = Vec::new();
    for number in 0..250 {
        patterns.push(format!("{}{number}", "*a".repeat(500)));
        patterns.push(format!("*{}b*{number}", "a".repeat(1_000)));
        patterns.push(format!("*{}b*{number}", "?".repeat(1_000)));
        patterns.push(format!("*{}b*{number}", "[a-c]".repeat(200)));
    }
    for pattern in &patterns {
        bomber.ask(&["psubscribe", pattern]);
    }
    let mut publisher = Wire::connect(siege.server.addr);
    let name = "a".repeat(16 * 1024);
    for _ in 0..10 {
        assert_eq!(publisher.ask(&["publish", &name, "x"]), Value::Integer(0));
    }
    publisher.ask(&["subscribe", &name]);
    let mut asker = Wire::connect(siege.server.addr);
    for pattern in patterns.iter().take(40) {
        assert_eq!(asker.ask(&["pubsub", "channels", pattern]), Value::Array(vec![]));
    }
    siege.end(160);
}

#[test]
fn a_transaction_holds_as_much_as_it_may() {
    let siege = Siege::begin(&["--transaction-bytes-max", "1048576"]);
    let mut wire = Wire::connect(siege.server.addr);
    wire.ask(&["multi"]);
    let payload = "x".repeat(300 * 1024);
    let answers: Vec<Value> = (0..5).map(|_| wire.ask(&["publish", "c", &payload])).collect();
    assert_eq!(answers[..3], [(); 3].map(|()| Value::Simple("QUEUED".into())));
    let Value::Error(text) = &answers[3] else { panic!("{answers:?}") };
    assert!(text.ends_with("(transaction-bytes-max); run EXEC more often"), "{text}");
    let Value::Error(text) = wire.ask(&["exec"]) else { panic!("EXEC of a failed transaction") };
    assert!(text.starts_with("EXECABORT"), "{text}");
    assert_eq!(wire.ask(&["publish", "c", &payload]), Value::Integer(0));
    siege.end(100);
}

#[test]
fn monitors_are_few() {
    let siege = Siege::begin(&["--monitors-max", "2"]);
    let mut wires: Vec<Wire> = (0..3).map(|_| Wire::connect(siege.server.addr)).collect();
    let answers: Vec<Value> = wires
        .iter_mut()
        .map(|wire| {
            // A monitor may see a command of the bystanders before its own answer is read, but not before it is sent.
            wire.ask(&["monitor"])
        })
        .collect();
    assert_eq!(answers[..2], [(); 2].map(|()| Value::Simple("OK".into())));
    assert!(matches!(&answers[2], Value::Error(text) if text.ends_with("(monitors-max)")), "{answers:?}");
    siege.end(100);
}

/// A node that asks for a password gives strangers little time and little room, and those who have shown it go on.
#[test]
fn strangers_get_little_time_and_little_room() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("password");
    std::fs::write(&file, "open sesame").expect("a file can be written");
    let file = file.display().to_string();
    let server =
        Server::carillon(&["--password-file", &file, "--auth-timeout-s", "2", "--clients-max", "2000"]);
    let mut friend = Wire::connect(server.addr);
    assert_eq!(friend.ask(&["auth", "open sesame"]), Value::Simple("OK".into()));
    friend.ask(&["subscribe", "news"]);
    // One sends much, in one request or in many; a thousand say nothing.
    for request in [command(&["auth", &"x".repeat(100_000)]), command(&["ping"]).repeat(10_000)] {
        let mut socket = TcpStream::connect(server.addr).expect("the node accepts");
        let _ = socket.write_all(&request);
        last_words(&socket);
    }
    assert!(server.closed("unauthenticated_input") > 1.5);
    let silent: Vec<TcpStream> =
        (0..1_000).map(|_| TcpStream::connect(server.addr).expect("the node accepts")).collect();
    for socket in &silent {
        assert_eq!(last_words(socket), "");
    }
    assert!(server.closed("auth_timeout") > 999.5);
    let mut publisher = Wire::connect(server.addr);
    assert_eq!(
        publisher.ask(&["publish", "news", "x"]),
        Value::Error("NOAUTH Authentication required.".into())
    );
    publisher.ask(&["auth", "open sesame"]);
    assert_eq!(publisher.ask(&["publish", "news", "x"]), Value::Integer(1));
    assert!(server.resident_bytes_peak() < 100 * 1024 * 1024);
}
