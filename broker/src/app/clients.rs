//! Where the client plane and the membership meet.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use carillon_proto::peer::{Counts, Names, QueryRequest, query_request, reply, request};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{cluster_users::ClusterUsers, recorder::Recorder};
use crate::{
    cluster::{Clients, ClusterNode},
    hub::{ChannelKind, Glob, SubscriptionKind},
    lock::lock,
    server::{Answer, Census, Node},
};

/// How long another node may take to say who is subscribed there. A dead one is found out by its link before.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);

/// The node's clients, for its membership.
#[derive(Debug)]
pub(super) struct NodeClients {
    pub(super) node: Arc<Node>,
    /// The cluster's users, unless they are kept elsewhere.
    pub(super) users: Option<Arc<ClusterUsers>>,
    /// What a console shows.
    pub(super) recorder: Arc<Recorder>,
    /// Whether the client port is open.
    pub(super) is_open: watch::Sender<bool>,
}

impl Clients for NodeClients {
    fn lease_holds(&self) -> bool {
        self.node.gate.is_open()
    }

    fn lease_until(&self) -> u64 {
        self.node.gate.until_ns()
    }

    fn prolong(&self, until_ns: u64) {
        self.node.gate.prolong(until_ns);
    }

    fn open(&self) {
        if let Some(users) = &self.users {
            users.follow();
        }
        self.node.gate.admit();
        self.is_open.send_replace(true);
    }

    fn fence(&self) {
        self.is_open.send_replace(false);
        self.node.fence();
    }

    fn count(&self) -> usize {
        self.node.clients()
    }

    fn subscribers(&self, kind: u32, names: &[Bytes]) -> Vec<u64> {
        let kind = kind_of(kind);
        names.iter().map(|name| self.node.directory.subscribers(kind, name)).collect()
    }

    fn names(&self, kind: u32, pattern: &[u8]) -> Vec<Bytes> {
        let glob = (!pattern.is_empty()).then(|| Glob::new(pattern));
        let wanted = |name: &[u8]| glob.as_ref().is_none_or(|glob| glob.matches(name));
        self.node.directory.list(kind_of(kind), wanted).into_iter().map(Bytes::from).collect()
    }

    fn listeners(&self, kind: u32, channel: Bytes) -> Answer<Value> {
        let node = Arc::clone(&self.node);
        let kind = match kind_of(kind) {
            SubscriptionKind::ShardChannel => ChannelKind::Shard,
            SubscriptionKind::Channel | SubscriptionKind::Pattern => ChannelKind::Channel,
        };
        Box::pin(async move { json!(node.subscribers(kind, &channel).await) })
    }

    fn overview(&self) -> Answer<Value> {
        let recorder = Arc::clone(&self.recorder);
        Box::pin(async move { recorder.overview().await })
    }
}

/// The other nodes' clients, for PUBSUB.
#[derive(Debug, Default)]
pub(super) struct OtherNodes {
    cluster: Mutex<Option<Arc<ClusterNode>>>,
}

impl OtherNodes {
    /// Asks the peers of this node from now on.
    pub(super) fn set(&self, cluster: Arc<ClusterNode>) {
        *lock(&self.cluster) = Some(cluster);
    }

    /// Asks nobody any more: what is held of the membership would keep its socket open.
    pub(super) fn forget(&self) {
        *lock(&self.cluster) = None;
    }

    fn ask(&self, kind: SubscriptionKind, what: query_request::What) -> Answer<Vec<reply::Kind>> {
        let cluster = lock(&self.cluster).clone();
        let query = QueryRequest { kind: number_of(kind), what: Some(what) };
        Box::pin(async move {
            let links = cluster.map(|cluster| cluster.peers_in_view()).unwrap_or_default();
            let asked =
                links.iter().map(|link| link.call(request::Kind::Query(query.clone()), ANSWER_TIME_MAX));
            futures_util::future::join_all(asked).await.into_iter().flatten().collect()
        })
    }
}

impl Census for OtherNodes {
    fn counts(&self, kind: SubscriptionKind, names: Vec<Bytes>) -> Answer<Vec<u64>> {
        let mut sums = vec![0; names.len()];
        let answers = self.ask(kind, query_request::What::Counts(Names { names }));
        Box::pin(async move {
            for answer in answers.await {
                if let reply::Kind::Counts(Counts { counts }) = answer {
                    sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
                }
            }
            sums
        })
    }

    fn names(&self, kind: SubscriptionKind, pattern: Option<Bytes>) -> Answer<Vec<Bytes>> {
        let answers = self.ask(kind, query_request::What::Matching(pattern.unwrap_or_default()));
        Box::pin(async move {
            let names = answers.await.into_iter().filter_map(|answer| match answer {
                reply::Kind::Names(names) => Some(names.names),
                _ => None,
            });
            names.flatten().collect()
        })
    }
}

pub(super) fn number_of(kind: SubscriptionKind) -> u32 {
    match kind {
        SubscriptionKind::Channel => 0,
        SubscriptionKind::Pattern => 1,
        SubscriptionKind::ShardChannel => 2,
    }
}

fn kind_of(number: u32) -> SubscriptionKind {
    match number {
        1 => SubscriptionKind::Pattern,
        2 => SubscriptionKind::ShardChannel,
        _ => SubscriptionKind::Channel,
    }
}
