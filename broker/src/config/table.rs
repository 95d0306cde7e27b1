//! The one table of settings. From each row come the field of [`Settings`], the flag, the environment variable, the
//! key of the configuration file, what the help and the reference say, and what CONFIG knows of it.
//!
//! To add a setting, add a row and use its field. `CARILLON_BLESS=1 cargo nextest run -p carillon-broker settings`
//! writes the sample file and the reference anew.

use std::{fmt, net::SocketAddr, path::PathBuf};

use carillon_proto::limits::{ARGUMENT_BYTES_MAX_CEILING, ARGUMENT_BYTES_MAX_DEFAULT};

use crate::Contents;

use super::{
    Group, Kind, LogFormat, TlsClientAuth,
    bytes::{MIB, TIB},
    forms::{HOST_PORT, LOG_FILTER, NAME, PEERS},
    row::{self, Row, settings},
    typed::{IntoSetting, Typed, loopback},
};

/// Longest time of those that are counted in milliseconds: an hour.
const MS_MAX: u64 = 3_600_000;
/// Longest time of those that are counted in seconds: what Redis's tables of settings allow.
const S_MAX: u64 = i32::MAX as u64;

/// Redis has one setting for what may wait, with four words for each class of clients.
pub const OUTBOX_LIMIT: &str = "client-output-buffer-limit";

settings! {
    /// Address for clients; port 0 takes a free one.
    client_addr: SocketAddr = loopback(6379), {
        group: Group::Clients,
        kind: Kind::Addr,
        why: Some("Redis's port, and nobody but this machine until you say so"),
    }
    /// Unix socket for clients, beside the address.
    client_unix: Option<PathBuf> = None, {
        group: Group::Clients,
        kind: Kind::Path,
        redis: Some("unixsocket"),
    }
    /// Address for clients that speak TLS, beside the other one; port 0 takes a free one.
    tls_addr: Option<SocketAddr> = None, {
        group: Group::Clients,
        kind: Kind::Addr,
    }
    /// Listen on no address without TLS.
    tls_only: bool = false, {
        group: Group::Clients,
        kind: Kind::Bool,
    }
    /// PEM file with the certificate, and those between it and its authority. The binary reads it again when it changes.
    tls_cert_file: Option<Contents> = None, {
        group: Group::Clients,
        kind: Kind::Path,
    }
    /// PEM file with the key of the certificate.
    tls_key_file: Option<Contents> = None, {
        group: Group::Clients,
        kind: Kind::Path,
    }
    /// PEM file with the authorities of clients' certificates.
    tls_ca_file: Option<Contents> = None, {
        group: Group::Clients,
        kind: Kind::Path,
    }
    /// Whether clients have to show a certificate: no, optional (it is checked if there is one), or required.
    tls_client_auth: TlsClientAuth = TlsClientAuth::No, {
        group: Group::Clients,
        kind: Kind::Choice(&["no", "optional", "required"]),
    }
    /// File with the users, in the form of Redis's; without it they are kept in the data folder, in a cluster by all
    /// nodes together.
    acl_file: Option<PathBuf> = None, {
        group: Group::Clients,
        kind: Kind::Path,
    }
    /// File whose first line is the default user's password, as long as no such user is kept anywhere else.
    password_file: Option<Contents> = None, {
        group: Group::Clients,
        kind: Kind::Path,
    }
    /// File whose first line is a password that is taken, too, while another is brought to all clients. It may be absent.
    previous_password_file: Option<Contents> = None, {
        group: Group::Clients,
        kind: Kind::Path,
    }
    /// Let clients of other machines in without a password.
    allow_anonymous: bool = false, {
        group: Group::Clients,
        kind: Kind::Bool,
        why: Some("whoever reaches a broker without a password may do everything"),
    }
    /// Most clients at a time.
    clients_max: usize = 10_000, {
        group: Group::Limits,
        kind: Kind::Number { min: 1, max: u32::MAX as u64 },
        why: Some("Redis's"),
        is_live: true,
        redis: Some("maxclients"),
    }
    /// Seconds after which a client that subscribes to nothing and says nothing is closed; 0 never closes one.
    client_idle_s: u64 = 0, {
        group: Group::Limits,
        kind: Kind::Number { min: 0, max: S_MAX },
        why: Some("Redis's"),
        is_live: true,
        redis: Some("timeout"),
    }
    /// Bytes that may wait for one client before it is closed; 0 for no limit.
    outbox_bytes_max: u64 = 32 * MIB, {
        group: Group::Limits,
        kind: Kind::Bytes { min: 0, max: TIB },
        why: Some("Redis's for subscribers"),
        is_live: true,
        redis: Some(OUTBOX_LIMIT),
    }
    /// Bytes that may wait for one client for `--outbox-soft-s` before it is closed; 0 for no limit.
    outbox_soft_bytes: u64 = 8 * MIB, {
        group: Group::Limits,
        kind: Kind::Bytes { min: 0, max: TIB },
        why: Some("Redis's for subscribers"),
        is_live: true,
        redis: Some(OUTBOX_LIMIT),
    }
    /// Seconds for which more than `--outbox-soft-bytes` may wait for one client.
    outbox_soft_s: u64 = 60, {
        group: Group::Limits,
        kind: Kind::Number { min: 0, max: S_MAX },
        why: Some("Redis's for subscribers"),
        is_live: true,
        redis: Some(OUTBOX_LIMIT),
    }
    /// Longest payload, in bytes.
    payload_bytes_max: u64 = ARGUMENT_BYTES_MAX_DEFAULT as u64, {
        group: Group::Limits,
        kind: Kind::Bytes { min: 1024, max: ARGUMENT_BYTES_MAX_CEILING as u64 },
        why: Some("well above what Socket.IO accepts from a browser, and below what may wait for a subscriber"),
        redis: Some("proto-max-bulk-len"),
    }
    /// Seconds of silence before a client's host is probed; 0 never probes.
    tcp_keepalive_s: u64 = 4, {
        group: Group::Limits,
        kind: Kind::Number { min: 0, max: S_MAX },
        why: Some("a dead host leaves the numbers of subscribers within seconds"),
        is_live: true,
        redis: Some("tcp-keepalive"),
    }
    /// Milliseconds after which a client is given up whose host acknowledges nothing, or that takes nothing at all of what
    /// waits for it; 0 leaves it to the kernel.
    tcp_user_timeout_ms: u64 = 6_000, {
        group: Group::Limits,
        kind: Kind::Number { min: 0, max: MS_MAX },
        why: Some("the kernel's own patience is a quarter of an hour"),
    }
    /// Connections from one address at a time; 0 for no bound.
    clients_per_address_max: u64 = 0, {
        group: Group::Limits,
        kind: Kind::Number { min: 0, max: u32::MAX as u64 },
        why: Some("in Kubernetes many clients may come from one address"),
        is_live: true,
    }
    /// New connections that are taken in a second; more wait in the kernel's queue, and none is refused. 0 for no
    /// bound.
    accepts_per_s_max: u64 = 4_000, {
        group: Group::Limits,
        kind: Kind::Number { min: 0, max: u32::MAX as u64 },
        why: Some("10,000 clients are back in 2.5 seconds, for a fifth of a core"),
        is_live: true,
    }
    /// Seconds that a client has to show its password, where one is asked for; 0 for no bound.
    auth_timeout_s: u64 = 5, {
        group: Group::Limits,
        kind: Kind::Number { min: 0, max: S_MAX },
        why: Some("strangers must not hold places that clients wait for; libraries say AUTH at once"),
        is_live: true,
    }
    /// Bytes that a client may send before it has shown its password; it is closed above that. 0 for no bound.
    unauthenticated_input_bytes_max: u64 = 16 * 1024, {
        group: Group::Limits,
        kind: Kind::Bytes { min: 0, max: TIB },
        why: Some("Redis's for one argument; more is no HELLO or AUTH"),
        is_live: true,
    }
    /// Bytes that may wait for a client that has not shown its password; it is closed above that. 0 for no bound.
    unauthenticated_output_bytes_max: u64 = 1024, {
        group: Group::Limits,
        kind: Kind::Bytes { min: 0, max: TIB },
        why: Some("Redis's"),
        is_live: true,
    }
    /// Bytes that all clients together may make the node hold: what they have not read, requests that are not
    /// complete, queued transactions, subscriptions. Above it the client that holds most is closed. 0 for half of the
    /// memory that the machine or the container has.
    clients_bytes_max: u64 = 0, {
        group: Group::Limits,
        kind: Kind::Bytes { min: 0, max: TIB },
        why: Some("the other half is for the node and for what other nodes may need of it"),
        is_live: true,
        redis: Some("maxmemory-clients"),
    }
    /// Subscriptions of one client, which is closed above that; 0 for no bound.
    subscriptions_max: u64 = 200_000, {
        group: Group::Limits,
        kind: Kind::Number { min: 0, max: u32::MAX as u64 },
        why: Some("two for each of 100,000 sockets of a Socket.IO server"),
        is_live: true,
    }
    /// Patterns of one client, which is closed above that; 0 for no bound.
    patterns_max: u64 = 1_000, {
        group: Group::Limits,
        kind: Kind::Number { min: 0, max: u32::MAX as u64 },
        why: Some("adapters use a handful, and a publish may have to look at each"),
        is_live: true,
    }
    /// Longest name of a channel, in bytes; a client that uses a longer one is closed. 0 for no bound.
    channel_bytes_max: u64 = 16 * 1024, {
        group: Group::Limits,
        kind: Kind::Bytes { min: 0, max: ARGUMENT_BYTES_MAX_CEILING as u64 },
        why: Some("Socket.IO puts names of rooms into those of channels; matching takes time in proportion"),
        is_live: true,
    }
    /// Longest pattern, in bytes; a client that wants a longer one is closed. 0 for no bound.
    pattern_bytes_max: u64 = 1024, {
        group: Group::Limits,
        kind: Kind::Bytes { min: 0, max: ARGUMENT_BYTES_MAX_CEILING as u64 },
        why: Some("adapters' patterns are their channels' names and a star"),
        is_live: true,
    }
    /// Bytes of commands that one client may queue after MULTI.
    transaction_bytes_max: u64 = 16 * MIB, {
        group: Group::Limits,
        kind: Kind::Bytes { min: 0, max: TIB },
        why: Some("one payload of the longest kind"),
        is_live: true,
    }
    /// Clients that may be in MONITOR at a time.
    monitors_max: u64 = 10, {
        group: Group::Limits,
        kind: Kind::Number { min: 0, max: u32::MAX as u64 },
        why: Some("each gets a copy of every command"),
        is_live: true,
    }
    /// The node's name; in a cluster each has its own.
    name: String = "carillon".to_owned(), {
        group: Group::Node,
        kind: Kind::Text(NAME),
    }
    /// Folder for what the node keeps; made if it is not there.
    data_dir: PathBuf = PathBuf::from("carillon-data"), {
        group: Group::Node,
        kind: Kind::Path,
    }
    /// Threads that serve clients.
    shards: u8 = 1, {
        group: Group::Node,
        kind: Kind::Number { min: 1, max: 64 },
        why: Some("one thread serves what a Redis serves, and what needs no other thread is cheapest"),
        redis: Some("io-threads"),
    }
    /// Bytes of recent messages of each node that are kept for clients that come back and go on where they were; 0 for
    /// none beyond what the nodes need themselves.
    recent_bytes_max: u64 = 32 * MIB, {
        group: Group::Node,
        kind: Kind::Bytes { min: 0, max: TIB },
        why: Some("as much as may wait for a client that is there"),
    }
    /// Milliseconds for which these are kept.
    recent_ms: u64 = 15_000, {
        group: Group::Node,
        kind: Kind::Number { min: 1, max: MS_MAX },
        why: Some("a client is back within a few seconds, or was away for long"),
    }
    /// UDP address for other nodes; without it the node is on its own.
    peer_addr: Option<SocketAddr> = None, {
        group: Group::Cluster,
        kind: Kind::Addr,
    }
    /// Host and port under which other nodes reach this one; `--peer-addr` if not given.
    advertise_addr: Option<String> = None, {
        group: Group::Cluster,
        kind: Kind::Text(HOST_PORT),
    }
    /// Where other nodes are found: host:port, or _service._udp.domain for SRV records; several with commas. A DNS
    /// name may stand for many nodes.
    peers: Vec<String> = Vec::new(), {
        group: Group::Cluster,
        kind: Kind::List(PEERS),
    }
    /// Nodes that have to be there before a cluster is formed; those in `--peers` and this one if not given.
    expect: Option<u32> = None, {
        group: Group::Cluster,
        kind: Kind::Number { min: 1, max: 64 },
    }
    /// File with the secret that all nodes share, at least 22 bytes (openssl rand -hex 32).
    cluster_secret_file: Option<Contents> = None, {
        group: Group::Cluster,
        kind: Kind::Path,
    }
    /// PEM file with the authority of the nodes' certificates, or several of them, instead of a secret.
    peer_ca_file: Option<Contents> = None, {
        group: Group::Cluster,
        kind: Kind::Path,
    }
    /// PEM file with this node's certificate, for client and server use. The binary reads it again when it changes, for new links.
    peer_cert_file: Option<Contents> = None, {
        group: Group::Cluster,
        kind: Kind::Path,
    }
    /// PEM file with the key of this node's certificate.
    peer_key_file: Option<Contents> = None, {
        group: Group::Cluster,
        kind: Kind::Path,
    }
    /// DNS name that every node's certificate carries.
    peer_cert_name: String = "carillon".to_owned(), {
        group: Group::Cluster,
        kind: Kind::Text(NAME),
    }
    /// Milliseconds for which a node may serve without hearing from the leader.
    lease_ms: u64 = 2_500, {
        group: Group::Cluster,
        kind: Kind::Number { min: 1, max: MS_MAX },
        why: Some("an election, and two that fail, are over before it ends, so a leader's death stops nobody"),
    }
    /// Milliseconds of silence after which a node is voted out.
    eviction_ms: u64 = 3_500, {
        group: Group::Cluster,
        kind: Kind::Number { min: 1, max: MS_MAX },
        why: Some("whoever is voted out has ended its lease before, however far clocks differ in speed"),
    }
    /// Shortest milliseconds without a leader before an election; the longest is twice that.
    election_ms: u64 = 150, {
        group: Group::Cluster,
        kind: Kind::Number { min: 3, max: MS_MAX },
        why: Some("a new leader is there half a second after a death"),
    }
    /// Milliseconds for which a PUBLISH waits for a node that does not answer.
    grace_ms: u64 = 50, {
        group: Group::Cluster,
        kind: Kind::Number { min: 0, max: MS_MAX },
    }
    /// Milliseconds of silence after which the link between two nodes counts as broken.
    link_idle_ms: u64 = 600, {
        group: Group::Cluster,
        kind: Kind::Number { min: 4, max: MS_MAX },
    }
    /// Bytes of messages that a node may leave unacknowledged before publishers have to wait for it. Multiply what is
    /// published in a second by `--eviction-ms`: no publisher waits while a dead node is voted out. Each node keeps
    /// twice as much of the recent messages of every other.
    unacked_bytes_max: u64 = 32 * MIB, {
        group: Group::Cluster,
        kind: Kind::Bytes { min: MIB, max: 64 * 1024 * MIB },
    }
    /// Seconds of absence after which a node is removed from the cluster for good.
    dead_after_s: u64 = 600, {
        group: Group::Cluster,
        kind: Kind::Number { min: 0, max: S_MAX },
        why: Some("a machine that only restarts is back by then"),
    }
    /// Milliseconds over which clients are closed when the node stops, so that they do not come back all at once.
    drain_ms: u64 = 2_000, {
        group: Group::Cluster,
        kind: Kind::Number { min: 0, max: MS_MAX },
    }
    /// Address for operators: /livez, /readyz, /status; port 0 takes a free one.
    admin_addr: SocketAddr = loopback(9379), {
        group: Group::Operators,
        kind: Kind::Addr,
        why: Some("who reaches it can stop the node, so nobody but this machine until you say so"),
    }
    /// File with a token that operators have to show (Authorization: Bearer TOKEN). Without it, whoever reaches the
    /// address is answered; /livez and /readyz answer everyone. It is read again when it changes.
    admin_token_file: Option<Contents> = None, {
        group: Group::Operators,
        kind: Kind::Path,
    }
    /// Form of the log on standard error: lines for people, or one JSON object a line.
    log_format: LogFormat = LogFormat::Text, {
        group: Group::Operators,
        kind: Kind::Choice(&["text", "json"]),
    }
    /// What is logged: a level, or levels of modules.
    log_level: String = "info".to_owned(), {
        group: Group::Operators,
        kind: Kind::Text(LOG_FILTER),
        is_live: true,
        redis: Some("loglevel"),
    }
}

/// As the table shows them, so that no secret is in a log.
impl fmt::Debug for Settings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = TABLE.iter().map(|row| (row.name, row.show(self)));
        formatter.debug_map().entries(rows).finish()
    }
}
