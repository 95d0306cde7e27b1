//! What operators are told about single clients: who is slow, and who is subscribed to what.

use std::time::Instant;

use futures_util::future::join_all;
use serde::Serialize;

use super::{Node, Shard, connection::Connection};
use crate::hub::{ChannelKind, SubscriptionKind, Traffic};

/// Subscriptions of a client that are told by name.
const NAMES_MAX: usize = 10;

/// One client.
#[derive(Clone, Debug, Serialize)]
pub struct ClientReport {
    /// Its number, as in CLIENT LIST.
    pub id: u64,
    /// Its address.
    pub addr: String,
    /// What it calls itself.
    pub name: String,
    /// The library that it uses, if it says so.
    pub lib_name: String,
    /// Seconds since it connected.
    pub age_s: u64,
    /// Bytes that wait for it to read them.
    pub pending_bytes: usize,
    /// Bytes that it makes the node hold in all.
    pub held_bytes: usize,
    /// Seconds for which more than the soft limit has waited for it.
    pub slow_s: Option<u64>,
    /// Whether its socket takes no more.
    pub is_blocked: bool,
    /// Number of its subscriptions.
    pub subscriptions: usize,
    /// The first of them by name.
    pub names: Vec<String>,
}

/// Someone who gets what is published to a channel.
#[derive(Clone, Debug, Serialize)]
pub struct SubscriberReport {
    /// What it is subscribed to: the channel, or a pattern.
    pub by: String,
    /// Who it is.
    #[serde(flatten)]
    pub client: ClientReport,
}

impl Node {
    /// The clients for which most waits, or who hold most, the first of them first.
    pub async fn largest_clients(&self, count: usize) -> Vec<ClientReport> {
        let shards = self.ask_shards(None, |shard| {
            shard.connections().iter().map(|connection| report(shard, connection)).collect::<Vec<_>>()
        });
        let mut clients: Vec<_> = join_all(shards).await.into_iter().flatten().flatten().collect();
        clients.sort_by_key(|client| std::cmp::Reverse((client.pending_bytes, client.held_bytes)));
        clients.truncate(count);
        clients
    }

    /// Takes the messages of the busiest names, and of those in `also`, since this was last asked. Each shard in which a
    /// name has subscribers hears all of its messages, so that the largest number is the one of the node.
    pub async fn take_traffic(&self, count: usize, also: &[(SubscriptionKind, Box<[u8]>)]) -> Vec<Traffic> {
        let also = also.to_vec();
        let shards = self.ask_shards(None, move |shard| shard.hub.borrow().take_traffic(count, &also));
        let mut all: Vec<Traffic> = join_all(shards).await.into_iter().flatten().flatten().collect();
        all.sort_by_key(|traffic| std::cmp::Reverse(traffic.messages));
        let mut found: Vec<Traffic> = Vec::new();
        for traffic in all {
            if !found.iter().any(|busier| busier.kind == traffic.kind && busier.name == traffic.name) {
                found.push(traffic);
            }
        }
        found
    }

    /// Who on this node gets what is published to `channel`: its subscribers, and those of patterns.
    pub async fn subscribers(&self, kind: ChannelKind, channel: &[u8]) -> Vec<SubscriberReport> {
        let channel = channel.to_vec();
        let shards = self.ask_shards(None, move |shard| {
            let found = shard.hub.borrow().subscribers(kind, &channel);
            let reports = found.into_iter().filter_map(|(by, seat)| {
                let connection = shard.connections.borrow().get(seat)?.clone()?;
                let by = String::from_utf8_lossy(&by).into_owned();
                Some(SubscriberReport { by, client: report(shard, &connection) })
            });
            reports.collect::<Vec<_>>()
        });
        join_all(shards).await.into_iter().flatten().flatten().collect()
    }
}

fn report(shard: &Shard, connection: &Connection) -> ClientReport {
    let (session, hub, seat) = (connection.session.borrow(), shard.hub.borrow(), connection.seat);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let names = SubscriptionKind::ALL.into_iter().flat_map(|kind| hub.subscriptions(seat, kind));
    ClientReport {
        id: connection.id,
        addr: connection.peer.clone(),
        name: text(&session.name),
        lib_name: text(&session.lib_name),
        age_s: session.connected.elapsed().as_secs(),
        pending_bytes: hub.outbox(seat).pending_bytes(),
        held_bytes: hub.held_by(seat) + connection.held_bytes(),
        slow_s: connection.slow_since.get().map(|since| Instant::now().duration_since(since).as_secs()),
        is_blocked: connection.is_write_blocked.get(),
        subscriptions: hub.counts(seat).all(),
        names: names.take(NAMES_MAX).map(text).collect(),
    }
}
