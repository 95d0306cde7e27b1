//! Disks that come back empty or broken.

use carillon_cluster_tests::{ClusterSettings, Status, scene::Scene};

/// Kills a follower, does something to its disk and starts it again: it comes in as a new node, and who it was is
/// gone.
fn come_back_as_new(harm: impl Fn(&mut carillon_cluster_tests::Node)) -> Scene {
    let mut scene = Scene::start(ClusterSettings::of(3));
    let leader = scene.cluster.wait_for_leader(&scene.all());
    let victim = scene.others(&[leader])[0];
    let before = scene.cluster.status(victim).expect("answers");
    scene.cluster.nodes[victim].kill();
    harm(&mut scene.cluster.nodes[victim]);
    scene.cluster.nodes[victim].start();
    scene.recover();
    let after = scene.cluster.status(victim).expect("answers");
    assert_eq!(after.cluster_id, before.cluster_id);
    assert_ne!(after.node, before.node, "an id never comes back with another disk");
    let has_settled = |status: &Status| {
        let mut members: Vec<u64> = status.members.iter().map(|member| member.id).collect();
        members.sort_unstable();
        let mut voters = status.voters.clone();
        voters.sort_unstable();
        members.len() == 3 && members == voters && !before.node.is_some_and(|id| members.contains(&id))
    };
    scene.cluster.wait("the old id is removed and the new node votes", || {
        scene.cluster.status(leader).filter(has_settled)
    });
    scene
}

#[test]
fn a_node_with_an_empty_disk_is_a_new_node() {
    come_back_as_new(carillon_cluster_tests::Node::wipe).finish();
}

#[test]
fn a_node_with_a_corrupt_disk_sets_it_aside_and_is_a_new_node() {
    let scene = come_back_as_new(carillon_cluster_tests::Node::corrupt);
    let (cluster, _) = scene.finish();
    let folders = std::fs::read_dir(cluster.folder()).expect("the cluster's folder");
    let aside = folders.flatten().filter(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        entry.path().is_dir() && cluster.nodes.iter().all(|node| node.name != name)
    });
    assert_eq!(aside.count(), 1, "what could not be read is kept");
}
