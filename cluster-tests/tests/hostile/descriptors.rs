//! A node without a file descriptor left.

use std::net::TcpStream;

use carillon_cluster_tests::Wire;
use carillon_proto::resp::Value;
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::Siege;

/// Clients that the node cannot take are told so at once, rather than left in the queue; and when there is room again,
/// they are taken.
#[test]
fn without_descriptors_clients_are_refused_and_later_taken() {
    let siege = Siege::begin(&[]);
    let pid = siege.server.pid();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("the node runs").count() as u64;
    let limit = Rlimit { current: Some(open + 10), maximum: Some(open + 10) };
    let process = Pid::from_raw(pid as i32).expect("a process id is not zero");
    prlimit(Some(process), Resource::Nofile, limit).expect("the limit of one's own process can be lowered");

    let taken: Vec<Wire> = (0..30)
        .filter_map(|_| {
            let mut wire = Wire::connect(siege.server.addr);
            wire.send(b"PING\r\n");
            let answer =
                wire.read_until(|bytes| bytes.windows(2).position(|two| two == b"\r\n").map(|at| at + 2));
            match answer.unwrap_or_default().as_slice() {
                b"+PONG\r\n" => Some(wire),
                b"-ERR max number of clients reached\r\n" | b"" => None,
                other => panic!("{}", other.escape_ascii()),
            }
        })
        .collect();
    assert!((5..=12).contains(&taken.len()), "{} of 30 were taken", taken.len());
    drop(taken);
    siege.wait_until_alone();
    siege.wait_for_closed("no_descriptors", 10.0);
    let mut wire = Wire::connect(siege.server.addr);
    assert_eq!(wire.ask(&["ping"]), Value::Simple("PONG".into()));
    siege.end(100);
}

/// More clients than files may be open: the node says so when it starts, and takes as many as it can.
#[test]
fn the_number_of_clients_is_checked_against_the_limit_on_open_files() {
    let siege = Siege::begin(&["--clients-max", "1000000000"]);
    let mut wire = Wire::connect(siege.server.addr);
    let answer = wire.ask(&["config", "get", "maxclients"]);
    let Value::Array(parts) = &answer else { panic!("{answer:?}") };
    let Some(Value::Bulk(value)) = parts.last() else { panic!("{answer:?}") };
    let clients_max: u64 = String::from_utf8_lossy(value).parse().expect("a number");
    let allowed = rustix::process::getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    assert!(clients_max < allowed, "{clients_max} clients with {allowed} open files");
    drop(TcpStream::connect(siege.server.addr));
    siege.end(100);
}
