//! What Raft's state means: who is in, until when, and how one gets in.

mod answers;
mod autopilot;
mod bootstrap;
mod connections;
mod discovery;
mod identity;
mod leader;
mod lease;
#[cfg(test)]
mod lease_world;
mod member;
mod node;
mod start;
mod status;
mod users;

pub use identity::{Identity, endpoint_keys};
pub use lease::{Grant, LeaderLeases, LeaseTimes, MemberLease};
pub use member::Ended;
pub use node::{Clients, ClusterNode, ClusterSettings, Condition, Counters};
pub use start::StartError;
pub use users::UsersError;
