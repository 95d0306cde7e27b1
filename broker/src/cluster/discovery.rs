//! Finding peers: names, resolved anew each time. Pods come and go, so nothing is remembered.

use std::{collections::BTreeSet, net::SocketAddr};

use hickory_resolver::{TokioResolver, proto::rr::RData};

/// Addresses behind names, and the names that have none at the moment.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The addresses.
    pub(super) addrs: BTreeSet<SocketAddr>,
    /// Names that did not resolve, with the reason.
    pub(super) unresolved: Vec<(String, String)>,
}

/// Resolves names. `host:port` may stand for many addresses, as the name of a headless service does: each of its A
/// and AAAA records is a peer. `_service._udp.domain` stands for its SRV records (RFC 2782), whose targets and ports
/// are resolved in turn.
pub(super) async fn resolve(names: &[String]) -> Found {
    let mut found = Found::default();
    for name in names {
        let hosts = if is_service(name) {
            match system_resolver() {
                Ok(resolver) => services(&resolver, name).await,
                Err(error) => Err(error),
            }
        } else {
            Ok(vec![name.clone()])
        };
        match hosts {
            Ok(hosts) => resolve_hosts(hosts, &mut found).await,
            Err(error) => found.unresolved.push((name.clone(), error)),
        }
    }
    found
}

/// Whether a name is that of a service rather than of a host.
fn is_service(name: &str) -> bool {
    name.starts_with('_')
}

async fn resolve_hosts(hosts: Vec<String>, found: &mut Found) {
    for host in hosts {
        let addrs = tokio::net::lookup_host(host.as_str()).await.map(Vec::from_iter);
        match addrs {
            Ok(addrs) => found.addrs.extend(addrs),
            Err(error) => found.unresolved.push((host, error.to_string())),
        }
    }
}

/// A resolver with the system's settings, read anew: they may have changed.
fn system_resolver() -> Result<TokioResolver, String> {
    TokioResolver::builder_tokio()
        .and_then(|mut builder| {
            // Records that were read a moment ago may be wrong already.
            builder.options_mut().cache_size = 0;
            builder.build()
        })
        .map_err(|error| error.to_string())
}

/// The targets of a service, as `host:port`.
async fn services(resolver: &TokioResolver, name: &str) -> Result<Vec<String>, String> {
    let answer = resolver.srv_lookup(name).await.map_err(|error| error.to_string())?;
    let targets: Vec<String> = answer
        .answers()
        .iter()
        .filter_map(|record| match &record.data {
            RData::SRV(service) => {
                Some(format!("{}:{}", service.target.to_utf8().trim_end_matches('.'), service.port))
            }
            _ => None,
        })
        .collect();
    if targets.is_empty() { Err("it has no SRV record".to_owned()) } else { Ok(targets) }
}

/// Resolves one name to one address.
pub(super) async fn resolve_one(name: &str) -> Result<SocketAddr, String> {
    let mut found = resolve(&[name.to_owned()]).await;
    let reason = found.unresolved.pop().map(|(_, reason)| format!(": {reason}")).unwrap_or_default();
    found.addrs.pop_first().ok_or_else(|| format!("{name} has no address{reason}"))
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use hickory_resolver::{
        config::{ConnectionConfig, NameServerConfig, ResolverConfig},
        net::runtime::TokioRuntimeProvider,
    };

    use super::*;

    /// Answers every question with these services: the smallest name server (RFC 1035, RFC 2782).
    fn name_server(services: Vec<(u16, &'static str)>) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let addr = socket.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((len, client)) = socket.recv_from(&mut buffer) {
                let end = 12 + buffer[12..len].iter().position(|byte| *byte == 0).unwrap() + 5;
                let mut answer = buffer[..2].to_vec();
                answer.extend([0x81, 0x80, 0, 1, 0, services.len() as u8, 0, 0, 0, 0]);
                answer.extend(&buffer[12..end]);
                for (port, host) in &services {
                    let mut data = vec![0, 0, 0, 0];
                    data.extend(port.to_be_bytes());
                    for label in host.split('.') {
                        data.push(label.len() as u8);
                        data.extend(label.bytes());
                    }
                    data.push(0);
                    answer.extend([0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 5, 0, data.len() as u8]);
                    answer.extend(data);
                }
                socket.send_to(&answer, client).unwrap();
            }
        });
        addr
    }

    #[tokio::test]
    async fn a_service_name_stands_for_its_targets_and_their_ports() {
        let addr = name_server(vec![(7379, "n1.peers.example"), (7380, "n2.peers.example")]);
        let mut connection = ConnectionConfig::udp();
        connection.port = addr.port();
        let config = ResolverConfig::from_parts(
            None,
            Vec::new(),
            vec![NameServerConfig::new(addr.ip(), true, vec![connection])],
        );
        let resolver =
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).build().unwrap();
        let mut targets = services(&resolver, "_peer._udp.peers.example.").await.unwrap();
        targets.sort_unstable();
        assert_eq!(targets, ["n1.peers.example:7379", "n2.peers.example:7380"]);
    }

    #[tokio::test]
    async fn what_does_not_resolve_is_told_with_its_name() {
        let found = resolve(&["127.0.0.1:7".to_owned(), "no-such-host.invalid:7".to_owned()]).await;
        assert_eq!(found.addrs.into_iter().collect::<Vec<_>>(), ["127.0.0.1:7".parse().unwrap()]);
        assert_eq!(found.unresolved[0].0, "no-such-host.invalid:7");
        assert!(resolve_one("no-such-host.invalid:7").await.unwrap_err().contains("no-such-host.invalid:7"));
    }
}
