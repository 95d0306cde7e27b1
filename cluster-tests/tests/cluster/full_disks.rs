//! Disks without room, and disks that cannot be written to.

use carillon_cluster_tests::{
    Cluster, ClusterSettings, SmallDisk, eventually,
    scene::{Scene, assert_closed, clients_of},
};

use crate::ms;

/// More than fits into what the store has taken before.
const COMINGS_MAX: usize = 30;

/// Large enough for a store and its first segments.
const DISK_MIB: u32 = 8;

/// What the system says of a full disk.
const NO_ROOM: &str = "No space left on device";

/// Fills one node's disk under load and changes the view, which it cannot write down: it stops and says why, the
/// others go on, and once there is room it is back as who it was.
fn fill(pick: impl Fn(&Scene, usize) -> usize) {
    let disks: Option<Vec<SmallDisk>> = (0..3).map(|_| SmallDisk::mount(DISK_MIB)).collect();
    let Some(disks) = disks else { return };
    let mut cluster = Cluster::prepare(ClusterSettings { spare: 1, ..ClusterSettings::of(3) });
    for (node, disk) in cluster.nodes.iter_mut().zip(disks) {
        node.set_disk(disk);
    }
    cluster.start();
    let (publishers, subscribers) = clients_of(&[0, 1, 2]);
    let mut scene = Scene::with(cluster, publishers, subscribers);
    let leader = scene.cluster.wait_for_leader(&scene.all());
    let victim = pick(&scene, leader);
    let before = scene.cluster.status(victim).expect("answers");
    disk_of(&scene.cluster, victim).fill();
    scene.healthy(200);

    // A fourth node comes in, leaves and comes in again: everyone has to write that. A little fits into what the
    // store has taken before.
    let rest_and_fourth = [&scene.others(&[victim])[..], &[3]].concat();
    let mut comings = 0;
    while scene.cluster.nodes[victim].is_running() && comings < COMINGS_MAX {
        comings += 1;
        scene.cluster.nodes[3].start();
        scene.cluster.wait("the fourth node is in", || scene.cluster.nodes[3].readiness().ok());
        assert_eq!(scene.cluster.nodes[3].terminate(), Some(0));
    }
    eprintln!("the victim ended after {comings} comings and goings of the fourth node");
    assert_eq!(
        scene.cluster.nodes[victim].wait(),
        Some(1),
        "it stops rather than forget what it has promised"
    );
    scene.cluster.nodes[3].start();
    scene.cluster.wait_until_serving(&rest_and_fourth);
    scene.wait_for_answers(200);
    assert_ends_with(&scene.cluster.nodes[victim].log(), NO_ROOM);

    // Started again without room, it stops again, and every time says why.
    assert_cannot_start(&mut scene, victim, NO_ROOM);

    disk_of(&scene.cluster, victim).free();
    scene.cluster.nodes[victim].start();
    scene.cluster.wait_until_serving(&[0, 1, 2, 3]);
    let after = scene.cluster.status(victim).expect("answers");
    assert_eq!(
        (after.node, after.cluster_id),
        (before.node, before.cluster_id),
        "nothing of it was set aside"
    );
    scene.healthy(200);
    let start = scene.start;
    let (_cluster, history) = scene.finish();
    assert_closed(&history, 2, start, "only the clients of the node without room were disconnected");
}

fn disk_of(cluster: &Cluster, node: usize) -> &SmallDisk {
    cluster.nodes[node].disk().expect("it was given one")
}

/// Started twice, a node ends each time and says why.
fn assert_cannot_start(scene: &mut Scene, victim: usize, why: &str) {
    let node = &mut scene.cluster.nodes[victim];
    for _ in 0..2 {
        let from = node.log().len();
        node.start();
        assert_eq!(node.wait(), Some(1), "node {victim} cannot keep a promise");
        assert_ends_with(&node.log()[from..], why);
    }
}

fn assert_ends_with(log: &str, why: &str) {
    for words in ["ERROR", why, "carillon ends"] {
        assert!(log.contains(words), "'{words}' is not in\n{log}");
    }
}

#[test]
fn a_follower_with_a_full_disk_stops_loudly_and_comes_back_when_there_is_room() {
    fill(|scene, leader| scene.others(&[leader])[0]);
}

#[test]
fn a_leader_with_a_full_disk_stops_loudly_and_comes_back_when_there_is_room() {
    fill(|_, leader| leader);
}

/// A node that has never been anything finds no room: it says so, and takes part once there is.
#[test]
fn a_new_node_without_room_says_so_and_does_not_join() {
    let Some(disk) = SmallDisk::mount(DISK_MIB) else { return };
    let mut cluster = Cluster::form(ClusterSettings { spare: 1, ..ClusterSettings::of(3) });
    disk.fill();
    cluster.nodes[3].set_disk(disk);
    cluster.nodes[3].start();
    assert_eq!(cluster.nodes[3].wait(), Some(1));
    assert_ends_with(&cluster.nodes[3].log(), NO_ROOM);
    let joined = eventually(ms(500), || cluster.status(0).filter(|status| status.members.len() > 3));
    assert!(joined.is_none(), "{joined:?}");
    disk_of(&cluster, 3).free();
    cluster.nodes[3].start();
    cluster.wait_until_serving(&[0, 1, 2, 3]);
}

/// As a file system is that has met an error, or a volume that was mounted wrongly: a node that comes back to it says so
/// and touches nothing, the others do not notice, and once it can write it is who it was. A new one says the same.
#[test]
fn a_node_with_a_read_only_disk_says_so_and_is_who_it_was_once_it_can_write() {
    let disks: Option<Vec<SmallDisk>> = (0..2).map(|_| SmallDisk::mount(DISK_MIB)).collect();
    let Some(disks) = disks else { return };
    let mut cluster = Cluster::prepare(ClusterSettings { spare: 1, ..ClusterSettings::of(3) });
    for (node, disk) in cluster.nodes[2..].iter_mut().zip(disks) {
        node.set_disk(disk);
    }
    cluster.start();
    let (publishers, subscribers) = clients_of(&[0, 1]);
    let mut scene = Scene::with(cluster, publishers, subscribers);
    scene.healthy(200);
    let before = scene.cluster.status(2).expect("answers");
    assert_eq!(scene.cluster.nodes[2].terminate(), Some(0));
    for victim in [2, 3] {
        disk_of(&scene.cluster, victim).set_read_only(true);
        assert_cannot_start(&mut scene, victim, "Read-only file system");
        disk_of(&scene.cluster, victim).set_read_only(false);
        scene.cluster.nodes[victim].start();
        scene.cluster.wait("it is in", || scene.cluster.nodes[victim].readiness().ok());
    }
    let after = scene.cluster.status(2).expect("answers");
    assert_eq!(
        (after.node, after.cluster_id),
        (before.node, before.cluster_id),
        "nothing of it was set aside"
    );
    scene.healthy(200);
    let start = scene.start;
    let (_cluster, history) = scene.finish();
    assert_closed(&history, 0, start, "the others noticed nothing");
}
