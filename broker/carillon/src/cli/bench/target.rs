//! The servers that a run loads: where they are, which processes they run in, and what they call themselves.

use std::{
    net::{SocketAddr, ToSocketAddrs as _},
    sync::Arc,
};

use carillon_client::{Address, Connection, ConnectionSettings, Credentials, Endpoint, Tls, Value};
use rustls::{
    ClientConfig,
    pki_types::{InvalidDnsNameError, ServerName},
};
use socket2::SockAddr;

use super::{link::Place, nats, plan::Dialect, procs, sentinel::Sentinels, settings::BenchSettings};
use crate::cli::{CliError, TrustSettings};

/// How the address of a server begins that speaks NATS's protocol.
pub(super) const NATS: &str = "nats://";

/// Servers that are loaded together, like the nodes of a cluster.
#[derive(Debug)]
pub(super) struct Target {
    /// As the user named them, without credentials.
    pub(super) addresses: Vec<String>,
    pub(super) places: Vec<Place>,
    pub(super) credentials: Option<Credentials>,
    pub(super) dialect: Dialect,
    /// Software and version, as the first server tells them.
    pub(super) software: String,
    /// Processes to measure.
    pub(super) pids: Vec<u32>,
    /// Who knows where the primary is, if it may move.
    pub(super) sentinels: Option<Sentinels>,
}

impl Target {
    /// Asks every server whether it is there and what it is.
    pub(super) async fn find(
        servers: &[String],
        settings: &BenchSettings,
        pids: &[u32],
    ) -> Result<Self, CliError> {
        let BenchSettings { login, trust, sentinel, .. } = settings;
        let network = trust.network()?;
        let mut target = Self {
            addresses: Vec::new(),
            places: Vec::new(),
            credentials: None,
            dialect: Dialect::Redis,
            software: "unknown".to_owned(),
            pids: pids.to_vec(),
            sentinels: None,
        };
        let mut servers = servers.to_vec();
        if let Some(name) = sentinel.as_deref() {
            let sentinels = Sentinels { addresses: sentinels(&servers)?, name: name.to_owned() };
            let primary = sentinels.primary().ok_or_else(|| {
                CliError::Bench(format!("no Sentinel at {} knows the primary '{name}'", servers.join(",")))
            })?;
            servers = vec![primary.to_string()];
            target.sentinels = Some(sentinels);
        }
        for server in &servers {
            if let Some(address) = server.strip_prefix(NATS) {
                target.add_nats(address)?;
                continue;
            }
            let address = login.address(server)?;
            let (addr, is_local) = resolve(&address.endpoint)?;
            let connection = Connection::open_over(&network, &address, ConnectionSettings::default()).await?;
            let reply = connection.request(["INFO", "server"]).await;
            // A user may be forbidden to ask; the load works all the same.
            let info = Info::of(reply.ok());
            if let Some(software) = info.software().filter(|_| target.addresses.is_empty()) {
                target.software = software;
            }
            // A number in another container's or machine's table of processes means nothing here.
            let pid = info.pid().filter(|pid| is_local && procs::exists(*pid));
            if let Some(pid) = pid.filter(|pid| pids.is_empty() && !target.pids.contains(pid)) {
                target.pids.push(pid);
            }
            target.addresses.push(address.endpoint.to_string());
            target.places.push(Place { addr, tls: tls(&address.endpoint, trust)? });
            target.credentials = target.credentials.or(address.credentials);
        }
        if target.dialect == Dialect::Nats && !servers.iter().all(|server| server.starts_with(NATS)) {
            return Err(CliError::Usage(
                "servers that are loaded together have to speak one language".to_owned(),
            ));
        }
        match pids.iter().find(|pid| !procs::exists(**pid)) {
            Some(pid) => Err(CliError::Usage(format!("there is no process {pid} to measure"))),
            None => Ok(target),
        }
    }
}

impl Target {
    fn add_nats(&mut self, address: &str) -> Result<(), CliError> {
        let endpoint = address.parse::<Address>()?.endpoint;
        let (resolved, _) = resolve(&endpoint)?;
        let addr = resolved
            .as_socket()
            .ok_or_else(|| CliError::Usage(format!("{NATS}{address}: NATS has a host and a port")))?;
        let version = nats::version(addr).map_err(|error| CliError::Bench(format!("{endpoint}: {error}")))?;
        self.software = format!("nats {version}");
        self.dialect = Dialect::Nats;
        self.addresses.push(endpoint.to_string());
        self.places.push(Place { addr: resolved, tls: None });
        Ok(())
    }
}

fn sentinels(servers: &[String]) -> Result<Vec<SocketAddr>, CliError> {
    let address = |server: &String| {
        let address: Address = server.parse()?;
        let (resolved, _) = resolve(&address.endpoint)?;
        let is_plain = !matches!(address.endpoint, Endpoint::Tls { .. });
        let no_socket =
            || CliError::Usage(format!("{server}: a Sentinel has a host and a port, without TLS"));
        resolved.as_socket().filter(|_| is_plain).ok_or_else(no_socket)
    };
    servers.iter().map(address).collect()
}

fn resolve(endpoint: &Endpoint) -> Result<(SockAddr, bool), CliError> {
    let failed = |error: std::io::Error| CliError::Bench(format!("{endpoint} cannot be resolved: {error}"));
    match endpoint {
        Endpoint::Unix(path) => Ok((SockAddr::unix(path).map_err(failed)?, true)),
        Endpoint::Tcp { host, port } | Endpoint::Tls { host, port, .. } => {
            let mut found = (host.as_str(), *port).to_socket_addrs().map_err(failed)?;
            let addr = found.next().ok_or_else(|| failed(std::io::Error::other("it has no address")))?;
            Ok((addr.into(), addr.ip().is_loopback()))
        }
        other => Err(CliError::Usage(format!("{other}: bench measures servers that have an address"))),
    }
}

/// What connections to a server with TLS need.
fn tls(
    endpoint: &Endpoint,
    trust: &TrustSettings,
) -> Result<Option<(Arc<ClientConfig>, ServerName<'static>)>, CliError> {
    let Endpoint::Tls { name, .. } = endpoint else { return Ok(None) };
    let failed = |error: &dyn std::fmt::Display| CliError::Bench(format!("{endpoint}: {error}"));
    let tls = trust.tls()?.map_or_else(Tls::system, Ok).map_err(|error| failed(&error))?;
    let name = name.clone().try_into().map_err(|error: InvalidDnsNameError| failed(&error))?;
    Ok(Some((tls.rustls_config(), name)))
}

/// The answer to `INFO server`.
struct Info(String);

impl Info {
    fn of(reply: Option<Value>) -> Self {
        match reply {
            Some(Value::Bulk(bytes)) => Self(String::from_utf8_lossy(&bytes).into_owned()),
            _ => Self(String::new()),
        }
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    }

    fn pid(&self) -> Option<u32> {
        self.field("process_id")?.parse().ok()
    }

    /// The name with its version: others than Redis tell Redis's version beside their own.
    fn software(&self) -> Option<String> {
        let named = |name: &str, field: &str| self.field(field).map(|version| format!("{name} {version}"));
        named("carillon", "carillon_version")
            .or_else(|| named("valkey", "valkey_version"))
            .or_else(|| named("redis", "redis_version"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_say_what_they_are() {
        let info =
            Info("# Server\r\nredis_version:7.2.4\r\nvalkey_version:9.1.2\r\nprocess_id:12\r\n".into());
        assert_eq!((info.software().as_deref(), info.pid()), (Some("valkey 9.1.2"), Some(12)));
        let info = Info::of(Some(Value::Error("NOPERM".into())));
        assert_eq!((info.software(), info.pid()), (None, None));
    }
}
