//! Faults at random, one round after another, with clients at work and the judge behind them.

mod fault;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

pub use fault::Fault;

use crate::{
    Cluster, ClusterSettings, PATIENCE, Place, PublisherPlan, SmallDisk, SubscriberPlan, Workload,
    history::History,
};

/// A history is judged and begun anew after so many faults: it is held in memory.
const FAULTS_A_ROUND: usize = 6;

/// Nothing has arrived for so long: what is missing by then will not come.
const QUIET: Duration = Duration::from_millis(500);

/// Longest time that a fault lasts, in milliseconds; some are cut shorter than a lease, some go beyond eviction.
const FAULT_MS_MAX: u64 = 4000;

/// MiB of each node's disk: room for what an hour sets aside of corrupt stores.
const DISK_MIB: u32 = 256;

/// What a node says when it could not write.
const NOT_WRITTEN: &str = "the data folder cannot be written";

/// Violations that are explained in full.
const EXPLAINED_MAX: usize = 10;

/// What happened in all rounds.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Rounds.
    pub rounds: usize,
    /// Faults by kind.
    pub faults: BTreeMap<&'static str, usize>,
    /// Messages sent.
    pub published: usize,
    /// Messages answered.
    pub answered: usize,
    /// Answers whose number was checked.
    pub counted: usize,
    /// Messages received.
    pub received: usize,
    /// Connections of subscribers.
    pub subscriptions: usize,
    /// Those that nodes closed.
    pub closed_by_nodes: usize,
    /// Broken promises.
    pub violations: usize,
}

/// A run.
#[derive(Debug)]
pub struct Chaos {
    cluster: Cluster,
    random: fastrand::Rng,
    /// What happened by now.
    pub tally: Tally,
    start: Instant,
}

impl Chaos {
    /// Forms a cluster of so many nodes, each with a disk of its own where one can be mounted.
    pub fn new(nodes: usize, seed: u64) -> Self {
        let mut cluster = Cluster::prepare(ClusterSettings { seed, ..ClusterSettings::of(nodes) });
        let disks: Option<Vec<SmallDisk>> = (0..nodes).map(|_| SmallDisk::mount(DISK_MIB)).collect();
        for (node, disk) in cluster.nodes.iter_mut().zip(disks.into_iter().flatten()) {
            node.set_disk(disk);
        }
        cluster.start();
        let random = fastrand::Rng::with_seed(seed);
        Self { cluster, random, tally: Tally::default(), start: Instant::now() }
    }

    /// The state of all nodes and the ends of their logs.
    pub fn report(&mut self) -> String {
        self.cluster.keep_folder();
        self.cluster.report()
    }

    /// One round. Returns what was wrong, explained.
    pub fn round(&mut self) -> Option<String> {
        let (publishers, subscribers) = self.clients();
        let start = Instant::now();
        self.cluster.stopped.clear();
        let workload = Workload::start(self.cluster.client_addrs(), publishers, subscribers);
        let mut healthy = Vec::new();
        for _ in 0..FAULTS_A_ROUND {
            self.break_and_heal();
            workload.wait_until_subscribed(PATIENCE);
            let from = Instant::now();
            workload.wait_for_answers(200);
            healthy.push((from, Instant::now()));
        }
        let mut history = workload.finish(QUIET);
        history.healthy = healthy;
        history.stopped.clone_from(&self.cluster.stopped);
        self.tally.rounds += 1;
        self.judge(&history, start)
    }

    /// Publishers and subscribers of all kinds, at random places.
    fn clients(&mut self) -> (Vec<PublisherPlan>, Vec<SubscriberPlan>) {
        let nodes = self.cluster.settings.size;
        let random = &mut self.random;
        let place = |random: &mut fastrand::Rng| {
            let node = random.usize(0..nodes);
            if random.bool() { Place::Only(node) } else { Place::From(node) }
        };
        let publishers = (0..nodes)
            .map(|node| PublisherPlan {
                channels: vec!["news".into(), "nets".into(), "weather".into()],
                every: Duration::from_millis(random.u64(1..6)),
                in_flight: random.usize(1..40),
                payload_bytes: if random.u32(0..4) == 0 { 8192 } else { 64 },
                place: if node == 0 { Place::From(0) } else { place(random) },
            })
            .collect();
        let subscribers = (0..2 * nodes)
            .map(|index| {
                let place = if index < nodes { Place::Only(index) } else { place(random) };
                if random.bool() { SubscriberPlan::news(place) } else { SubscriberPlan::pattern(place) }
            })
            .collect();
        (publishers, subscribers)
    }

    /// One fault, or two at once; then everything is made good, and the cluster has to come back.
    fn break_and_heal(&mut self) {
        let nodes = self.cluster.settings.size;
        let with_disks = self.cluster.nodes[0].disk().is_some();
        let first = Fault::any(&mut self.random, nodes, with_disks);
        let mut faults = vec![first];
        self.begin(&faults[0].clone());
        self.last();
        let second = Fault::any(&mut self.random, nodes, with_disks);
        if self.random.u32(0..3) == 0 && second.goes_with(&faults[0]) {
            self.begin(&second);
            faults.push(second);
            self.last();
        }
        self.random.shuffle(&mut faults);
        for fault in &faults {
            fault.end(&mut self.cluster);
        }
        self.cluster.network.heal();
        for node in faults.iter().filter_map(Fault::may_end) {
            self.start_again_if_it_ends(node);
        }
        let all: Vec<usize> = (0..nodes).collect();
        self.cluster.wait_until_serving(&all);
        self.cluster.wait_until_caught_up(&all);
    }

    /// A node that could not write ends, be it a moment after it could have.
    fn start_again_if_it_ends(&mut self, node: usize) {
        let node = &mut self.cluster.nodes[node];
        if node.log_since_start().contains(NOT_WRITTEN) {
            assert_eq!(node.wait(), Some(1), "{} cannot keep what it promises", node.name);
        }
        if !node.is_running() {
            node.start();
        }
    }

    fn begin(&mut self, fault: &Fault) {
        let at = self.start.elapsed().as_millis();
        eprintln!("{at:>7} ms: {fault}");
        fault.begin(&mut self.cluster);
        *self.tally.faults.entry(fault.kind()).or_default() += 1;
    }

    /// Lets a fault last: often short, sometimes beyond the eviction time.
    fn last(&mut self) {
        let longest = if self.random.bool() { FAULT_MS_MAX } else { FAULT_MS_MAX / 8 };
        std::thread::sleep(Duration::from_millis(self.random.u64(0..longest)));
    }

    /// What nodes said to clients after they had slept through their lease: the first thing must be a close.
    fn woken_too_late(&self, history: &History) -> Vec<String> {
        let slept_too_long =
            history.stopped.iter().filter(|stopped| stopped.to - stopped.from > self.cluster.settings.lease);
        slept_too_long
            .filter_map(|stopped| {
                let received = history.received_before_close(stopped.node, stopped.to);
                let answered = history.answered_after(stopped.node, stopped.to);
                (received + answered > 0).then(|| {
                    format!(
                        "node {} slept for {:?}, and then {received} messages were received and {answered} answered on \
                         connections from before",
                        stopped.node,
                        stopped.to - stopped.from
                    )
                })
            })
            .collect()
    }

    fn judge(&mut self, history: &History, start: Instant) -> Option<String> {
        let mut bounds = self.cluster.bounds();
        // A second fault may hold up what the first has begun.
        bounds.settle *= 2;
        let verdict = history.judge(&bounds);
        self.tally.published += verdict.published;
        self.tally.answered += verdict.answered;
        self.tally.counted += verdict.counted;
        self.tally.received += verdict.received;
        self.tally.subscriptions += verdict.subscriptions;
        self.tally.closed_by_nodes += history.closed_by_nodes();
        self.tally.violations += verdict.violations_count;
        let explained = verdict.violations.iter().take(EXPLAINED_MAX);
        let mut explained: Vec<String> =
            explained.map(|violation| history.explain(violation, start)).collect();
        let woken = self.woken_too_late(history);
        self.tally.violations += woken.len();
        explained.extend(woken);
        (!explained.is_empty()).then(|| {
            let began = (start - self.start).as_millis();
            format!("{verdict}\nof which (the round began at {began} ms)\n{}", explained.join("\n"))
        })
    }
}
