//! The subscriber's own node is killed, again and again.

use std::time::{Duration, Instant};

use super::{Heard, Load, Traffic, Verdict};
use crate::{Cluster, ClusterSettings};

/// How often, and how it begins.
#[derive(Clone, Copy, Debug)]
pub struct KillPlan {
    /// Kills.
    pub kills: usize,
    /// Where randomness begins.
    pub seed: u64,
    /// Nodes.
    pub nodes: usize,
}

/// Kills (SIGKILL) the node that the subscriber is connected to, under load, lets it come back, and does it again.
pub fn kill_the_subscribers_node(plan: KillPlan) -> Verdict {
    let settings = ClusterSettings { seed: plan.seed, is_direct: true, ..ClusterSettings::of(plan.nodes) };
    let mut cluster = Cluster::form(settings);
    let all: Vec<usize> = (0..plan.nodes).collect();
    let load = Load { publishers: 6, payload: 50, pause: Duration::from_millis(1) };
    let traffic = Traffic::start(&cluster.client_addrs(), load);
    let start = Instant::now();
    for kill in 1..=plan.kills {
        // Any moment of the traffic is as good as any other.
        std::thread::sleep(Duration::from_millis(cluster.random.u64(100..500)));
        let addr = traffic.subscribed_at();
        let index = cluster.nodes.iter().position(|node| node.client == addr).expect("one of the nodes");
        let heard = traffic.heard().len();
        cluster.nodes[index].kill();
        traffic.wait_until_heard("the end of its interruption", heard, |item| {
            matches!(item, Heard::Resumed | Heard::Gap { .. })
        });
        cluster.nodes[index].start();
        cluster.wait_until_serving(&all);
        if kill % 10 == 0 {
            eprintln!("{kill} kills in {:?}, {} messages heard", start.elapsed(), traffic.heard().len());
        }
    }
    let verdict = traffic.finish();
    if !verdict.is_lossless() {
        eprintln!("{}", cluster.report());
    }
    verdict
}
