//! A pod: what it was made from, and how it is.

use std::{
    net::Ipv4Addr,
    path::PathBuf,
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use super::{manifest::Labels, pod_spec::PodSpec, rules::Endpoint};

/// The namespace of all that is applied.
pub(super) const NAMESPACE: &str = "default";

/// A pod that its controller has made.
#[derive(Debug)]
pub struct Pod {
    /// Its name, which its successor has, too.
    pub name: String,
    /// Its address, which is its own.
    pub ip: Ipv4Addr,
    /// The host that it was placed on.
    pub host: String,
    pub(super) owner: String,
    pub(super) labels: Labels,
    pub(super) spec: PodSpec,
    pub(super) revision: String,
    pub(super) log: PathBuf,
    /// Its root file system, as the host sees it.
    pub(super) root: PathBuf,
    pub(super) volumes: PathBuf,
    pub(super) status: Mutex<PodStatus>,
}

/// How a pod is.
#[derive(Clone, Debug, Default)]
pub struct PodStatus {
    /// Since when it is ready, if it is.
    pub ready_since: Option<Instant>,
    /// How often its container was started again.
    pub restarts: u32,
    /// Why probes had it killed, each time.
    pub killed_by_probes: Vec<String>,
    /// How its container ended, each time.
    pub exits: Vec<String>,
    /// Its container's first process, while it runs.
    pub pid: Option<u32>,
    /// When it is to end, and how long that may take.
    pub deletion: Option<(Instant, Duration)>,
    /// How long it took to end.
    pub ended_after: Option<Duration>,
    /// It had to be killed at the end of its grace period.
    pub is_overdue: bool,
}

impl PodStatus {
    /// Whether it is on its way out, or out.
    pub fn is_terminating(&self) -> bool {
        self.deletion.is_some()
    }
}

impl Pod {
    /// How it is.
    pub fn status(&self) -> PodStatus {
        self.lock().clone()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, PodStatus> {
        self.status.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Asks it to end; a second time only sooner.
    pub(super) fn delete(&self, grace: Duration) {
        let mut status = self.lock();
        let at = status.deletion.map_or_else(Instant::now, |(at, _)| at);
        let grace = status.deletion.map_or(grace, |(_, earlier)| earlier.min(grace));
        status.deletion = Some((at, grace));
        // Terminating pods are no endpoints, whatever their probes say.
        status.ready_since = None;
    }

    pub(super) fn grace(&self) -> Duration {
        Duration::from_secs(self.spec.termination_grace_period_seconds)
    }

    pub(super) fn endpoint(&self) -> Endpoint {
        Endpoint {
            name: self.name.clone(),
            namespace: NAMESPACE.to_owned(),
            ip: self.ip,
            labels: self.labels.clone(),
            is_ready: self.lock().ready_since.is_some(),
            spec: Some(self.spec.clone()),
        }
    }
}
