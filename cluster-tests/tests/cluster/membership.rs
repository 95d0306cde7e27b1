//! Who comes, who goes, and who must not come in.

use carillon_cluster_tests::{
    Cluster, ClusterSettings, Node,
    scene::{Scene, assert_all_answered, assert_closed, clients_of},
};

use crate::ms;

/// Has a node try for a while; it must not come in, nor change what is on its disk, and it must say why.
fn assert_stays_out(cluster: &mut Cluster, index: usize, says: &str) {
    let before = files(&cluster.nodes[index]);
    cluster.nodes[index].start();
    cluster.wait(&format!("a node that must not come in says '{says}'"), || {
        cluster.nodes[index].log().contains(says).then_some(())
    });
    std::thread::sleep(ms(1000));
    let members = cluster.status(0).expect("answers").members;
    assert_eq!(members.len(), 3, "{members:?}");
    cluster.nodes[index].kill();
    let after = files(&cluster.nodes[index]);
    assert!(before.iter().all(|file| after.contains(file)), "{before:?} became {after:?}");
}

fn files(node: &Node) -> Vec<String> {
    let entries = std::fs::read_dir(&node.data).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_node_with_another_secret_stays_out() {
    let mut scene = Scene::start(ClusterSettings { spare: 1, ..ClusterSettings::of(3) });
    let secret = scene.cluster.folder().join("another-secret");
    std::fs::write(&secret, "a secret that is not that of the cluster\n").expect("writes");
    scene.cluster.nodes[3].set_flag("--cluster-secret-file", &secret.display().to_string());
    assert_stays_out(&mut scene.cluster, 3, "check --cluster-secret-file");
    scene.recover();
    let start = scene.start;
    let (_cluster, history) = scene.finish();
    assert_closed(&history, 0, start, "nobody has to notice");
}

#[test]
fn a_node_of_another_cluster_stays_out() {
    let mut other = Cluster::form(ClusterSettings::of(1));
    let other_id = other.status(0).and_then(|status| status.cluster_id).expect("has a cluster");
    other.nodes[0].kill();
    let mut scene = Scene::start(ClusterSettings { spare: 1, ..ClusterSettings::of(3) });
    std::fs::rename(&other.nodes[0].data, &scene.cluster.nodes[3].data).expect("the folder can be moved");
    assert_stays_out(&mut scene.cluster, 3, &other_id);
    scene.recover();
    let start = scene.start;
    let (_cluster, history) = scene.finish();
    assert_closed(&history, 0, start, "nobody has to notice");
}

/// It tries several times a second, and filled its log, and theirs, with the same two lines.
#[test]
fn a_node_whose_peers_are_another_cluster_by_now_says_so_once_for_each() {
    let mut cluster = Cluster::form(ClusterSettings { is_direct: true, ..ClusterSettings::of(3) });
    let peers = [cluster.nodes[0].peer, cluster.nodes[1].peer].map(|addr| addr.to_string()).join(",");
    for node in &mut cluster.nodes[..2] {
        node.kill();
        node.wipe();
        node.set_flag("--peers", &peers);
        node.set_flag("--expect", "2");
    }
    cluster.nodes[..2].iter_mut().for_each(Node::start);
    cluster.wait_until_serving(&[0, 1]);
    let count = |node: &Node, words: &str| node.log().lines().filter(|line| line.contains(words)).count();
    let refused = "a peer refuses this node";
    cluster.wait("both refuse it", || (count(&cluster.nodes[2], refused) >= 2).then_some(()));
    // Time for ten more tries.
    std::thread::sleep(ms(1500));
    assert_eq!(count(&cluster.nodes[2], refused), 2, "{}", cluster.nodes[2].log());
    for node in &cluster.nodes[..2] {
        assert_eq!(count(node, "refused a peer"), 1, "{}", node.log());
    }
}

#[test]
fn a_node_with_the_name_of_a_live_one_stays_out() {
    let mut scene = Scene::start(ClusterSettings { spare: 1, ..ClusterSettings::of(3) });
    scene.cluster.nodes[3].set_flag("--name", "n2");
    assert_stays_out(&mut scene.cluster, 3, "the name 'n2' belongs to node");
    assert!(scene.cluster.nodes[3].log().contains("give each node its own --name"));
    scene.recover();
    let start = scene.start;
    let (_cluster, history) = scene.finish();
    assert_closed(&history, 0, start, "nobody has to notice");
}

/// Has two nodes that are not in a cluster try; all say why, in their logs and to who asks whether they are ready.
fn assert_form_nothing(cluster: &mut Cluster, nodes: &[usize], says: &[&str]) {
    nodes.iter().for_each(|index| cluster.nodes[*index].start());
    for index in nodes {
        let is_said = |text: &str| says.iter().all(|words| text.contains(words));
        cluster.wait(&format!("it says {says:?}"), || {
            let line = cluster.nodes[*index].log().lines().any(is_said);
            let reason = cluster.nodes[*index].readiness().err()?;
            (line && is_said(&reason)).then_some(())
        });
        assert!(!cluster.status(*index).expect("answers").in_view);
    }
}

#[test]
fn nodes_that_expect_different_numbers_form_nothing_and_say_so() {
    let mut cluster = Cluster::prepare(ClusterSettings::of(2));
    cluster.nodes[1].set_flag("--expect", "3");
    assert_form_nothing(&mut cluster, &[0, 1], &["expects", "2", "3", "give all the same --expect"]);
    cluster.nodes[1].kill();
    cluster.nodes[1].set_flag("--expect", "2");
    cluster.nodes[1].start();
    cluster.wait_until_serving(&[0, 1]);
}

#[test]
fn an_address_that_cannot_be_reached_is_named() {
    let mut cluster = Cluster::prepare(ClusterSettings::of(2));
    // Nobody is there: the second node is not started.
    let peers = [cluster.nodes[0].peer, cluster.nodes[1].peer].map(|addr| addr.to_string());
    cluster.nodes[0].set_flag("--peers", &peers.join(","));
    assert_form_nothing(&mut cluster, &[0], &["1 of 2 expected nodes are there; no answer from", &peers[1]]);
    cluster.nodes[1].start();
    cluster.wait_until_serving(&[0, 1]);
}

/// A cluster grows from three to five and back while everyone works.
#[test]
fn nodes_join_and_leave_under_load() {
    let cluster = Cluster::form(ClusterSettings { spare: 2, ..ClusterSettings::of(3) });
    let (publishers, subscribers) = clients_of(&[0, 1, 2]);
    let mut scene = Scene::with(cluster, publishers, subscribers);
    scene.cluster.nodes[3].start();
    scene.cluster.wait_until_serving(&[0, 1, 2, 3]);
    scene.cluster.nodes[4].start();
    scene.cluster.wait_until_serving(&[0, 1, 2, 3, 4]);
    scene.healthy(200);
    scene.cluster.wait("all five vote", || {
        let status = scene.cluster.status(0)?;
        (status.voters.len() == 5).then_some(())
    });
    for index in [4, 3] {
        assert_eq!(scene.cluster.nodes[index].terminate(), Some(0));
        let rest: Vec<usize> = (0..index).collect();
        scene.cluster.wait_until_serving(&rest);
        scene.healthy(100);
    }
    let start = scene.start;
    let (_cluster, history) = scene.finish();
    assert_closed(&history, 0, start, "nobody who was there has to notice");
    assert_all_answered(&history, start, "nothing is lost on its way");
}

/// A rolling restart costs reconnects and nothing else.
#[test]
fn a_rolling_restart_under_load_costs_reconnects_only() {
    let mut scene = Scene::start(ClusterSettings::of(3));
    for index in scene.all() {
        assert_eq!(scene.cluster.nodes[index].terminate(), Some(0), "SIGTERM ends with success");
        scene.cluster.wait_until_serving(&scene.others(&[index]));
        scene.healthy_but(index);
        scene.cluster.nodes[index].start();
        scene.recover();
    }
    let start = scene.start;
    let (_cluster, history) = scene.finish();
    assert_closed(&history, 6, start, "each node's two subscribers, once");
    assert_all_answered(&history, start, "what a node was sent it answers before it goes");
    let longest = history.longest_answer();
    assert!(longest <= ms(500), "a PUBLISH waited {longest:?}");
}
