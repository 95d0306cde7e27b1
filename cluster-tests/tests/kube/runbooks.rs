//! What `deploy/README.md` tells operators to do, done.

use std::{fs, os::unix::fs::symlink, path::Path};

use carillon_cluster_tests::{SmallDisk, kube::Kube};
use carillon_proto::resp::Value;

use crate::stage::{NAME, PORT, Stage, ok};

/// Changes of users, each of which every node has to write down: more than fit into what a store has taken before.
const CHANGES_MAX: usize = 20_000;

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).expect("a file of the overlay");
    assert!(text.contains(from), "{}: {text}", path.display());
    fs::write(path, text.replace(from, to)).expect("writes");
}

/// "Change the password".
#[test]
fn the_password_is_changed_by_the_secret_alone() {
    let Some(stage) = Stage::install("three") else { return };
    let base = stage.kustomize.folder().join("base");
    let (old, new) = (stage.password(), "another-password-that-nobody-guesses");
    let mut connected = stage.connect(stage.kube.service(NAME, PORT));
    assert_eq!(connected.ask(&["auth", &old]), ok());

    let (own, previous) =
        ("      - password=secrets/password\n", "      - previous-password=secrets/previous-password\n");
    fs::copy(base.join("secrets/password"), base.join("secrets/previous-password")).expect("copies");
    edit(&base.join("kustomization.yaml"), own, &format!("{own}{previous}"));
    fs::write(base.join("secrets/password"), new).expect("writes");
    stage.kube.apply(&stage.kustomize.overlay("three"));
    for pod in stage.kube.pods() {
        stage.kube.wait("it says so", || pod.log().contains("passwords read again").then_some(()));
        assert!(stage.takes(&pod, &old) && stage.takes(&pod, new), "both are taken");
    }

    edit(&base.join("kustomization.yaml"), previous, "");
    stage.kube.apply(&stage.kustomize.overlay("three"));
    for pod in stage.kube.pods() {
        stage.kube.wait("the old one is not taken any more", || (!stage.takes(&pod, &old)).then_some(()));
        assert!(stage.takes(&pod, new));
    }
    assert_eq!(connected.ask(&["ping"]), Value::Simple("PONG".to_owned()), "who is connected stays");
    stage.finish(0);
}

/// "Change the cluster's secret", and "Change settings".
#[test]
fn what_needs_a_restart_says_so_and_the_clusters_secret_is_changed_by_one_of_all() {
    let Some(stage) = Stage::install("three") else { return };
    stage.wait_for_voters(3);
    let before = stage.status(0).expect("answers");
    let base = stage.kustomize.folder().join("base");
    fs::write(base.join("secrets/cluster-secret"), "another secret of a cluster, of many letters")
        .expect("writes");
    edit(
        &base.join("carillon.toml"),
        "drain-ms = 5000",
        "drain-ms = 5000\nclient-idle-s = 600\ndead-after-s = 700",
    );
    let old = stage.kube.pods();
    stage.kube.apply(&stage.kustomize.overlay("three"));
    for pod in &old {
        let says = |words: &[&str]| {
            pod.log().lines().any(|line| words.iter().all(|word| line.contains(word))).then_some(())
        };
        let restart = "the file has changed; that needs a restart";
        stage.kube.wait("what cannot be taken is told", || says(&["cluster-secret-file", restart]));
        stage.kube.wait("which settings cannot, too", || says(&["dead-after-s", "needs a restart"]));
        stage.kube.wait("what can be is", || says(&["client-idle-s", "changed"]));
    }
    // Whether a pod that starts with the file would start is asked before one has to.
    let check = || {
        let words = ["/usr/local/bin/carillon", "check", "--config", "/etc/carillon/config/carillon.toml"];
        stage.kube.exec(&stage.pod(0), &words)
    };
    check().expect("it is right");
    let wrong = "lease-ms = 5000\ndrain-ms = 5000";
    for (from, to) in [("drain-ms = 5000", wrong), (wrong, "drain-ms = 5000")] {
        edit(&base.join("carillon.toml"), from, to);
        stage.kube.apply(&stage.kustomize.overlay("three"));
        if to == wrong {
            let told = stage.kube.wait("the wrong file is told", || check().err());
            assert!(told.contains("--eviction-ms"), "{told}");
        } else {
            stage.kube.wait("it is right again", || check().ok());
        }
    }
    assert_eq!(stage.status(0).expect("answers").view().len(), 3, "nothing has happened to the cluster");

    for pod in &old {
        stage.kube.delete(&pod.name, std::time::Duration::from_secs(30));
    }
    stage.kube.wait_for_rollout(NAME);
    stage.wait_for_voters(3);
    let after = stage.status(0).expect("answers");
    assert_eq!(
        (&after.cluster_id, &after.voters),
        (&before.cluster_id, &before.voters),
        "they are who they were"
    );
    stage.finish(0);
}

/// "Lost majority", with the volumes; and "A foreign cluster".
#[test]
fn a_cluster_that_is_lost_for_good_is_formed_anew_and_takes_no_volume_of_another() {
    let Some(stage) = Stage::install("three") else { return };
    stage.wait_for_voters(3);
    let lost = stage.status(0).expect("answers").cluster_id.expect("it has one");
    stage.kube.scale(NAME, 0);
    stage.kube.wait("all are gone", || stage.kube.pods().is_empty().then_some(()));
    let claim = |ordinal: usize| stage.kube.claim("data", &format!("{NAME}-{ordinal}"));
    let kept = claim(2).with_file_name("kept");
    fs::rename(claim(2), &kept).expect("renames");
    for ordinal in 0..2 {
        fs::remove_dir_all(claim(ordinal)).expect("it is there");
    }
    stage.kube.scale(NAME, 3);
    stage.kube.wait_for_rollout(NAME);
    stage.wait_for_voters(3);
    let formed = stage.status(0).expect("answers").cluster_id.expect("it has one");
    assert_ne!(lost, formed);

    stage.replace("carillon-2", |claim| {
        fs::remove_dir_all(claim).expect("it is there");
        fs::rename(&kept, claim).expect("renames");
    });
    let says = format!("it belongs to cluster {lost}");
    let stranger = stage.kube.wait("the pod is there again", || stage.kube.pod("carillon-2"));
    stage.kube.wait("it says where it belongs", || stranger.log().contains(&says).then_some(()));
    assert!(stranger.status().ready_since.is_none(), "it does not come in");
    assert_eq!(stage.status(0).expect("answers").cluster_id.as_ref(), Some(&formed));
    stage.replace("carillon-2", |claim| fs::remove_dir_all(claim).expect("it is there"));
    stage.kube.wait_for_rollout(NAME);
    stage.wait_for_voters(3);
    stage.finish(0);
}

/// "Full disk".
#[test]
fn a_pod_whose_volume_is_full_stops_and_is_back_as_who_it_was_when_there_is_room() {
    let (Some(disk), Some(kube)) = (SmallDisk::mount(8), Kube::start()) else { return };
    let claim = kube.claim("data", "carillon-2");
    fs::create_dir_all(claim.parent().expect("a folder")).expect("a folder");
    symlink(disk.path(), &claim).expect("a link");
    let stage = Stage::apply_on(kube, "three", |_| ());
    stage.kube.wait_for_rollout(NAME);
    stage.wait_for_voters(3);
    let before = stage.status(0).expect("answers");
    let full = stage.pod(2);
    disk.fill();
    let mut operator = stage.connect((stage.pod(0).ip, PORT));
    assert_eq!(operator.ask(&["auth", &stage.password()]), ok());
    let mut changes = 0;
    while full.status().exits.is_empty() && changes < CHANGES_MAX {
        changes += 1;
        let channel = format!("&{changes}{}", "x".repeat(1000));
        assert_eq!(
            operator.ask(&["acl", "setuser", "ann", "resetchannels", &channel]),
            ok(),
            "the others go on"
        );
    }
    eprintln!("the pod ended after {changes} changes of a user");
    stage.kube.wait("it ends again, for as long as there is no room", || {
        (full.status().exits.len() > 1).then_some(())
    });
    assert!(full.status().exits.iter().all(|exit| exit == "exit code 1"), "{:?}", full.status());
    assert!(full.log().contains("No space left on device"), "{}", full.log());
    disk.free();
    stage.kube.wait_for_rollout(NAME);
    stage.wait_for_voters(3);
    assert_eq!(stage.status(0).expect("answers").voters, before.voters, "it is who it was");
    assert_eq!(full.status().killed_by_probes, Vec::<String>::new());
}
