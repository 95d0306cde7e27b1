//! A cluster with clients at work, and the judgement of what they saw: the frame of every scenario.

use std::time::{Duration, Instant};

use crate::{
    Cluster, ClusterSettings, PATIENCE, Place, Progress, PublisherPlan, SubscriberPlan, Workload,
    history::{Answer, Closed, History, Pauses},
};

/// Nothing has arrived for so long: what is missing by then will not come.
const QUIET: Duration = Duration::from_millis(500);

/// Longest silence among survivors, and longest wait for an answer (P4).
pub const PAUSE_MAX: Duration = Duration::from_millis(100);

/// How long after the end of its lease a node may take to close its clients, on a busy machine.
pub const FENCE_MARGIN: Duration = Duration::from_millis(500);

/// Violations that are explained in full.
const EXPLAINED_MAX: usize = 10;

/// A cluster and its clients.
#[derive(Debug)]
pub struct Scene {
    /// The cluster.
    pub cluster: Cluster,
    /// When the clients began.
    pub start: Instant,
    workload: Option<Workload>,
    healthy: Vec<(Instant, Instant)>,
}

/// For each of `nodes` a publisher and two subscribers, one to a channel and one to a pattern, that come back to
/// their node only.
pub fn clients_of(nodes: &[usize]) -> (Vec<PublisherPlan>, Vec<SubscriberPlan>) {
    let place = |node: &usize| Place::Only(*node);
    let publishers = nodes.iter().map(|node| PublisherPlan::steady(place(node))).collect();
    let subscribers = nodes
        .iter()
        .flat_map(|node| [SubscriberPlan::news(place(node)), SubscriberPlan::pattern(place(node))])
        .collect();
    (publishers, subscribers)
}

impl Scene {
    /// Forms a cluster and has every node's clients begin.
    pub fn start(settings: ClusterSettings) -> Self {
        let nodes: Vec<usize> = (0..settings.size).collect();
        let (publishers, subscribers) = clients_of(&nodes);
        Self::with(Cluster::form(settings), publishers, subscribers)
    }

    /// Has clients begin at a cluster that serves.
    pub fn with(cluster: Cluster, publishers: Vec<PublisherPlan>, subscribers: Vec<SubscriberPlan>) -> Self {
        let start = Instant::now();
        let workload = Some(Workload::start(cluster.client_addrs(), publishers, subscribers));
        let mut scene = Self { cluster, start, workload, healthy: Vec::new() };
        scene.healthy(100);
        scene
    }

    /// The nodes that form the cluster.
    pub fn all(&self) -> Vec<usize> {
        (0..self.cluster.settings.size).collect()
    }

    /// All but some of them.
    pub fn others(&self, but: &[usize]) -> Vec<usize> {
        self.all().into_iter().filter(|index| !but.contains(index)).collect()
    }

    fn workload(&self) -> &Workload {
        self.workload.as_ref().expect("runs until the scene is finished")
    }

    /// How far the clients are.
    pub fn progress(&self) -> Progress {
        self.workload().progress()
    }

    /// Waits for so many more answers, whatever state the cluster is in.
    pub fn wait_for_answers(&self, more: u64) {
        self.workload().wait_for_answers(more);
    }

    /// Waits for so many answers of a cluster in which nothing is wrong: their numbers must be exact.
    pub fn healthy(&mut self, answers: u64) {
        self.workload().wait_until_subscribed(PATIENCE);
        let start = Instant::now();
        self.workload().wait_for_answers(answers);
        self.healthy.push((start, Instant::now()));
    }

    /// Waits for answers of a cluster without one node, whose clients cannot be there.
    pub fn healthy_but(&mut self, node: usize) {
        let here = self.progress().subscribed;
        let start = Instant::now();
        self.workload().wait_for_answers(100);
        assert_eq!(
            self.progress().subscribed,
            here,
            "somebody was disconnected though only node {node} is away"
        );
        self.healthy.push((start, Instant::now()));
    }

    /// Lets the clients work for a while.
    pub fn work_for(&self, time: Duration) {
        std::thread::sleep(time);
    }

    /// Heals the network, waits until every node of the cluster serves again, and has a healthy phase.
    pub fn recover(&mut self) {
        self.cluster.network.heal();
        let all = self.all();
        self.cluster.wait_until_serving(&all);
        self.cluster.wait_until_caught_up(&all);
        self.healthy(100);
    }

    /// Ends the work and judges. Panics when a promise was broken.
    pub fn finish(mut self) -> (Cluster, History) {
        let history = self.rest();
        let problems = self.judge(&history);
        assert!(problems.is_none(), "{}", problems.unwrap_or_default());
        (self.cluster, history)
    }

    /// Ends the work and returns what was noted.
    pub fn rest(&mut self) -> History {
        let workload = self.workload.take().expect("rests once");
        let mut history = workload.finish(QUIET);
        history.healthy = std::mem::take(&mut self.healthy);
        history.stopped.clone_from(&self.cluster.stopped);
        history
    }

    /// Judges, and prints the verdict. Returns what was wrong, explained.
    pub fn judge(&self, history: &History) -> Option<String> {
        let verdict = history.judge(&self.cluster.bounds());
        let closed = history.closed_by_nodes();
        eprintln!(
            "{} published, {} answered, {} numbers checked, {} received on {} connections, {closed} closed by nodes: \
             {} violations",
            verdict.published,
            verdict.answered,
            verdict.counted,
            verdict.received,
            verdict.subscriptions,
            verdict.violations_count
        );
        let explained = verdict.violations.iter().take(EXPLAINED_MAX);
        let explained: Vec<String> =
            explained.map(|violation| history.explain(violation, self.start)).collect();
        (!verdict.is_clean()).then(|| format!("{verdict}\nof which\n{}", explained.join("\n")))
    }
}

/// Panics unless the nodes have closed exactly so many confirmed subscriptions.
pub fn assert_closed(history: &History, expected: usize, start: Instant, why: &str) {
    let ms = |at: Instant| at.saturating_duration_since(start).as_millis();
    let closed =
        history.subscriptions.iter().filter(|subscription| matches!(subscription.closed, Closed::ByNode(_)));
    let closed: Vec<String> = closed
        .filter_map(|subscription| {
            let (confirmed, closed) = (ms(subscription.confirmed?), ms(subscription.closed.at()));
            Some(format!("node {}, confirmed at {confirmed} ms, closed at {closed} ms", subscription.node))
        })
        .collect();
    assert_eq!(closed.len(), expected, "{why}; nodes closed these:\n{}", closed.join("\n"));
}

/// What a node is handed between its last look for requests and its end of the connection has crossed it as well, and
/// cannot be told from what it has ignored. It takes a processor some microseconds from one to the other, or as long as
/// another process has it meanwhile.
const CROSSING: Duration = Duration::from_millis(5);

/// Panics when a PUBLISH was never answered, unless it has crossed the end of its connection.
pub fn assert_all_answered(history: &History, start: Instant, why: &str) {
    let ms = |at: Instant| at.saturating_duration_since(start).as_secs_f64() * 1000.0;
    let all = history.publications.iter().enumerate();
    let unanswered: Vec<String> = all
        .flat_map(|(publisher, publications)| {
            publications.iter().map(move |publication| (publisher, publication))
        })
        .filter(|(_, publication)| publication.answer == Answer::Never && !publication.has_crossed_end)
        .filter(|(publisher, publication)| {
            let ended = history.hangups.get(&(*publisher, publication.connection));
            ended.is_none_or(|ended| *ended > publication.sent + CROSSING)
        })
        .map(|(publisher, publication)| {
            let (node, connection, sent) = (publication.node, publication.connection, ms(publication.sent));
            let ended = history.hangups.get(&(publisher, connection)).map(|ended| ms(*ended));
            format!(
                "publisher {publisher} on node {node}, connection {connection}, sent at {sent} ms, ended at {ended:?} ms"
            )
        })
        .collect();
    assert!(unanswered.is_empty(), "{why}; these were not answered:\n{}", unanswered.join("\n"));
}

/// Panics when survivors had to wait (P4).
pub fn assert_no_pause(history: &History, survivors: &[usize], from: Instant, to: Instant) {
    let Pauses { gap, wait } = history.pauses(survivors, from, to);
    eprintln!("among survivors: longest gap {gap:?}, longest wait {wait:?}");
    assert!(wait <= PAUSE_MAX, "a PUBLISH on a survivor waited {wait:?}");
    assert!(gap <= PAUSE_MAX, "a subscriber on a survivor heard nothing for {gap:?}");
}
