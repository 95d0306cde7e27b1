//! The client plane: listeners, shards that own connections, sessions, commands.
//!
//! A shard is a thread with a single-threaded runtime. A connection lives on one shard for all its life; its
//! task reads and runs commands. What is to be written is collected in the hub's outboxes and written once at
//! the end of the event-loop turn, by the shard itself: a subscriber's task is not woken for a message.

mod access;
mod addresses;
mod admission;
mod census;
mod close;
mod cmd;
mod connection;
mod directory;
mod dispatch;
mod gate;
mod histogram;
mod holdings;
mod inbox;
mod inspect;
mod legs;
mod limits;
mod listener;
mod live;
mod machine;
mod node;
mod numbered;
mod objection;
mod patience;
mod pause;
mod reader;
mod relay;
mod replay;
mod serve;
mod session;
mod shard;
mod stats;
mod stream;
mod tls;
mod turn;

pub use access::{StoreError, UserStore};
pub use census::{Answer, Census};
pub use close::CloseReason;
pub use cmd::cpu_seconds as process_cpu_seconds;
pub use directory::{Directory, ShardSet};
pub use gate::Gate;
pub use histogram::Histogram;
pub use inbox::Ticket;
pub use inspect::{ClientReport, SubscriberReport};
pub use limits::Limits;
pub use listener::{ClientAddrs, ListenError, Listeners, ReservedPorts};
pub use live::{LiveSettings, Log, OutboxLimit, Setting};
pub use node::{Node, NodeSettings};
pub use relay::Relay;
pub use shard::Shard;
pub use stats::{CommandStats, CommandTable, Counter, ShardStats};
pub use tls::{Tls, TlsError, TlsFiles};
