//! Subscribing, and the stream of messages.

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::{
    Connection, ConnectionLost, Message, RequestError, SubscriptionKind,
    connection::encode,
    message::Pushed,
    order::Order,
    queue::{QueueReceiver, QueueSender, queue},
};

/// The messages of a connection's subscriptions, in the order in which the server sent them.
///
/// Dropping it unsubscribes; the connection lives on while there are clones of it.
#[derive(Debug)]
#[must_use = "dropping it unsubscribes"]
pub struct Subscriber {
    messages: QueueReceiver,
    connection: Connection,
}

impl Connection {
    /// Subscribes to channels. Returns when the server has confirmed all of them.
    ///
    /// A connection carries one subscriber at a time; [`Subscriber::add`] subscribes it to more. Dropped before it is done, it
    /// unsubscribes.
    ///
    /// # Errors
    ///
    /// [`Refused`](RequestError::Refused) if the server refuses one of them, [`Lost`](RequestError::Lost),
    /// [`AlreadySubscribed`](RequestError::AlreadySubscribed), and [`Empty`](RequestError::Empty) for none.
    pub async fn subscribe<N: AsRef<[u8]>>(
        &self,
        channels: impl IntoIterator<Item = N>,
    ) -> Result<Subscriber, RequestError> {
        self.subscriber(SubscriptionKind::Channel, channels).await
    }

    /// Subscribes to patterns, else like [`subscribe`](Self::subscribe).
    pub async fn psubscribe<N: AsRef<[u8]>>(
        &self,
        patterns: impl IntoIterator<Item = N>,
    ) -> Result<Subscriber, RequestError> {
        self.subscriber(SubscriptionKind::Pattern, patterns).await
    }

    /// Subscribes to shard channels, else like [`subscribe`](Self::subscribe).
    pub async fn ssubscribe<N: AsRef<[u8]>>(
        &self,
        channels: impl IntoIterator<Item = N>,
    ) -> Result<Subscriber, RequestError> {
        self.subscriber(SubscriptionKind::Shard, channels).await
    }

    /// A subscriber of nothing yet, to which names are added. The first names go with it.
    pub(crate) fn empty_subscriber(&self) -> (Subscriber, QueueSender) {
        let (sender, messages) = queue(self.settings().unread_bytes_max);
        (Subscriber { messages, connection: self.clone() }, sender)
    }

    /// Subscribes to names and waits for their confirmation; `queue` is that of a new subscriber.
    pub(crate) async fn add_names(
        &self,
        kind: SubscriptionKind,
        names: Vec<Bytes>,
        queue: Option<QueueSender>,
    ) -> Result<(), RequestError> {
        order_subscription(self, kind, names, queue).await
    }

    /// Subscribes with numbers: `words` is the whole command, `names` are those in it.
    pub(crate) async fn add_numbered(
        &self,
        words: &[Bytes],
        names: Vec<(SubscriptionKind, Bytes)>,
        queue: Option<QueueSender>,
    ) -> Result<(), RequestError> {
        let (reply, value) = oneshot::channel();
        self.order(Order::Numbered { bytes: encode(words), names, reply, queue }).await?;
        value.await.unwrap_or_else(|_| Err(self.lost().into())).map(drop)
    }

    /// Unsubscribes from names and waits for the confirmation.
    pub(crate) async fn drop_names(
        &self,
        kind: SubscriptionKind,
        names: Vec<Bytes>,
    ) -> Result<(), RequestError> {
        let (names, bytes) = command(kind.unsubscribe(), names)?;
        let (done, confirmed) = oneshot::channel();
        self.order(Order::Unsubscribe { bytes, kind, names, done }).await?;
        confirmed.await.unwrap_or_else(|_| Err(self.lost().into()))
    }

    /// Subscribes to names of any kind, else like [`subscribe`](Self::subscribe).
    pub async fn subscriber<N: AsRef<[u8]>>(
        &self,
        kind: SubscriptionKind,
        names: impl IntoIterator<Item = N>,
    ) -> Result<Subscriber, RequestError> {
        let (sender, messages) = queue(self.settings().unread_bytes_max);
        order_subscription(self, kind, names, Some(sender)).await?;
        Ok(Subscriber { messages, connection: self.clone() })
    }
}

impl Subscriber {
    /// Waits for the next message. After the last one before the end of the connection, the reason of the end,
    /// again and again: there is no end without a reason.
    ///
    /// May be dropped and called again without losing a message.
    pub async fn next(&mut self) -> Result<Message, ConnectionLost> {
        loop {
            // Others come only to those who asked for numbers.
            if let Pushed::Message(message) = self.next_pushed().await? {
                return Ok(message);
            }
        }
    }

    /// As [`next`](Self::next), whatever was sent.
    pub(crate) async fn next_pushed(&mut self) -> Result<Pushed, ConnectionLost> {
        self.messages.next().await.ok_or_else(|| self.connection.lost())
    }

    /// As [`next_now`](Self::next_now), whatever was sent.
    pub(crate) fn next_pushed_now(&mut self) -> Option<Pushed> {
        self.messages.next_now()
    }

    /// The next message if it has arrived already.
    pub fn next_now(&mut self) -> Option<Message> {
        loop {
            if let Pushed::Message(message) = self.messages.next_now()? {
                return Some(message);
            }
        }
    }

    /// Subscribes to more names. Returns when the server has confirmed all of them.
    ///
    /// The confirmation comes behind messages: it cannot be read while the subscriber's queue is full.
    pub async fn add<N: AsRef<[u8]>>(
        &mut self,
        kind: SubscriptionKind,
        names: impl IntoIterator<Item = N>,
    ) -> Result<(), RequestError> {
        order_subscription(&self.connection, kind, names, None).await
    }

    /// Unsubscribes from names, else like [`add`](Self::add).
    pub async fn remove<N: AsRef<[u8]>>(
        &mut self,
        kind: SubscriptionKind,
        names: impl IntoIterator<Item = N>,
    ) -> Result<(), RequestError> {
        let names = names.into_iter().map(|name| Bytes::copy_from_slice(name.as_ref())).collect();
        self.connection.drop_names(kind, names).await
    }

    /// The connection that it reads from.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }
}

async fn order_subscription<N: AsRef<[u8]>>(
    connection: &Connection,
    kind: SubscriptionKind,
    names: impl IntoIterator<Item = N>,
    queue: Option<QueueSender>,
) -> Result<(), RequestError> {
    let (names, bytes) = command(kind.subscribe(), names)?;
    let (done, confirmed) = oneshot::channel();
    connection.order(Order::Subscribe { bytes, kind, names, done, queue }).await?;
    confirmed.await.unwrap_or_else(|_| Err(connection.lost().into()))
}

fn command<N: AsRef<[u8]>>(
    verb: &'static str,
    names: impl IntoIterator<Item = N>,
) -> Result<(Vec<Bytes>, Vec<u8>), RequestError> {
    let names: Vec<Bytes> = names.into_iter().map(|name| Bytes::copy_from_slice(name.as_ref())).collect();
    if names.is_empty() {
        return Err(RequestError::Empty);
    }
    let mut words: Vec<&[u8]> = vec![verb.as_bytes()];
    words.extend(names.iter().map(Bytes::as_ref));
    let bytes = encode(&words);
    Ok((names, bytes))
}
