//! More nodes, and fewer.

use std::time::Duration;

use carillon_cluster_tests::MemberStatus;

use crate::stage::{NAME, Stage};

fn ids(members: &[MemberStatus]) -> Vec<(u64, String)> {
    members.iter().map(|member| (member.id, member.name.clone())).collect()
}

#[test]
fn three_become_five_and_three_again() {
    let Some(stage) = Stage::install("three") else { return };
    let load = stage.load();
    stage.kube.scale(NAME, 5);
    stage.kube.wait_for_rollout(NAME);
    stage.wait_for_voters(5);
    let grown = stage.status(0).expect("answers");
    load.settle();
    stage.kube.scale(NAME, 3);
    stage.kube.wait_for_rollout(NAME);
    // Who was scaled away has given up its vote when it is gone, and is a member all the same.
    stage.wait_for_voters(3);
    assert_eq!(ids(&stage.status(0).expect("answers").members), ids(&grown.members));
    load.settle();
    load.judge_graceful("whoever is scaled away leaves as it should");

    // So that one of the three may be lost at once: two of five votes would be no majority.
    let load = stage.load();
    let lost = stage.kube.pods().into_iter().find(|pod| {
        let ordinal = pod.name.rsplit('-').next().and_then(|ordinal| ordinal.parse().ok());
        ordinal.and_then(|ordinal| stage.status(ordinal)).is_some_and(|status| status.role == "leader")
    });
    let lost = lost.expect("one of them leads");
    stage.kube.cordon_all(true);
    stage.kube.delete(&lost.name, Duration::ZERO);
    load.settle();
    assert!(stage.kube.pod(&lost.name).is_none(), "it has no successor yet");
    stage.kube.cordon_all(false);
    stage.kube.wait_for_rollout(NAME);
    stage.wait_for_voters(3);
    load.settle();
    load.judge();

    // Their volumes were kept: they come back as who they were, not as new members.
    stage.kube.scale(NAME, 5);
    stage.kube.wait_for_rollout(NAME);
    stage.wait_for_voters(5);
    assert_eq!(ids(&stage.status(0).expect("answers").members), ids(&grown.members));
    assert_eq!(stage.kube.pods().iter().map(|pod| pod.status().restarts).sum::<u32>(), 0);
}
