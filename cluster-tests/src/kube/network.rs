//! The pods' network: each pod is connected to one router, which is the node's kernel to all of them.

use std::net::Ipv4Addr;

use super::namespaces::{Namespaces, feed};

/// The pods' gateway, the same on each of their links, as Calico has it.
const GATEWAY: &str = "169.254.1.1";

/// The router's own address, from which it probes.
const ROUTER: &str = "10.244.0.1";

/// The name server's address.
pub(super) const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);

/// The router.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) router: Namespaces,
}

impl Network {
    /// Makes the router; the error says what was refused.
    pub(super) fn new() -> Result<Self, String> {
        let router = Namespaces::new(
            "echo 1 > /proc/sys/net/ipv4/ip_forward
             echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter
             echo 0 > /proc/sys/net/ipv4/conf/default/rp_filter
             nft list ruleset",
        )?;
        router
            .ip(&format!("link set lo up\naddr add {ROUTER}/32 dev lo\naddr add {NAME_SERVER}/32 dev lo\n"));
        Ok(Self { router })
    }

    /// Connects a pod, under its address.
    pub(super) fn connect(&self, pod: &Namespaces, ip: Ipv4Addr) {
        let link = format!("pod{}", u32::from(ip) & 0xffff);
        // Both ends are made where they belong, so that no name is ever taken in the machine's own network.
        let mut add = std::process::Command::new("ip");
        add.args(["link", "add", &link, "netns", &self.router.pid.to_string(), "type", "veth"]);
        add.args(["peer", "name", "eth0", "netns", &pod.pid.to_string()]);
        feed(&mut add, "");
        self.router.ip(&format!(
            "addr add {GATEWAY}/32 dev {link}\nlink set {link} up\nroute add {ip}/32 dev {link} src {ROUTER}\n"
        ));
        pod.ip(&format!(
            "link set lo up\naddr add {ip}/32 dev eth0\nlink set eth0 up\n\
             route add {GATEWAY} dev eth0 scope link\nroute add default via {GATEWAY}\n"
        ));
    }

    /// Replaces all rules of the packet filter at once.
    pub(super) fn filter(&self, rules: &str) {
        feed(self.router.command().args(["nft", "-f", "-"]), rules);
    }
}
