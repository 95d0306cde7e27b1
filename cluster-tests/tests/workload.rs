//! The workload and the judge, with one node that does what it should.

use std::time::Duration;

use carillon_cluster_tests::{
    Place, PublisherPlan, Server, SubscriberPlan, Workload,
    history::{Bounds, Violation},
};

const BOUNDS: Bounds = Bounds {
    settle: Duration::from_secs(2),
    answer_max: Duration::from_secs(5),
    grace: Duration::from_secs(1),
};

fn workload(servers: &[&Server]) -> Workload {
    let fast =
        PublisherPlan { every: Duration::ZERO, in_flight: 32, ..PublisherPlan::steady(Place::Only(0)) };
    Workload::start(
        servers.iter().map(|server| server.addr).collect(),
        vec![fast, PublisherPlan::steady(Place::From(0))],
        vec![SubscriberPlan::news(Place::Only(0)), SubscriberPlan::pattern(Place::Only(0))],
    )
}

#[test]
fn a_single_node_keeps_every_promise() {
    let server = Server::carillon(&[]);
    let start = std::time::Instant::now();
    let workload = workload(&[&server]);
    workload.wait_for_answers(2000);
    let mut history = workload.finish(Duration::from_millis(100));
    history.healthy.push((start, history.end.expect("has ended")));
    let verdict = history.judge(&BOUNDS);
    assert!(verdict.is_clean(), "{verdict}");
    assert_eq!(verdict.answered, verdict.published);
    assert_eq!(verdict.received, 2 * verdict.published);
    assert!(verdict.counted >= 2000, "{verdict}");
}

/// Two nodes that do not know each other are no cluster: who publishes on the one is not heard on the other.
#[test]
fn two_nodes_that_are_no_cluster_are_found_out() {
    let (one, other) = (Server::carillon(&[]), Server::carillon(&[]));
    let workload = Workload::start(
        vec![one.addr, other.addr],
        vec![PublisherPlan::steady(Place::Only(0))],
        vec![SubscriberPlan::news(Place::Only(0)), SubscriberPlan::news(Place::Only(1))],
    );
    workload.wait_for_answers(50);
    let history = workload.finish(Duration::from_millis(100));
    let verdict = history.judge(&BOUNDS);
    assert!(verdict.violations_count >= 50, "{verdict}");
    assert!(
        verdict.violations.iter().all(|violation| matches!(violation, Violation::Lost { .. })),
        "{verdict}"
    );
}

#[test]
fn clients_of_a_killed_node_come_back_and_note_what_happened() {
    let mut server = Server::carillon(&[]);
    let workload = workload(&[&server]);
    workload.wait_for_answers(500);
    server.kill();
    server.start_again();
    workload.wait_until_subscribed(Duration::from_secs(5));
    workload.wait_for_answers(500);
    let history = workload.finish(Duration::from_millis(100));
    let verdict = history.judge(&BOUNDS);
    assert!(verdict.is_clean(), "{verdict}");
    // A connection that is made while a killed process is taken apart may end before anything is confirmed on it.
    let confirmed = history.subscriptions.iter().filter(|subscription| subscription.confirmed.is_some());
    assert_eq!((confirmed.count(), history.closed_by_nodes()), (4, 2));
}
