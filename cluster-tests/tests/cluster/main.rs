//! Clusters of real processes, broken in every way that we know of. Each test is a story; each prints its seed.
//! `CARILLON_TEST_SEED` repeats one, `CARILLON_LOG_LEVEL` has the nodes say more.

#![allow(clippy::missing_panics_doc, reason = "a failed expectation is a failed test")]

mod certificates;
mod clients;
mod clocks;
mod counts;
mod disks;
mod formation;
mod full_disks;
mod kills;
mod membership;
mod networks;
mod operators;
mod partitions;
mod pauses;
mod real_clients;
mod upgrades;
mod users;

use std::time::{Duration, Instant};

use carillon_cluster_tests::{
    Cluster,
    history::History,
    scene::{FENCE_MARGIN, Scene},
};

/// A moment shortly before another.
fn before(moment: Instant) -> Instant {
    moment.checked_sub(ms(100)).unwrap_or(moment)
}

/// Milliseconds.
fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A node without a lease refuses connections, and those that it had were closed in time (P2).
fn assert_fenced(cluster: &Cluster, history: &History, node: usize, cut: Instant) {
    let until = cut + cluster.settings.lease + FENCE_MARGIN;
    let open = history.still_open(node, cut, until);
    assert!(open.is_empty(), "connections {open:?} to node {node} stayed open behind the end of its lease");
}

/// Waits until a node takes no clients, which has to be so within its lease.
fn wait_until_closed(scene: &Scene, node: usize) {
    let addr = scene.cluster.nodes[node].client;
    scene.cluster.wait("a node that is cut off refuses connections", || {
        std::net::TcpStream::connect(addr).is_err().then_some(())
    });
}
