//! Clients that are no model.

use std::time::{Duration, Instant};

use carillon_cluster_tests::{
    Cluster, ClusterSettings, Place, PublisherPlan, SubscriberPlan,
    history::{Closed, Subscription},
    raise_open_files_limit,
    scene::{Scene, assert_closed, clients_of},
};

use crate::ms;

/// Subscribers of the node that dies.
const STORM_CLIENTS: usize = 5000;

/// Within this time all of them are subscribed elsewhere: on two cores, which the clients share with the nodes.
const STORM_TIME_MAX: Duration = Duration::from_secs(5);

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

/// Thousands of clients of a dead node come to the two others at once.
#[test]
fn a_storm_of_reconnects_is_borne() {
    raise_open_files_limit();
    let cluster = Cluster::form(ClusterSettings::of(3));
    // One message in ten is for every subscriber, the others are for nobody.
    let mut channels = vec!["elsewhere".to_owned(); 9];
    channels.push("news".to_owned());
    let steady = PublisherPlan::steady(Place::Only(1));
    let publishers = vec![PublisherPlan { every: ms(10), channels, ..steady }];
    let of_dead = (0..STORM_CLIENTS).map(|index| Place::Around { first: 0, step: 1 + index % 2 });
    let others = [Place::Only(1), Place::Only(2)];
    let subscribers = of_dead.chain(others).map(SubscriberPlan::news).collect();
    let mut scene = Scene::with(cluster, publishers, subscribers);
    let killed = Instant::now();
    scene.cluster.nodes[0].kill();
    scene.cluster.wait("everyone is subscribed again", || {
        (scene.progress().closed >= STORM_CLIENTS as u64
            && scene.progress().subscribed == (STORM_CLIENTS + 2) as u64)
            .then_some(())
    });
    let back = killed.elapsed();
    scene.cluster.wait_until_serving(&[1, 2]);
    scene.cluster.wait_until_caught_up(&[1, 2]);
    scene.healthy(100);
    let start = scene.start;
    let (_cluster, history) = scene.finish();
    eprintln!("all {STORM_CLIENTS} are subscribed again {back:?} after the kill");
    assert!(back <= STORM_TIME_MAX, "{back:?}");
    assert_closed(&history, STORM_CLIENTS, start, "nobody lost the connection to a survivor");
    let at = |node: usize| {
        let is_there = |subscription: &&Subscription| {
            subscription.node == node && matches!(subscription.closed, Closed::AtTheEnd(_))
        };
        history.subscriptions.iter().filter(is_there).count()
    };
    assert_eq!((at(1), at(2)), (STORM_CLIENTS / 2 + 1, STORM_CLIENTS / 2 + 1), "they came to both survivors");
}
