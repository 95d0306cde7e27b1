//! The links that stand at this moment, one for each other node.

use std::collections::BTreeMap;

use tokio::sync::watch;

use super::quic::Link;

/// Shared by everyone who speaks to other nodes, on whichever thread.
#[derive(Debug)]
pub struct Links {
    links: watch::Sender<BTreeMap<u64, Link>>,
}

impl Default for Links {
    fn default() -> Self {
        Self { links: watch::Sender::new(BTreeMap::new()) }
    }
}

impl Links {
    /// The link to a node, if it stands.
    pub fn get(&self, node: u64) -> Option<Link> {
        self.links.borrow().get(&node).filter(|link| !link.is_closed()).cloned()
    }

    /// All that stand.
    pub fn all(&self) -> Vec<Link> {
        self.links.borrow().values().filter(|link| !link.is_closed()).cloned().collect()
    }

    /// Puts a link in the place of the one before, which is closed.
    pub fn set(&self, link: Link) {
        self.links.send_modify(|links| {
            if let Some(old) = links.insert(link.peer.node, link) {
                old.close("replaced by a newer connection");
            }
        });
    }

    /// Takes a link away, unless it has been replaced.
    pub fn remove(&self, link: &Link) {
        self.links.send_if_modified(|links| {
            let is_there = links.get(&link.peer.node).is_some_and(|there| there.is(link));
            if is_there {
                links.remove(&link.peer.node);
            }
            is_there
        });
    }

    /// Waits until there is a link to a node.
    pub async fn wait_for(&self, node: u64) -> Link {
        let mut links = self.links.subscribe();
        loop {
            if let Some(link) = self.get(node) {
                return link;
            }
            // The sender is `self`, so this cannot fail.
            let _ = links.changed().await;
        }
    }
}
