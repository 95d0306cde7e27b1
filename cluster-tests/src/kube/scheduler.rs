//! Which host a pod is placed on. Pure.

use std::collections::BTreeMap;

use super::{manifest::Labels, pod_spec::Spread};

/// A machine of the cluster: a name in a zone. All run in the same kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// Its zone.
    pub zone: String,
    /// Takes no new pods.
    pub is_cordoned: bool,
}

impl Host {
    fn domain(&self, key: &str) -> &str {
        match key {
            "kubernetes.io/hostname" => &self.name,
            "topology.kubernetes.io/zone" => &self.zone,
            other => panic!("hosts here have no {other}"),
        }
    }
}

/// The host for a pod, given those that are placed already; `None` when it has to wait.
pub(super) fn place(spreads: &[Spread], hosts: &[Host], placed: &[(String, Labels)]) -> Option<String> {
    let mut best: Option<(usize, &Host)> = None;
    for host in hosts.iter().filter(|host| !host.is_cordoned) {
        let skews: Vec<usize> = spreads.iter().map(|spread| skew(spread, host, hosts, placed)).collect();
        let is_allowed = spreads
            .iter()
            .zip(&skews)
            .all(|(spread, skew)| spread.when_unsatisfiable != "DoNotSchedule" || *skew <= spread.max_skew);
        let sum = skews.iter().sum::<usize>();
        if is_allowed && best.is_none_or(|(least, _)| sum < least) {
            best = Some((sum, host));
        }
    }
    best.map(|(_, host)| host.name.clone())
}

/// How uneven it would be with one more on this host.
fn skew(spread: &Spread, host: &Host, hosts: &[Host], placed: &[(String, Labels)]) -> usize {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let is_honored = spread.node_taints_policy.as_deref() == Some("Honor");
    for host in hosts.iter().filter(|host| !is_honored || !host.is_cordoned) {
        let here = placed
            .iter()
            .filter(|(name, labels)| *name == host.name && spread.label_selector.takes(labels))
            .count();
        *counts.entry(host.domain(&spread.topology_key)).or_default() += here;
    }
    let has_all = spread.min_domains.is_none_or(|wanted| counts.len() >= wanted);
    let least = if has_all { counts.values().min().copied().unwrap_or_default() } else { 0 };
    counts[host.domain(&spread.topology_key)] + 1 - least
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(key: &str, when: &str) -> Spread {
        Spread {
            max_skew: 1,
            topology_key: key.into(),
            when_unsatisfiable: when.into(),
            label_selector: super::super::manifest::Selector::default(),
            min_domains: None,
            node_taints_policy: None,
        }
    }

    fn host(name: &str, zone: &str) -> Host {
        Host { name: name.into(), zone: zone.into(), is_cordoned: false }
    }

    #[test]
    fn pods_are_spread_and_wait_where_the_manifest_insists() {
        let mut hosts = [host("a", "1"), host("b", "1"), host("c", "2")];
        let on =
            |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), Labels::new())).collect::<Vec<_>>();
        for when in ["ScheduleAnyway", "DoNotSchedule"] {
            let zones = [spread("topology.kubernetes.io/zone", when)];
            assert_eq!(place(&zones, &hosts, &on(&["a"])), Some("c".into()));
        }
        hosts[2].is_cordoned = true;
        let zones = |when| [spread("topology.kubernetes.io/zone", when)];
        assert_eq!(place(&zones("DoNotSchedule"), &hosts, &on(&["a"])), None);
        assert_eq!(place(&zones("ScheduleAnyway"), &hosts, &on(&["a"])), Some("a".into()));
        // A zone whose hosts take nothing does not count, and is missed by who wants so many.
        let mut honored = zones("DoNotSchedule");
        honored[0].node_taints_policy = Some("Honor".into());
        assert_eq!(place(&honored, &hosts, &on(&["a"])), Some("a".into()));
        honored[0].min_domains = Some(2);
        assert_eq!(place(&honored, &hosts, &on(&["a"])), None);
    }
}
