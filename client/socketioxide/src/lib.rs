//! Connects the instances of a [socketioxide](https://docs.rs/socketioxide) server: through a Carillon cluster, through any other
//! server that speaks Redis's pub/sub, or through nodes of Carillon inside the instances themselves, with nothing beside them.
//!
//! It is a [`Driver`] of [`socketioxide_redis`], so rooms, acknowledgements and remote sockets are what its adapter makes of
//! them, and instances with this driver and with that of redis-rs can be mixed. What it adds is the [`Client`]: it
//! goes on at another node when one dies, with each message once and in order, and where that cannot be, it says so: see
//! [`on_gap`](CarillonDriver::on_gap) and [`on_end`](CarillonDriver::on_end).
//!
//! ```no_run
//! use carillon_client::Client;
//! use carillon_socketioxide::{CarillonAdapter, CarillonDriver};
//! use socketioxide::{SocketIo, adapter::Adapter, extract::SocketRef};
//! use socketioxide_redis::{RedisAdapterConfig, RedisAdapterCtr};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! async fn on_connect<A: Adapter>(socket: SocketRef<A>) {
//!     socket.join("lobby");
//! }
//!
//! // Or `broker.client()`, of a node in this process.
//! let client = Client::new("10.0.0.1:6379,10.0.0.2:6379,10.0.0.3:6379")?;
//! let driver = CarillonDriver::new(client);
//! let adapter = RedisAdapterCtr::new_with_driver(driver, RedisAdapterConfig::default());
//! let (layer, io) = SocketIo::builder().with_adapter::<CarillonAdapter<_>>(adapter).build_layer();
//! io.ns("/", on_connect).await?;
//! # let _ = layer;
//! # Ok(())
//! # }
//! ```

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use carillon_client::{Client, ClientError, Event, Gap, SlowReader, Subscription};
use socketioxide_redis::{
    CustomRedisAdapter,
    drivers::{ChanItem, Driver, MessageStream},
};
use tokio::{sync::mpsc, task::AbortHandle};

/// The crate whose adapter this is a driver of, in the version that it is one of.
pub use socketioxide_redis;

/// The adapter of [`socketioxide_redis`] with this driver.
pub type CarillonAdapter<E> = CustomRedisAdapter<E, CarillonDriver>;

/// Carries the adapter's messages over a [`Client`]; clones share it.
#[derive(Clone)]
pub struct CarillonDriver {
    client: Client,
    shared: Arc<Shared>,
    on_gap: Arc<OnGap>,
    on_end: Arc<OnEnd>,
}

type OnGap = dyn Fn(&str, &Gap) + Send + Sync;
type OnEnd = dyn Fn(&str, &ClientError) + Send + Sync;

#[derive(Debug, Default)]
struct Shared {
    /// The tasks that hand messages on, by channel.
    streams: Mutex<HashMap<String, AbortHandle>>,
    gaps: AtomicU64,
}

impl CarillonDriver {
    /// Carries messages over this client. Gaps are counted, and logged as warnings.
    pub fn new(client: Client) -> Self {
        let on_gap = |channel: &str, gap: &Gap| {
            let (since, until, cause) = (gap.since, gap.until, &gap.cause);
            tracing::warn!(channel, ?since, ?until, %cause, "messages of other instances may be missing");
        };
        let on_end = |channel: &str, error: &ClientError| {
            tracing::error!(channel, %error, "this instance hears nothing more of the others");
        };
        Self { client, shared: Arc::default(), on_gap: Arc::new(on_gap), on_end: Arc::new(on_end) }
    }

    /// Calls this, instead of logging, whenever messages of other instances may be missing: broadcasts that the sockets of
    /// this instance did not get. An application that must not miss any can have its sockets fetch the state anew. It is
    /// called on the path of messages, and is to be quick; the channel is the adapter's own name for what it is.
    #[must_use]
    pub fn on_gap(mut self, on_gap: impl Fn(&str, &Gap) + Send + Sync + 'static) -> Self {
        self.on_gap = Arc::new(on_gap);
        self
    }

    /// Calls this, instead of logging, when a subscription has ended with an error: this instance hears nothing more of the others
    /// in this channel, until it is started again. That happens when servers refuse the client's credentials or rights, and when
    /// the node in this process was stopped and the client knows no other. Ending the process is a good answer.
    #[must_use]
    pub fn on_end(mut self, on_end: impl Fn(&str, &ClientError) + Send + Sync + 'static) -> Self {
        self.on_end = Arc::new(on_end);
        self
    }

    /// How many gaps there were, in all channels.
    pub fn gaps(&self) -> u64 {
        self.shared.gaps.load(Ordering::Relaxed)
    }

    /// The client that it uses.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Hands on what comes until the adapter does not want it any more. While the adapter is behind, messages wait in the
    /// subscription, which is bounded and tells what it drops.
    async fn hand_on(self, channel: String, mut subscription: Subscription, items: mpsc::Sender<ChanItem>) {
        loop {
            let event = tokio::select! {
                event = subscription.next() => event,
                () = items.closed() => return,
            };
            match event {
                Some(Ok(Event::Message(message))) => {
                    if items.send((channel.clone(), message.payload.into())).await.is_err() {
                        return;
                    }
                }
                Some(Ok(Event::Gap(gap))) => {
                    self.shared.gaps.fetch_add(1, Ordering::Relaxed);
                    (self.on_gap)(&channel, &gap);
                }
                Some(Ok(_)) => {}
                // The adapter's stream ends with this, and with it what the instance hears of the others.
                Some(Err(error)) => return (self.on_end)(&channel, &error),
                None => return,
            }
        }
    }
}

impl Shared {
    fn streams(&self) -> MutexGuard<'_, HashMap<String, AbortHandle>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        for (_, stream) in self.streams().drain() {
            stream.abort();
        }
    }
}

impl Driver for CarillonDriver {
    type Error = ClientError;

    async fn publish(&self, channel: String, payload: Vec<u8>) -> Result<(), ClientError> {
        self.client.publish(channel, payload).await.map(drop)
    }

    async fn subscribe(&self, channel: String, size: usize) -> Result<MessageStream<ChanItem>, ClientError> {
        // One channel that is behind must not hold up the answers that come by another.
        let subscription = self.client.subscription().channels([&channel]).slow_reader(SlowReader::Drop);
        let subscription = subscription.open().await?;
        let (items, stream) = mpsc::channel(size);
        let task = tokio::spawn(self.clone().hand_on(channel.clone(), subscription, items)).abort_handle();
        if let Some(before) = self.shared.streams().insert(channel, task) {
            before.abort();
        }
        Ok(MessageStream::new(stream))
    }

    async fn unsubscribe(&self, channel: String) -> Result<(), ClientError> {
        if let Some(stream) = self.shared.streams().remove(&channel) {
            stream.abort();
        }
        Ok(())
    }

    async fn num_serv(&self, channel: &str) -> Result<u16, ClientError> {
        let count = self.client.subscribers(channel).await?;
        Ok(u16::try_from(count).unwrap_or(u16::MAX))
    }
}

/// Without what is called at a gap.
impl fmt::Debug for CarillonDriver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("CarillonDriver")
            .field("client", &self.client)
            .field("gaps", &self.gaps())
            .finish_non_exhaustive()
    }
}
