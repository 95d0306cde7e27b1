//! Requests between nodes, each on a stream of its own, and their answers.

use bytes::Bytes;

/// The first frame of every stream after the handshake.
#[derive(Clone, PartialEq, prost::Message)]
pub struct StreamHead {
    /// What the stream carries.
    #[prost(oneof = "stream_head::Kind", tags = "1, 2")]
    pub kind: Option<stream_head::Kind>,
}

/// Forms of [`StreamHead`].
pub mod stream_head {
    /// What a stream carries.
    #[derive(Clone, PartialEq, prost::Oneof)]
    pub enum Kind {
        /// The origin's messages, for as long as the link stands.
        #[prost(message, tag = "1")]
        Data(crate::peer::DataOpen),
        /// One request; its answer comes back on the same stream.
        #[prost(message, tag = "2")]
        Request(super::Request),
    }
}

/// A request.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Request {
    /// What is asked.
    #[prost(oneof = "request::Kind", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12")]
    pub kind: Option<request::Kind>,
}

/// Forms of [`Request`].
pub mod request {
    /// What is asked.
    #[derive(Clone, PartialEq, prost::Oneof)]
    pub enum Kind {
        /// Who is there? Asked of strangers before a cluster is formed or joined.
        #[prost(message, tag = "1")]
        Who(()),
        /// Let me in.
        #[prost(message, tag = "2")]
        Join(super::JoinRequest),
        /// A Raft RPC.
        #[prost(message, tag = "3")]
        Raft(super::RaftRequest),
        /// Prolong my lease.
        #[prost(message, tag = "4")]
        Lease(super::LeaseRequest),
        /// Put this incarnation of mine into the view.
        #[prost(message, tag = "5")]
        Enter(super::EnterRequest),
        /// Take this incarnation of mine out of the view.
        #[prost(message, tag = "6")]
        Leave(super::EnterRequest),
        /// A member does not keep up.
        #[prost(message, tag = "7")]
        Accuse(super::AccuseRequest),
        /// Who is subscribed to what on your node?
        #[prost(message, tag = "8")]
        Query(super::QueryRequest),
        /// What do you hold of a node that has left the view?
        #[prost(message, tag = "9")]
        FlushQuery(super::FlushQueryRequest),
        /// Give me what I am missing of a node that has left the view.
        #[prost(message, tag = "10")]
        FlushFetch(super::FlushFetchRequest),
        /// How are you?
        #[prost(message, tag = "11")]
        Status(()),
        /// Change users.
        #[prost(message, tag = "12")]
        Users(crate::peer::UsersRequest),
    }
}

/// An answer.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Reply {
    /// What is answered.
    #[prost(oneof = "reply::Kind", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12")]
    pub kind: Option<reply::Kind>,
}

/// Forms of [`Reply`].
pub mod reply {
    /// What is answered.
    #[derive(Clone, PartialEq, prost::Oneof)]
    pub enum Kind {
        /// It cannot be done.
        #[prost(message, tag = "1")]
        Refusal(super::Refusal),
        /// It is done.
        #[prost(message, tag = "2")]
        Done(()),
        /// Who answers.
        #[prost(message, tag = "3")]
        Who(super::WhoReply),
        /// You are in.
        #[prost(message, tag = "4")]
        Join(super::JoinReply),
        /// A Raft RPC's answer.
        #[prost(message, tag = "5")]
        Raft(super::RaftPayload),
        /// A lease, or none.
        #[prost(message, tag = "6")]
        Lease(super::LeaseReply),
        /// Numbers of subscribers, in the order of the names asked for.
        #[prost(message, tag = "7")]
        Counts(super::Counts),
        /// Names that have subscribers.
        #[prost(message, tag = "8")]
        Names(super::Names),
        /// What is held.
        #[prost(message, tag = "9")]
        FlushQuery(super::FlushQueryReply),
        /// What was missing.
        #[prost(message, tag = "10")]
        FlushFetch(super::FlushFetchReply),
        /// How the node is.
        #[prost(message, tag = "11")]
        Status(super::NodeStatus),
        /// They are changed.
        #[prost(message, tag = "12")]
        Users(crate::peer::UsersReply),
    }
}

/// Why something is refused.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Refusal {
    /// For people: what is wrong and what to do.
    #[prost(string, tag = "1")]
    pub text: String,
    /// Whether asking again, later or elsewhere, may help.
    #[prost(bool, tag = "2")]
    pub is_temporary: bool,
    /// Address of the leader, when it is the one to ask.
    #[prost(string, tag = "3")]
    pub leader_addr: String,
    /// Whether the asking node was a member once and is none any more.
    #[prost(bool, tag = "4")]
    pub is_removed: bool,
}

impl Refusal {
    /// A refusal that asking again will not change.
    pub fn lasting(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// A refusal that may be different later.
    pub fn temporary(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_temporary: true, ..Self::default() }
    }
}

/// Who a node is, as far as it knows.
#[derive(Clone, PartialEq, prost::Message)]
pub struct WhoReply {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its cluster; empty as long as it has none.
    #[prost(string, tag = "2")]
    pub cluster_id: String,
    /// How many nodes it waits for before a cluster is formed.
    #[prost(uint32, tag = "3")]
    pub expect: u32,
    /// A random number of this run of its process.
    #[prost(uint64, tag = "4")]
    pub run: u64,
    /// The address that others are to dial.
    #[prost(string, tag = "5")]
    pub addr: String,
}

/// Asks to become a member.
#[derive(Clone, PartialEq, prost::Message)]
pub struct JoinRequest {
    /// The name under which the node is known to people.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The address that others are to dial.
    #[prost(string, tag = "2")]
    pub addr: String,
}

/// A new member's identity.
#[derive(Clone, PartialEq, prost::Message)]
pub struct JoinReply {
    /// The cluster.
    #[prost(string, tag = "1")]
    pub cluster_id: String,
    /// The node id: new, and never used again.
    #[prost(uint64, tag = "2")]
    pub node: u64,
    /// Addresses of the other members.
    #[prost(string, repeated, tag = "3")]
    pub addrs: Vec<String>,
}

/// A Raft RPC. What openraft defines is carried as it serialises it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RaftRequest {
    /// Which: `append`, `vote`, `pre_vote`, `snapshot`, `transfer_leader`.
    #[prost(string, tag = "1")]
    pub method: String,
    /// Its argument.
    #[prost(bytes = "bytes", tag = "2")]
    pub body: Bytes,
}

/// What a Raft RPC returned.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RaftPayload {
    /// Its value.
    #[prost(bytes = "bytes", tag = "1")]
    pub body: Bytes,
}

/// Asks the leader to prolong a lease.
#[derive(Clone, PartialEq, prost::Message)]
pub struct LeaseRequest {
    /// Who asks.
    #[prost(uint64, tag = "1")]
    pub node: u64,
    /// Which incarnation.
    #[prost(uint64, tag = "2")]
    pub incarnation: u64,
    /// The term in which the asked node is believed to lead.
    #[prost(uint64, tag = "3")]
    pub term: u64,
    /// The leader's own time stamp from its last answer in this term; 0 if there was none.
    #[prost(uint64, tag = "4")]
    pub echo_ns: u64,
}

/// The leader's answer.
#[derive(Clone, PartialEq, prost::Message)]
pub struct LeaseReply {
    /// The leader's clock, to be echoed.
    #[prost(uint64, tag = "1")]
    pub stamp_ns: u64,
    /// For how long the lease holds, counted from the moment at which the request was sent; 0 for no lease.
    #[prost(uint64, tag = "2")]
    pub lease_ns: u64,
    /// The epoch of the view that the leader knows.
    #[prost(uint64, tag = "3")]
    pub epoch: u64,
    /// Whether the asking incarnation is in that view.
    #[prost(bool, tag = "4")]
    pub is_in_view: bool,
    /// Whether the asking node is a member at all.
    #[prost(bool, tag = "5")]
    pub is_member: bool,
}

/// Asks for a change of the view.
#[derive(Clone, PartialEq, prost::Message)]
pub struct EnterRequest {
    /// Who asks.
    #[prost(uint64, tag = "1")]
    pub node: u64,
    /// Which incarnation.
    #[prost(uint64, tag = "2")]
    pub incarnation: u64,
    /// The address that others are to dial.
    #[prost(string, tag = "3")]
    pub addr: String,
}

/// Tells the leader of a member that does not keep up.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AccuseRequest {
    /// Who tells.
    #[prost(uint64, tag = "1")]
    pub by: u64,
    /// Who does not keep up.
    #[prost(uint64, tag = "2")]
    pub node: u64,
    /// Which incarnation.
    #[prost(uint64, tag = "3")]
    pub incarnation: u64,
}

/// Asks for subscriptions.
#[derive(Clone, PartialEq, prost::Message)]
pub struct QueryRequest {
    /// 0 channels, 1 patterns, 2 shard channels.
    #[prost(uint32, tag = "1")]
    pub kind: u32,
    /// What of them.
    #[prost(oneof = "query_request::What", tags = "2, 3, 4, 5")]
    pub what: Option<query_request::What>,
}

/// Forms of [`QueryRequest`].
pub mod query_request {
    /// What is asked of the subscriptions.
    #[derive(Clone, PartialEq, prost::Oneof)]
    pub enum What {
        /// The number of subscribers of each of these names.
        #[prost(message, tag = "2")]
        Counts(super::Names),
        /// All names that match this pattern; all names at all if it is empty.
        #[prost(bytes = "bytes", tag = "3")]
        Matching(bytes::Bytes),
        /// Who gets what is published to this channel; answered with a [`NodeStatus`](super::NodeStatus).
        #[prost(bytes = "bytes", tag = "4")]
        Listeners(bytes::Bytes),
        /// What a console shows of the node; answered with a [`NodeStatus`](super::NodeStatus).
        #[prost(message, tag = "5")]
        Overview(()),
    }
}

/// Numbers.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Counts {
    /// The numbers.
    #[prost(uint64, repeated, tag = "1")]
    pub counts: Vec<u64>,
}

/// Names.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Names {
    /// The names.
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub names: Vec<Bytes>,
}

/// Asks what a node holds of one that has left the view.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FlushQueryRequest {
    /// The view without the origin. To be answered once it, or a later one, is installed.
    #[prost(uint64, tag = "1")]
    pub epoch: u64,
    /// The node that has left.
    #[prost(uint64, tag = "2")]
    pub origin: u64,
    /// Its incarnation.
    #[prost(uint64, tag = "3")]
    pub incarnation: u64,
}

/// What a node holds.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FlushQueryReply {
    /// Whether it has ever been told where the origin starts.
    #[prost(bool, tag = "1")]
    pub has_started: bool,
    /// The last sequence number it has, without gaps before it.
    #[prost(uint64, tag = "2")]
    pub last: u64,
}

/// Asks for what is missing.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FlushFetchRequest {
    /// The node that has left.
    #[prost(uint64, tag = "1")]
    pub origin: u64,
    /// Its incarnation.
    #[prost(uint64, tag = "2")]
    pub incarnation: u64,
    /// The first sequence number that is missing.
    #[prost(uint64, tag = "3")]
    pub first: u64,
}

/// What was missing, or as much of it as fits into one answer.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FlushFetchReply {
    /// The sequence number of the first frame.
    #[prost(uint64, tag = "1")]
    pub first: u64,
    /// Frames of [`Publish`](crate::peer::Publish), with their length prefixes.
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub frames: Vec<Bytes>,
}

/// How a node is, for people.
#[derive(Clone, PartialEq, prost::Message)]
pub struct NodeStatus {
    /// JSON, in the form of the admin port's `/status`.
    #[prost(string, tag = "1")]
    pub json: String,
}
