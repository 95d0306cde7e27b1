//! Settings of a node that is one of several.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;

/// Settings of a cluster. Without `--peer-addr` a node is on its own.
#[derive(Args, Clone, Debug)]
pub struct ClusterFlags {
    /// UDP address for other nodes; without it the node is on its own.
    #[arg(long, env = "CARILLON_PEER_ADDR")]
    pub peer_addr: Option<SocketAddr>,
    /// Host and port under which other nodes reach this one; --peer-addr if not given.
    #[arg(long, env = "CARILLON_ADVERTISE_ADDR", value_name = "HOST:PORT")]
    pub advertise_addr: Option<String>,
    /// Where other nodes are found: host:port, or _service._udp.domain for SRV records; several with commas. A DNS
    /// name may stand for many nodes.
    #[arg(long, env = "CARILLON_PEERS", value_delimiter = ',', value_name = "HOST:PORT")]
    pub peers: Vec<String>,
    /// Nodes that have to be there before a cluster is formed; those in --peers and this one if not given.
    #[arg(long, env = "CARILLON_EXPECT", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub expect: Option<u32>,
    /// File with the secret that all nodes share, at least 22 bytes (openssl rand -hex 32).
    #[arg(long, env = "CARILLON_CLUSTER_SECRET_FILE")]
    pub cluster_secret_file: Option<PathBuf>,
    /// PEM file with the authority of the nodes' certificates, instead of a secret.
    #[arg(
        long,
        env = "CARILLON_PEER_CA_FILE",
        requires = "peer_cert_file",
        conflicts_with = "cluster_secret_file"
    )]
    pub peer_ca_file: Option<PathBuf>,
    /// PEM file with this node's certificate, for client and server use.
    #[arg(long, env = "CARILLON_PEER_CERT_FILE", requires = "peer_key_file")]
    pub peer_cert_file: Option<PathBuf>,
    /// PEM file with the key of this node's certificate.
    #[arg(long, env = "CARILLON_PEER_KEY_FILE", requires = "peer_ca_file")]
    pub peer_key_file: Option<PathBuf>,
    /// DNS name that every node's certificate carries.
    #[arg(long, env = "CARILLON_PEER_CERT_NAME", default_value = "carillon")]
    pub peer_cert_name: String,
    /// Milliseconds for which a node may serve without hearing from the leader.
    #[arg(long, env = "CARILLON_LEASE_MS", default_value_t = 2_500)]
    pub lease_ms: u64,
    /// Milliseconds of silence after which a node is voted out.
    #[arg(long, env = "CARILLON_EVICTION_MS", default_value_t = 3_500)]
    pub eviction_ms: u64,
    /// Shortest milliseconds without a leader before an election; the longest is twice that.
    #[arg(long, env = "CARILLON_ELECTION_MS", default_value_t = 150)]
    pub election_ms: u64,
    /// Milliseconds for which a PUBLISH waits for a node that does not answer.
    #[arg(long, env = "CARILLON_GRACE_MS", default_value_t = 50)]
    pub grace_ms: u64,
    /// Milliseconds of silence after which the link between two nodes counts as broken.
    #[arg(long, env = "CARILLON_LINK_IDLE_MS", default_value_t = 600)]
    pub link_idle_ms: u64,
    /// Bytes of messages that a node may leave unacknowledged before publishers have to wait for it. Multiply what is
    /// published in a second by --eviction-ms: no publisher waits while a dead node is voted out. Each node keeps
    /// twice as much of the recent messages of every other.
    #[arg(long, env = "CARILLON_UNACKED_BYTES_MAX", default_value_t = 32 * 1024 * 1024, value_parser = clap::value_parser!(u64).range(1024 * 1024..=64 * 1024 * 1024 * 1024))]
    pub unacked_bytes_max: u64,
    /// Seconds of absence after which a node is removed from the cluster for good.
    #[arg(long, env = "CARILLON_DEAD_AFTER_S", default_value_t = 600)]
    pub dead_after_s: u64,
    /// Milliseconds over which clients are closed when the node stops, so that they do not come back all at once.
    #[arg(long, env = "CARILLON_DRAIN_MS", default_value_t = 2_000)]
    pub drain_ms: u64,
}

/// A setting that does not go with another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(String);

/// Highest eviction time in milliseconds: clients give up an answer after 5 seconds.
const EVICTION_MS_MAX: u64 = 5_000;

/// By how much clocks of two machines may differ in speed, in parts of a lease, and never less than some
/// milliseconds.
const CLOCK_MARGIN_PART: u64 = 10;
const CLOCK_MARGIN_MS: u64 = 200;

impl ClusterFlags {
    /// Milliseconds between two requests for a lease.
    pub fn renewal_ms(&self) -> u64 {
        (self.lease_ms / 25).clamp(20, 100)
    }

    /// The address that other nodes dial.
    pub fn advertise(&self) -> Result<String, SettingsError> {
        if let Some(addr) = &self.advertise_addr {
            return if addr.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
                Ok(addr.clone())
            } else {
                Err(SettingsError(format!("--advertise-addr '{addr}' is not of the form host:port")))
            };
        }
        match self.peer_addr {
            Some(addr) if addr.ip().is_unspecified() || addr.port() == 0 => Err(SettingsError(format!(
                "other nodes cannot dial --peer-addr {addr}; say what they can dial with --advertise-addr"
            ))),
            Some(addr) => Ok(addr.to_string()),
            None => Err(SettingsError("there is no --peer-addr".to_owned())),
        }
    }

    /// How many nodes have to be there before a cluster is formed.
    pub fn expected(&self) -> Result<u32, SettingsError> {
        if let Some(expect) = self.expect {
            return Ok(expect);
        }
        let advertise = self.advertise()?;
        let others = self.peers.iter().filter(|peer| **peer != advertise).count();
        Ok(others as u32 + 1)
    }

    /// Checks the settings against each other.
    pub fn check(&self) -> Result<(), SettingsError> {
        let wrong = |text: String| Err(SettingsError(text));
        if self.peer_addr.is_none() {
            if !self.peers.is_empty() || self.expect.is_some_and(|expect| expect > 1) {
                return wrong(
                    "--peers and --expect are for a cluster, which needs --peer-addr on each node".to_owned(),
                );
            }
            return Ok(());
        }
        if self.cluster_secret_file.is_none() && self.peer_ca_file.is_none() {
            return wrong(
                "--peer-addr needs --cluster-secret-file (openssl rand -hex 32 makes a secret), or --peer-ca-file, \
                 --peer-cert-file and --peer-key-file"
                    .to_owned(),
            );
        }
        if let Some(peer) = self.peers.iter().find(|peer| !peer.contains(':') && !peer.starts_with('_')) {
            return wrong(format!(
                "--peers '{peer}' is neither of the form host:port nor _service._udp.domain"
            ));
        }
        let slowest_election = 3 * 2 * self.election_ms + self.renewal_ms();
        if self.lease_ms <= slowest_election {
            return wrong(format!(
                "--lease-ms {} is too short for --election-ms {}: it has to be above {slowest_election}, or a leader's \
                 death would fence every node",
                self.lease_ms, self.election_ms
            ));
        }
        let margin = CLOCK_MARGIN_MS.max(self.lease_ms / CLOCK_MARGIN_PART);
        if self.eviction_ms < self.lease_ms + margin {
            return wrong(format!(
                "--eviction-ms {} is too short for --lease-ms {}: it has to be at least {}",
                self.eviction_ms,
                self.lease_ms,
                self.lease_ms + margin
            ));
        }
        if self.eviction_ms >= EVICTION_MS_MAX {
            return wrong(format!(
                "--eviction-ms {} has to be below {EVICTION_MS_MAX}: clients give up waiting after that",
                self.eviction_ms
            ));
        }
        if self.link_idle_ms >= self.lease_ms {
            return wrong(format!(
                "--link-idle-ms {} has to be below --lease-ms {}",
                self.link_idle_ms, self.lease_ms
            ));
        }
        self.advertise().and_then(|_| self.expected()).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::config::CommandLine;

    fn check(flags: &[&str]) -> Result<(), String> {
        let common = ["carillon", "--peer-addr", "127.0.0.1:7379", "--cluster-secret-file", "/s"];
        let line =
            CommandLine::try_parse_from(common.iter().chain(flags)).map_err(|error| error.to_string())?;
        line.serve.cluster.check().map_err(|error| error.to_string())
    }

    #[test]
    fn times_are_checked_against_each_other() {
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&["--lease-ms", "1200", "--eviction-ms", "1700"]), Ok(()));
        assert!(check(&["--lease-ms", "900"]).unwrap_err().contains("--election-ms 150"));
        assert!(check(&["--eviction-ms", "2600"]).unwrap_err().contains("at least 2750"));
        assert!(check(&["--eviction-ms", "5000"]).unwrap_err().contains("below 5000"));
    }

    #[test]
    fn addresses_are_such_as_others_can_dial() {
        assert!(check(&["--peers", "carillon"]).unwrap_err().contains("host:port"));
        assert!(check(&["--peer-addr", "0.0.0.0:7379"]).is_err());
        assert!(check(&["--advertise-addr", "host"]).unwrap_err().contains("host:port"));
    }
}
