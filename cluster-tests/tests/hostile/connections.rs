//! Thousands of connections that do little.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use carillon_cluster_tests::{Wire, command};
use carillon_proto::resp::Value;

use crate::{MIB, Siege};

/// As many as fit beside the bystanders, by default.
const CONNECTIONS: usize = 9_990;

fn connect(siege: &Siege, count: usize) -> Vec<TcpStream> {
    (0..count).map(|_| TcpStream::connect(siege.server.addr).expect("the node accepts")).collect()
}

/// A length that is only declared costs nothing.
#[test]
fn ten_thousand_that_declare_huge_lengths_hold_no_memory() {
    let siege = Siege::begin(&[]);
    let sockets = connect(&siege, CONNECTIONS);
    for mut socket in &sockets {
        socket
            .write_all(b"*1048576\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$16777216\r\nbut nothing more")
            .expect("the node reads");
    }
    assert_eq!(Wire::connect(siege.server.addr).ask(&["ping"]), Value::Simple("PONG".into()));
    drop(sockets);
    siege.wait_until_alone();
    siege.end(160);
}

/// A byte at a time, a request takes its time, and is answered when it is whole.
#[test]
fn ten_thousand_that_send_a_byte_at_a_time_are_answered() {
    let siege = Siege::begin(&[]);
    let sockets = connect(&siege, CONNECTIONS);
    for byte in b"*1\r\n$4\r\nPING\r\n" {
        for mut socket in &sockets {
            socket.write_all(&[*byte]).expect("the node reads");
        }
    }
    for mut socket in &sockets {
        let mut answer = [0; 7];
        socket.read_exact(&mut answer).expect("an answer");
        assert_eq!(&answer, b"+PONG\r\n");
    }
    siege.end(160);
}

/// Each may have a mebibyte of replies wait for it; together they may not have more than the budget.
#[test]
fn hundreds_that_never_read_are_closed_above_the_budget() {
    let siege = Siege::begin(&["--clients-bytes-max", "67108864"]);
    let ping = command(&["ping", &"x".repeat(64 * 1024)]);
    let sockets = connect(&siege, 500);
    for socket in &sockets {
        socket.set_nonblocking(true).expect("a socket can be non-blocking");
    }
    // Kernels hold a few MiB for each before the node has to.
    for _ in 0..100 {
        for mut socket in &sockets {
            // It takes what it takes, and those that are closed take nothing.
            let _ = socket.write(&ping);
        }
    }
    siege.wait_for_closed("memory_budget", 1.0);
    siege.end(64 + 160);
}

/// Those that come and go, with a FIN or with a reset, leave nothing behind.
#[test]
fn connecting_and_resetting_without_end_leaves_nothing() {
    let siege = Siege::begin(&[]);
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let addr = siege.server.addr;
            scope.spawn(move || {
                for number in 0..2_500 {
                    let mut socket = TcpStream::connect(addr).expect("the node accepts");
                    let _ = socket.write_all(&command(&["subscribe", "storm"]));
                    if (number + worker) % 2 == 0 {
                        let linger = Some(Duration::ZERO);
                        socket2::SockRef::from(&socket).set_linger(linger).expect("a socket takes SO_LINGER");
                    }
                }
            });
        }
    });
    siege.wait_until_alone();
    let mut wire = Wire::connect(siege.server.addr);
    let answer = wire.ask(&["pubsub", "numsub", "storm"]);
    assert_eq!(answer, Value::Array(vec![Value::Bulk(b"storm".to_vec()), Value::Integer(0)]));
    siege.end(120);
}

/// One address has as many as it may have; then others are served still.
#[test]
fn one_address_cannot_take_all_places() {
    let siege = Siege::begin(&["--clients-per-address-max", "10"]);
    let first = connect(&siege, 8);
    let refused = TcpStream::connect(siege.server.addr).expect("the kernel accepts");
    assert_eq!(crate::last_words(&refused), "-ERR max number of clients reached\r\n");
    siege.wait_for_closed("address_limit", 1.0);
    drop(first);
    siege.wait_until_alone();
    assert_eq!(Wire::connect(siege.server.addr).ask(&["ping"]), Value::Simple("PONG".into()));
    siege.end(100);
}

/// More than the rate at once wait in the kernel's queue, and none is refused.
#[test]
fn a_storm_above_the_rate_waits_and_is_served() {
    let siege = Siege::begin(&["--accepts-per-s-max", "200"]);
    let start = std::time::Instant::now();
    let mut wires: Vec<Wire> = (0..500).map(|_| Wire::connect(siege.server.addr)).collect();
    wires.iter_mut().for_each(|wire| wire.send(&command(&["ping"])));
    for wire in &mut wires {
        assert_eq!(wire.receive(), Value::Simple("PONG".into()));
    }
    let elapsed = start.elapsed();
    assert!(
        elapsed >= Duration::from_secs(1),
        "{elapsed:?} for 500 at 200 a second, of which a second's worth is free"
    );
    siege.end(100);
}

/// A megabyte that a client does not finish is counted, and the client that has most is the one to go.
#[test]
fn the_budget_closes_the_one_that_holds_most() {
    let siege = Siege::begin(&["--clients-bytes-max", "33554432"]);
    let unfinished = |mib: u64| {
        let mut socket = TcpStream::connect(siege.server.addr).expect("the node accepts");
        socket.write_all(b"*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$16777216\r\n").expect("the node reads");
        socket.write_all(&vec![b'x'; (mib * MIB) as usize]).expect("the node reads");
        socket
    };
    let (small, large) = (unfinished(9), unfinished(14));
    let mut middle = Wire::connect(siege.server.addr);
    middle.send(b"*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$12582912\r\n");
    middle.send(&vec![b'x'; 12 * MIB as usize]);
    assert_eq!(crate::last_words(&large), "");
    siege.wait_for_closed("memory_budget", 1.0);
    middle.send(b"\r\n");
    assert_eq!(middle.receive(), Value::Integer(0));
    drop(small);
    siege.wait_until_alone_but(1);
    assert!(siege.server.closed("memory_budget") < 1.5, "only the largest was closed");
    siege.end(200);
}
