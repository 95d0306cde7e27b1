//! Networks that break in two.

use std::time::Instant;

use carillon_cluster_tests::{
    ClusterSettings, Path, http,
    scene::{Scene, assert_no_pause},
};

use crate::{assert_fenced, before, ms, wait_until_closed};

const CUT: Path =
    Path { is_cut: true, delay: std::time::Duration::ZERO, loss: 0.0, reorder: 0.0, duplicate: 0.0 };

/// One node is cut off: it closes, the others go on.
fn cut_off(pick: impl Fn(&Scene, usize) -> usize) {
    let mut scene = Scene::start(ClusterSettings::of(3));
    let leader = scene.cluster.wait_for_leader(&scene.all());
    let lonely = pick(&scene, leader);
    let others = scene.others(&[lonely]);
    scene.wait_for_answers(300);
    let cut = Instant::now();
    scene.cluster.network.part(&[lonely]);
    scene.cluster.wait_until_serving(&others);
    wait_until_closed(&scene, lonely);
    assert!(scene.cluster.nodes[lonely].readiness().is_err());
    scene.cluster.wait("both clients to be counted", || {
        (http::closed(scene.cluster.nodes[lonely].admin, "fenced")? > 1.5).then_some(())
    });
    let until = Instant::now();
    scene.recover();
    let (cluster, history) = scene.finish();
    assert_fenced(&cluster, &history, lonely, cut);
    assert_no_pause(&history, &others, before(cut), until);
    assert_eq!(
        history.closed_by_nodes(),
        2,
        "only the clients of the node that was cut off were disconnected"
    );
}

#[test]
fn a_follower_that_is_cut_off_closes_and_comes_back() {
    cut_off(|scene, leader| scene.others(&[leader])[0]);
}

#[test]
fn a_leader_that_is_cut_off_closes_and_comes_back() {
    cut_off(|_, leader| leader);
}

/// Two of five are cut off together, the leader on either side.
#[test]
fn a_minority_of_two_closes_and_comes_back() {
    let mut scene = Scene::start(ClusterSettings::of(5));
    let leader = scene.cluster.wait_for_leader(&scene.all());
    let others = scene.others(&[leader]);
    for minority in [[leader, others[0]], [others[1], others[2]]] {
        let cut = Instant::now();
        scene.cluster.network.part(&minority);
        scene.cluster.wait_until_serving(&scene.others(&minority));
        for lonely in minority {
            wait_until_closed(&scene, lonely);
            assert!(cut.elapsed() < scene.cluster.settings.eviction + ms(3000));
        }
        scene.recover();
    }
    scene.finish();
}

/// One direction between two nodes is cut, in turn for the leader's and for two followers'.
#[test]
fn a_link_that_is_cut_in_one_direction_loses_nothing() {
    let mut scene = Scene::start(ClusterSettings::of(3));
    let leader = scene.cluster.wait_for_leader(&scene.all());
    let followers = scene.others(&[leader]);
    for (from, to) in [(leader, followers[0]), (followers[1], leader), (followers[0], followers[1])] {
        scene.cluster.network.set(from, to, CUT);
        scene.work_for(2 * scene.cluster.settings.eviction);
        scene.recover();
    }
    scene.finish();
}

/// Two nodes do not see each other, and a third sees both: a bridge.
#[test]
fn two_nodes_that_only_a_third_can_reach_lose_nothing() {
    let mut scene = Scene::start(ClusterSettings::of(3));
    let leader = scene.cluster.wait_for_leader(&scene.all());
    let followers = scene.others(&[leader]);
    for (one, other) in [(followers[0], followers[1]), (leader, followers[0])] {
        scene.cluster.network.set_both(one, other, CUT);
        scene.work_for(2 * scene.cluster.settings.eviction);
        scene.recover();
    }
    scene.finish();
}

/// A link comes and goes.
#[test]
fn a_flapping_link_loses_nothing() {
    let mut scene = Scene::start(ClusterSettings::of(3));
    let until = Instant::now() + ms(5000);
    while Instant::now() < until {
        let (one, other) = (scene.cluster.random.usize(0..3), scene.cluster.random.usize(0..3));
        scene.cluster.network.set_both(one, other, CUT);
        let down = scene.cluster.random.u64(50..1000);
        scene.work_for(ms(down));
        scene.cluster.network.heal();
        let up = scene.cluster.random.u64(20..400);
        scene.work_for(ms(up));
    }
    scene.recover();
    scene.finish();
}
