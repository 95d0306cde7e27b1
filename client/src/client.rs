//! A client of several servers that are one, as its users hold it.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use tokio::{sync::mpsc, time::Instant};

use crate::{
    Address, AddressError, ClientError, ClientSettings, ConnectError, Connection, Network, RequestError,
    SubscriptionBuilder, Transport, Value,
    connection::check_request,
    dialer::{Backoff, Dialer},
    session::{self, Order},
};

/// A client of a Carillon cluster, or of any server that speaks Redis's pub/sub; clones share it.
///
/// It connects when it has something to do: once for all requests, and once for all subscriptions, so that a subscription
/// that is not read holds up no request. When a connection is lost it takes the next server. Subscriptions go on by
/// themselves and tell what they may have missed; requests are not repeated.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = carillon_client::Client::new("10.0.0.1:6379,10.0.0.2:6379")?;
/// let receivers = client.publish("news", "hello").await?;
/// let servers = client.request(["PUBSUB", "NUMSUB", "news"]).await?;
/// # let _ = (receivers, servers);
/// # Ok(())
/// # }
/// ```
///
/// # Panics
///
/// Whatever connects, connects on the current tokio runtime, which needs time and IO: its futures panic outside of one.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    dialer: Arc<Dialer>,
    settings: ClientSettings,
    /// The connection for requests.
    requests: Mutex<Option<Connection>>,
    /// Held by who makes that, so that many who wait for it make one.
    dialling: tokio::sync::Mutex<()>,
    session: Mutex<Option<mpsc::UnboundedSender<Order>>>,
    next_subscription: AtomicU64,
}

impl Client {
    /// A client of the servers in `addresses`, separated by commas; each in a form of [`Address`]. A name stands for all
    /// of its addresses. Connects to none yet.
    ///
    /// # Errors
    ///
    /// One of them is no address.
    pub fn new(addresses: &str) -> Result<Self, AddressError> {
        let addresses: Result<Vec<Address>, AddressError> =
            addresses.split(',').map(|one| one.trim().parse()).collect();
        Ok(Self::with(addresses?, Arc::new(Network::default()), ClientSettings::default()))
    }

    /// A client with settings, and with streams that `transport` makes. With no address at all it can do nothing, and says so
    /// when it is asked to. Times that are longer than a year count as one.
    pub fn with(addresses: Vec<Address>, transport: Arc<dyn Transport>, settings: ClientSettings) -> Self {
        let settings = settings.bounded();
        let backoff = Backoff { min: settings.backoff_min, max: settings.backoff_max };
        let dialer = Arc::new(Dialer::new(addresses, transport, settings.connection, backoff));
        let inner = Inner {
            dialer,
            settings,
            requests: Mutex::default(),
            dialling: tokio::sync::Mutex::default(),
            session: Mutex::default(),
            next_subscription: AtomicU64::new(1),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Publishes to a channel and returns the number of subscribers that received it, in the whole cluster.
    ///
    /// Publishes that run at the same time are pipelined. Nothing is sent twice: after
    /// [`Unanswered`](ClientError::Unanswered) it is not known whether the message was published. Dropped before it is
    /// done, it has published nothing or all.
    ///
    /// # Errors
    ///
    /// [`NoServer`](ClientError::NoServer) after [`patience`](ClientSettings::patience), and
    /// [`GivenUp`](ClientError::GivenUp) at once, without anything being sent; `Unanswered`; and
    /// [`Request`](ClientError::Request) if the server answers with an error.
    pub async fn publish(
        &self,
        channel: impl AsRef<[u8]>,
        payload: impl AsRef<[u8]>,
    ) -> Result<u64, ClientError> {
        self.count(&[b"publish", channel.as_ref(), payload.as_ref()]).await
    }

    /// Publishes to a shard channel, else like [`publish`](Self::publish), with its errors.
    pub async fn spublish(
        &self,
        channel: impl AsRef<[u8]>,
        payload: impl AsRef<[u8]>,
    ) -> Result<u64, ClientError> {
        self.count(&[b"spublish", channel.as_ref(), payload.as_ref()]).await
    }

    /// The number of clients that have subscribed to a channel by its name, in the whole cluster.
    ///
    /// # Errors
    ///
    /// Those of [`publish`](Self::publish).
    pub async fn subscribers(&self, channel: impl AsRef<[u8]>) -> Result<u64, ClientError> {
        let reply = self.sent(&[b"pubsub".as_slice(), b"numsub", channel.as_ref()]).await?;
        let endpoint = reply.endpoint().clone();
        let got = reply.value().await.map_err(after_sending)?;
        let count = match &got {
            Value::Array(items) => match &items[..] {
                [_, Value::Integer(count)] => u64::try_from(*count).ok(),
                _ => None,
            },
            _ => None,
        };
        let wanted = "a channel and its number of subscribers";
        count.ok_or(ClientError::Request(RequestError::UnexpectedReply { endpoint, wanted, got }))
    }

    /// Sends a command and waits for its reply, else like [`publish`](Self::publish), with its errors.
    ///
    /// Commands that subscribe, authenticate, change what the connection speaks or belong to a transaction are refused with
    /// [`NotARequest`](RequestError::NotARequest) before anything is sent: all clones share one connection.
    pub async fn request<A: AsRef<[u8]>>(
        &self,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Value, ClientError> {
        let args: Vec<A> = args.into_iter().collect();
        check_request(&args).map_err(ClientError::Request)?;
        let reply = self.sent(&args).await?;
        reply.value().await.map_err(after_sending)
    }

    /// Subscribes to channels, with the client's settings. See [`subscription`](Self::subscription), and
    /// [`open`](SubscriptionBuilder::open) for what can go wrong.
    pub async fn subscribe<N: AsRef<[u8]>>(
        &self,
        channels: impl IntoIterator<Item = N>,
    ) -> Result<crate::Subscription, ClientError> {
        self.subscription().channels(channels).open().await
    }

    /// Subscribes to patterns, with the client's settings. See [`subscription`](Self::subscription), and
    /// [`open`](SubscriptionBuilder::open) for what can go wrong.
    pub async fn psubscribe<N: AsRef<[u8]>>(
        &self,
        patterns: impl IntoIterator<Item = N>,
    ) -> Result<crate::Subscription, ClientError> {
        self.subscription().patterns(patterns).open().await
    }

    /// A subscription to be described and opened. All subscriptions of a client share one connection.
    ///
    /// ```no_run
    /// # async fn example(client: carillon_client::Client) -> Result<(), carillon_client::ClientError> {
    /// use carillon_client::SlowReader;
    ///
    /// let subscription = client
    ///     .subscription()
    ///     .channels(["news", "weather"])
    ///     .patterns(["room:*"])
    ///     .slow_reader(SlowReader::Drop)
    ///     .unread_bytes_max(1024 * 1024)
    ///     .open()
    ///     .await?;
    /// # drop(subscription);
    /// # Ok(())
    /// # }
    /// ```
    pub fn subscription(&self) -> SubscriptionBuilder {
        SubscriptionBuilder::new(self.clone(), &self.inner.settings)
    }

    async fn count(&self, args: &[&[u8]; 3]) -> Result<u64, ClientError> {
        let reply = self.sent(args).await?;
        reply.receivers().await.map_err(after_sending)
    }

    /// Sends a command on a connection that takes it.
    async fn sent<A: AsRef<[u8]>>(&self, args: &[A]) -> Result<crate::Reply, ClientError> {
        let deadline = Instant::now() + self.inner.settings.patience;
        let mut failures = 0;
        loop {
            let connection = self.connection(deadline).await?;
            let lost = match connection.send_words(args).await {
                Ok(reply) => return Ok(reply),
                // It was lost before it took the command.
                Err(RequestError::Lost(lost)) => lost,
                Err(error) => return Err(ClientError::Request(error)),
            };
            self.inner.dialer.failed(&lost.endpoint.to_string());
            // A server that accepts and closes again and again is not asked without a pause.
            self.inner.rest(failures, deadline, None).await?;
            failures += 1;
        }
    }

    async fn connection(&self, deadline: Instant) -> Result<Connection, ClientError> {
        if let Some(connection) = self.connected() {
            return Ok(connection);
        }
        let _turn = self.inner.dialling.lock().await;
        if let Some(connection) = self.connected() {
            return Ok(connection);
        }
        let connection = self.inner.connect(deadline).await?;
        *lock(&self.inner.requests) = Some(connection.clone());
        Ok(connection)
    }

    fn connected(&self) -> Option<Connection> {
        lock(&self.inner.requests).as_ref().filter(|connection| !connection.is_lost()).cloned()
    }

    /// The task that keeps the subscriptions, which is started with the first.
    pub(crate) fn session(&self) -> mpsc::UnboundedSender<Order> {
        let mut session = lock(&self.inner.session);
        if let Some(running) = session.as_ref().filter(|orders| !orders.is_closed()) {
            return running.clone();
        }
        let (orders, taken) = mpsc::unbounded_channel();
        session::start(Arc::clone(&self.inner.dialer), taken);
        *session = Some(orders.clone());
        orders
    }

    pub(crate) fn next_subscription(&self) -> u64 {
        self.inner.next_subscription.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn settings(&self) -> &ClientSettings {
        &self.inner.settings
    }
}

impl Inner {
    /// Connects to some server, again and again, until the time is over or it is of no use.
    async fn connect(&self, deadline: Instant) -> Result<Connection, ClientError> {
        let mut failures = 0;
        let mut last = None;
        loop {
            let error = match tokio::time::timeout_at(deadline, self.dialer.connect()).await {
                Ok(Ok((connection, driver))) => {
                    tokio::spawn(driver.run());
                    return Ok(connection);
                }
                Ok(Err(failed)) if failed.is_final => {
                    return Err(ClientError::GivenUp(Arc::new(failed.error)));
                }
                Ok(Err(failed)) => Arc::new(failed.error),
                Err(_) => return Err(self.out_of_patience(last)),
            };
            failures += 1;
            self.rest(failures, deadline, Some(&error)).await?;
            last = Some(error);
        }
    }

    /// Waits after so many failures, if there is time for that.
    async fn rest(
        &self,
        failures: u32,
        deadline: Instant,
        last: Option<&Arc<ConnectError>>,
    ) -> Result<(), ClientError> {
        let end = Instant::now() + self.dialer.backoff.after(failures);
        if end >= deadline {
            return Err(self.out_of_patience(last.cloned()));
        }
        tokio::time::sleep_until(end).await;
        Ok(())
    }

    fn out_of_patience(&self, last: Option<Arc<ConnectError>>) -> ClientError {
        ClientError::NoServer { patience: self.settings.patience, servers: self.dialer.servers(), last }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn after_sending(error: RequestError) -> ClientError {
    match error {
        RequestError::Lost(lost) => ClientError::Unanswered(lost),
        error => ClientError::Request(error),
    }
}
