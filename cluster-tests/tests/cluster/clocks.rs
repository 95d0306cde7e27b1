//! Clocks on the wall that jump: somebody sets them, a time server answers at last, a virtual machine was moved.

use std::time::{SystemTime, UNIX_EPOCH};

use carillon_cluster_tests::{
    Cluster, ClusterSettings, WallClock, Wire,
    scene::{Scene, assert_all_answered, assert_closed, clients_of},
};
use carillon_proto::resp::Value;

/// Seconds of a year.
const YEAR_S: u64 = 365 * 24 * 3600;

/// What a node takes for the time of day, in years from the real one.
fn years_off(scene: &Scene, node: usize) -> i64 {
    let mut wire = Wire::connect(scene.cluster.nodes[node].client);
    let Value::Bulk(info) = wire.ask(&["info", "server"]) else { panic!("INFO is text") };
    let info = String::from_utf8_lossy(&info);
    let time = info.lines().find_map(|line| line.strip_prefix("server_time_usec:")).expect("the time of day");
    let time: u64 = time.trim().parse().expect("a number");
    let real = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    ((time / 1_000_000) as i64 - real as i64 + YEAR_S as i64 / 2).div_euclid(YEAR_S as i64)
}

/// Leases, evictions and the order of messages know nothing of the time of day.
#[test]
fn clocks_that_jump_by_years_cost_nobody_anything() {
    let clocks: Option<Vec<WallClock>> = (0..3).map(|_| WallClock::right()).collect();
    let Some(clocks) = clocks else { return };
    let mut cluster = Cluster::prepare(ClusterSettings::of(3));
    for (node, clock) in cluster.nodes.iter_mut().zip(&clocks) {
        node.set_environment(clock.environment());
        node.start();
    }
    cluster.wait_until_serving(&[0, 1, 2]);
    let (publishers, subscribers) = clients_of(&[0, 1, 2]);
    let mut scene = Scene::with(cluster, publishers, subscribers);
    scene.healthy(200);
    let epoch = scene.cluster.status(0).expect("answers").epoch;
    for node in scene.all() {
        for (offset, years) in [("+10y", 10), ("-10y", -10), ("+0", 0)] {
            clocks[node].set(offset);
            assert_eq!(years_off(&scene, node), years, "the node must see {offset}");
            scene.healthy(200);
        }
    }
    // Restarted while it is wrong, a node is let in: its certificate is good at any time.
    let wrong = scene.others(&[scene.cluster.wait_for_leader(&scene.all())])[0];
    let unharmed = scene.cluster.status(0).expect("answers").epoch;
    assert_eq!(unharmed, epoch, "the view is the one from before");
    clocks[wrong].set("-10y");
    assert_eq!(scene.cluster.nodes[wrong].terminate(), Some(0));
    scene.cluster.nodes[wrong].start();
    scene.recover();
    assert_eq!(years_off(&scene, wrong), -10);
    scene.healthy(200);
    let start = scene.start;
    let (_cluster, history) = scene.finish();
    assert_closed(&history, 2, start, "only the clients of the node that was restarted were disconnected");
    assert_all_answered(&history, start, "no clock delays an answer");
}
