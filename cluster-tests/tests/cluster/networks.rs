//! Networks that are bad, and not broken.

use carillon_cluster_tests::{
    ClusterSettings, Path,
    scene::{Scene, assert_all_answered, assert_closed},
};

use crate::ms;

#[test]
fn thirty_percent_of_loss_lose_nothing() {
    let mut scene = Scene::start(ClusterSettings::of(3));
    scene.cluster.network.set_all(Path { loss: 0.3, ..Path::default() });
    scene.work_for(ms(5000));
    scene.recover();
    scene.finish();
}

/// Up to a quarter of the datagrams overtake others, come twice or not at all.
#[test]
fn a_network_that_shuffles_loses_nothing() {
    let mut scene = Scene::start(ClusterSettings::of(3));
    scene.cluster.network.set_all(Path { loss: 0.02, reorder: 0.25, duplicate: 0.25, ..Path::default() });
    scene.work_for(ms(3000));
    scene.recover();
    let start = scene.start;
    let (_cluster, history) = scene.finish();
    assert_closed(&history, 0, start, "this much every network may do");
}

/// Operators see what the way to other nodes adds: the time until a publish is answered has it, the time in which a shard
/// delivers has not.
#[test]
fn the_time_of_a_publish_has_the_way_to_the_other_nodes_in_it() {
    let mut scene = Scene::start(ClusterSettings::of(3));
    let mean = |scene: &Scene, name: &str| {
        let (_, told) = scene.cluster.nodes[0].get("/metrics").expect("answers");
        let number = |field: &str| -> f64 {
            let start = format!("carillon_{name}_seconds_{field} ");
            let value = told.lines().find_map(|line| line.strip_prefix(&start));
            value.expect("a metric").parse().expect("a number")
        };
        (number("sum"), number("count"))
    };
    let before = mean(&scene, "publish");
    scene.cluster.network.set_all(Path { delay: ms(15), ..Path::default() });
    scene.work_for(ms(3000));
    let (publish, delivery) = (mean(&scene, "publish"), mean(&scene, "delivery"));
    let published = (publish.0 - before.0) / (publish.1 - before.1);
    assert!((0.03..0.2).contains(&published), "a PUBLISH takes {published} s, after {before:?} {publish:?}");
    let delivered = delivery.0 / delivery.1;
    assert!(delivered < published / 2.0, "a delivery takes {delivered} s, a PUBLISH {published}");
    scene.recover();
    scene.finish();
}

/// The way to one node takes longer than the grace: answers do not wait for it, and it stays in.
#[test]
fn a_slow_link_keeps_everyone_in() {
    let mut scene = Scene::start(ClusterSettings::of(3));
    let slow = Path { delay: ms(80), ..Path::default() };
    let leader = scene.cluster.wait_for_leader(&scene.all());
    let far = scene.others(&[leader])[0];
    scene.others(&[far]).iter().for_each(|near| scene.cluster.network.set_both(*near, far, slow));
    scene.work_for(ms(3000));
    scene.recover();
    let start = scene.start;
    let (_cluster, history) = scene.finish();
    assert_closed(&history, 0, start, "nobody has to notice");
    assert_all_answered(&history, start, "nothing is lost on its way");
}
