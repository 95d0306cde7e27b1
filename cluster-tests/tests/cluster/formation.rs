//! First boots.

use std::collections::BTreeSet;

use carillon_cluster_tests::{
    Cluster, ClusterSettings, Status,
    scene::{Scene, clients_of},
};

use crate::ms;

/// Starts `size` nodes in random order; the last one comes late.
fn form_in_random_order(size: usize) {
    let mut cluster = Cluster::prepare(ClusterSettings::of(size));
    let mut order: Vec<usize> = (0..size).collect();
    cluster.random.shuffle(&mut order);
    let (late, early) = order.split_last().expect("there are nodes");
    for index in early {
        std::thread::sleep(ms(cluster.random.u64(0..200)));
        cluster.nodes[*index].start();
    }
    std::thread::sleep(ms(1500));
    for index in early {
        let status = cluster.status(*index);
        assert!(
            status.is_none_or(|status| !status.in_view),
            "a cluster was formed without one that was expected"
        );
        assert!(std::net::TcpStream::connect(cluster.nodes[*index].client).is_err(), "the port is closed");
    }
    cluster.nodes[*late].start();
    cluster.wait_until_serving(&order);
    let statuses: Vec<Status> = order.iter().filter_map(|index| cluster.status(*index)).collect();
    let ids: BTreeSet<Option<u64>> = statuses.iter().map(|status| status.node).collect();
    let clusters: BTreeSet<Option<String>> =
        statuses.iter().map(|status| status.cluster_id.clone()).collect();
    assert_eq!((ids.len(), clusters.len()), (size, 1), "each has its own id, and all one cluster's");
    cluster.wait("all of them vote", || {
        let status = cluster.status(*late)?;
        (status.voters.len() == size).then_some(())
    });
    let (publishers, subscribers) = clients_of(&order);
    let mut scene = Scene::with(cluster, publishers, subscribers);
    scene.healthy(300);
    scene.finish();
}

#[test]
fn three_nodes_form_one_cluster_in_any_order() {
    form_in_random_order(3);
}

#[test]
fn five_nodes_form_one_cluster_in_any_order() {
    form_in_random_order(5);
}
