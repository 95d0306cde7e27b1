//! What all scenarios share: an installed overlay, an application's pod, and the judgement at the end.

use std::{
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use carillon_cluster_tests::{
    Place, PublisherPlan, Status, SubscriberPlan, Wire, Workload,
    history::{Bounds, History},
    kube::{App, Kube, Pod, render::Kustomize},
    scene::assert_all_answered,
};
use carillon_proto::resp;
use serde_json::Value;

/// The set and the Service that applications know.
pub(crate) const NAME: &str = "carillon";

/// What labels a node's pod has.
pub(crate) const NODE_LABELS: [(&str, &str); 2] =
    [("app.kubernetes.io/name", "carillon"), ("app.kubernetes.io/instance", "carillon")];

/// Redis's port.
pub(crate) const PORT: u16 = 6379;

/// Nothing has arrived for so long: what is missing by then will not come.
const QUIET: Duration = Duration::from_millis(800);

pub(crate) fn ok() -> resp::Value {
    resp::Value::Simple("OK".to_owned())
}

/// A cluster and an application.
pub(crate) struct Stage {
    pub(crate) app: App,
    pub(crate) kube: Kube,
    pub(crate) kustomize: Kustomize,
    pub(crate) objects: Vec<Value>,
}

/// Clients at work.
pub(crate) struct Load {
    start: Instant,
    pub(crate) workload: Workload,
}

impl Stage {
    /// Installs an overlay and waits until it is rolled out. `None` where that is not allowed.
    pub(crate) fn install(overlay: &str) -> Option<Self> {
        let stage = Self::apply(overlay)?;
        stage.kube.wait_for_rollout(NAME);
        Some(stage)
    }

    /// Applies an overlay.
    pub(crate) fn apply(overlay: &str) -> Option<Self> {
        Self::apply_changed(overlay, |_| ())
    }

    /// Applies an overlay of which something has been changed before.
    pub(crate) fn apply_changed(overlay: &str, change: impl FnOnce(&mut Vec<Value>)) -> Option<Self> {
        Some(Self::apply_on(Kube::start()?, overlay, change))
    }

    /// Applies it where something has been prepared.
    pub(crate) fn apply_on(kube: Kube, overlay: &str, change: impl FnOnce(&mut Vec<Value>)) -> Self {
        let kustomize = Kustomize::default();
        let mut objects = kustomize.overlay(overlay);
        change(&mut objects);
        kube.apply(&objects);
        let app = kube.app("app", &[("app", "chat")]);
        Self { app, kube, kustomize, objects }
    }

    pub(crate) fn password(&self) -> String {
        std::fs::read_to_string(self.kustomize.folder().join("base/secrets/password")).expect("a password")
    }

    /// Deletes a pod, and does something to its volume before the next one is there.
    pub(crate) fn replace(&self, name: &str, change: impl FnOnce(&Path)) {
        self.kube.cordon_all(true);
        self.kube.delete(name, Duration::from_secs(30));
        self.kube.wait("it is gone", || self.kube.pods().iter().all(|pod| pod.name != name).then_some(()));
        change(&self.kube.claim("data", name));
        self.kube.cordon_all(false);
    }

    /// A client of one pod, or of the Service.
    pub(crate) fn connect(&self, addr: impl Into<SocketAddr>) -> Wire {
        let addr = addr.into();
        self.app.run(|| Wire::connect(addr))
    }

    /// Whether a pod takes this password.
    pub(crate) fn takes(&self, pod: &Pod, password: &str) -> bool {
        self.connect((pod.ip, PORT)).ask(&["auth", password]) == ok()
    }

    /// The pod with this ordinal.
    pub(crate) fn pod(&self, ordinal: usize) -> Arc<Pod> {
        let name = format!("{NAME}-{ordinal}");
        self.kube.pod(&name).unwrap_or_else(|| panic!("there is no {name}\n{}", self.kube.report()))
    }

    /// What a pod's own `carillon status` tells, as `kubectl exec` would show it.
    pub(crate) fn status(&self, ordinal: usize) -> Option<Status> {
        let pod = self.kube.pod(&format!("{NAME}-{ordinal}"))?;
        let told = self.kube.exec(&pod, &["/usr/local/bin/carillon", "status", "--json"]).ok()?;
        serde_json::from_str(&told).ok()
    }

    /// Waits until exactly the first pods are in the view and vote, and say so.
    pub(crate) fn wait_for_voters(&self, count: usize) {
        let names: Vec<String> = (0..count).map(|ordinal| format!("{NAME}-{ordinal}")).collect();
        self.kube.wait(&format!("{names:?} are in the view and vote"), || {
            let statuses: Option<Vec<Status>> = (0..count).map(|ordinal| self.status(ordinal)).collect();
            let is_so = |status: &Status| {
                let votes = status.members.iter().filter(|member| member.voter && member.in_view).count();
                status.view() == names && status.voters.len() == count && votes == count
            };
            statuses?.iter().all(is_so).then_some(())
        });
    }

    /// Has clients of the Service begin, each with as many connections as it likes to open.
    pub(crate) fn load(&self) -> Load {
        let (start, place) = (Instant::now(), Place::Only(0));
        let publishers = vec![PublisherPlan::steady(place); 3];
        let subscribers = [SubscriberPlan::news(place), SubscriberPlan::pattern(place)];
        let subscribers = subscribers.into_iter().cycle().take(12).collect();
        let nodes = vec![self.kube.service(NAME, PORT)];
        let password = Some(self.password());
        let workload =
            self.app.run(|| Workload::start_with_password(nodes, password, publishers, subscribers));
        workload.wait_for_answers(200);
        Load { start, workload }
    }

    /// Ends: no probe has ever had a pod killed, no pod had to be killed at the end of its time, and none ended but when
    /// it was told to.
    pub(crate) fn finish(self, restarts: u32) {
        let pods = [self.kube.gone(), self.kube.pods()].concat();
        for pod in &pods {
            let status = pod.status();
            assert_eq!(status.killed_by_probes, Vec::<String>::new(), "{}: probes killed it", pod.name);
            assert!(!status.is_overdue, "{}: its grace period was not enough", pod.name);
        }
        let all: u32 = pods.iter().map(|pod| pod.status().restarts).sum();
        assert_eq!(all, restarts, "containers were started again\n{}", self.kube.report());
    }
}

impl Load {
    /// Waits until all subscribers are back, and some more messages are through.
    pub(crate) fn settle(&self) {
        self.workload.wait_until_subscribed(Duration::from_secs(20));
        self.workload.wait_for_answers(300);
    }

    /// Ends it and judges: on connections that stayed open nothing was lost, doubled or reordered.
    pub(crate) fn judge(self) -> (History, Instant) {
        let history = self.workload.finish(QUIET);
        let bounds = Bounds {
            settle: Duration::from_secs(6),
            answer_max: Duration::from_secs(5),
            grace: Duration::from_millis(50),
        };
        let verdict = history.judge(&bounds);
        eprintln!(
            "{} published, {} answered, {} received on {} connections, {} closed by nodes: {} violations",
            verdict.published,
            verdict.answered,
            verdict.received,
            verdict.subscriptions,
            history.closed_by_nodes(),
            verdict.violations_count
        );
        assert!(verdict.is_clean(), "{verdict}");
        assert!(verdict.received > 1000, "hardly anything was received: {}", verdict.received);
        (history, self.start)
    }

    /// The same, where nodes have only stopped as they are told to: every PUBLISH has been answered.
    pub(crate) fn judge_graceful(self, why: &str) -> History {
        let (history, start) = self.judge();
        assert_all_answered(&history, start, why);
        history
    }
}
