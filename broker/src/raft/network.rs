//! Raft's RPCs, carried by the links between nodes.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use carillon_proto::peer::RaftRequest;
use futures_util::{FutureExt as _, Stream, StreamExt as _};
use openraft::{
    OptionalSend, RaftNetworkFactory,
    base::{BoxFuture, BoxStream},
    errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable},
    network::{RPCOption, RaftNetworkV2, stream_append_sequential},
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult,
        TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
    },
    type_config::alias::{SnapshotMetaOf, SnapshotOf},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{MemberNode, NodeId, TypeConfig, node::Raft, types::Vote};

/// A request that did not get an answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("node {node} cannot be reached: {reason}")]
pub struct Unanswered {
    /// The node that was asked.
    pub node: NodeId,
    /// What went wrong.
    pub reason: String,
}

/// How other nodes are reached.
pub trait Peers: Send + Sync + 'static {
    /// Sends a Raft RPC and waits for its answer, for no longer than `timeout`.
    fn call(
        &self,
        node: NodeId,
        request: RaftRequest,
        timeout: Duration,
    ) -> Pin<Box<dyn Future<Output = Result<Bytes, Unanswered>> + Send + '_>>;
}

/// Makes the clients through which openraft speaks to other nodes.
#[derive(Clone)]
pub struct Network {
    peers: Arc<dyn Peers>,
}

impl Network {
    /// A network over these peers.
    pub fn new(peers: Arc<dyn Peers>) -> Self {
        Self { peers }
    }
}

impl std::fmt::Debug for Network {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Network").finish_non_exhaustive()
    }
}

/// One peer, as openraft sees it.
pub struct Client {
    peers: Arc<dyn Peers>,
    target: NodeId,
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Client;

    async fn new_client(&mut self, target: NodeId, _: &MemberNode) -> Client {
        Client { peers: Arc::clone(&self.peers), target }
    }
}

#[derive(Serialize, Deserialize)]
struct SnapshotTransfer {
    vote: Vote,
    meta: SnapshotMetaOf<TypeConfig>,
    data: Vec<u8>,
}

impl Client {
    async fn call<Q: Serialize, A: DeserializeOwned>(
        &self,
        method: &str,
        argument: &Q,
        timeout: Duration,
    ) -> Result<A, RPCError<TypeConfig>> {
        let network_error = |error: serde_json::Error| RPCError::Network(NetworkError::new(&error));
        let body = serde_json::to_vec(argument).map_err(network_error)?;
        let request = RaftRequest { method: method.to_owned(), body: body.into() };
        let answer = self.peers.call(self.target, request, timeout).await;
        // Unreachable makes openraft wait a little before it tries again.
        let answer = answer.map_err(|error| RPCError::Unreachable(Unreachable::new(&error)))?;
        serde_json::from_slice(&answer).map_err(network_error)
    }
}

impl RaftNetworkV2<TypeConfig> for Client {
    type SnapshotData = Vec<u8>;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.call("append", &rpc, option.hard_ttl()).await
    }

    fn stream_append<S>(
        &mut self,
        mut input: S,
        option: RPCOption,
    ) -> BoxFuture<
        '_,
        Result<
            BoxStream<'_, Result<StreamAppendResult<TypeConfig>, RPCError<TypeConfig>>>,
            RPCError<TypeConfig>,
        >,
    >
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + OptionalSend + Unpin + 'static,
    {
        async move {
            // The first request has to be taken before anything can fail: a stream that fails without having
            // been polled makes openraft try again at once, for ever.
            let first = input.next().await;
            let input = futures_util::stream::iter(first).chain(input);
            stream_append_sequential(self, input, option).await
        }
        .boxed()
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.call("vote", &rpc, option.hard_ttl()).await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.call("pre_vote", &rpc, option.hard_ttl()).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: SnapshotOf<TypeConfig, Vec<u8>>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let transfer = SnapshotTransfer { vote, meta: snapshot.meta, data: snapshot.snapshot };
        tokio::select! {
            answer = self.call("snapshot", &transfer, option.hard_ttl()) => answer.map_err(|error| match error {
                RPCError::Unreachable(error) => StreamingError::Unreachable(error),
                RPCError::Timeout(error) => StreamingError::Timeout(error),
                other => StreamingError::Network(NetworkError::new(&other)),
            }),
            closed = cancel => Err(StreamingError::Closed(closed)),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.call("transfer_leader", &request, option.hard_ttl()).await
    }
}

/// Answers a Raft RPC of another node.
pub async fn serve_rpc(raft: &Raft, request: RaftRequest) -> Result<Bytes, String> {
    fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
        serde_json::from_slice(body).map_err(|error| format!("a Raft request that does not decode: {error}"))
    }
    fn write<T: Serialize, E: std::fmt::Display>(answer: Result<T, E>) -> Result<Bytes, String> {
        let answer = answer.map_err(|error| error.to_string())?;
        serde_json::to_vec(&answer).map(Bytes::from).map_err(|error| error.to_string())
    }
    let body = &request.body;
    match request.method.as_str() {
        "append" => write(raft.append_entries(read(body)?).await),
        "vote" => write(raft.vote(read(body)?).await),
        "pre_vote" => write(raft.pre_vote(read(body)?).await),
        "snapshot" => {
            let transfer: SnapshotTransfer = read(body)?;
            let snapshot = openraft::Snapshot { meta: transfer.meta, snapshot: transfer.data };
            write(raft.install_full_snapshot(transfer.vote, snapshot).await)
        }
        "transfer_leader" => write(raft.handle_transfer_leader(read(body)?).await),
        other => Err(format!("there is no Raft request '{other}'")),
    }
}
