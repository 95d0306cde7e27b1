//! Certificates between nodes, for those who have an authority of their own.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use carillon_cluster_tests::{Authority, Cluster, ClusterSettings};

/// The name that every node's certificate carries.
const NAME: &[&str] = &["carillon"];

/// A certificate and its key.
type Pair = (PathBuf, PathBuf);

/// Three nodes, each with a certificate, and where that is.
fn form(authority: &Authority) -> (Cluster, Vec<Pair>) {
    let mut cluster = Cluster::prepare(ClusterSettings::of(3));
    let ca = authority.path("ca.pem").display().to_string();
    let mut pairs = Vec::new();
    for node in &mut cluster.nodes {
        let pair = authority.sign(&node.name, NAME);
        node.remove_flag("--cluster-secret-file");
        node.add_flag("--peer-ca-file", &ca);
        node.add_flag("--peer-cert-file", &pair.0.display().to_string());
        node.add_flag("--peer-key-file", &pair.1.display().to_string());
        node.start();
        pairs.push(pair);
    }
    cluster.wait_until_serving(&[0, 1, 2]);
    (cluster, pairs)
}

/// Puts another pair in the place of one, and waits until its node has noticed, which nobody tells it.
fn exchange(cluster: &Cluster, index: usize, pair: &Pair, new: &Pair) {
    let node = &cluster.nodes[index];
    let from = node.log().len();
    std::fs::copy(&new.0, &pair.0).expect("copies");
    std::fs::copy(&new.1, &pair.1).expect("copies");
    cluster.wait("the new certificate is taken", || {
        node.log()[from..].contains("certificates between nodes read again").then_some(())
    });
}

/// Breaks all links of a node, until the others have noticed, and lets them be made again.
fn break_links(cluster: &Cluster, index: usize) {
    cluster.network.part(&[index]);
    let others: Vec<usize> = (0..3).filter(|other| *other != index).collect();
    cluster.wait_until_serving(&others);
    cluster.network.heal();
}

/// Shown from both sides: links with a renewed certificate come back, and links with one that has run out do not.
#[test]
fn a_renewed_peer_certificate_is_used_for_new_links_without_a_restart() {
    let authority = Authority::new();
    let (mut cluster, pairs) = form(&authority);
    let pids: Vec<Option<u32>> = cluster.nodes.iter().map(carillon_cluster_tests::Node::pid).collect();

    // One that has run out: links that are there go on, and a broken one cannot be made again.
    let an_hour_ago = SystemTime::now() - Duration::from_secs(3600);
    exchange(&cluster, 2, &pairs[2], &authority.sign_until("run-out", NAME, an_hour_ago));
    cluster.wait_until_serving(&[0, 1, 2]);
    let from = cluster.nodes[2].log().len();
    break_links(&cluster, 2);
    cluster.wait("the node says why it is not linked", || {
        let log = cluster.nodes[2].log();
        let mut told = log[from..].lines().filter(|line| line.contains("a peer cannot be linked"));
        told.any(|line| line.contains("--peer-cert-file") && line.contains("xpired")).then_some(())
    });
    assert!(cluster.nodes[2].readiness().is_err(), "{:?}", cluster.status(2));

    // Renewed, it is back. What no key belongs to in between changes nothing.
    let renewed = authority.sign("renewed", NAME);
    exchange(&cluster, 2, &pairs[2], &renewed);
    cluster.wait_until_serving(&[0, 1, 2]);

    // So with the others, one after the other, and each of them is linked anew by it.
    for index in [0, 1] {
        exchange(&cluster, index, &pairs[index], &authority.sign("renewed", NAME));
        break_links(&cluster, index);
        cluster.wait_until_serving(&[0, 1, 2]);
    }
    assert!(cluster.nodes.iter_mut().all(carillon_cluster_tests::Node::is_running));
    assert!(cluster.nodes.iter().map(carillon_cluster_tests::Node::pid).eq(pids), "nobody was restarted");
}

/// Another authority: both are trusted, then certificates are those of the new one, then the old one is not trusted any
/// more.
#[test]
fn the_authority_between_nodes_is_changed_without_a_restart() {
    let (old, new) = (Authority::new(), Authority::new());
    let (mut cluster, pairs) = form(&old);
    let [old_ca, new_ca] =
        [&old, &new].map(|authority| std::fs::read_to_string(authority.path("ca.pem")).expect("reads"));
    // All nodes have the same file.
    let trust = |cluster: &Cluster, what: &str| {
        let from: Vec<usize> = cluster.nodes.iter().map(|node| node.log().len()).collect();
        std::fs::write(old.path("ca.pem"), what).expect("writes");
        for (node, from) in cluster.nodes.iter().zip(from) {
            cluster.wait("the authorities are read again", || {
                node.log()[from..].contains("certificates between nodes read again").then_some(())
            });
        }
    };
    trust(&cluster, &format!("{old_ca}{new_ca}"));
    for (index, pair) in pairs.iter().enumerate() {
        exchange(&cluster, index, pair, &new.sign("renewed", NAME));
        break_links(&cluster, index);
        cluster.wait_until_serving(&[0, 1, 2]);
    }
    trust(&cluster, &new_ca);
    // Two of three are all links.
    for index in [0, 1] {
        break_links(&cluster, index);
        cluster.wait_until_serving(&[0, 1, 2]);
    }
    assert!(cluster.nodes.iter_mut().all(carillon_cluster_tests::Node::is_running));
}
