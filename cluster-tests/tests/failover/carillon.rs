//! A cluster of Carillon, and a single node.

use std::time::{Duration, Instant};

use carillon_cluster_tests::{
    Cluster, ClusterSettings, Server, Wire,
    failover::{Heard, KillPlan, Load, SILENCE, Traffic, kill_the_subscribers_node},
    seed,
};

const LOAD: Load = Load { publishers: 3, payload: 50, pause: Duration::from_millis(1) };

fn is_end_of_interruption(item: &Heard) -> bool {
    matches!(item, Heard::Resumed | Heard::Gap { .. })
}

#[test]
fn twenty_kills_of_the_subscribers_node_lose_double_and_turn_around_nothing() {
    let plan = KillPlan { kills: 20, seed: seed(), nodes: 3 };
    let verdict = kill_the_subscribers_node(plan);
    assert!(verdict.is_lossless(), "{verdict:#?}");
    assert!(verdict.interrupted >= plan.kills && verdict.answered > 1000, "{verdict:#?}");
}

/// Whatever is published while the subscriber cannot connect is given when it can, as far as it is kept.
#[test]
fn a_client_that_was_away_for_a_while_gets_all_of_it() {
    let mut cluster = Cluster::prepare(ClusterSettings { is_direct: true, ..ClusterSettings::of(3) });
    for node in &mut cluster.nodes {
        // However slow the machine is.
        node.add_flag("--recent-ms", "300000");
        node.start();
    }
    cluster.wait_until_serving(&[0, 1, 2]);
    let traffic = Traffic::start(&cluster.client_addrs(), LOAD);
    for _ in 0..3 {
        let heard = traffic.heard().len();
        traffic.wait_until_heard("messages", heard + 30, |item| matches!(item, Heard::Message { .. }));
        let heard = traffic.heard().len();
        // More than is read of the rings at a time.
        traffic.cut_off(2500);
        traffic.wait_until_heard("the end of its interruption", heard, is_end_of_interruption);
    }
    let verdict = traffic.finish();
    assert!(verdict.is_lossless() && verdict.resumed >= 3, "{verdict:#?}");
}

/// What the nodes keep is made small, and much is published while the subscriber cannot connect.
#[test]
fn what_the_nodes_have_forgotten_is_covered_by_gaps() {
    let mut cluster = Cluster::prepare(ClusterSettings { is_direct: true, ..ClusterSettings::of(3) });
    for node in &mut cluster.nodes {
        node.add_flag("--recent-bytes-max", "0");
        node.add_flag("--unacked-bytes-max", "1MiB");
        node.start();
    }
    cluster.wait_until_serving(&[0, 1, 2]);
    let load = Load { publishers: 3, payload: 64 * 1024, pause: Duration::from_millis(1) };
    let traffic = Traffic::start(&cluster.client_addrs(), load);
    for _ in 0..3 {
        let heard = traffic.heard().len();
        traffic.wait_until_heard("messages", heard + 30, |item| matches!(item, Heard::Message { .. }));
        let heard = traffic.heard().len();
        traffic.cut_off(300);
        traffic
            .wait_until_heard("a gap", heard, |item| matches!(item, Heard::Gap { is_forgotten: true, .. }));
    }
    let verdict = traffic.finish();
    assert!(verdict.is_honest(), "{verdict:#?}");
    assert!(verdict.gaps > 0 && verdict.missing > 0, "this test is about what is missing: {verdict:#?}");
}

#[test]
fn a_rolling_restart_is_a_non_event() {
    let mut cluster = Cluster::form(ClusterSettings { is_direct: true, ..ClusterSettings::of(3) });
    let traffic = Traffic::start(&cluster.client_addrs(), LOAD);
    for index in 0..3 {
        let heard = traffic.heard().len();
        assert_eq!(cluster.nodes[index].terminate(), Some(0));
        cluster.nodes[index].start();
        cluster.wait_until_serving(&[0, 1, 2]);
        traffic.wait_until_heard("messages", heard, |item| matches!(item, Heard::Message { .. }));
    }
    let verdict = traffic.finish();
    assert!(verdict.is_lossless() && verdict.interrupted > 0, "{verdict:#?}");
}

#[test]
fn a_node_that_stops_answering_is_left_for_another() {
    let mut cluster = Cluster::form(ClusterSettings { is_direct: true, ..ClusterSettings::of(3) });
    let traffic = Traffic::start(&cluster.client_addrs(), LOAD);
    let addr = traffic.subscribed_at();
    let index = cluster.nodes.iter().position(|node| node.client == addr).expect("one of the nodes");
    let heard = traffic.heard().len();
    cluster.stop(index);
    traffic.wait_until_heard("the end of its interruption", heard, is_end_of_interruption);
    cluster.go_on(index);
    cluster.wait_until_serving(&[0, 1, 2]);
    let verdict = traffic.finish();
    assert!(verdict.is_lossless(), "{verdict:#?}");
}

/// Nobody closes anything: packets vanish. The client notices within the time that it says, and goes on elsewhere.
#[test]
fn a_partition_is_noticed_in_time_and_nothing_is_missed() {
    let cluster = Cluster::form(ClusterSettings { is_direct: true, ..ClusterSettings::of(3) });
    let traffic = Traffic::start(&cluster.client_addrs(), LOAD);
    for _ in 0..3 {
        let heard = traffic.heard().len();
        traffic.wait_until_heard("messages", heard + 20, |item| matches!(item, Heard::Message { .. }));
        let lost = traffic.subscribed_at();
        let (heard, start) = (traffic.heard().len(), Instant::now());
        traffic.lose(lost);
        traffic.wait_until_heard("that it is cut off", heard, |item| matches!(item, Heard::Interrupted));
        let noticed = start.elapsed();
        // A busy machine may be late, but not by as much again.
        assert!(noticed < SILENCE * 3 / 2, "{noticed:?}");
        traffic.wait_until_heard("the end of its interruption", heard, is_end_of_interruption);
        assert_ne!(traffic.subscribed_at(), lost);
        traffic.find(lost);
    }
    let verdict = traffic.finish();
    assert!(verdict.is_lossless() && verdict.resumed >= 3, "{verdict:#?}");
}

/// One node without a cluster, of one thread and of three: the connection is cut, and the client goes on where it was.
#[test]
fn a_cut_connection_to_a_single_node_goes_on_where_it_was() {
    for shards in ["1", "3"] {
        let server = Server::carillon(&["--shards", shards]);
        let traffic = Traffic::start(&[server.addr], LOAD);
        let mut operator = Wire::connect(server.addr);
        for _ in 0..10 {
            let heard = traffic.heard().len();
            traffic.wait_until_heard("messages", heard + 20, |item| matches!(item, Heard::Message { .. }));
            let heard = traffic.heard().len();
            operator.ask(&["client", "kill", "type", "pubsub"]);
            traffic.wait_until_heard("the end of its interruption", heard, is_end_of_interruption);
        }
        let verdict = traffic.finish();
        assert!(verdict.is_lossless() && verdict.resumed >= 10, "{shards} shards: {verdict:#?}");
    }
}

/// What a node held is gone with it, when it is in no cluster: the client says so.
#[test]
fn the_death_of_a_single_node_is_a_gap() {
    let mut server = Server::carillon(&[]);
    let traffic = Traffic::start(&[server.addr], LOAD);
    let heard = traffic.heard().len();
    traffic.wait_until_heard("messages", heard + 20, |item| matches!(item, Heard::Message { .. }));
    let heard = traffic.heard().len();
    server.kill();
    server.start_again();
    traffic.wait_until_heard("a gap", heard, |item| matches!(item, Heard::Gap { is_forgotten: true, .. }));
    let verdict = traffic.finish();
    assert!(verdict.is_honest(), "{verdict:#?}");
}
