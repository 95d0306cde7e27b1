//! Updates, and hosts that are emptied.

use std::time::{Duration, Instant};

use crate::stage::{NAME, Stage};

#[test]
fn a_rolling_update_under_load_loses_nothing() {
    let Some(stage) = Stage::install("three") else { return };
    let load = stage.load();
    let before: Vec<_> = stage.kube.pods().iter().map(|pod| pod.ip).collect();
    let start = Instant::now();
    stage.kube.restart(NAME);
    stage.kube.wait("the first pod goes", || {
        stage.kube.pods().iter().any(|pod| pod.status().is_terminating()).then_some(())
    });
    stage.kube.wait_for_rollout(NAME);
    let took = start.elapsed();
    assert!(stage.kube.pods().iter().all(|pod| !before.contains(&pod.ip)), "all pods are new");
    // From the last to the first, and never two at a time.
    let gone = stage.kube.gone();
    let order: Vec<&str> = gone.iter().map(|pod| pod.name.as_str()).collect();
    assert_eq!(order, ["carillon-2", "carillon-1", "carillon-0"]);
    let ends: Vec<Duration> = gone.iter().filter_map(|pod| pod.status().ended_after).collect();
    eprintln!("the update took {took:?}; pods ended after {ends:?}");
    for pod in &gone {
        assert_eq!(pod.status().exits, ["exit code 0"], "{}: {}", pod.name, pod.log());
    }
    load.settle();
    load.judge_graceful("a node that is told to stop answers all it was sent");
    stage.wait_for_voters(3);
    stage.finish(0);
}

#[test]
fn a_host_is_drained_and_the_budget_keeps_the_majority() {
    let Some(stage) = Stage::install("three") else { return };
    let load = stage.load();
    let (first, second) = (stage.pod(0), stage.pod(1));
    assert_eq!(stage.kube.evict(&first.name), Ok(()));
    let refused = stage.kube.evict(&second.name).expect_err("a second at the same time is not allowed");
    assert!(refused.contains("budget carillon says no"), "{refused}");
    stage.kube.wait_for_rollout(NAME);
    let host = stage.pod(1).host.clone();
    stage.kube.drain(&host);
    stage.kube.wait_for_rollout(NAME);
    assert!(stage.kube.pods().iter().all(|pod| pod.host != host), "nobody is on {host} any more");
    stage.kube.cordon(&host, false);
    load.settle();
    load.judge_graceful("whoever is evicted leaves as it should");
    stage.finish(0);
}
