//! What Raft's state means: who is in, until when, and how one gets in.

mod lease;

pub use lease::{Grant, LeaderLeases, LeaseTimes, MemberLease};
