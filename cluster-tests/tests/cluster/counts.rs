//! PUBSUB tells the whole cluster's numbers, on every node (P5).

use std::time::Instant;

use carillon_cluster_tests::{Cluster, ClusterSettings, Wire};
use carillon_proto::resp::Value;

use crate::ms;

/// How long the numbers may be wrong after a node has died.
const RIGHT_AGAIN_MS: u64 = 1000;

/// What a node tells of all channels, of two, and of patterns.
#[derive(Debug, PartialEq)]
struct Counts {
    channels: Vec<String>,
    numsub: Vec<i64>,
    numpat: i64,
    shardnumsub: i64,
}

fn text(value: &Value) -> String {
    let Value::Bulk(text) = value else { panic!("{value:?} is not a string") };
    String::from_utf8_lossy(text).into_owned()
}

fn integer(value: &Value) -> i64 {
    let Value::Integer(integer) = value else { panic!("{value:?} is not an integer") };
    *integer
}

fn counts(wire: &mut Wire) -> Counts {
    let mut list = |args: &[&str]| {
        let Value::Array(values) = wire.ask(args) else { panic!("an array") };
        values
    };
    let mut channels: Vec<String> = list(&["pubsub", "channels"]).iter().map(text).collect();
    channels.sort();
    let numsub = list(&["pubsub", "numsub", "all", "one"]);
    let shardnumsub = integer(&list(&["pubsub", "shardnumsub", "s"])[1]);
    let numpat = integer(&wire.ask(&["pubsub", "numpat"]));
    Counts { channels, numsub: vec![integer(&numsub[1]), integer(&numsub[3])], numpat, shardnumsub }
}

#[test]
fn every_node_tells_the_same_numbers_and_right_ones_within_a_second_of_a_death() {
    let mut cluster = Cluster::form(ClusterSettings::of(3));
    let mut subscribers = Vec::new();
    for (index, node) in cluster.nodes.iter().enumerate() {
        let own = format!("only on {index}");
        let subscriptions =
            [["subscribe", "all"], ["subscribe", own.as_str()], ["psubscribe", "a*"], ["ssubscribe", "s"]];
        for subscription in subscriptions {
            let mut wire = Wire::connect(node.client);
            wire.ask(&subscription);
            subscribers.push(wire);
        }
        if index == 1 {
            let mut wire = Wire::connect(node.client);
            wire.ask(&["subscribe", "one"]);
            wire.ask(&["psubscribe", "b*"]);
            subscribers.push(wire);
        }
    }
    let mut wires: Vec<Wire> = cluster.nodes.iter().map(|node| Wire::connect(node.client)).collect();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let all = Counts {
        channels: names(&["all", "one", "only on 0", "only on 1", "only on 2"]),
        numsub: vec![3, 1],
        numpat: 2,
        shardnumsub: 3,
    };
    for wire in &mut wires {
        assert_eq!(counts(wire), all);
    }
    let killed = Instant::now();
    cluster.nodes[1].kill();
    let rest = Counts {
        channels: names(&["all", "only on 0", "only on 2"]),
        numsub: vec![2, 0],
        numpat: 1,
        shardnumsub: 2,
    };
    // Both at once: a question to a dead node is answered when its link is given up.
    std::thread::scope(|scope| {
        for (index, wire) in wires.iter_mut().enumerate().filter(|(index, _)| *index != 1) {
            let rest = &rest;
            scope.spawn(move || {
                let mut told = counts(wire);
                while told != *rest && killed.elapsed() < ms(RIGHT_AGAIN_MS) {
                    told = counts(wire);
                }
                let after = killed.elapsed();
                eprintln!("node {index} is right {after:?} after the kill");
                assert_eq!(told, *rest, "node {index}, {after:?} after the kill");
                assert!(after <= ms(RIGHT_AGAIN_MS), "node {index} was right only {after:?} after the kill");
            });
        }
    });
}
