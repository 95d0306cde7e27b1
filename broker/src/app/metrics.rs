//! What the node tells Prometheus.

use std::{fs, sync::atomic::Ordering};

use super::Operators;
use crate::{
    admin::{Kind, Metric},
    clock,
    cluster::{ClusterNode, Condition},
    hub::SubscriptionKind,
    server::{CloseReason, Node},
};

/// Bytes of a memory page, as the kernel counts resident memory on the machines that this runs on.
const PAGE_BYTES: f64 = 4096.0;

impl Operators {
    /// Everything, at this moment.
    pub(super) fn numbers(&self) -> Vec<Metric> {
        let mut metrics = of_node(&self.node);
        let cluster = self.member.as_ref().and_then(|member| member.cluster.borrow().clone());
        if let Some(cluster) = cluster {
            metrics.extend(of_cluster(&cluster));
        }
        metrics
    }
}

fn of_node(node: &Node) -> Vec<Metric> {
    let subscriptions = [
        ("channel", SubscriptionKind::Channel),
        ("pattern", SubscriptionKind::Pattern),
        ("shard_channel", SubscriptionKind::ShardChannel),
    ];
    let closed = CloseReason::ALL.map(|reason| {
        let count = node.total(|stats| stats.closed[reason.index()].get()) + node.refused(reason);
        (vec![("reason", reason.label().to_owned())], count as f64)
    });
    vec![
        Metric::gauge(
            "uptime_seconds",
            "Seconds since the node started",
            node.started.elapsed().as_secs_f64(),
        ),
        Metric::gauge("resident_memory_bytes", "Memory that the process holds", resident_bytes()),
        Metric::gauge("clients", "Connections of clients", node.clients() as f64),
        Metric::counter("connections", "Connections taken over", node.total(|stats| stats.connections.get())),
        Metric::family(
            "connections_closed",
            "Connections closed or not taken, by reason",
            Kind::Counter,
            closed,
        ),
        Metric::family(
            "subscribed_names",
            "Different channels and patterns with subscribers on this node",
            Kind::Gauge,
            subscriptions
                .map(|(label, kind)| (vec![("kind", label.to_owned())], node.directory.len(kind) as f64)),
        ),
        Metric::counter("commands", "Commands run", node.total(|stats| stats.commands.get())),
        Metric::counter(
            "messages_published",
            "Messages published by clients of this node",
            node.total(|stats| stats.published.get()),
        ),
        Metric::counter(
            "messages_delivered",
            "Messages put on their way to a subscriber of this node",
            node.total(|stats| stats.delivered.get()),
        ),
        Metric::counter(
            "input_bytes",
            "Bytes read from clients",
            node.total(|stats| stats.input_bytes.get()),
        ),
        Metric::counter(
            "output_bytes",
            "Bytes written to clients",
            node.total(|stats| stats.output_bytes.get()),
        ),
    ]
}

fn of_cluster(cluster: &ClusterNode) -> Vec<Metric> {
    let (role, state, counters) = (cluster.role(), cluster.state().unwrap_or_default(), &cluster.counters);
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let is_serving = *cluster.condition().borrow() == Condition::Serving;
    let left = cluster.lease_until().saturating_sub(clock::now_ns());
    let me = cluster.identity().map_or(0, |identity| identity.node);
    let links: Vec<_> = state
        .members
        .iter()
        .filter(|(node, _)| **node != me)
        .map(|(node, member)| (vec![("peer", member.name.clone())], cluster.links.get(*node)))
        .collect();
    let up = links.iter().map(|(labels, link)| (labels.clone(), f64::from(u8::from(link.is_some()))));
    let round_trips = links
        .iter()
        .filter_map(|(labels, link)| Some((labels.clone(), link.as_ref()?.round_trip().as_secs_f64())));
    vec![
        Metric::gauge(
            "in_view",
            "1 while the node is in the view and takes clients",
            f64::from(u8::from(is_serving)),
        ),
        Metric::gauge("view_epoch", "Number of the view", state.view.epoch as f64),
        Metric::gauge("view_members", "Nodes in the view", state.view.members.len() as f64),
        Metric::gauge("members", "Nodes that belong to the cluster", state.members.len() as f64),
        Metric::gauge(
            "lease_seconds",
            "Seconds for which the node may serve without another word from the leader",
            left as f64 / 1e9,
        ),
        Metric::gauge("raft_term", "Raft's term", role.term as f64),
        Metric::gauge("raft_is_leader", "1 on the leader", f64::from(u8::from(role.is_leader))),
        Metric::gauge("raft_voters", "Nodes with a vote", role.voters.len() as f64),
        Metric::counter("views", "Views installed", count(&counters.views)),
        Metric::counter("fences", "Times that this node was fenced", count(&counters.fences)),
        Metric::counter(
            "evictions",
            "Nodes that this node, as the leader, has voted out",
            count(&counters.evictions),
        ),
        Metric::counter("elections_won", "Terms in which this node has led", count(&counters.elections_won)),
        Metric::counter("links_lost", "Links to other nodes that broke", count(&counters.links_lost)),
        Metric::family("link_up", "1 for each other member to which there is a link", Kind::Gauge, up),
        Metric::family("link_round_trip_seconds", "Round-trip time of each link", Kind::Gauge, round_trips),
    ]
}

fn resident_bytes() -> f64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<f64>().ok()).unwrap_or_default()
        * PAGE_BYTES
}
