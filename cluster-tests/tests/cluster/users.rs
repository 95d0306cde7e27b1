//! Users of a cluster: the same on every node, and kept.

use std::net::SocketAddr;

use carillon_cluster_tests::{Cluster, ClusterSettings, Wire};
use carillon_proto::resp::Value;

fn ask(addr: SocketAddr, requests: &[&str]) -> Value {
    let mut wire = Wire::connect(addr);
    let answers = requests.iter().map(|request| wire.ask(&request.split_whitespace().collect::<Vec<_>>()));
    answers.fold(Value::Null, |_, answer| answer)
}

fn ok() -> Value {
    Value::Simple("OK".into())
}

/// Waits until every node answers this way: what a majority has, the others have a moment later.
fn everywhere(cluster: &Cluster, requests: &[&str], expected: &Value) {
    for addr in cluster.client_addrs() {
        cluster.wait(&format!("{requests:?} is answered with {expected:?}"), || {
            (ask(addr, requests) == *expected).then_some(())
        });
    }
}

#[test]
fn users_set_on_one_node_are_those_of_all_and_survive_the_death_of_all() {
    let mut cluster = Cluster::form(ClusterSettings::of(3));
    let addrs = cluster.client_addrs();
    assert_eq!(ask(addrs[0], &["acl setuser bob on >pw &news* +@all"]), ok());
    assert_eq!(ask(addrs[0], &["auth bob pw"]), ok(), "it holds on the own node once it is answered");
    everywhere(&cluster, &["auth bob pw"], &ok());
    // Each node takes changes, whichever leads; each change is on a majority's disks when it is answered.
    for (number, addr) in addrs.iter().enumerate() {
        assert_eq!(ask(*addr, &[&format!("acl setuser user{number} on >pw{number} +ping")]), ok());
    }
    for _ in 0..2 {
        (0..3).for_each(|index| cluster.nodes[index].kill());
        (0..3).for_each(|index| cluster.nodes[index].start());
        cluster.wait_until_serving(&[0, 1, 2]);
        for addr in &addrs {
            // At once: a node that serves clients has all that was answered before it came in.
            assert_eq!(ask(*addr, &["auth bob pw"]), ok());
            for number in 0..3 {
                assert_eq!(ask(*addr, &[&format!("auth user{number} pw{number}")]), ok());
            }
        }
    }
    // A removed user's connections end on every node.
    let mut wires: Vec<Wire> = addrs.iter().map(|addr| Wire::connect(*addr)).collect();
    for wire in &mut wires {
        assert_eq!(wire.ask(&["auth", "bob", "pw"]), ok());
        wire.ask(&["subscribe", "news"]);
    }
    assert_eq!(ask(addrs[1], &["acl deluser bob"]), Value::Integer(1));
    for wire in &mut wires {
        assert_eq!(wire.bytes_until_end(), b"");
    }
    let refused = Value::Error("WRONGPASS invalid username-password pair or user is disabled.".into());
    everywhere(&cluster, &["auth bob pw"], &refused);
}

#[test]
fn users_change_without_a_minority_and_a_node_that_missed_it_learns_it_before_it_serves() {
    let mut cluster = Cluster::form(ClusterSettings::of(3));
    let addrs = cluster.client_addrs();
    assert_eq!(ask(addrs[0], &["acl setuser bob on >old +@all"]), ok());
    everywhere(&cluster, &["auth bob old"], &ok());
    let leader = cluster.wait_for_leader(&[0, 1, 2]);
    let others: Vec<usize> = (0..3).filter(|index| *index != leader).collect();
    cluster.nodes[leader].kill();
    // While there is no leader the change waits for one.
    assert_eq!(ask(addrs[others[0]], &["acl setuser bob resetpass >new"]), ok());
    assert_eq!(ask(addrs[others[0]], &["config set requirepass sesame"]), ok());
    cluster.nodes[leader].start();
    cluster.wait_until_serving(&[0, 1, 2]);
    let refused = Value::Error("WRONGPASS invalid username-password pair or user is disabled.".into());
    assert_eq!(ask(addrs[leader], &["auth bob old"]), refused);
    assert_eq!(ask(addrs[leader], &["auth bob new"]), ok());
    assert_eq!(ask(addrs[leader], &["ping"]), Value::Error("NOAUTH Authentication required.".into()));
    assert_eq!(ask(addrs[leader], &["auth sesame", "acl whoami"]), Value::Bulk("default".into()));
}

/// What cannot be undone must not happen while a node may be of a version that does not know of users.
#[test]
fn the_first_user_waits_until_all_nodes_are_there() {
    let mut cluster = Cluster::form(ClusterSettings::of(3));
    let addrs = cluster.client_addrs();
    let leader = cluster.wait_for_leader(&[0, 1, 2]);
    let away = (leader + 1) % 3;
    cluster.nodes[away].kill();
    cluster.wait("it is voted out", || (cluster.status(leader)?.view().len() == 2).then_some(()));
    let answer = format!("{:?}", ask(addrs[leader], &["acl setuser bob on >pw"]));
    assert!(
        answer.contains(&cluster.nodes[away].name) && answer.contains("every node has to be there"),
        "{answer}"
    );
    cluster.nodes[away].start();
    cluster.wait_until_serving(&[0, 1, 2]);
    assert_eq!(ask(addrs[away], &["acl setuser bob on >pw"]), ok());
    everywhere(&cluster, &["auth bob pw"], &ok());
}
