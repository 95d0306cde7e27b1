//! More nodes, and fewer.

use crate::stage::{NAME, Stage};

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
    stage.kube.wait("the two have left the view", || {
        (stage.status(0)?.view() == ["carillon-0", "carillon-1", "carillon-2"]).then_some(())
    });
    load.settle();
    // Their volumes were kept: they come back as who they were, not as new members.
    stage.kube.scale(NAME, 5);
    stage.kube.wait_for_rollout(NAME);
    stage.wait_for_voters(5);
    let back = stage.status(0).expect("answers");
    let ids = |members: &[carillon_cluster_tests::MemberStatus]| {
        members.iter().map(|member| (member.id, member.name.clone())).collect::<Vec<_>>()
    };
    assert_eq!(ids(&back.members), ids(&grown.members));
    load.settle();
    load.judge_graceful("whoever is scaled away leaves as it should");
    stage.finish(0);
}
