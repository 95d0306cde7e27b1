//! Finding peers: host names with ports, resolved anew each time.

use std::{collections::BTreeSet, net::SocketAddr};

/// Addresses behind names, and the names that have none at the moment.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The addresses.
    pub(super) addrs: BTreeSet<SocketAddr>,
    /// Names that did not resolve, with the reason.
    pub(super) unresolved: Vec<(String, String)>,
}

/// Resolves names of the form `host:port`. A DNS name may stand for many addresses, as that of a headless service
/// does: each of its A and AAAA records is a peer. Pods come and go, so nothing is remembered.
pub(super) async fn resolve(names: &[String]) -> Found {
    let mut found = Found::default();
    for name in names {
        match tokio::net::lookup_host(name.as_str()).await {
            Ok(addrs) => found.addrs.extend(addrs),
            Err(error) => found.unresolved.push((name.clone(), error.to_string())),
        }
    }
    found
}

/// Resolves one name to one address.
pub(super) async fn resolve_one(name: &str) -> Result<SocketAddr, String> {
    let found = tokio::net::lookup_host(name).await.map_err(|error| format!("{name}: {error}"))?.next();
    found.ok_or_else(|| format!("{name} has no address"))
}
