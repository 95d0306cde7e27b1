//! Keeping one link to every other member, and answering whoever connects.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use carillon_proto::peer::{Refusal, StreamHead, VERSION_WITH_USERS, stream_head};

use super::{ClusterNode, discovery};
use crate::{
    lock::lock,
    mesh::{
        PlaneCommand,
        quic::{Channel, Credentials, CredentialsError, Incoming, Link, PeerError},
    },
};

/// How often missing links are looked for.
const ROUND: Duration = Duration::from_millis(100);

/// The node with the higher id dials. The other one does so only when there has been no link for this long: its
/// address may have changed without the higher one knowing.
const OTHER_WAY_AFTER: Duration = Duration::from_secs(2);

/// How long the head of a stream may take to arrive.
const HEAD_TIME_MAX: Duration = Duration::from_secs(5);

impl ClusterNode {
    /// Takes these credentials for the links that are made from now on.
    pub(crate) fn renew(&self, credentials: &Credentials) -> Result<(), CredentialsError> {
        self.endpoint.renew(credentials)
    }

    /// Accepts connections of other nodes until the endpoint is closed.
    pub async fn accept(self: Arc<Self>) {
        while let Some(handshake) = self.endpoint.accept().await {
            let node = Arc::clone(&self);
            tokio::spawn(async move {
                match handshake.await {
                    Ok(incoming) => node.admit(incoming).await,
                    Err(error) => tracing::debug!(%error, "a connection of a peer came to nothing"),
                }
            });
        }
    }

    async fn admit(self: Arc<Self>, incoming: Incoming) {
        let (addr, name, is_link) = (incoming.addr(), incoming.hello.name.clone(), incoming.hello.is_link);
        let version = match self.judge(&incoming) {
            Ok(version) => version,
            Err(refusal) if incoming.hello.run == self.run => return incoming.refuse(refusal).await,
            Err(refusal) => {
                // It comes again several times a second: a word for each reason.
                let told = lock(&self.refused).insert(name.clone(), refusal.text.clone());
                if told.as_deref() != Some(&*refusal.text) {
                    tracing::warn!(%addr, peer = name, reason = refusal.text, "refused a peer");
                }
                return incoming.refuse(refusal).await;
            }
        };
        lock(&self.refused).remove(&name);
        match incoming.welcome(self.welcome(version)).await {
            Ok(link) if is_link => self.serve_link(link).await,
            Ok(link) => self.serve_streams(&link).await,
            Err(error) => tracing::debug!(%addr, %error, "a connection of a peer came to nothing"),
        }
    }

    /// Says whether a connection is welcome, and in which version of the protocol.
    fn judge(&self, incoming: &Incoming) -> Result<u32, Refusal> {
        let hello = &incoming.hello;
        if hello.is_link && hello.run == self.run {
            return Err(Refusal::temporary("this is the node itself"));
        }
        let version = incoming.common_version().ok_or_else(|| {
            Refusal::lasting(format!(
                "it speaks versions {} to {} of the peer protocol; upgrade one version at a time",
                hello.version_oldest, hello.version
            ))
        })?;
        let Some(identity) = self.identity() else {
            let text = "this node is not in a cluster yet";
            return if hello.is_link { Err(Refusal::temporary(text)) } else { Ok(version) };
        };
        if !hello.cluster_id.is_empty() && hello.cluster_id != identity.cluster_id {
            return Err(Refusal::lasting(format!(
                "this is a node of cluster {}, and it belongs to cluster {}: check --peers, or give it an empty --data-dir",
                identity.cluster_id, hello.cluster_id
            )));
        }
        if hello.node == identity.node && hello.run != self.run {
            return Err(Refusal::lasting(format!(
                "it has the id of this node, {}: was its data folder copied? Give it an empty one",
                hello.node
            )));
        }
        if version < VERSION_WITH_USERS && self.state().is_some_and(|state| state.users.is_some()) {
            return Err(Refusal::lasting(
                "this cluster keeps users, of which its version knows nothing: upgrade it",
            ));
        }
        if hello.node != 0 && self.knows_as_removed(hello.node) {
            return Err(Refusal {
                is_removed: true,
                ..Refusal::lasting("it is no member of this cluster any more")
            });
        }
        Ok(version)
    }

    /// Whether a node was a member and is none any more. Its id is the index of the entry that admitted it, so one
    /// that is beyond what this node has applied may be new instead.
    pub(super) fn knows_as_removed(&self, node: u64) -> bool {
        let Some(state) = self.state() else { return false };
        !state.members.is_empty() && !state.members.contains_key(&node) && node <= self.role().last_applied
    }

    async fn serve_link(self: Arc<Self>, link: Link) {
        tracing::info!(peer = link.peer.node, name = link.peer.name, addr = %link.addr(), "linked");
        self.links.set(link.clone());
        self.serve_streams(&link).await;
        self.links.remove(&link);
        Self::count(&self.counters.links_lost);
        let reason = link.closed().await;
        tracing::info!(peer = link.peer.node, name = link.peer.name, reason, "link lost");
    }

    /// Answers the streams that the other end opens, until the connection is gone.
    async fn serve_streams(self: &Arc<Self>, link: &Link) {
        while let Ok(channel) = link.accept().await {
            let (node, link) = (Arc::clone(self), link.clone());
            tokio::spawn(async move {
                if let Err(error) = node.serve_stream(&link, channel).await {
                    tracing::debug!(peer = link.peer.node, %error, "a peer's stream came to nothing");
                }
            });
        }
    }

    async fn serve_stream(&self, link: &Link, mut channel: Channel) -> Result<(), PeerError> {
        let head = tokio::time::timeout(HEAD_TIME_MAX, channel.receive::<StreamHead>()).await;
        let head = head.map_err(|_| PeerError::Timeout(HEAD_TIME_MAX))??;
        match head.kind {
            Some(stream_head::Kind::Data(open)) => {
                if open.origin != link.peer.node {
                    return Err(PeerError::Protocol(format!(
                        "node {} sends as node {}",
                        link.peer.node, open.origin
                    )));
                }
                let _ = self.plane.send(PlaneCommand::Data { open, channel });
                Ok(())
            }
            Some(stream_head::Kind::Request(request)) => {
                let Some(request) = request.kind else {
                    return Err(PeerError::Protocol("an empty request".to_owned()));
                };
                let reply = self.answer(&link.peer, request).await;
                channel.answer(reply).await
            }
            None => Err(PeerError::Protocol("a stream of an unknown kind".to_owned())),
        }
    }

    /// Sees to it that there is a link to every other member.
    pub async fn keep_links(self: Arc<Self>) {
        let mut missing: BTreeMap<String, Instant> = BTreeMap::new();
        let (mut looked_up, mut elsewhere) = (None::<Instant>, BTreeSet::new());
        let mut interval = tokio::time::interval(ROUND);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let dialling = Arc::new(std::sync::Mutex::new(BTreeSet::<String>::new()));
        // What has been told of an address without a link: a word for each reason, not one for each round.
        let told = Arc::new(std::sync::Mutex::new(BTreeSet::<(String, String)>::new()));
        loop {
            interval.tick().await;
            let mut wanted = self.addrs_without_link();
            if self.links.all().is_empty() && !wanted.is_empty() {
                // Nobody can be reached where the log says: look where the settings say, too.
                if looked_up.is_none_or(|at| at.elapsed() >= OTHER_WAY_AFTER) {
                    looked_up = Some(Instant::now());
                    let found = discovery::resolve(&self.settings.peers);
                    elsewhere = tokio::time::timeout(OTHER_WAY_AFTER, found).await.unwrap_or_default().addrs;
                }
                for addr in &elsewhere {
                    wanted.entry(addr.to_string()).or_insert(false);
                }
            }
            missing.retain(|addr, _| wanted.contains_key(addr));
            lock(&told).retain(|(addr, _)| wanted.contains_key(addr));
            for (addr, is_ours_to_dial) in wanted {
                let since = missing.entry(addr.clone()).or_insert_with(Instant::now);
                if !is_ours_to_dial && since.elapsed() < OTHER_WAY_AFTER {
                    continue;
                }
                if !lock(&dialling).insert(addr.clone()) {
                    continue;
                }
                if !is_ours_to_dial {
                    *since = Instant::now();
                }
                let (node, dialling, told) = (Arc::clone(&self), Arc::clone(&dialling), Arc::clone(&told));
                tokio::spawn(async move {
                    let linked = node.dial(&addr).await;
                    lock(&dialling).remove(&addr);
                    match linked {
                        Ok(Some(link)) => node.serve_link(link).await,
                        Ok(None) => {}
                        Err(PeerError::Untrusted(reason)) => {
                            if lock(&told).insert((addr.clone(), reason.clone())) {
                                let error = PeerError::Untrusted(reason);
                                tracing::warn!(addr, %error, "a peer cannot be linked");
                            }
                        }
                        Err(PeerError::Refused(refusal)) if !refusal.is_temporary => {
                            if lock(&told).insert((addr.clone(), refusal.text.clone())) {
                                tracing::error!(addr, reason = refusal.text, "a peer refuses this node");
                            }
                        }
                        Err(error) => tracing::debug!(addr, %error, "a peer could not be reached"),
                    }
                });
            }
        }
    }

    /// Addresses of members to which there is no link, and whether it is for this node to dial them.
    fn addrs_without_link(&self) -> BTreeMap<String, bool> {
        let Some(state) = self.state() else { return BTreeMap::new() };
        let me = self.node();
        let mut wanted: BTreeMap<String, bool> = state
            .members
            .iter()
            .filter(|(node, _)| **node != me && self.links.get(**node).is_none())
            .map(|(node, member)| (member.addr.clone(), *node < me))
            .collect();
        if !state.members.contains_key(&me) {
            // Just admitted: the log that tells who the members are has still to come.
            let told = lock(&self.told_addrs).clone();
            let linked: Vec<String> = self.links.all().iter().map(|link| link.addr().to_string()).collect();
            wanted.extend(told.into_iter().filter(|addr| !linked.contains(addr)).map(|addr| (addr, true)));
        }
        // One that has this node's own address is its predecessor, whose disk is gone.
        wanted.remove(&self.settings.advertise);
        wanted
    }

    async fn dial(&self, addr: &str) -> Result<Option<Link>, PeerError> {
        let resolved = discovery::resolve_one(addr).await.map_err(PeerError::Connection)?;
        let link = match self.endpoint.dial(resolved, &self.hello(true)).await {
            Ok(link) => link,
            Err(PeerError::Refused(refusal)) => {
                if refusal.is_removed {
                    self.is_removed.send_replace(true);
                }
                return Err(PeerError::Refused(refusal));
            }
            Err(error) => return Err(error),
        };
        if link.peer.node == self.node() || link.peer.run == self.run {
            link.close("this is the node itself");
            return Ok(None);
        }
        if self.links.get(link.peer.node).is_some() {
            link.close("there is a link already");
            return Ok(None);
        }
        Ok(Some(link))
    }
}
