//! Nodes that die.

use std::{
    io::{ErrorKind, Read as _},
    time::{Duration, Instant},
};

use carillon_cluster_tests::{
    Cluster, ClusterSettings, Path, Place, PublisherPlan, Status, SubscriberPlan, Wire, command,
    scene::{Scene, assert_closed, assert_no_pause, clients_of},
};
use carillon_proto::resp::Value;

use crate::{assert_fenced, before, ms, wait_until_closed};

/// Kills one node under load: the others do not notice, and its clients come back when it does.
fn kill_one(pick: impl Fn(&Scene, usize) -> usize) {
    let mut scene = Scene::start(ClusterSettings::of(3));
    let leader = scene.cluster.wait_for_leader(&scene.all());
    let victim = pick(&scene, leader);
    let survivors = scene.others(&[victim]);
    scene.wait_for_answers(300);
    let killed = Instant::now();
    scene.cluster.nodes[victim].kill();
    scene.cluster.wait_until_serving(&survivors);
    scene.wait_for_answers(300);
    let voted_out = Instant::now();
    scene.cluster.nodes[victim].start();
    scene.recover();
    let start = scene.start;
    let (_cluster, history) = scene.finish();
    assert_no_pause(&history, &survivors, before(killed), voted_out);
    assert_closed(&history, 2, start, "only the dead node's clients were disconnected");
}

#[test]
fn killing_a_follower_stops_nothing() {
    kill_one(|scene, leader| scene.others(&[leader])[0]);
}

#[test]
fn killing_the_leader_stops_nothing() {
    kill_one(|_, leader| leader);
}

/// Many messages are on their way when their node dies: each is with all survivors, or with none.
#[test]
fn a_dead_nodes_messages_are_with_all_survivors_or_with_none() {
    let cluster = Cluster::form(ClusterSettings::of(3));
    let (_, subscribers) = clients_of(&[1, 2]);
    let fast =
        PublisherPlan { every: Duration::ZERO, in_flight: 64, ..PublisherPlan::steady(Place::Only(0)) };
    let publishers = vec![fast.clone(), fast, PublisherPlan::steady(Place::Only(1))];
    let mut scene = Scene::with(cluster, publishers, subscribers);
    scene.wait_for_answers(2000);
    for _ in 0..2 {
        scene.cluster.nodes[0].kill();
        scene.cluster.wait_until_serving(&[1, 2]);
        scene.cluster.nodes[0].start();
        scene.recover();
        scene.wait_for_answers(1000);
    }
    let (_cluster, history) = scene.finish();
    assert!(history.unanswered() > 0, "nothing was on its way");
}

/// The answer came while one survivor did not have the messages: the other one gives them to it.
#[test]
fn survivors_complete_what_the_dead_node_had_answered() {
    const MESSAGES: usize = 50;
    let mut cluster = Cluster::form(ClusterSettings::of(3));
    let (dead, without) = (cluster.random.usize(0..2), 2);
    let with = 1 - dead;
    let mut subscribers = [with, without].map(|node| Wire::connect(cluster.nodes[node].client));
    subscribers.iter_mut().for_each(|subscriber| drop(subscriber.ask(&["subscribe", "news"])));
    let mut publisher = Wire::connect(cluster.nodes[dead].client);
    publisher.ask(&["ping"]);
    cluster.network.set_both(dead, without, Path { is_cut: true, ..Path::default() });
    let numbers: Vec<String> = (0..MESSAGES).map(|number| number.to_string()).collect();
    publisher
        .send(&numbers.iter().flat_map(|number| command(&["publish", "news", number])).collect::<Vec<u8>>());
    for _ in 0..MESSAGES {
        assert_eq!(publisher.receive(), Value::Integer(1), "a majority has it, and the grace is over");
    }
    cluster.nodes[dead].kill();
    for (subscriber, node) in subscribers.iter_mut().zip([with, without]) {
        for number in &numbers {
            let Value::Array(message) = subscriber.receive() else { panic!("a message is an array") };
            assert_eq!(message[2], Value::Bulk(number.clone().into_bytes()), "on node {node}");
        }
        assert_eq!(
            subscriber.ask(&["ping"]),
            Value::Array(vec![Value::Bulk(b"pong".to_vec()), Value::Bulk(Vec::new())])
        );
    }
}

/// Both that held the messages die before the third one can get them, and are back before it has missed a lease. It
/// once went on as if nothing was.
#[test]
fn a_survivor_that_cannot_know_what_the_dead_had_answered_closes() {
    let mut cluster = Cluster::form(ClusterSettings::of(3));
    let (dead, without) = (cluster.random.usize(0..2), 2);
    let with = 1 - dead;
    let mut subscriber = Wire::connect(cluster.nodes[without].client);
    subscriber.ask(&["subscribe", "news"]);
    let mut publisher = Wire::connect(cluster.nodes[dead].client);
    cluster.network.set_both(dead, without, Path { is_cut: true, ..Path::default() });
    publisher.ask(&["publish", "news", "lost"]);
    cluster.nodes[dead].kill();
    cluster.nodes[with].kill();
    cluster.network.heal();
    cluster.nodes[with].start();
    cluster.nodes[dead].start();
    let mut rest = Vec::new();
    let end = subscriber.socket.read_to_end(&mut rest).map_err(|error| error.kind());
    assert!(matches!(end, Ok(0) | Err(ErrorKind::ConnectionReset)), "closed before all else: {end:?}");
    cluster.wait_until_serving(&[0, 1, 2]);
}

/// A second node dies while the survivors of the first complete its messages.
#[test]
fn a_second_death_in_the_middle_of_the_completion_loses_nothing() {
    let cluster = Cluster::form(ClusterSettings::of(5));
    let (mut publishers, subscribers) = clients_of(&[0, 1, 2, 3, 4]);
    publishers.truncate(2);
    let mut scene = Scene::with(cluster, publishers, subscribers);
    scene.wait_for_answers(300);
    let cut = Path { is_cut: true, ..Path::default() };
    scene.cluster.network.set_both(0, 2, cut);
    scene.cluster.network.set_both(0, 3, cut);
    scene.wait_for_answers(20);
    scene.cluster.nodes[0].kill();
    // About when the first one is voted out.
    let until_second = scene.cluster.settings.eviction + ms(scene.cluster.random.u64(0..600));
    scene.work_for(until_second);
    scene.cluster.nodes[1].kill();
    scene.cluster.network.heal();
    scene.cluster.wait_until_serving(&[2, 3, 4]);
    scene.cluster.nodes[0].start();
    scene.cluster.nodes[1].start();
    scene.recover();
    scene.finish();
}

/// Clients of the dead node go to another one and miss nothing from their new confirmation on.
#[test]
fn subscribers_of_a_dead_node_go_on_elsewhere() {
    let cluster = Cluster::form(ClusterSettings::of(3));
    let publishers = vec![PublisherPlan::steady(Place::Only(1)), PublisherPlan::steady(Place::Only(2))];
    let subscribers = (0..20).map(|_| SubscriberPlan::news(Place::From(0))).collect();
    let mut scene = Scene::with(cluster, publishers, subscribers);
    let killed = Instant::now();
    scene.cluster.nodes[0].kill();
    scene.cluster.wait_until_serving(&[1, 2]);
    scene.healthy(200);
    let (_cluster, history) = scene.finish();
    let confirmed = |from: Instant| {
        history
            .subscriptions
            .iter()
            .filter_map(move |subscription| subscription.confirmed)
            .filter(move |at| *at > from)
    };
    let back = confirmed(killed).max().expect("they came back") - killed;
    eprintln!("all 20 are subscribed again {back:?} after the kill");
    assert_eq!(confirmed(killed).count(), 20);
    assert!(back <= ms(500), "{back:?}");
}

/// Without a majority nothing is served; with it everything is again.
#[test]
fn a_lost_majority_closes_the_last_node_and_comes_back() {
    let mut scene = Scene::start(ClusterSettings::of(3));
    let leader = scene.cluster.wait_for_leader(&scene.all());
    let last = scene.others(&[leader])[0];
    let dead = scene.others(&[last]);
    let killed = Instant::now();
    dead.iter().for_each(|index| scene.cluster.nodes[*index].kill());
    wait_until_closed(&scene, last);
    assert!(scene.cluster.nodes[last].readiness().is_err());
    dead.iter().for_each(|index| scene.cluster.nodes[*index].start());
    scene.recover();
    let (cluster, history) = scene.finish();
    assert_fenced(&cluster, &history, last, killed);
}

/// Publishers that wait for a majority, and so send nothing more, are answered once it is back.
#[test]
fn a_majority_that_is_back_within_the_lease_answers_what_has_waited() {
    let cluster = Cluster::form(ClusterSettings::of(3));
    let (_, subscribers) = clients_of(&[0, 1, 2]);
    let mut scene = Scene::with(cluster, vec![PublisherPlan::steady(Place::Only(0))], subscribers);
    for _ in 0..3 {
        scene.wait_for_answers(100);
        for node in [1, 2] {
            scene.cluster.nodes[node].kill();
        }
        for node in [1, 2] {
            scene.cluster.nodes[node].start();
        }
        scene.recover();
    }
    scene.finish();
}

/// What Raft has committed is there after all have been killed at once (P6).
#[test]
fn all_are_killed_and_come_back_as_who_they_were() {
    let mut scene = Scene::start(ClusterSettings::of(3));
    let statuses = |scene: &Scene| -> Vec<Status> {
        scene.all().iter().map(|index| scene.cluster.status(*index).expect("answers")).collect()
    };
    let mut before = statuses(&scene);
    for _ in 0..3 {
        scene.all().iter().for_each(|index| scene.cluster.nodes[*index].kill());
        scene.all().iter().for_each(|index| scene.cluster.nodes[*index].start());
        scene.recover();
        let after = statuses(&scene);
        for (before, after) in before.iter().zip(&after) {
            assert_eq!((after.node, &after.cluster_id), (before.node, &before.cluster_id));
            assert!(after.epoch > before.epoch, "epoch {} follows {}", after.epoch, before.epoch);
            assert!(after.term >= before.term, "term {} follows {}", after.term, before.term);
        }
        before = after;
        // The next kill comes at any moment, entering included.
        scene.all().iter().for_each(|index| scene.cluster.nodes[*index].kill());
        scene.all().iter().for_each(|index| scene.cluster.nodes[*index].start());
        let moment = scene.cluster.random.u64(0..1500);
        scene.work_for(ms(moment));
    }
    scene.recover();
    scene.finish();
}
