//! The handshake of a connection.

use super::Refusal;

/// The dialling node's first frame.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Hello {
    /// The newest protocol version it speaks.
    #[prost(uint32, tag = "1")]
    pub version: u32,
    /// The oldest protocol version it speaks.
    #[prost(uint32, tag = "2")]
    pub version_oldest: u32,
    /// Its cluster; empty as long as it has none.
    #[prost(string, tag = "3")]
    pub cluster_id: String,
    /// Its node id; 0 as long as it has none.
    #[prost(uint64, tag = "4")]
    pub node: u64,
    /// A random number of this run of the process.
    #[prost(uint64, tag = "5")]
    pub run: u64,
    /// Its name.
    #[prost(string, tag = "6")]
    pub name: String,
    /// Whether the connection is to be the link between the two nodes, rather than a visit.
    #[prost(bool, tag = "7")]
    pub is_link: bool,
}

/// The answer of a node that accepts.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Welcome {
    /// The protocol version that both will speak.
    #[prost(uint32, tag = "1")]
    pub version: u32,
    /// Its cluster; empty as long as it has none.
    #[prost(string, tag = "2")]
    pub cluster_id: String,
    /// Its node id; 0 as long as it has none.
    #[prost(uint64, tag = "3")]
    pub node: u64,
    /// A random number of this run of its process.
    #[prost(uint64, tag = "4")]
    pub run: u64,
    /// Its name.
    #[prost(string, tag = "5")]
    pub name: String,
}

/// The answer to a [`Hello`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct Verdict {
    /// Accepted or refused.
    #[prost(oneof = "verdict::Kind", tags = "1, 2")]
    pub kind: Option<verdict::Kind>,
}

/// Forms of [`Verdict`].
pub mod verdict {
    /// Accepted or refused.
    #[derive(Clone, PartialEq, prost::Oneof)]
    pub enum Kind {
        /// The connection stands.
        #[prost(message, tag = "1")]
        Welcome(super::Welcome),
        /// The connection is closed for the reason given.
        #[prost(message, tag = "2")]
        Refusal(super::Refusal),
    }
}
