//! What the data plane is told, and what it tells.

use std::{collections::BTreeMap, time::Duration};

use carillon_proto::peer::{
    DataOpen, FlushFetchReply, FlushFetchRequest, FlushQueryReply, FlushQueryRequest,
};
use tokio::sync::oneshot;

use crate::mesh::{Nanos, RecentBounds, View, quic::Channel};

/// Bounds and times of the data plane.
#[derive(Clone, Copy, Debug)]
pub struct PlaneSettings {
    /// How long a publish waits for a peer that does not answer.
    pub grace: Duration,
    /// Bytes that the slowest peer may have to acknowledge before publishers have to wait.
    pub unacked_bytes_max: usize,
    /// How long a peer may leave everything unacknowledged before the leader is told.
    pub lag: Duration,
    /// Messages older than this are forgotten.
    pub ring_time: Duration,
    /// Bytes of recent messages of each origin that are kept for clients that come back.
    pub recent_bytes_max: usize,
    /// For how long these are kept.
    pub recent_time: Duration,
}

impl PlaneSettings {
    /// How long a message of another node is kept: for those who lack it, and for clients that come back.
    pub(super) fn kept(&self) -> Nanos {
        self.ring_time.max(self.recent_time).as_nanos() as Nanos
    }

    pub(super) fn recent(&self) -> RecentBounds {
        RecentBounds { bytes_max: self.recent_bytes_max, time: self.recent_time.as_nanos() as Nanos }
    }
}

/// What the data plane is told.
#[derive(Debug)]
pub enum PlaneCommand {
    /// Begin anew, as this incarnation of this node.
    Begin {
        /// This node.
        node: u64,
        /// Its new incarnation.
        incarnation: u64,
    },
    /// Take a view and its voters.
    Install {
        /// The view.
        view: View,
        /// The voters.
        voters: Vec<u64>,
    },
    /// Stop: the node is fenced.
    Fence,
    /// Another node has opened a stream of messages.
    Data {
        /// Its first frame.
        open: DataOpen,
        /// The stream.
        channel: Channel,
    },
    /// What is held of a node that has left. Asked once the view that it asks about is installed.
    FlushQuery(FlushQueryRequest, oneshot::Sender<FlushQueryReply>),
    /// What another node is missing of it; `None` if it is gone.
    FlushFetch(FlushFetchRequest, oneshot::Sender<Option<FlushFetchReply>>),
    /// Numbers for people.
    Report(oneshot::Sender<PlaneReport>),
}

/// What the data plane tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaneEvent {
    /// A peer of the view does not keep up.
    Lags {
        /// The incarnation of this node that says so: what an earlier one has found is not true any more.
        by: u64,
        /// The peer.
        node: u64,
        /// Its incarnation.
        incarnation: u64,
    },
    /// Messages of a node that has left cannot be had any more: this node must not go on as if nothing was.
    Hole {
        /// The incarnation of this node that misses them.
        by: u64,
        /// The node that has left.
        node: u64,
    },
}

/// How far the data plane is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlaneProgress {
    /// The incarnation for which it works.
    pub incarnation: u64,
    /// The view that is installed.
    pub epoch: u64,
    /// Whether every other member of it has told where it starts.
    pub is_complete: bool,
}

/// Numbers of the data plane.
#[derive(Clone, Debug, Default)]
pub struct PlaneReport {
    /// Messages published to other nodes by this incarnation.
    pub published: u64,
    /// Messages that are not answered yet.
    pub unanswered: u64,
    /// Messages received, by origin.
    pub received: BTreeMap<u64, u64>,
    /// Messages that each peer has not acknowledged.
    pub lag: BTreeMap<u64, u64>,
}
