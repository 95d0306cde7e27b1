//! Subscribers that want too much, or do not read.

use std::{io::Write as _, net::TcpStream};

use carillon_cluster_tests::{Wire, command, eventually};
use carillon_proto::resp::Value;

use crate::{PATIENCE, Siege, last_words};

/// What one client may have, by default.
const SUBSCRIPTIONS_MAX: usize = 200_000;

/// Subscribes and reads all confirmations.
fn subscribe_many(wire: &mut Wire, client: usize, count: usize) {
    const BATCH: usize = 1_000;
    for start in (0..count).step_by(BATCH) {
        let names: Vec<String> =
            (start..start + BATCH).map(|number| format!("channel:{client}:{number}")).collect();
        let mut confirmations = Vec::new();
        for (number, name) in (start + 1..).zip(&names) {
            let len = name.len();
            let confirmation = format!("*3\r\n$9\r\nsubscribe\r\n${len}\r\n{name}\r\n:{number}\r\n");
            confirmations.extend_from_slice(confirmation.as_bytes());
        }
        wire.send(&command(&[&["subscribe".to_owned()], &names[..]].concat()));
        let len = confirmations.len();
        let received = wire.read_until(|bytes| (bytes.len() >= len).then_some(len));
        assert!(received.as_deref() == Ok(&confirmations), "confirmations of {start} and those after it");
    }
}

fn is_without_channels(wire: &mut Wire) -> bool {
    wire.ask(&["pubsub", "channels", "channel:*"]) == Value::Array(vec![])
}

#[test]
fn a_million_subscriptions_are_held_and_given_back() {
    let siege = Siege::begin(&[]);
    let mut wires: Vec<Wire> = (0..5).map(|_| Wire::connect(siege.server.addr)).collect();
    std::thread::scope(|scope| {
        for (client, wire) in wires.iter_mut().enumerate() {
            scope.spawn(move || subscribe_many(wire, client, SUBSCRIPTIONS_MAX));
        }
    });
    let mut asker = Wire::connect(siege.server.addr);
    let answer = asker.ask(&["publish", "channel:4:199999", "x"]);
    assert_eq!(answer, Value::Integer(1));
    // One more is one too many.
    wires[0].send(&command(&["subscribe", "channel:one-more"]));
    assert_eq!(last_words(&wires[0].socket), "");
    siege.wait_for_closed("subscription_limit", 1.0);
    drop(wires);
    siege.wait_until_alone_but(1);
    assert!(is_without_channels(&mut asker), "some channels are left");
    siege.end(420);
}

/// Whatever it had subscribed to in the command that closed it, and before, is gone from all counts.
#[test]
fn a_subscriber_that_is_closed_in_the_middle_of_its_subscribe_leaves_no_trace() {
    let siege = Siege::begin(&["--channel-bytes-max", "100", "--pattern-bytes-max", "50"]);
    let long = "x".repeat(101);
    let mut asker = Wire::connect(siege.server.addr);
    for (verb, name) in [("subscribe", "channel:a"), ("ssubscribe", "channel:a"), ("psubscribe", "channel:*")]
    {
        let mut wire = Wire::connect(siege.server.addr);
        wire.ask(&[verb, "channel:before"]);
        wire.send(&command(&[verb, name, &long, "channel:b"]));
        last_words(&wire.socket);
        let clear = || {
            let nothing = Value::Array(vec![]);
            is_without_channels(&mut asker)
                && asker.ask(&["pubsub", "shardchannels"]) == nothing
                && asker.ask(&["pubsub", "numpat"]) == Value::Integer(0)
        };
        assert!(
            eventually(PATIENCE, {
                let mut clear = clear;
                move || clear().then_some(())
            })
            .is_some(),
            "{verb}"
        );
    }
    siege.wait_for_closed("name_too_long", 3.0);
    siege.end(100);
}

#[test]
fn more_patterns_than_allowed_close_the_client() {
    let siege = Siege::begin(&["--patterns-max", "3"]);
    let mut wire = Wire::connect(siege.server.addr);
    for pattern in ["one*", "two*", "three*", "three*"] {
        wire.ask(&["psubscribe", pattern]);
    }
    wire.send(&command(&["psubscribe", "four*"]));
    assert_eq!(last_words(&wire.socket), "");
    siege.wait_for_closed("subscription_limit", 1.0);
    siege.end(100);
}

/// It is closed at the hard limit; those that read get everything.
#[test]
fn subscribers_that_stop_reading_are_closed_at_the_hard_limit() {
    let siege = Siege::begin(&["--outbox-bytes-max", "4194304"]);
    let deaf: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut socket = TcpStream::connect(siege.server.addr).expect("the node accepts");
            socket.write_all(&command(&["subscribe", "flood"])).expect("the node reads");
            socket
        })
        .collect();
    let mut publisher = Wire::connect(siege.server.addr);
    let payload = "x".repeat(8 * 1024);
    let receivers = eventually(PATIENCE, || match publisher.ask(&["publish", "flood", &payload]) {
        Value::Integer(0) => Some(()),
        _ => None,
    });
    assert!(receivers.is_some(), "some are still subscribed");
    siege.wait_for_closed("outbox_hard_limit", 20.0);
    drop(deaf);
    siege.end(20 * 5 + 120);
}
