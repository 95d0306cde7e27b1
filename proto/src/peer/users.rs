//! Changes of users, on their way to the leader.

use bytes::Bytes;

/// Asks the leader to change users.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UsersRequest {
    /// The change, as the log holds it: JSON.
    #[prost(bytes = "bytes", tag = "1")]
    pub change: Bytes,
    /// Tells the change from others when it is asked for again.
    #[prost(uint64, tag = "2")]
    pub number: u64,
}

/// The change is in the log of a majority.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UsersReply {
    /// The number of the users' state from then on.
    #[prost(uint64, tag = "1")]
    pub revision: u64,
    /// How many users were removed.
    #[prost(uint64, tag = "2")]
    pub removed: u64,
}
