//! Processes that are stopped and go on: the machine was suspended, or the host was too busy.

use std::time::Instant;

use carillon_cluster_tests::{
    Cluster, ClusterSettings, Place, PublisherPlan,
    scene::{Scene, assert_all_answered, assert_closed, clients_of},
};

use crate::ms;

/// Three times the eviction time: the others have gone on without it, and it does not know.
fn pause_long(pick: impl Fn(&Scene, usize) -> usize) {
    let mut scene = Scene::start(ClusterSettings::of(3));
    let leader = scene.cluster.wait_for_leader(&scene.all());
    let sleeper = pick(&scene, leader);
    scene.wait_for_answers(300);
    scene.cluster.stop(sleeper);
    let start = Instant::now();
    scene.cluster.wait_until_serving(&scene.others(&[sleeper]));
    let three_times = 3 * scene.cluster.settings.eviction;
    scene.work_for(three_times.saturating_sub(start.elapsed()));
    scene.cluster.go_on(sleeper);
    scene.recover();
    let start = scene.start;
    let (cluster, history) = scene.finish();
    let woke = cluster.stopped[0].to;
    assert_eq!(
        history.received_before_close(sleeper, woke),
        0,
        "the first thing that its subscribers see is a close"
    );
    assert_eq!(
        history.answered_after(sleeper, woke),
        0,
        "the first thing that its publishers see is a close"
    );
    assert_closed(&history, 2, start, "only its own clients were disconnected");
}

#[test]
fn a_follower_that_slept_too_long_closes_its_clients_first() {
    pause_long(|scene, leader| scene.others(&[leader])[0]);
}

#[test]
fn a_leader_that_slept_too_long_closes_its_clients_first() {
    pause_long(|_, leader| leader);
}

/// Shorter than the lease: everyone waits for it, and nobody is disconnected.
#[test]
fn a_short_pause_under_load_costs_nobody_its_connection() {
    let cluster = Cluster::form(ClusterSettings::of(3));
    let (mut publishers, subscribers) = clients_of(&[0, 1, 2]);
    publishers.push(PublisherPlan { payload_bytes: 4096, ..PublisherPlan::steady(Place::Only(0)) });
    let mut scene = Scene::with(cluster, publishers, subscribers);
    for sleeper in scene.all() {
        scene.wait_for_answers(100);
        scene.cluster.stop(sleeper);
        scene.work_for(ms(500));
        scene.cluster.go_on(sleeper);
        scene.work_for(ms(300));
    }
    scene.recover();
    let start = scene.start;
    let (_cluster, history) = scene.finish();
    assert_closed(&history, 0, start, "nobody has to notice");
    assert_all_answered(&history, start, "nothing is lost on its way");
}
