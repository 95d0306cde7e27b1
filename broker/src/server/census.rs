//! What the other nodes' clients are subscribed to.

use std::{future::Future, pin::Pin};

use bytes::Bytes;

use crate::hub::SubscriptionKind;

/// An answer that other nodes have to give first.
pub type Answer<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Asks every other node of the view. A node that cannot be reached is left out: once it is known to be gone its
/// subscribers are, too.
pub trait Census: std::fmt::Debug + Send + Sync {
    /// Subscribers of each of these names on the other nodes together.
    fn counts(&self, kind: SubscriptionKind, names: Vec<Bytes>) -> Answer<Vec<u64>>;

    /// Names that have subscribers on some other node, and that match `pattern` if there is one. The same name may
    /// come more than once.
    fn names(&self, kind: SubscriptionKind, pattern: Option<Bytes>) -> Answer<Vec<Bytes>>;
}
