//! What operators see and do.

use carillon_cluster_tests::{Cluster, ClusterSettings, Wire, run};

use crate::ms;

#[test]
fn operators_see_the_cluster_from_any_node() {
    let cluster = Cluster::form(ClusterSettings::of(3));
    let leader = cluster.wait_for_leader(&[0, 1, 2]);
    let mut client = Wire::connect(cluster.nodes[0].client);
    client.ask(&["subscribe", "news"]);
    for node in &cluster.nodes {
        let admin = node.admin.to_string();
        let nodes = run(&["nodes", "--admin-addr", &admin], &[], b"");
        assert_eq!(nodes.output.lines().count(), 4, "a line for each and one above them: {}", nodes.output);
        let of_leader = nodes.output.lines().find(|line| line.contains(&cluster.nodes[leader].name));
        let words: Vec<&str> = of_leader.expect("the leader is listed").split_whitespace().collect();
        assert_eq!(words[4], "yes", "in view: {}", nodes.output);
        assert_eq!(words[6], "leader", "{}", nodes.output);
        assert_eq!(words[9], "up", "the link: {}", nodes.output);
        for line in nodes.output.lines().skip(1) {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(words[3], env!("CARGO_PKG_VERSION"), "told by the node itself: {line}");
            assert!(words[7].parse::<u32>().is_ok_and(|lease| lease > 0), "a lease: {line}");
        }
        let status = run(&["status", "--admin-addr", &admin], &[], b"");
        assert!(status.output.contains("condition  serving"), "{}", status.output);
        let (code, metrics) = node.get("/metrics").expect("an answer");
        assert_eq!(code, 200);
        let wanted =
            ["carillon_in_view 1.0", "carillon_view_members 3.0", "carillon_link_up{peer=\"", "# EOF"];
        for line in wanted {
            assert!(metrics.contains(line), "{line} is missing in\n{metrics}");
        }
    }
    let (_, metrics) = cluster.nodes[0].get("/metrics").expect("an answer");
    assert!(metrics.contains("carillon_subscribed_names{kind=\"channel\"} 1.0"), "{metrics}");
}

#[test]
fn a_node_that_is_drained_leaves_and_stops() {
    let mut cluster = Cluster::form(ClusterSettings { drain: ms(100), ..ClusterSettings::of(3) });
    let leader = cluster.wait_for_leader(&[0, 1, 2]);
    let admin = cluster.nodes[leader].admin.to_string();
    assert_eq!(run(&["drain", "--admin-addr", &admin], &[], b"").code, Some(0));
    assert_eq!(cluster.nodes[leader].wait(), Some(0));
    let others: Vec<usize> = (0..3).filter(|node| *node != leader).collect();
    cluster.wait_until_serving(&others);
    let left = cluster.status(others[0]).expect("it answers").view().len();
    assert_eq!(left, 2, "it has left the view rather than being voted out later");
    let gone = run(&["status", "--admin-addr", &admin], &[], b"");
    assert_eq!(gone.code, Some(1));
    assert!(gone.errors.contains("no node answers at"), "{}", gone.errors);
}

/// Socket.IO waits for an answer of every subscriber: who is it that does not give one?
#[test]
fn the_subscribers_of_a_channel_are_named_from_any_node() {
    let cluster = Cluster::form(ClusterSettings::of(3));
    let _subscribers: Vec<Wire> = cluster
        .nodes
        .iter()
        .map(|node| {
            let mut wire = Wire::connect(node.client);
            wire.ask(&["client", "setname", &format!("app-at-{}", node.name)]);
            wire.ask(&["psubscribe", "socket.io#/#*"]);
            wire
        })
        .collect();
    for node in &cluster.nodes {
        let admin = node.admin.to_string();
        let told = run(&["subscribers", "socket.io#/#room 1#", "--admin-addr", &admin], &[], b"");
        for other in &cluster.nodes {
            let line = told.output.lines().find(|line| line.contains(&format!("app-at-{}", other.name)));
            let line = line.unwrap_or_else(|| panic!("{} is missing in\n{}", other.name, told.output));
            assert!(line.contains("127.0.0.1:") && line.ends_with("socket.io#/#*"), "{line}");
        }
    }
}
