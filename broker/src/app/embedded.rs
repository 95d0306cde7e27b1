//! A node inside another program.

use std::{net::SocketAddr, sync::Arc};

use carillon_client::{Address, Client, ClientSettings};
use serde_json::Value;
use tokio::task::JoinHandle;

use super::{InProcess, RunError, operators::Operators, prepared::Prepared};
use crate::{
    admin::Source as _,
    config::Settings,
    server::{ClientAddrs, Log},
};

/// A node of Carillon inside this process.
///
/// Its shards are threads of their own; everything else runs on the tokio runtime that it is started on. Several can run in one
/// process. It installs no signal handler, no logger and no recorder of metrics: what it has to say goes to [`tracing`], and
/// its numbers are on its admin port. Of the process it changes one thing: the limit on open files, which is raised to what
/// [`clients_max`](Settings::clients_max) needs, as far as the system allows it.
///
/// ```
/// use carillon_broker::{Broker, Settings, client::Event};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let data_dir = folder.path().join("data");
/// let any_port = ([127, 0, 0, 1], 0);
/// let settings = Settings::default().client_addr(any_port).admin_addr(any_port).data_dir(data_dir);
///
/// let broker = Broker::start(settings).await?;
/// broker.ready().await?;
/// println!("redis://{}", broker.client_addr().expect("a port without TLS"));
///
/// // No socket between this program and its node; clients of other programs use the address.
/// let client = broker.client();
/// let mut news = client.subscribe(["news"]).await?;
/// assert_eq!(client.publish("news", "hello").await?, 1);
/// let Some(Ok(Event::Message(message))) = news.next().await else { panic!("a message comes first") };
/// assert_eq!(message.payload, "hello");
///
/// broker.shutdown().await?;
/// # Ok(())
/// # }
/// ```
///
/// What can be [set](Settings) is what the binary's flags are. A member of a cluster needs `peer_addr`, `peers` and a
/// `cluster_secret_file`, which may be [in memory](crate::Contents):
///
/// ```
/// use carillon_broker::{Contents, Settings};
///
/// # let secret = "64 letters from openssl rand -hex 32";
/// let settings = Settings::default()
///     .name("a")
///     .peer_addr(([10, 0, 0, 1], 7379))
///     .peers(["10.0.0.1:7379", "10.0.0.2:7379", "10.0.0.3:7379"])
///     .cluster_secret_file(Contents::new(secret));
/// assert_eq!(settings.check(), Ok(()));
/// ```
///
/// Files that settings name are read when it starts. The binary reads them again when they change; a program starts its node
/// again. Only the operators' token is looked up whenever somebody shows one. What is logged, and in which form, is the
/// program's affair: `log_level` and `log_format` are the binary's, but for what [`start_with`](Self::start_with) makes of them.
///
/// Dropped, it is told to stop as by [`shutdown`](Self::shutdown), and ends behind the program's back for as long as the
/// runtime lives. When the runtime ends first, the node ends without order: its clients are cut off, and
/// [`shutdown`](Self::shutdown) says [`RuntimeEnded`](RunError::RuntimeEnded).
#[must_use = "dropped, the node stops"]
pub struct Broker {
    operators: Arc<Operators>,
    client_addrs: ClientAddrs,
    admin_addr: SocketAddr,
    /// `None` once its end has been awaited.
    running: Option<JoinHandle<Result<(), RunError>>>,
}

impl Broker {
    /// Starts a node on the current runtime, which needs time and IO. Its addresses are bound when this returns; a member
    /// of a cluster takes clients once it is [`ready`](Self::ready).
    ///
    /// # Errors
    ///
    /// Settings that cannot be used, addresses that are taken, a data folder that is in use or corrupt. Nothing is left
    /// running then. When it is cancelled, the same holds a moment later.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with time and IO enabled.
    pub async fn start(settings: Settings) -> Result<Self, RunError> {
        Self::start_with(settings, Log::new(|_| {})).await
    }

    /// Starts a node that can change what is logged, as CONFIG SET loglevel and the admin port may ask for.
    ///
    /// ```
    /// use carillon_broker::{Broker, Log, Settings};
    /// use tracing_subscriber::{filter::Targets, prelude::*, reload};
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let (filter, handle) = reload::Layer::new("info".parse::<Targets>()?);
    /// tracing_subscriber::registry().with(filter).with(tracing_subscriber::fmt::layer()).init();
    /// let log = Log::new(move |levels| {
    ///     if let Ok(targets) = levels.parse::<Targets>() {
    ///         let _ = handle.reload(targets);
    ///     }
    /// });
    /// let broker = Broker::start_with(Settings::default(), log).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`start`](Self::start), and its panics.
    pub async fn start_with(settings: Settings, log: Log) -> Result<Self, RunError> {
        let prepared = Prepared::new(settings, log).await?;
        let operators = Arc::clone(&prepared.operators);
        let (client_addrs, admin_addr) = (prepared.client_addrs.clone(), prepared.admin.addr);
        let running = Some(tokio::spawn(prepared.run()));
        Ok(Self { operators, client_addrs, admin_addr, running })
    }

    /// Where clients arrive without TLS, with the port that was chosen if 0 was asked for; `None` if that is not allowed.
    pub fn client_addr(&self) -> Option<SocketAddr> {
        self.client_addrs.plain
    }

    /// Where clients arrive with TLS, if there is such a port.
    pub fn tls_addr(&self) -> Option<SocketAddr> {
        self.client_addrs.tls
    }

    /// Where operators ask.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin_addr
    }

    /// A client of this node that needs no socket: no request passes one on its way to the node, and what is published is copied
    /// once and then shared by all subscribers in the process; other nodes get it from this one. Clients and their
    /// subscriptions do not keep the node; when it has been shut down, they end with an error.
    ///
    /// In everything else it is a client like any other. It counts as a receiver, in PUBSUB and against the limits; it is
    /// closed, with the reason, when the node is fenced or it reads too slowly; and it goes on by itself, where it was or
    /// with a [`Gap`](carillon_client::Event::Gap). It may do everything, whoever the node's users are.
    pub fn client(&self) -> Client {
        self.client_with(Vec::new(), ClientSettings::default())
    }

    /// As [`client`](Self::client), with settings, and with other nodes of the cluster at which it can go on while this one is
    /// not in the view. It connects to this one when both are well; where it has gone on it stays.
    pub fn client_with(&self, others: Vec<Address>, settings: ClientSettings) -> Client {
        let transport = self.transport();
        let this = Address::new(transport.endpoint());
        let addresses = std::iter::once(this).chain(others).collect();
        Client::with(addresses, Arc::new(transport), settings)
    }

    /// The way to this node for clients in this process: what [`client`](Self::client) is made with.
    pub fn transport(&self) -> InProcess {
        InProcess::new(self.operators.name.clone(), &self.operators.node)
    }

    /// Whether the node takes clients at this moment; if not, why.
    pub fn readiness(&self) -> Result<(), String> {
        self.operators.readiness()
    }

    /// Waits until the node takes clients: for a member of a cluster, until it is in the view, however long the others take;
    /// [`readiness`](Self::readiness) says what is missing. It can be cancelled and called again.
    ///
    /// # Errors
    ///
    /// [`RunError::Ended`] if it stops before.
    pub async fn ready(&self) -> Result<(), RunError> {
        if self.operators.node.is_stopping() {
            return Err(RunError::Ended);
        }
        let Some(member) = &self.operators.member else { return Ok(()) };
        let mut port = member.port.subscribe();
        tokio::select! {
            opened = port.wait_for(|is_open| *is_open) => opened.map(drop).map_err(|_| RunError::Ended),
            () = self.operators.node.stopped() => Err(RunError::Ended),
        }
    }

    /// How the node is, as the admin port's `/status` tells it. What stays as it is from version to version, while other keys come
    /// and go:
    ///
    /// | key | what |
    /// |---|---|
    /// | `name`, `version` | texts |
    /// | `condition`, `reason` | `joining`, `entering`, `serving` or `draining`; and for the first two what it waits for |
    /// | `in_view` | whether it takes clients |
    /// | `clients` | how many are connected |
    ///
    /// and of a member of a cluster:
    ///
    /// | key | what |
    /// |---|---|
    /// | `node`, `leader` | its id, and the leader's; `null` for none |
    /// | `role` | `leader`, `follower`, `candidate`, `learner`, or `none` before it is a member |
    /// | `epoch`, `term` | of the view, and of Raft |
    /// | `lease_ms_left` | milliseconds for which it may serve without hearing from the majority |
    /// | `members` | a list: `id`, `name`, `addr`, `in_view`, `voter`, `link_up`, `rtt_us` (microseconds of a round trip there, `null` without a link), `lag` (messages that it has not acknowledged) |
    pub async fn status(&self) -> Value {
        self.operators.status().await
    }

    /// Clients that are connected.
    pub fn clients(&self) -> usize {
        self.operators.node.clients()
    }

    /// Tells the node to stop, as [`shutdown`](Self::shutdown) does, without waiting for it; [`ended`](Self::ended) does that.
    pub fn stop(&self) {
        self.operators.node.stop();
    }

    /// Waits until the node has ended by itself: because its disk failed, because SHUTDOWN was sent to it, because the
    /// admin port was asked to drain it. It can be cancelled and called again.
    ///
    /// # Errors
    ///
    /// Why it could not go on.
    pub async fn ended(&mut self) -> Result<(), RunError> {
        let Some(running) = &mut self.running else { return Ok(()) };
        let ended = running.await;
        self.running = None;
        ended.unwrap_or_else(|error| {
            Err(if error.is_panic() { RunError::Panicked(error.to_string()) } else { RunError::RuntimeEnded })
        })
    }

    /// Stops the node as SIGTERM stops the binary: everything that clients have sent is answered, a member leaves its
    /// cluster and closes its clients spread over the drain time. When this returns, no task, port or open file of it is left,
    /// and no thread but a few idle ones that the store's library keeps for all stores of a process. Cancelled, it goes on in the
    /// background.
    ///
    /// # Errors
    ///
    /// Why it had ended before, or could not end in order.
    pub async fn shutdown(mut self) -> Result<(), RunError> {
        self.stop();
        self.ended().await
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop();
    }
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Broker")
            .field("client_addrs", &self.client_addrs)
            .field("admin_addr", &self.admin_addr)
            .finish_non_exhaustive()
    }
}
