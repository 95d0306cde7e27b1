//! The client under failures: publishers and one subscriber of the client crate, with all that they did, and a judge who
//! says what is missing, double, out of order, or not covered by a gap.

mod judge;
mod kills;
mod partition;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use carillon_client::{
    Address, Client, ClientSettings, Endpoint, Event, GapCause, Network, Opening, Socket, Transport,
};
use tokio::{runtime::Runtime, task::JoinHandle};

pub use judge::{Heard, Sent, Verdict, judge};
pub use kills::{KillPlan, kill_the_subscribers_node};
use partition::Partition;

use crate::{Wire, eventually};

/// How long the subscriber may take to get what was answered last.
const LAST_TIME_MAX: Duration = Duration::from_secs(15);

/// Longest silence of a server before the client takes another.
pub const SILENCE: Duration = Duration::from_secs(2);

/// What publishers do.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// How many there are: one to a channel, one to a pattern's, one to a shard channel, and so on.
    pub publishers: usize,
    /// Bytes of each payload beside what identifies it.
    pub payload: usize,
    /// Between two messages of one publisher.
    pub pause: Duration,
}

/// Publishers and a subscriber at work.
#[derive(Debug)]
pub struct Traffic {
    runtime: Runtime,
    stop: Arc<AtomicBool>,
    publishers: Vec<JoinHandle<Vec<Sent>>>,
    heard: Arc<Mutex<Vec<Heard>>>,
    where_to: Arc<WhereTo>,
    answered: Arc<AtomicUsize>,
}

/// The network, and where the last connection went.
#[derive(Debug, Default)]
struct WhereTo {
    network: Network,
    partition: Partition,
    last: Mutex<Option<Endpoint>>,
    is_down: AtomicBool,
}

impl Transport for WhereTo {
    fn open<'a>(&'a self, endpoint: &'a Endpoint) -> Opening<'a, Socket> {
        Box::pin(async move {
            if self.is_down.load(Ordering::SeqCst) {
                return Err(std::io::ErrorKind::NetworkUnreachable.into());
            }
            let socket = match endpoint {
                Endpoint::Tcp { host, port } => match host.parse() {
                    Ok(host) => self.partition.connect(SocketAddr::new(host, *port)).await?,
                    Err(_) => self.network.open(endpoint).await?,
                },
                _ => self.network.open(endpoint).await?,
            };
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(endpoint.clone());
            Ok(socket)
        })
    }

    fn resolve<'a>(&'a self, endpoint: &'a Endpoint) -> Opening<'a, Vec<Endpoint>> {
        self.network.resolve(endpoint)
    }
}

impl Traffic {
    /// Subscribes at one of `servers`, then lets publishers begin at the first that each can reach.
    pub fn start(servers: &[SocketAddr], load: Load) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let addresses: Vec<Address> =
            servers.iter().map(|server| server.to_string().parse().expect("an address")).collect();
        let (where_to, heard, stop) = (Arc::<WhereTo>::default(), Arc::default(), Arc::default());
        let answered: Arc<AtomicUsize> = Arc::default();
        let subscriber = client(&addresses, Arc::clone(&where_to) as _);
        runtime.block_on(listen(subscriber, Arc::clone(&heard)));
        let publish = |number| {
            let client = client(&addresses, Arc::new(Network::default()));
            runtime.spawn(publish(client, number, load, (Arc::clone(&stop), Arc::clone(&answered))))
        };
        let publishers = (0..load.publishers).map(publish).collect();
        Self { runtime, stop, publishers, heard, where_to, answered }
    }

    /// Keeps the subscriber from connecting, and cuts its connection, until so many more messages were answered.
    pub fn cut_off(&self, answered: usize) {
        let wanted = self.answered.load(Ordering::SeqCst) + answered;
        self.where_to.is_down.store(true, Ordering::SeqCst);
        Wire::connect(self.subscribed_at()).ask(&["client", "kill", "type", "pubsub"]);
        let is_enough = || (self.answered.load(Ordering::SeqCst) >= wanted).then_some(());
        eventually(Duration::from_secs(60), is_enough).expect("publishers go on");
        self.where_to.is_down.store(false, Ordering::SeqCst);
    }

    /// Lets nothing come through between the subscriber and a server any more, without a word to either.
    pub fn lose(&self, server: SocketAddr) {
        self.where_to.partition.lose(server);
    }

    /// Lets the subscriber connect to it again.
    pub fn find(&self, server: SocketAddr) {
        self.where_to.partition.find(server);
    }

    /// Where the subscriber is connected to, or was last.
    pub fn subscribed_at(&self) -> SocketAddr {
        let last = self.where_to.last.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Endpoint::Tcp { host, port }) = &*last else {
            panic!("the subscriber is somewhere: {last:?}")
        };
        SocketAddr::new(host.parse().expect("an address"), *port)
    }

    /// What the subscriber has heard so far.
    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Number of what it has heard so far, and waits until it has heard something behind `from` that `wanted` accepts.
    pub fn wait_until_heard(&self, what: &str, from: usize, wanted: impl Fn(&Heard) -> bool) {
        let found = || {
            let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard[from.min(heard.len())..].iter().any(&wanted).then_some(())
        };
        eventually(Duration::from_secs(30), found)
            .unwrap_or_else(|| panic!("the subscriber does not hear {what}"));
    }

    /// Ends the publishers, waits until the subscriber has heard all that was answered, or a while, and judges.
    pub fn finish(self) -> Verdict {
        self.stop.store(true, Ordering::SeqCst);
        let Self { runtime, publishers, heard, .. } = self;
        let sent: Vec<Sent> = runtime.block_on(async {
            let mut sent = Vec::new();
            for publisher in publishers {
                sent.extend(publisher.await.expect("a publisher ends"));
            }
            sent
        });
        let now = || judge(&sent, &heard.lock().unwrap_or_else(PoisonError::into_inner));
        eventually(LAST_TIME_MAX, || (now().missing == 0).then_some(()));
        now()
    }
}

fn client(addresses: &[Address], transport: Arc<dyn Transport>) -> Client {
    let mut settings = ClientSettings::default();
    settings.connection.silence_time_max = SILENCE;
    Client::with(addresses.to_vec(), transport, settings)
}

async fn listen(client: Client, heard: Arc<Mutex<Vec<Heard>>>) {
    let subscription =
        client.subscription().channels(["channel"]).patterns(["pattern.*"]).shard_channels(["shard"]);
    let mut subscription = subscription.open().await.expect("may subscribe");
    tokio::spawn(async move {
        while let Some(event) = subscription.next().await {
            let item = match event.expect("the subscription does not end") {
                Event::Message(message) => Heard::message(&message.payload),
                Event::Gap(gap) => {
                    let is_forgotten = matches!(gap.cause, GapCause::Forgotten(_));
                    Heard::Gap { since: gap.since, until: gap.until, is_forgotten }
                }
                Event::Interrupted(_) => Heard::Interrupted,
                Event::Unreachable(_) => continue,
                Event::Resumed => Heard::Resumed,
                other => panic!("an event that this test does not know: {other:?}"),
            };
            heard.lock().unwrap_or_else(PoisonError::into_inner).push(item);
        }
    });
}

async fn publish(
    client: Client,
    publisher: usize,
    load: Load,
    (stop, total): (Arc<AtomicBool>, Arc<AtomicUsize>),
) -> Vec<Sent> {
    let mut all = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let number = all.len() as u64;
        let payload = format!("{publisher} {number} {}", "x".repeat(load.payload));
        let sent = SystemTime::now();
        let result = match publisher % 3 {
            0 => client.publish("channel", payload).await,
            1 => client.publish(format!("pattern.{publisher}"), payload).await,
            _ => client.spublish("shard", payload).await,
        };
        let answered = result.is_ok().then(SystemTime::now);
        total.fetch_add(usize::from(answered.is_some()), Ordering::SeqCst);
        all.push(Sent { publisher, number, sent, answered });
        tokio::time::sleep(load.pause).await;
    }
    all
}
