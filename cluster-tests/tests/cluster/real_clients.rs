//! Clients written with the real `ioredis`, judged like the raw ones. `compat/run.sh` installs it and runs this.

use std::time::Instant;

use carillon_cluster_tests::{
    ClusterSettings, IoredisClients,
    history::Closed,
    scene::{Scene, assert_no_pause},
};

use crate::before;

/// kill -9 of the leader and of a follower, each with ioredis clients of its own, which come back by themselves.
#[test]
#[ignore = "needs ioredis from npm: cluster-tests/compat/run.sh installs it and runs this"]
fn ioredis_clients_miss_nothing_when_their_node_or_the_leader_is_killed() {
    let mut scene = Scene::start(ClusterSettings::of(3));
    let addrs = scene.cluster.client_addrs();
    let mut real = IoredisClients::start(&addrs, scene.all().len());
    scene.healthy(200);
    let mut kills = Vec::new();
    for is_leader in [true, false] {
        let leader = scene.cluster.wait_for_leader(&scene.all());
        let victim = if is_leader { leader } else { scene.others(&[leader])[0] };
        let survivors = scene.others(&[victim]);
        let killed = Instant::now();
        scene.cluster.nodes[victim].kill();
        scene.cluster.wait_until_serving(&survivors);
        scene.wait_for_answers(300);
        kills.push((survivors, killed, Instant::now()));
        scene.cluster.nodes[victim].start();
        scene.recover();
        real.wait_until_subscribed();
        scene.healthy(200);
    }
    real.be_quiet();
    let mut history = scene.rest();
    let raw = history.subscriptions.len();
    real.finish(&mut history);
    let problems = scene.judge(&history);
    assert!(problems.is_none(), "{}", problems.unwrap_or_default());
    for (survivors, killed, voted_out) in kills {
        assert_no_pause(&history, &survivors, before(killed), voted_out);
    }
    let of_ioredis = &history.subscriptions[raw..];
    let closed =
        of_ioredis.iter().filter(|one| matches!(one.closed, Closed::ByNode(_)) && one.confirmed.is_some());
    assert_eq!(closed.count(), 4, "only the dead nodes' two, each time, lost their connection");
    let open = of_ioredis.iter().filter(|one| matches!(one.closed, Closed::AtTheEnd(_)));
    assert_eq!(open.count(), 6, "all are there at the end");
    let received: usize = of_ioredis.iter().map(|one| one.received.len()).sum();
    let sent: usize = history.publications[3..].iter().map(Vec::len).sum();
    eprintln!("ioredis has sent {sent} messages and received {received}");
    assert!(sent > 500 && received > 3000, "{sent} sent, {received} received");
}
