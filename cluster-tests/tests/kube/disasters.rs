//! What happens without asking.

use std::time::Duration;

use crate::stage::{NAME, Stage};

#[test]
fn a_pod_that_is_killed_without_grace_is_back_as_who_it_was() {
    let Some(stage) = Stage::install("three") else { return };
    stage.wait_for_voters(3);
    let before = stage.status(0).expect("answers");
    let load = stage.load();
    stage.kube.delete("carillon-1", Duration::ZERO);
    stage.kube.wait_for_rollout(NAME);
    stage.wait_for_voters(3);
    let after = stage.status(0).expect("answers");
    assert_eq!(before.voters, after.voters, "its volume was kept");
    load.settle();
    load.judge();
    // It was told to be killed at once: that is no grace period that was too short.
    assert!(stage.kube.gone().iter().all(|pod| pod.status().is_overdue), "it was killed");
    assert_eq!(stage.kube.pods().iter().map(|pod| pod.status().restarts).sum::<u32>(), 0);
}

#[test]
fn a_lost_volume_is_replaced_by_a_new_member_that_inherits_the_vote() {
    let Some(stage) = Stage::install("three") else { return };
    stage.wait_for_voters(3);
    let before = stage.status(0).expect("answers");
    let load = stage.load();
    let pod = stage.pod(2);
    pod_is_deleted_with_its_volume(&stage, &pod.name);
    stage.kube.wait_for_rollout(NAME);
    stage.wait_for_voters(3);
    let after = stage.status(0).expect("answers");
    assert_eq!(before.voters.iter().filter(|voter| after.voters.contains(voter)).count(), 2, "one is new");
    assert_eq!(after.members.len(), 3, "and its predecessor is forgotten");
    load.settle();
    load.judge_graceful("the others have lost nothing");
    stage.finish(0);
}

/// `kubectl delete pvc` and `kubectl delete pod`, of which the first waits for the second.
fn pod_is_deleted_with_its_volume(stage: &Stage, name: &str) {
    stage.replace(name, |claim| std::fs::remove_dir_all(claim).expect("it is there"));
}

#[test]
fn a_pod_with_a_wrong_secret_stays_out_says_why_and_harms_nobody() {
    let Some(stage) = Stage::install("three") else { return };
    let load = stage.load();
    // Only newcomers see it: the others have read theirs when they started.
    let mut objects = stage.objects.clone();
    let secret = objects.iter_mut().find(|object| object["kind"] == "Secret").expect("a secret");
    // A text that is as good a secret as the right one.
    secret["data"]["cluster-secret"] = "YW5vdGhlci1zZWNyZXQtdGhhdC1pcy1sb25nLWVub3VnaA==".into();
    stage.kube.apply(&objects);
    stage.kube.scale(NAME, 4);
    let stranger = stage.kube.wait("a fourth pod is there", || stage.kube.pod("carillon-3"));
    stage.kube.wait("it says what is wrong", || {
        stranger.log().contains("check --cluster-secret-file").then_some(())
    });
    load.settle();
    assert!(stranger.status().ready_since.is_none(), "it must not become ready");
    assert_eq!(stage.status(0).expect("answers").members.len(), 3);
    let history = load.judge_graceful("nobody has to notice");
    assert_eq!(history.closed_by_nodes(), 0);
    // It would be tried for ever: no probe has it killed.
    assert_eq!(stranger.status().restarts, 0);
    stage.finish(0);
}

#[test]
fn a_node_without_a_majority_is_not_ready_and_no_probe_kills_it() {
    // Probes that would kill within two seconds, so that nobody has to wait a minute to see that they do not.
    let shorten = |objects: &mut Vec<serde_json::Value>| {
        let set = objects.iter_mut().find(|object| object["kind"] == "StatefulSet").expect("a set");
        let container = &mut set["spec"]["template"]["spec"]["containers"][0];
        container["livenessProbe"]["periodSeconds"] = 1.into();
        container["livenessProbe"]["failureThreshold"] = 2.into();
        container["startupProbe"]["failureThreshold"] = 5.into();
    };
    let Some(stage) = Stage::apply_changed("three", shorten) else { return };
    stage.kube.wait_for_rollout(NAME);
    stage.wait_for_voters(3);
    let survivor = stage.pod(0);
    stage.kube.cordon_all(true);
    for name in ["carillon-1", "carillon-2"] {
        stage.kube.delete(name, Duration::ZERO);
    }
    stage
        .kube
        .wait("the one that is left is not ready", || survivor.status().ready_since.is_none().then_some(()));
    let service = stage.kube.service(NAME, crate::stage::PORT);
    stage.kube.wait("the Service refuses", || (!stage.app.reaches(service)).then_some(()));
    std::thread::sleep(Duration::from_secs(8));
    let status = survivor.status();
    assert!(status.restarts == 0 && status.killed_by_probes.is_empty(), "{status:?}");
    stage.kube.cordon_all(false);
    stage.kube.wait_for_rollout(NAME);
    stage.wait_for_voters(3);
    assert!(stage.app.reaches(service), "all is well again");
    assert_eq!(survivor.status().restarts, 0);
}

/// It once ended only when the last name had been looked up, which takes ten seconds and more where nobody answers.
#[test]
fn a_pod_stops_in_time_while_no_name_can_be_looked_up() {
    let Some(stage) = Stage::install("three") else { return };
    stage.wait_for_voters(3);
    // Whoever is younger looks for the one that is not there: it is for it to dial.
    stage.kube.cordon_all(true);
    stage.kube.delete("carillon-0", Duration::from_secs(30));
    stage
        .kube
        .wait("it is gone", || stage.kube.pods().iter().all(|pod| pod.name != "carillon-0").then_some(()));
    stage.kube.silence_names(true);
    std::thread::sleep(Duration::from_millis(500));
    // Three seconds of preStop, nobody to drain, and less than a lookup that has just begun takes.
    stage.kube.delete("carillon-1", Duration::from_secs(8));
    let stopped = stage
        .kube
        .wait("it has ended", || stage.kube.gone().into_iter().find(|pod| pod.name == "carillon-1"));
    assert_eq!(stopped.status().exits, ["exit code 0"], "{}", stopped.log());
    stage.kube.silence_names(false);
    stage.kube.cordon_all(false);
    stage.kube.wait_for_rollout(NAME);
    stage.wait_for_voters(3);
    stage.finish(0);
}
