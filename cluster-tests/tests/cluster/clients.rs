//! Clients that are no model.

use std::time::Duration;

use carillon_cluster_tests::{
    Cluster, ClusterSettings, Place, PublisherPlan, SubscriberPlan,
    history::Closed,
    scene::{Scene, clients_of},
};

use crate::ms;

/// A subscriber that reads 4 KiB every 20 ms while much more is published is closed at its bound; nobody else
/// notices.
#[test]
fn a_slow_subscriber_harms_only_itself() {
    let cluster = Cluster::form(ClusterSettings::of(3));
    let (mut publishers, mut subscribers) = clients_of(&[0, 1, 2]);
    let large =
        PublisherPlan { payload_bytes: 16 * 1024, in_flight: 16, ..PublisherPlan::steady(Place::Only(0)) };
    publishers.push(PublisherPlan { every: Duration::ZERO, ..large });
    subscribers.push(SubscriberPlan { read_pause: ms(20), ..SubscriberPlan::news(Place::Only(1)) });
    let scene = Scene::with(cluster, publishers, subscribers);
    // It notices much later: first it reads what had been sent.
    scene.cluster.wait("the slow one is closed at its bound, and three clients are left", || {
        scene.cluster.status(1).filter(|status| status.clients == 3)
    });
    let (_cluster, history) = scene.finish();
    for subscription in history.subscriptions.iter().filter(|subscription| !subscription.is_slow) {
        assert!(
            matches!(subscription.closed, Closed::AtTheEnd(_)),
            "{:?} was disconnected",
            subscription.topic
        );
    }
}

/// Hundreds of clients of a dead node come to the others at once.
#[test]
fn a_storm_of_reconnects_is_borne() {
    let cluster = Cluster::form(ClusterSettings::of(3));
    let publishers = vec![PublisherPlan { every: ms(20), ..PublisherPlan::steady(Place::Only(1)) }];
    let subscribers = (0..500).map(|_| SubscriberPlan::news(Place::From(0))).collect();
    let mut scene = Scene::with(cluster, publishers, subscribers);
    scene.cluster.nodes[0].kill();
    scene.cluster.wait_until_serving(&[1, 2]);
    scene.healthy(50);
    scene.finish();
}
