//! What clients may take of a node.

use clap::Args;

/// Bounds on clients.
#[derive(Args, Clone, Debug)]
pub struct LimitFlags {
    /// Most connections from one address at a time; 0 for no bound. Off by default: in Kubernetes many clients may
    /// come from one address.
    #[arg(long, env = "CARILLON_CLIENTS_PER_ADDRESS_MAX", default_value_t = 0)]
    pub clients_per_address_max: u64,
    /// New connections that are taken in a second; more wait in the kernel's queue, and none is refused. 0 for no
    /// bound. The default lets 10,000 clients back in 2.5 seconds, for a fifth of a core.
    #[arg(long, env = "CARILLON_ACCEPTS_PER_S_MAX", default_value_t = 4_000)]
    pub accepts_per_s_max: u64,
    /// Bytes that all clients together may make the node hold: what they have not read, requests that are not
    /// complete, queued transactions, subscriptions. Above it the client that holds most is closed. 0 for half of the
    /// memory that the machine or the container has.
    #[arg(long, env = "CARILLON_CLIENTS_BYTES_MAX", default_value_t = 0)]
    pub clients_bytes_max: u64,
    /// Bytes that may wait for one client to read them; it is closed above that. 0 for no bound. Redis's default.
    #[arg(long, env = "CARILLON_OUTBOX_BYTES_MAX", default_value_t = 32 * 1024 * 1024)]
    pub outbox_bytes_max: u64,
    /// Bytes above which a client is closed after --outbox-soft-s. 0 for no bound. Redis's default.
    #[arg(long, env = "CARILLON_OUTBOX_SOFT_BYTES_MAX", default_value_t = 8 * 1024 * 1024)]
    pub outbox_soft_bytes_max: u64,
    /// Seconds for which more than --outbox-soft-bytes-max may wait for a client. Redis's default.
    #[arg(long, env = "CARILLON_OUTBOX_SOFT_S", default_value_t = 60)]
    pub outbox_soft_s: u64,
    /// Most subscriptions of one client; it is closed above that. 0 for no bound. Two for each of 100,000 sockets of a
    /// Socket.IO server.
    #[arg(long, env = "CARILLON_SUBSCRIPTIONS_MAX", default_value_t = 200_000)]
    pub subscriptions_max: u64,
    /// Most patterns of one client; it is closed above that. 0 for no bound. Every publish looks at every pattern that
    /// does not begin with letters of its own; adapters use a handful.
    #[arg(long, env = "CARILLON_PATTERNS_MAX", default_value_t = 1_000)]
    pub patterns_max: u64,
    /// Longest name of a channel, in bytes; a client that uses a longer one is closed. 0 for no bound. Socket.IO puts
    /// names of rooms into those of channels; matching a pattern takes time in proportion.
    #[arg(long, env = "CARILLON_CHANNEL_BYTES_MAX", default_value_t = 16 * 1024)]
    pub channel_bytes_max: u64,
    /// Longest pattern that can be subscribed to, in bytes; a client that wants a longer one is closed. 0 for no bound.
    #[arg(long, env = "CARILLON_PATTERN_BYTES_MAX", default_value_t = 1024)]
    pub pattern_bytes_max: u64,
    /// Bytes of commands that one client may queue after MULTI.
    #[arg(long, env = "CARILLON_TRANSACTION_BYTES_MAX", default_value_t = 16 * 1024 * 1024)]
    pub transaction_bytes_max: u64,
    /// Clients that may be in MONITOR at a time. Each costs a copy of every command.
    #[arg(long, env = "CARILLON_MONITORS_MAX", default_value_t = 10)]
    pub monitors_max: u64,
    /// Seconds after which a client that is no subscriber and says nothing is closed; 0 never closes one.
    #[arg(long, env = "CARILLON_IDLE_S", default_value_t = 0)]
    pub idle_s: u64,
}
