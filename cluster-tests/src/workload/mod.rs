//! Publishers and subscribers at work: raw connections that note all they see in a [`History`].
//!
//! All run on one thread with one runtime. Each publisher counts its messages; a payload is the publisher's number
//! and the message's.

mod conversation;
mod publisher;
mod subscriber;

use std::{
    cell::RefCell,
    net::SocketAddr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::watch,
};

use crate::{
    command, eventually,
    history::{History, Topic},
};

/// How long clients may take to be there, and to be done.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a connection attempt may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(1);

/// Pause between two attempts.
const CONNECT_AGAIN: Duration = Duration::from_millis(10);

/// The answer to AUTH.
const OK: [u8; 5] = *b"+OK\r\n";

/// Where a client connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// To this node only, again and again.
    Only(usize),
    /// First to this node, then to whichever answers.
    From(usize),
    /// The same, so many nodes further each time: clients of one node spread over the others.
    Around {
        /// Where first.
        first: usize,
        /// Nodes from one attempt to the next.
        step: usize,
    },
}

/// One publisher.
#[derive(Clone, Debug)]
pub struct PublisherPlan {
    /// Where.
    pub place: Place,
    /// Its channels, in turn.
    pub channels: Vec<String>,
    /// Time between two messages; zero sends as fast as answers come.
    pub every: Duration,
    /// Most messages that wait for their answers at a time.
    pub in_flight: usize,
    /// Length of a payload, at least that of the two numbers.
    pub payload_bytes: usize,
}

/// One subscriber.
#[derive(Clone, Debug)]
pub struct SubscriberPlan {
    /// Where.
    pub place: Place,
    /// What to.
    pub topic: Topic,
    /// RESP3, or else RESP2.
    pub is_resp3: bool,
    /// Pause after each read while publishers publish, for one that does not keep up.
    pub read_pause: Duration,
}

impl PublisherPlan {
    /// One that sends a short message to `news` every 2 ms, and waits for no more than 8 answers.
    pub fn steady(place: Place) -> Self {
        let every = Duration::from_millis(2);
        Self { place, channels: vec!["news".into()], every, in_flight: 8, payload_bytes: 64 }
    }
}

impl SubscriberPlan {
    /// A subscriber to the channel `news`.
    pub fn news(place: Place) -> Self {
        let topic = Topic::Channel("news".into());
        Self { place, topic, is_resp3: false, read_pause: Duration::ZERO }
    }

    /// A subscriber to the pattern `ne*`, in RESP3.
    pub fn pattern(place: Place) -> Self {
        let topic = Topic::Prefix("ne".into());
        Self { topic, is_resp3: true, ..Self::news(place) }
    }
}

/// How far the workload is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Subscriptions that are open and confirmed.
    pub subscribed: u64,
    /// Messages sent.
    pub published: u64,
    /// Messages that wait for an answer.
    pub waiting: u64,
    /// Messages answered.
    pub answered: u64,
    /// Messages received, by all subscribers.
    pub received: u64,
    /// Confirmed subscriptions that nodes have closed.
    pub closed: u64,
}

#[derive(Debug, Default)]
struct Counters {
    subscribed: AtomicU64,
    published: AtomicU64,
    waiting: AtomicU64,
    answered: AtomicU64,
    received: AtomicU64,
    closed: AtomicU64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Publish,
    /// Nothing new is sent; answers and messages are still taken.
    Quiet,
    End,
}

/// What all clients share.
#[derive(Debug)]
struct Stage {
    nodes: Vec<SocketAddr>,
    phase: watch::Receiver<Phase>,
    counters: Arc<Counters>,
    history: RefCell<History>,
    /// What connections authenticate with, if nodes ask for it.
    password: Option<String>,
}

/// The running workload; ends when dropped.
#[derive(Debug)]
pub struct Workload {
    phase: watch::Sender<Phase>,
    counters: Arc<Counters>,
    subscribers: usize,
    thread: Option<JoinHandle<History>>,
}

impl Workload {
    /// Starts all clients of the nodes at `nodes` and waits until every subscriber is confirmed; then publishers
    /// begin.
    pub fn start(
        nodes: Vec<SocketAddr>,
        publishers: Vec<PublisherPlan>,
        subscribers: Vec<SubscriberPlan>,
    ) -> Self {
        Self::start_with_password(nodes, None, publishers, subscribers)
    }

    /// The same where nodes ask for a password.
    pub fn start_with_password(
        nodes: Vec<SocketAddr>,
        password: Option<String>,
        publishers: Vec<PublisherPlan>,
        subscribers: Vec<SubscriberPlan>,
    ) -> Self {
        let counters = Arc::<Counters>::default();
        let (phase, phases) = watch::channel(Phase::Publish);
        let subscribers_count = subscribers.len();
        let of_thread = Arc::clone(&counters);
        let thread = std::thread::Builder::new()
            .name("workload".to_owned())
            .spawn(move || run(nodes, password, publishers, subscribers, phases, of_thread))
            .expect("a thread");
        let workload = Self { phase, counters, subscribers: subscribers_count, thread: Some(thread) };
        workload.wait_until_subscribed(PATIENCE);
        workload
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        Progress {
            subscribed: self.counters.subscribed.load(Relaxed),
            published: self.counters.published.load(Relaxed),
            waiting: self.counters.waiting.load(Relaxed),
            answered: self.counters.answered.load(Relaxed),
            received: self.counters.received.load(Relaxed),
            closed: self.counters.closed.load(Relaxed),
        }
    }

    /// Waits until all subscribers are subscribed (again).
    pub fn wait_until_subscribed(&self, within: Duration) {
        let all = self.subscribers as u64;
        let done = eventually(within, || (self.progress().subscribed == all).then_some(()));
        assert!(
            done.is_some(),
            "{} of {all} subscribers are subscribed after {within:?}",
            self.progress().subscribed
        );
    }

    /// Waits until so many more messages have been answered.
    pub fn wait_for_answers(&self, more: u64) {
        let target = self.progress().answered + more;
        let done = eventually(PATIENCE, || (self.progress().answered >= target).then_some(()));
        assert!(done.is_some(), "no {more} more answers within {PATIENCE:?}: {:?}", self.progress());
    }

    /// Ends it: publishers stop, answers are awaited, and once nothing has arrived for `quiet`, subscribers close.
    pub fn finish(mut self, quiet: Duration) -> History {
        let _ = self.phase.send(Phase::Quiet);
        let mut last = (self.progress(), Instant::now());
        let done = eventually(PATIENCE, || {
            let progress = self.progress();
            if progress != last.0 {
                last = (progress, Instant::now());
            }
            (progress.waiting == 0 && last.1.elapsed() >= quiet).then_some(())
        });
        if done.is_none() {
            eprintln!("the workload has not come to rest within {PATIENCE:?}: {:?}", self.progress());
        }
        self.end()
    }

    fn end(&mut self) -> History {
        let _ = self.phase.send(Phase::End);
        let thread = self.thread.take().expect("ends once");
        thread.join().expect("a workload notes what happens and does not panic")
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        let _ = self.phase.send(Phase::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(
    nodes: Vec<SocketAddr>,
    password: Option<String>,
    publishers: Vec<PublisherPlan>,
    subscribers: Vec<SubscriberPlan>,
    phase: watch::Receiver<Phase>,
    counters: Arc<Counters>,
) -> History {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let history = History { publications: vec![Vec::new(); publishers.len()], ..History::default() };
    let stage = Rc::new(Stage { nodes, phase, counters, history: RefCell::new(history), password });
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let mut tasks = Vec::new();
        let everyone = subscribers.len() as u64;
        for (index, plan) in subscribers.into_iter().enumerate() {
            tasks.push(tokio::task::spawn_local(subscriber::run(Rc::clone(&stage), index, plan)));
        }
        stage.wait_for_everyone(everyone).await;
        for (index, plan) in publishers.into_iter().enumerate() {
            tasks.push(tokio::task::spawn_local(publisher::run(Rc::clone(&stage), index, plan)));
        }
        for task in tasks {
            task.await.expect("a client notes what happens and does not panic");
        }
    });
    let stage = Rc::into_inner(stage).expect("all clients have ended");
    let mut history = stage.history.into_inner();
    history.end = Some(Instant::now());
    history
}

impl Stage {
    async fn wait_for_everyone(&self, everyone: u64) {
        let start = Instant::now();
        while self.counters.subscribed.load(Relaxed) < everyone
            && start.elapsed() < PATIENCE
            && !self.is_over()
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn is_over(&self) -> bool {
        *self.phase.borrow() == Phase::End
    }

    /// Connects to the next node that takes it. `None` when the workload is over, or nothing is sent any more.
    async fn connect(
        &self,
        place: Place,
        attempt: &mut usize,
        until: Phase,
    ) -> Option<(usize, tokio::net::TcpStream)> {
        let mut phase = self.phase.clone();
        let is_done = |phase: &Phase| *phase == Phase::End || *phase == until;
        loop {
            if is_done(&self.phase.borrow()) {
                return None;
            }
            let node = match place {
                Place::Only(node) => node,
                Place::From(first) => (first + *attempt) % self.nodes.len(),
                Place::Around { first, step } => (first + *attempt * step) % self.nodes.len(),
            };
            *attempt += 1;
            let connecting = tokio::time::timeout(CONNECT_TIME_MAX, self.connect_to(self.nodes[node]));
            tokio::select! {
                connected = connecting => if let Ok(Ok(stream)) = connected {
                    return Some((node, stream));
                },
                _ = phase.wait_for(is_done) => return None,
            }
            tokio::time::sleep(CONNECT_AGAIN).await;
        }
    }

    async fn connect_to(&self, addr: SocketAddr) -> std::io::Result<tokio::net::TcpStream> {
        let mut stream = tokio::net::TcpStream::connect(addr).await?;
        let _ = stream.set_nodelay(true);
        if let Some(password) = &self.password {
            stream.write_all(&command(&["AUTH", password])).await?;
            let mut answer = [0; OK.len()];
            stream.read_exact(&mut answer).await?;
            if answer != OK {
                return Err(std::io::ErrorKind::PermissionDenied.into());
            }
        }
        Ok(stream)
    }
}
