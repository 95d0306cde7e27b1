//! What nodes say to each other: prost messages in length-prefixed frames, over QUIC streams.
//!
//! A connection begins with a handshake on its first stream ([`Hello`], then [`Welcome`] or [`Refusal`]). Every
//! other stream begins with a [`StreamHead`] that tells what it carries: the messages of one node for another,
//! or one request and its answer.

mod data;
mod frame;
mod hello;
mod rpc;
mod users;

pub use data::{Ack, DataOpen, DataStart, Position, Publish, decode_publish, encode_publish};
pub use frame::{FrameError, FrameReader, encode_frame, encode_frame_to};
pub use hello::{Hello, Verdict, Welcome, verdict};
pub use rpc::{
    AccuseRequest, Counts, EnterRequest, FlushFetchReply, FlushFetchRequest, FlushQueryReply,
    FlushQueryRequest, JoinReply, JoinRequest, LeaseReply, LeaseRequest, Names, NodeStatus, QueryRequest,
    RaftPayload, RaftRequest, Refusal, Reply, Request, StreamHead, WhoReply, query_request, reply, request,
    stream_head,
};
pub use users::{UsersReply, UsersRequest};

/// The protocol of this build. A link speaks the older of the two sides' versions.
pub const VERSION: u32 = 2;

/// The first version whose nodes know users. To others a log that tells of users cannot be given.
pub const VERSION_WITH_USERS: u32 = 2;

/// The oldest protocol that this build still speaks.
pub const VERSION_OLDEST: u32 = 1;

/// The name under which QUIC negotiates the protocol (ALPN, RFC 7301). It changes only when the handshake does.
pub const ALPN: &[u8] = b"carillon-peer/1";
