//! Instructions that the core paths take, compared with bounds:
//! `cargo run --release -p carillon-broker --example instructions`.
//!
//! Times on shared machines differ by a third from hour to hour; the number of instructions does not. Valgrind's
//! cachegrind counts them. Each path runs twice, once with twice the rounds, and the difference is what counts: the
//! set-up is in both. A bound is what was measured and about a tenth more, for other compilers and processors; it
//! goes down when the path gets better, and up only with a reason in the commit.

#![allow(clippy::print_stdout, reason = "a program for people")]
#![allow(missing_docs, reason = "a program has no users of its functions")]

use std::{
    hint::black_box,
    io::IoSlice,
    process::{Command, ExitCode},
};

use ahash::RandomState;
use bytes::BytesMut;
use carillon_broker::hub::{ChannelKind, Glob, Hub, Seat, SubscriptionKind};
use carillon_proto::{
    peer::{FrameReader, Publish, encode_publish},
    resp::RequestDecoder,
};

/// One core path.
struct Path {
    name: &'static str,
    /// What one round does, and how often.
    what: &'static str,
    units: u64,
    /// Instructions for each of these, at most.
    bound: u64,
    run: fn(u64),
}

const PATHS: &[Path] = &[
    Path { name: "parse", what: "request of a pipeline", units: 100, bound: 480, run: parse },
    Path {
        name: "fan-out",
        what: "delivery to one of 100 subscribers",
        units: 1600,
        bound: 165,
        run: fan_out,
    },
    Path {
        name: "one-subscriber",
        what: "delivery to the only subscriber",
        units: 1,
        bound: 1430,
        run: one_subscriber,
    },
    Path {
        name: "large",
        what: "delivery of 64 KiB to one of 10",
        units: 10,
        bound: 8400,
        run: large_payload,
    },
    Path {
        name: "patterns",
        what: "publish past 1,000 patterns to 10",
        units: 1,
        bound: 7550,
        run: patterns,
    },
    Path { name: "glob", what: "match of a pattern with three stars", units: 2, bound: 255, run: glob },
    Path { name: "churn", what: "subscription made and ended", units: 1, bound: 1240, run: churn },
    Path {
        name: "peer-frame",
        what: "message to another node and back",
        units: 100,
        bound: 790,
        run: peer_frame,
    },
];

const ROUNDS: u64 = 200;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, name, rounds] = &args[..]
        && flag == "--run"
    {
        let path = PATHS.iter().find(|path| path.name == *name).expect("a path of this table");
        (path.run)(rounds.parse().expect("a number of rounds"));
        return ExitCode::SUCCESS;
    }
    println!("{:<15} {:>12} {:>8}  instructions for each", "path", "measured", "bound");
    let mut is_within = true;
    for path in PATHS {
        let measured = (count(path, 2 * ROUNDS) - count(path, ROUNDS)) / (ROUNDS * path.units);
        let verdict = if measured > path.bound { "  ABOVE ITS BOUND" } else { "" };
        is_within &= measured <= path.bound;
        println!("{:<15} {measured:>12} {:>8}  {}{verdict}", path.name, path.bound, path.what);
    }
    if is_within { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Instructions of a process that does nothing but so many rounds of a path.
fn count(path: &Path, rounds: u64) -> u64 {
    let program = std::env::current_exe().expect("a program knows its file");
    let output = Command::new("valgrind")
        .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"])
        .arg(program)
        .args(["--run", path.name, &rounds.to_string()])
        .output()
        .expect("valgrind is installed (apt-get install valgrind)");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} failed under valgrind:\n{text}", path.name);
    let line = text.lines().find_map(|line| line.split_once("refs:")).expect("cachegrind's sum");
    line.1.replace(',', "").trim().parse().expect("a number of instructions")
}

fn hub() -> Hub {
    Hub::new(RandomState::with_seeds(1, 2, 3, 4))
}

fn subscribers(hub: &mut Hub, count: usize, kind: SubscriptionKind, name: &[u8]) -> Vec<Seat> {
    (0..count)
        .map(|_| {
            let seat = hub.connect();
            hub.subscribe(seat, kind, name);
            seat
        })
        .collect()
}

/// Takes what waits for every connection, as the shard does at the end of a turn, but for the system call.
fn write_all(hub: &mut Hub, seats: &mut Vec<Seat>) {
    hub.take_dirty(seats);
    for &seat in &*seats {
        let bytes = {
            let mut slices = [IoSlice::new(&[]); 64];
            let filled = hub.outbox(seat).slices(&mut slices);
            black_box(&slices[..filled]).iter().map(|slice| slice.len()).sum()
        };
        hub.advance(seat, bytes);
    }
}

fn parse(rounds: u64) {
    let request = format!("*3\r\n$7\r\nPUBLISH\r\n$12\r\nsocket.io#/#\r\n$64\r\n{}\r\n", "x".repeat(64));
    let input = request.repeat(100);
    let mut decoder = RequestDecoder::new(1024 * 1024);
    for _ in 0..rounds {
        let mut rest = input.as_bytes();
        while let Ok(Some((request, used))) = decoder.decode(rest) {
            black_box((request.arg(1), request.arg(2)));
            rest = &rest[used..];
        }
        assert!(rest.is_empty());
    }
}

fn fan_out(rounds: u64) {
    let (mut hub, mut seats) = (hub(), Vec::new());
    subscribers(&mut hub, 100, SubscriptionKind::Channel, b"news");
    for _ in 0..rounds {
        for _ in 0..16 {
            black_box(hub.publish(ChannelKind::Channel, b"news", &[b'x'; 64]));
        }
        write_all(&mut hub, &mut seats);
    }
}

fn one_subscriber(rounds: u64) {
    let (mut hub, mut seats) = (hub(), Vec::new());
    subscribers(&mut hub, 1, SubscriptionKind::Channel, b"news");
    for _ in 0..rounds {
        black_box(hub.publish(ChannelKind::Channel, b"news", &[b'x'; 64]));
        write_all(&mut hub, &mut seats);
    }
}

fn large_payload(rounds: u64) {
    let (mut hub, mut seats) = (hub(), Vec::new());
    subscribers(&mut hub, 10, SubscriptionKind::Channel, b"news");
    let payload = vec![b'x'; 64 * 1024];
    for _ in 0..rounds {
        black_box(hub.publish(ChannelKind::Channel, b"news", &payload));
        write_all(&mut hub, &mut seats);
    }
}

fn patterns(rounds: u64) {
    let (mut hub, mut seats) = (hub(), Vec::new());
    for number in 0..1000 {
        subscribers(&mut hub, 1, SubscriptionKind::Pattern, format!("socket.io#/app-{number}#*").as_bytes());
    }
    subscribers(&mut hub, 10, SubscriptionKind::Pattern, b"socket.io#/#*");
    for _ in 0..rounds {
        black_box(hub.publish(ChannelKind::Channel, b"socket.io#/#room#", &[b'x'; 64]));
        write_all(&mut hub, &mut seats);
    }
}

fn glob(rounds: u64) {
    let glob = Glob::new(b"*socket.io*room*end");
    for _ in 0..rounds {
        black_box(glob.matches(black_box(b"prefix:socket.io#/namespace#room-17#the-end")));
        black_box(glob.matches(black_box(b"prefix:socket.io#/namespace#room-17#another")));
    }
}

fn churn(rounds: u64) {
    let mut hub = hub();
    let seat = subscribers(&mut hub, 1, SubscriptionKind::Channel, b"news")[0];
    for _ in 0..rounds {
        black_box(hub.subscribe(seat, SubscriptionKind::Channel, b"socket.io-response#/#a1b2c3#"));
        black_box(hub.unsubscribe(seat, SubscriptionKind::Channel, b"socket.io-response#/#a1b2c3#"));
    }
}

fn peer_frame(rounds: u64) {
    let mut decoder = FrameReader::new(1024 * 1024);
    for _ in 0..rounds {
        let mut buffer = BytesMut::new();
        for _ in 0..100 {
            encode_publish(false, b"socket.io#/#", &[b'x'; 64], &mut buffer);
        }
        decoder.push(buffer.freeze());
        while let Ok(Some(message)) = decoder.next_message::<Publish>() {
            black_box(message);
        }
    }
}
