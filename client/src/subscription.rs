//! A subscription, as its user holds it: a stream of messages and of what may be missing between them.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::{
    Client, ClientError, ClientSettings, Event, RequestError, SlowReader, SubscriptionKind,
    outlet::{Inlet, outlet},
    session::{Order, Wanted},
};

/// Messages of some channels, in the order in which they come, with a [`Gap`](Event::Gap) wherever some may be missing.
///
/// It outlives connections, and ends only with an error, with the client's runtime, or by being dropped, which
/// unsubscribes. It is a [`Stream`](futures_core::Stream); what comes is the same as from [`next`](Self::next).
#[derive(Debug)]
#[must_use = "dropping it unsubscribes"]
pub struct Subscription {
    inlet: Inlet,
    id: u64,
    orders: mpsc::UnboundedSender<Order>,
    /// Requests of the client go on as long as it has subscriptions.
    _client: Client,
}

impl Subscription {
    /// Waits for the next event; `None` after an error.
    ///
    /// May be dropped and called again without losing an event.
    ///
    /// # Errors
    ///
    /// [`Overflow`](ClientError::Overflow) if that is what is to become of a slow reader,
    /// [`GivenUp`](ClientError::GivenUp) when servers refuse the client after a reconnection,
    /// [`Request`](ClientError::Request) when they refuse the names, [`Unread`](ClientError::Unread) when nobody has read for
    /// thousands of reconnections, and [`Stopped`](ClientError::Stopped) when the client's runtime has ended. Everything else is waited out and told as an [`Event`].
    pub async fn next(&mut self) -> Option<Result<Event, ClientError>> {
        std::future::poll_fn(|context| self.inlet.poll_next(context)).await
    }

    /// The next event if there is one already.
    pub fn next_now(&mut self) -> Option<Result<Event, ClientError>> {
        self.inlet.next_now()
    }
}

impl futures_core::Stream for Subscription {
    type Item = Result<Event, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inlet.poll_next(context)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::Unsubscribe { id: self.id });
    }
}

/// What a subscription is to be; [`open`](Self::open) makes it.
#[derive(Debug)]
#[must_use = "it subscribes to nothing until it is opened"]
pub struct SubscriptionBuilder {
    client: Client,
    names: Vec<(SubscriptionKind, Bytes)>,
    slow_reader: SlowReader,
    unread_bytes_max: usize,
}

impl SubscriptionBuilder {
    pub(crate) fn new(client: Client, settings: &ClientSettings) -> Self {
        let ClientSettings { slow_reader, unread_bytes_max, .. } = *settings;
        Self { client, names: Vec::new(), slow_reader, unread_bytes_max }
    }

    /// Adds channels.
    pub fn channels<N: AsRef<[u8]>>(self, names: impl IntoIterator<Item = N>) -> Self {
        self.names(SubscriptionKind::Channel, names)
    }

    /// Adds patterns.
    pub fn patterns<N: AsRef<[u8]>>(self, names: impl IntoIterator<Item = N>) -> Self {
        self.names(SubscriptionKind::Pattern, names)
    }

    /// Adds shard channels.
    pub fn shard_channels<N: AsRef<[u8]>>(self, names: impl IntoIterator<Item = N>) -> Self {
        self.names(SubscriptionKind::Shard, names)
    }

    /// Adds names of any kind.
    pub fn names<N: AsRef<[u8]>>(
        mut self,
        kind: SubscriptionKind,
        names: impl IntoIterator<Item = N>,
    ) -> Self {
        for name in names {
            let name = (kind, Bytes::copy_from_slice(name.as_ref()));
            if !self.names.contains(&name) {
                self.names.push(name);
            }
        }
        self
    }

    /// What happens to messages when it is not read fast enough.
    pub fn slow_reader(mut self, policy: SlowReader) -> Self {
        self.slow_reader = policy;
        self
    }

    /// Bytes of messages that may wait in it.
    pub fn unread_bytes_max(mut self, bytes: usize) -> Self {
        self.unread_bytes_max = bytes;
        self
    }

    /// Subscribes. Returns when the server has confirmed all names, and every message that is published from then on
    /// comes or is covered by a gap. Dropped before that, it unsubscribes.
    ///
    /// # Errors
    ///
    /// [`NoServer`](ClientError::NoServer) or [`NotConfirmed`](ClientError::NotConfirmed) after
    /// [`patience`](ClientSettings::patience), [`GivenUp`](ClientError::GivenUp), [`Request`](ClientError::Request) if the server
    /// refuses one of the names or there is none, and [`TurnedAway`](ClientError::TurnedAway) if it ends the connection for them.
    ///
    /// Confirmations come behind messages: while another subscription of the client blocks, this one waits for it.
    pub async fn open(self) -> Result<Subscription, ClientError> {
        if self.names.is_empty() {
            return Err(ClientError::Request(RequestError::Empty));
        }
        let patience = self.client.settings().patience;
        let (outlet, inlet) = outlet(self.unread_bytes_max, self.slow_reader);
        let (done, confirmed) = oneshot::channel();
        let (id, orders) = (self.client.next_subscription(), self.client.session());
        let wanted = Wanted { names: self.names, outlet, done: Some(done), patience };
        // Made before anything is sent: when this is dropped, it unsubscribes.
        let subscription = Subscription { inlet, id, orders, _client: self.client };
        subscription.orders.send(Order::Subscribe { id, wanted }).map_err(|_| ClientError::Stopped)?;
        confirmed.await.map_err(|_| ClientError::Stopped)??;
        Ok(subscription)
    }
}
