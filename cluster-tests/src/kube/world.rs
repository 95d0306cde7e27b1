//! What the cluster consists of at a moment, and what its controllers make of it.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    dns::Records,
    manifest::{Labels, Manifests, has_all},
    pod::Pod,
    rules::{Endpoint, backends},
    scheduler::Host,
    stateful_set::PodState,
};

/// Everything there is.
#[derive(Debug)]
pub(super) struct World {
    pub(super) manifests: Manifests,
    pub(super) hosts: Vec<Host>,
    pub(super) pods: Vec<Arc<Pod>>,
    /// Pods of applications, which are clients in the test's own process.
    pub(super) apps: Vec<Endpoint>,
    pub(super) service_addrs: BTreeMap<String, Ipv4Addr>,
    /// The folder of each pod that may be there again.
    pub(super) folder: PathBuf,
    ips: u32,
    /// Counts what must have a new name each time.
    pub(super) count: u64,
    /// The name server does not answer.
    pub(super) has_no_names: bool,
    /// Pods that are gone, for who asks what became of them.
    pub(super) gone: Vec<Arc<Pod>>,
}

impl World {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            manifests: Manifests::default(),
            hosts: Vec::new(),
            pods: Vec::new(),
            apps: Vec::new(),
            service_addrs: BTreeMap::new(),
            folder,
            ips: 1,
            count: 0,
            has_no_names: false,
            gone: Vec::new(),
        }
    }

    /// An address that no pod has had.
    pub(super) fn new_ip(&mut self) -> Ipv4Addr {
        self.ips += 1;
        Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 244, 0, 0)) + self.ips)
    }

    /// Gives each Service its address, once.
    pub(super) fn address_services(&mut self) {
        for (name, service) in &self.manifests.services {
            assert!(
                service.r#type.as_deref().is_none_or(|kind| kind == "ClusterIP"),
                "{name}: only ClusterIP"
            );
            if service.cluster_ip.as_deref() != Some("None") && !self.service_addrs.contains_key(name) {
                let next = 20 + self.service_addrs.len() as u8;
                self.service_addrs.insert(name.clone(), Ipv4Addr::new(10, 96, 0, next));
            }
        }
    }

    pub(super) fn endpoints(&self) -> Vec<Endpoint> {
        self.pods.iter().map(|pod| pod.endpoint()).chain(self.apps.iter().cloned()).collect()
    }

    /// Pods of a controller, as its decisions need them.
    pub(super) fn states(&self, name: &str, revision: &str, min_ready_s: u64) -> Vec<PodState> {
        let mine = self.pods.iter().filter(|pod| pod.owner == name);
        let state = |pod: &Arc<Pod>| {
            let status = pod.status();
            let ordinal = pod.name.rsplit('-').next().and_then(|ordinal| ordinal.parse().ok());
            let ready_for = status.ready_since.map(|since| since.elapsed());
            PodState {
                ordinal: ordinal.expect("the name ends in a number"),
                is_current: pod.revision == revision,
                is_terminating: status.is_terminating(),
                is_available: ready_for.is_some_and(|time| time >= Duration::from_secs(min_ready_s)),
            }
        };
        mine.map(state).collect()
    }

    /// Asks a pod to go as `kubectl drain` does: through the budgets.
    pub(super) fn evict(&self, name: &str) -> Result<(), String> {
        let pod = self.pods.iter().find(|pod| pod.name == name).ok_or("there is no such pod")?;
        let is_healthy = |pod: &Arc<Pod>| pod.status().ready_since.is_some();
        for (budget_name, budget) in &self.manifests.budgets {
            if !budget.selector.takes(&pod.labels) {
                continue;
            }
            assert_eq!(budget.unhealthy_pod_eviction_policy, "AlwaysAllow", "the only one that is executed");
            if !is_healthy(pod) {
                continue;
            }
            let expected = self.expected(&budget.selector.match_labels);
            let chosen = self.pods.iter().filter(|pod| budget.selector.takes(&pod.labels));
            let healthy = chosen.filter(|pod| is_healthy(pod)).count();
            if healthy + budget.max_unavailable <= expected {
                return Err(format!(
                    "{healthy} of {expected} pods are healthy: budget {budget_name} says no"
                ));
            }
        }
        pod.delete(pod.grace());
        Ok(())
    }

    fn expected(&self, labels: &Labels) -> usize {
        let sets = self.manifests.stateful_sets.values();
        sets.filter(|set| has_all(&set.template.metadata.labels, labels)).map(|set| set.replicas).sum()
    }

    /// What the name server has to know.
    pub(super) fn records(&self) -> Records {
        let mut records = Records { is_silent: self.has_no_names, ..Records::default() };
        let pods = self.endpoints();
        for (name, service) in &self.manifests.services {
            if let Some(addr) = self.service_addrs.get(name) {
                records.hosts.insert(name.clone(), vec![*addr]);
                continue;
            }
            let mut hosts = Vec::new();
            for (port, backends) in backends(service, &pods, !service.publish_not_ready_addresses) {
                let port = service.ports.iter().find(|own| own.port == port).expect("its own");
                let key = format!("_{}._{}.{name}", port.name, port.protocol.to_lowercase());
                let of = |to: &std::net::SocketAddrV4| {
                    let pod = pods.iter().find(|pod| pod.ip == *to.ip()).expect("one of them");
                    (to.port(), format!("{}.{name}", pod.name))
                };
                records.services.insert(key, backends.iter().map(of).collect());
                hosts.extend(backends.iter().map(|to| *to.ip()));
            }
            hosts.sort_unstable();
            hosts.dedup();
            for pod in pods.iter().filter(|pod| hosts.contains(&pod.ip)) {
                // Of two pods with one name, the first is on its way out.
                records.hosts.insert(format!("{}.{name}", pod.name), vec![pod.ip]);
            }
            if !hosts.is_empty() {
                records.hosts.insert(name.clone(), hosts);
            }
        }
        records
    }
}

/// Something that becomes effective some time after it has changed.
#[derive(Debug, Default)]
pub(super) struct Lagging {
    applied: String,
    wanted: Option<(String, Instant)>,
}

impl Lagging {
    /// What is to be applied now, if anything is.
    pub(super) fn next(&mut self, current: String, lag: Duration) -> Option<String> {
        if current == self.applied {
            self.wanted = None;
            return None;
        }
        let now = Instant::now();
        let due = match &self.wanted {
            // What changes further meanwhile is not put off again.
            Some((_, due)) => *due,
            None => now + lag,
        };
        if now < due {
            self.wanted = Some((current, due));
            return None;
        }
        self.wanted = None;
        self.applied.clone_from(&current);
        Some(current)
    }
}
