//! What of Services and network policies the packet filter is told. Pure.
//!
//! As most implementations of network policies do it: all that a pod sends passes the node's forwarding; what belongs
//! to an admitted connection passes; what comes from the node itself, such as probes, is not asked.

use std::{
    fmt::Write as _,
    net::{Ipv4Addr, SocketAddrV4},
};

use serde_json::Value;

use super::{
    manifest::{Labels, Manifests, PolicyPort, PolicyRule, PolicySpec, ServiceSpec, has_all},
    pod_spec::PodSpec,
};

/// A pod on the network.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) ip: Ipv4Addr,
    pub(super) labels: Labels,
    pub(super) is_ready: bool,
    /// What names its ports; a pod of an application may have none.
    pub(super) spec: Option<PodSpec>,
}

impl Endpoint {
    fn port(&self, port: &Value) -> Option<u16> {
        self.spec.as_ref().map_or_else(|| port.as_u64().map(|port| port as u16), |spec| spec.port(port))
    }
}

/// Where a Service leads: for each of its ports, that and the ready pods behind it.
pub(super) fn backends(
    service: &ServiceSpec,
    pods: &[Endpoint],
    is_ready_wanted: bool,
) -> Vec<(u16, Vec<SocketAddrV4>)> {
    let chosen = |pod: &&Endpoint| {
        !service.selector.is_empty()
            && has_all(&pod.labels, &service.selector)
            && (pod.is_ready || !is_ready_wanted)
    };
    let of_port = |port: &super::manifest::ServicePort| {
        let target = port.target_port.clone().unwrap_or_else(|| port.port.into());
        let ready = pods.iter().filter(chosen);
        (port.port, ready.filter_map(|pod| Some(SocketAddrV4::new(pod.ip, pod.port(&target)?))).collect())
    };
    service.ports.iter().map(of_port).collect()
}

/// The whole rule set, as `nft -f` reads it. `addr` is the address of each Service that has one.
pub(super) fn rule_set(
    manifests: &Manifests,
    addr: impl Fn(&str) -> Option<Ipv4Addr>,
    pods: &[Endpoint],
) -> String {
    let mut rules = "flush ruleset\ntable ip kube {\n".to_owned();
    services(&mut rules, manifests, addr, pods);
    policies(&mut rules, manifests, pods);
    rules.push_str("}\n");
    rules
}

fn services(
    rules: &mut String,
    manifests: &Manifests,
    addr: impl Fn(&str) -> Option<Ipv4Addr>,
    pods: &[Endpoint],
) {
    let (mut to_pods, mut refused) = (String::new(), String::new());
    for (name, service) in &manifests.services {
        let Some(addr) = addr(name) else { continue };
        for (port, backends) in backends(service, pods, true) {
            if backends.is_empty() {
                // As kube-proxy refuses connections to a Service without endpoints.
                let _ = writeln!(refused, "  ip daddr {addr} tcp dport {port} reject with tcp reset");
                continue;
            }
            let list: Vec<String> = backends
                .iter()
                .enumerate()
                .map(|(at, to)| format!("{at} : {} . {}", to.ip(), to.port()))
                .collect();
            let choice = if service.session_affinity.as_deref() == Some("ClientIP") {
                "jhash ip saddr"
            } else {
                "numgen random"
            };
            let _ = writeln!(
                to_pods,
                "  ip daddr {addr} tcp dport {port} dnat to {choice} mod {} map {{ {} }}",
                backends.len(),
                list.join(", ")
            );
        }
    }
    let _ = writeln!(rules, " chain services {{\n  type nat hook prerouting priority dstnat;\n{to_pods} }}");
    let _ =
        writeln!(rules, " chain refused {{\n  type filter hook prerouting priority filter;\n{refused} }}");
}

fn policies(rules: &mut String, manifests: &Manifests, pods: &[Endpoint]) {
    let mut dispatch = "  ct state established,related accept\n".to_owned();
    // A packet passes what its sender may send first, then what its receiver may receive.
    for (direction, side) in [("Egress", "saddr"), ("Ingress", "daddr")] {
        for pod in pods {
            let mine: Vec<&PolicySpec> = manifests
                .policies
                .values()
                .filter(|policy| policy.policy_types.iter().any(|kind| kind == direction))
                .filter(|policy| policy.pod_selector.takes(&pod.labels))
                .collect();
            if mine.is_empty() {
                continue;
            }
            let chain = format!("{side}_{}", u32::from(pod.ip));
            let mut allowed = String::new();
            for policy in mine {
                let list = if direction == "Egress" { &policy.egress } else { &policy.ingress };
                list.iter().for_each(|rule| allow(&mut allowed, direction, rule, pod, pods));
            }
            let _ = writeln!(rules, " chain {chain} {{\n{allowed}  drop\n }}");
            let _ = writeln!(dispatch, "  ip {side} {} jump {chain}", pod.ip);
        }
    }
    let _ = writeln!(rules, " chain policies {{\n  type filter hook forward priority filter;\n{dispatch} }}");
}

fn allow(allowed: &mut String, direction: &str, rule: &PolicyRule, own: &Endpoint, pods: &[Endpoint]) {
    let (peers, side) = if direction == "Egress" { (&rule.to, "daddr") } else { (&rule.from, "saddr") };
    let is_peer = |pod: &&Endpoint| {
        peers.iter().any(|peer| {
            let is_there = match &peer.namespace_selector {
                None => pod.namespace == own.namespace,
                Some(namespaces) => {
                    let name = ("kubernetes.io/metadata.name".to_owned(), pod.namespace.clone());
                    namespaces.takes(&Labels::from([name]))
                }
            };
            is_there && peer.pod_selector.as_ref().is_none_or(|pods| pods.takes(&pod.labels))
        })
    };
    // Who is not named is everyone, whether it is a pod or not.
    if peers.is_empty() {
        rule.ports.iter().filter_map(|port| port_match(port, own)).for_each(|port| {
            let _ = writeln!(allowed, "  {port} return");
        });
        return;
    }
    for peer in pods.iter().filter(is_peer) {
        let receiver = if direction == "Egress" { peer } else { own };
        for port in rule.ports.iter().filter_map(|port| port_match(port, receiver)) {
            let _ = writeln!(allowed, "  ip {side} {} {port} return", peer.ip);
        }
    }
}

/// A port by its name is that of the pod that receives.
fn port_match(port: &PolicyPort, receiver: &Endpoint) -> Option<String> {
    Some(format!("{} dport {}", port.protocol.to_lowercase(), receiver.port(&port.port)?))
}
