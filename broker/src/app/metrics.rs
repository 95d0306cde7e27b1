//! What the node tells Prometheus.

use std::{fs, sync::atomic::Ordering};

use super::operators::Operators;
use crate::{
    admin::{Kind, Metric},
    clock,
    cluster::{ClusterNode, Condition},
    hub::SubscriptionKind,
    open_files,
    server::{self, CloseReason, Histogram, Node, ShardStats},
};

/// Bytes of a memory page, as the kernel counts resident memory on the machines that this runs on.
const PAGE_BYTES: f64 = 4096.0;

impl Operators {
    /// Everything, at this moment.
    pub(super) fn numbers(&self) -> Vec<Metric> {
        let mut metrics = of_node(&self.node);
        metrics.extend(of_process());
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
    let closed = CloseReason::ALL
        .map(|reason| (vec![("reason", reason.label().to_owned())], node.closed(reason) as f64));
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
        Metric::gauge(
            "clients_held_bytes",
            "Bytes that clients make the node hold: what they have not read, unfinished requests, subscriptions",
            node.total(|stats| stats.held_bytes.load(Ordering::Relaxed)) as f64,
        ),
        Metric::gauge(
            "clients_held_bytes_max",
            "Bytes above which the client that holds most is closed",
            node.settings.live.limits.clients_bytes.get() as f64,
        ),
        Metric::gauge(
            "clients_blocked",
            "Clients whose sockets take no more at the moment",
            node.total(|stats| stats.blocked.load(Ordering::Relaxed)) as f64,
        ),
        Metric::gauge(
            "outbox_bytes_largest",
            "Bytes that wait for the client that is furthest behind",
            node.stats.iter().map(|stats| stats.largest_outbox.load(Ordering::Relaxed)).max().unwrap_or(0)
                as f64,
        ),
        Metric::gauge(
            "subscriptions",
            "Subscriptions of clients",
            node.total(|stats| stats.subscriptions.load(Ordering::Relaxed)) as f64,
        ),
        Metric::counter("errors", "Commands answered with an error", node.total(|stats| stats.errors.get())),
        Metric::counter(
            "shard_turns",
            "Turns of the shards' event loops that sent something",
            node.total(|stats| stats.turns.get()),
        ),
        Metric::counter("reads", "Reads from clients' sockets", node.total(|stats| stats.reads.get())),
        Metric::counter("writes", "Writes to clients' sockets", node.total(|stats| stats.writes.get())),
        time(
            node,
            |stats| &stats.delivery_time,
            "delivery_seconds",
            "From a message's arrival at a shard to the moment in which the kernel has it for the shard's subscribers",
        ),
        time(
            node,
            |stats| &stats.publish_time,
            "publish_seconds",
            "From a PUBLISH to its answer, when all other shards and nodes have delivered it or the grace is over; of every 16th",
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

fn time(node: &Node, of: fn(&ShardStats) -> &Histogram, name: &'static str, help: &'static str) -> Metric {
    let (buckets, sum) = Histogram::cumulative(node.stats.iter().map(of));
    Metric::histogram(name, help, &buckets, sum)
}

/// What the kernel knows of the process, under the names that Prometheus's own libraries use.
fn of_process() -> Vec<Metric> {
    let cpu_s = server::process_cpu_seconds().map(|seconds| {
        Metric::family("process_cpu_seconds", "Processor time used", Kind::Counter, [(Vec::new(), seconds)])
    });
    let open = fs::read_dir("/proc/self/fd")
        .ok()
        .map(|files| Metric::gauge("process_open_fds", "Open file descriptors", files.count() as f64));
    let limit = open_files::limit();
    let max = Metric::gauge("process_max_fds", "File descriptors that may be open", limit as f64);
    cpu_s.into_iter().chain(open).chain([max]).collect()
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
        // Who was scaled away stays a member for a while, and is not missed.
        .filter(|(node, _)| state.view.members.contains_key(node) || role.voters.contains(node))
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
        Metric::family(
            "link_up",
            "1 for each other node of the view or with a vote to which there is a link",
            Kind::Gauge,
            up,
        ),
        Metric::family("link_round_trip_seconds", "Round-trip time of each link", Kind::Gauge, round_trips),
    ]
}

fn resident_bytes() -> f64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<f64>().ok()).unwrap_or_default()
        * PAGE_BYTES
}
