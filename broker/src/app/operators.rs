//! What operators are told.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{clients::number_of, member::MemberNode, recorder::Recorder};
use crate::{
    admin::{Metric, Source},
    cluster::{ClusterNode, Condition},
    config::{Given, row},
    hub::{ChannelKind, SubscriptionKind},
    server::Node,
};

/// What operators are told.
pub(super) struct Operators {
    pub(super) name: String,
    pub(super) node: Arc<Node>,
    pub(super) member: Option<Arc<MemberNode>>,
    pub(super) recorder: Arc<Recorder>,
}

impl Operators {
    pub(super) fn cluster(&self) -> Option<Arc<ClusterNode>> {
        self.member.as_ref().and_then(|member| member.cluster.borrow().clone())
    }

    /// Of a node that has no membership to tell of.
    fn own_status(&self) -> Value {
        json!({
            "name": self.name,
            "version": env!("CARGO_PKG_VERSION"),
            "condition": if self.node.is_stopping() { "draining" } else { "serving" },
            "in_view": self.member.is_none(),
            "clients": self.node.clients(),
        })
    }
}

impl Source for Operators {
    fn readiness(&self) -> Result<(), String> {
        if self.node.is_stopping() {
            return Err("the node is stopping".to_owned());
        }
        if self.member.is_none() {
            return Ok(());
        }
        let Some(cluster) = self.cluster() else { return Err("just started".to_owned()) };
        match &*cluster.condition().borrow() {
            Condition::Serving => Ok(()),
            Condition::Joining(why) | Condition::Entering(why) => Err(why.clone()),
            Condition::Draining => Err("the node is draining".to_owned()),
        }
    }

    fn metrics(&self) -> Vec<Metric> {
        self.numbers()
    }

    fn stop(&self) {
        tracing::info!("asked to drain");
        self.node.stop();
    }

    async fn status(&self) -> Value {
        match self.cluster() {
            Some(cluster) => cluster.status().await,
            None => self.own_status(),
        }
    }

    async fn nodes(&self) -> Value {
        if let Some(cluster) = self.cluster() {
            return cluster.nodes().await;
        }
        let mut status = self.own_status();
        let alone = json!({"name": self.name, "in_view": true, "status": status});
        status["members"] = json!([alone]);
        status
    }

    async fn console(&self) -> Value {
        if let Some(cluster) = self.cluster() {
            return cluster.console().await;
        }
        json!({"nodes": self.nodes().await, "overviews": {&self.name: self.recorder.overview().await}})
    }

    async fn clients(&self, count: usize) -> Value {
        json!({"name": self.name, "clients": self.node.largest_clients(count).await})
    }

    async fn subscribers(&self, channel: String, is_shard_channel: bool) -> Value {
        let (kind, subscriptions) = if is_shard_channel {
            (ChannelKind::Shard, SubscriptionKind::ShardChannel)
        } else {
            (ChannelKind::Channel, SubscriptionKind::Channel)
        };
        let own = self.node.subscribers(kind, channel.as_bytes()).await;
        let mut nodes = vec![json!({"name": self.name, "subscribers": own})];
        if let Some(cluster) = self.cluster() {
            nodes.extend(cluster.listeners(number_of(subscriptions), channel.into()).await);
        }
        json!({"nodes": nodes})
    }

    fn set_log_level(&self, level: &str) -> Result<(), String> {
        let row = row("log-level").ok_or("there is no such setting")?;
        let value = row.kind.parse(&Given::Text(level.to_owned()));
        let value = value.ok_or_else(|| format!("'{level}' is not {}", row.kind.allowed()))?;
        let live = &self.node.settings.live;
        let mut wanted = live.current();
        row.set(&mut wanted, value);
        live.change(&wanted, &[row], |changed| {
            tracing::info!(setting = changed.name, old = changed.old, new = changed.new, "changed");
        });
        Ok(())
    }
}
