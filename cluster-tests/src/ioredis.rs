//! Clients written with the real `ioredis`, whose notes go into the same history as those of the raw ones.
//!
//! They run in one Node process, `compat/history-clients.mjs`, on the same clock: Node's and Rust's monotonic times
//! are both `CLOCK_MONOTONIC`.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};
use serde_json::json;

use crate::{
    eventually,
    history::{Answer, Closed, History, Publication, Receipt, Subscription, Topic},
};

/// The channel of all of them, which the raw clients use, too.
const CHANNEL: &str = "news";

/// The beginning of names that subscribers to a pattern ask for.
const PREFIX: &str = "ne";

/// How long they may take for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// Versions of the package, by their names in `package.json`: the first speaks RESP2, the second RESP3.
const MODULES: [&str; 2] = ["ioredis", "ioredis6"];

/// The clients at work; killed when dropped.
#[derive(Debug)]
pub struct IoredisClients {
    process: Child,
    reader: Option<JoinHandle<Vec<String>>>,
    subscribed: Arc<AtomicU64>,
    is_quiet: Arc<AtomicBool>,
    /// Number of the first publisher: raw ones come before it.
    publishers_from: usize,
    nodes: usize,
}

impl IoredisClients {
    /// For each node a publisher, and a subscriber to the channel and to a pattern, that come back to their node
    /// only. Publishers are numbered from `publishers_from`. Waits until all are subscribed.
    pub fn start(nodes: &[SocketAddr], publishers_from: usize) -> Self {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/compat"));
        assert!(
            folder.join("node_modules/ioredis").exists(),
            "ioredis is missing: run npm ci in compat first"
        );
        let module = |index: usize| MODULES[index % MODULES.len()];
        let publishers: Vec<_> = nodes
            .iter()
            .enumerate()
            .map(|(node, addr)| {
                json!({ "publisher": publishers_from + node, "module": module(node), "port": addr.port() })
            })
            .collect();
        // Two of each node, so that each kind has both versions somewhere.
        let subscribers: Vec<_> = (0..2 * nodes.len())
            .map(|index| {
                let (node, is_pattern) = place(index);
                let pattern = is_pattern.then(|| format!("{PREFIX}*"));
                json!({ "module": module(node + index), "port": nodes[node].port(), "pattern": pattern })
            })
            .collect();
        let plan = json!({
            "publishers": publishers, "subscribers": subscribers,
            "channel": CHANNEL, "everyMs": 5, "inFlightMax": 8, "payloadBytes": 64,
        });
        let mut process = Command::new("node")
            .args(["history-clients.mjs", &plan.to_string()])
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Node is installed");
        let output = process.stdout.take().expect("is a pipe");
        let (subscribed, is_quiet) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let reader = {
            let (subscribed, is_quiet) = (Arc::clone(&subscribed), Arc::clone(&is_quiet));
            std::thread::spawn(move || read(output, &subscribed, &is_quiet))
        };
        let clients =
            Self { process, reader: Some(reader), subscribed, is_quiet, publishers_from, nodes: nodes.len() };
        clients.wait_until_subscribed();
        clients
    }

    /// Waits until all subscribers are subscribed (again).
    pub fn wait_until_subscribed(&self) {
        let all = 2 * self.nodes as u64;
        let done = eventually(PATIENCE, || (self.subscribed.load(Relaxed) == all).then_some(()));
        assert!(
            done.is_some(),
            "{} of {all} ioredis subscribers are subscribed",
            self.subscribed.load(Relaxed)
        );
    }

    /// Stops the publishers, and waits for the answers that they still get.
    pub fn be_quiet(&mut self) {
        self.say("quiet");
        let done = eventually(PATIENCE, || self.is_quiet.load(Relaxed).then_some(()));
        assert!(done.is_some(), "ioredis publishers still wait for answers");
    }

    /// Ends all of them and adds what they noted to a history.
    pub fn finish(mut self, history: &mut History) {
        self.say("end");
        let lines = self.reader.take().expect("ends once").join().expect("reads lines");
        let mut notes = Notes {
            clock: Clock::read(),
            history,
            open: vec![None; 2 * self.nodes],
            publishers_from: self.publishers_from,
        };
        notes.history.publications.resize(self.publishers_from + self.nodes, Vec::new());
        lines.iter().for_each(|line| {
            notes.take(line).unwrap_or_else(|| panic!("'{line}' is no note"));
        });
    }

    fn say(&mut self, word: &str) {
        let input = self.process.stdin.as_mut().expect("is a pipe");
        writeln!(input, "{word}").expect("Node reads");
    }
}

impl Drop for IoredisClients {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The node of a subscriber, and whether it subscribes to the pattern.
fn place(subscriber: usize) -> (usize, bool) {
    (subscriber / 2, subscriber % 2 == 1)
}

fn read(output: ChildStdout, subscribed: &AtomicU64, is_quiet: &AtomicBool) -> Vec<String> {
    let mut lines = Vec::new();
    let mut is_confirmed = std::collections::BTreeSet::new();
    for line in BufReader::new(output).lines() {
        let line = line.expect("Node writes UTF-8");
        let mut words = line.split(' ');
        match (words.next(), words.next()) {
            (Some("confirmed"), Some(subscriber)) => drop(is_confirmed.insert(subscriber.to_owned())),
            (Some("closed"), Some(subscriber)) => drop(is_confirmed.remove(subscriber)),
            (Some("quiet"), _) => is_quiet.store(true, Relaxed),
            _ => {}
        }
        subscribed.store(is_confirmed.len() as u64, Relaxed);
        lines.push(line);
    }
    lines
}

/// One moment on both clocks.
struct Clock {
    instant: Instant,
    nanos: u64,
}

impl Clock {
    fn read() -> Self {
        let (time, instant) = (clock_gettime(ClockId::Monotonic), Instant::now());
        Self { instant, nanos: time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64 }
    }

    /// A moment before this one.
    fn instant(&self, nanos: &str) -> Option<Instant> {
        let before = self.nanos.checked_sub(nanos.parse().ok()?)?;
        self.instant.checked_sub(Duration::from_nanos(before))
    }
}

/// Notes of the Node process on their way into a history.
struct Notes<'a> {
    clock: Clock,
    history: &'a mut History,
    /// The connection of each subscriber.
    open: Vec<Option<Subscription>>,
    publishers_from: usize,
}

impl Notes<'_> {
    /// Takes one line. `None` when it cannot be read.
    fn take(&mut self, line: &str) -> Option<()> {
        let words: Vec<&str> = line.split(' ').collect();
        match *words.as_slice() {
            ["sent", publisher, sequence, connection, at] => {
                let publisher: usize = publisher.parse().ok()?;
                let publications = &mut self.history.publications[publisher];
                assert_eq!(sequence.parse(), Ok(publications.len()), "messages are numbered in order");
                publications.push(Publication {
                    connection: connection.parse().ok()?,
                    node: publisher - self.publishers_from,
                    channel: CHANNEL.to_owned(),
                    sent: self.clock.instant(at)?,
                    answer: Answer::Never,
                    has_crossed_end: false,
                });
            }
            ["answered", publisher, sequence, receivers, at] => {
                let answer = Answer::Receivers(receivers.parse().ok()?, self.clock.instant(at)?);
                self.publication(publisher, sequence)?.answer = answer;
            }
            ["refused", publisher, sequence, ref text @ ..] => {
                self.publication(publisher, sequence)?.answer = Answer::Refused(text.join(" "));
            }
            ["hangup", publisher, connection, at] => {
                let key = (publisher.parse().ok()?, connection.parse().ok()?);
                self.history.hangups.insert(key, self.clock.instant(at)?);
            }
            ["asked", subscriber, at] => {
                let asked = self.clock.instant(at)?;
                let subscriber: usize = subscriber.parse().ok()?;
                *self.open.get_mut(subscriber)? = Some(subscription(subscriber, asked));
            }
            ["confirmed", subscriber, at] => {
                let confirmed = self.clock.instant(at)?;
                self.open.get_mut(subscriber.parse::<usize>().ok()?)?.as_mut()?.confirmed = Some(confirmed);
            }
            ["received", subscriber, publisher, sequence, at] => {
                let (publisher, sequence) = (publisher.parse().ok()?, sequence.parse().ok()?);
                let receipt = Receipt { publisher, sequence, at: self.clock.instant(at)? };
                self.open.get_mut(subscriber.parse::<usize>().ok()?)?.as_mut()?.received.push(receipt);
            }
            [kind @ ("closed" | "end"), subscriber, at] => {
                let at = self.clock.instant(at)?;
                // An attempt that came to nothing closes without having been open.
                if let Some(mut ended) = self.open.get_mut(subscriber.parse::<usize>().ok()?)?.take() {
                    ended.closed = if kind == "end" { Closed::AtTheEnd(at) } else { Closed::ByNode(at) };
                    self.history.subscriptions.push(ended);
                }
            }
            ["quiet"] => {}
            _ => return None,
        }
        Some(())
    }

    fn publication(&mut self, publisher: &str, sequence: &str) -> Option<&mut Publication> {
        self.history
            .publications
            .get_mut(publisher.parse::<usize>().ok()?)?
            .get_mut(sequence.parse::<usize>().ok()?)
    }
}

fn subscription(subscriber: usize, asked: Instant) -> Subscription {
    let (node, is_pattern) = place(subscriber);
    Subscription {
        subscriber,
        node,
        topic: if is_pattern { Topic::Prefix(PREFIX.into()) } else { Topic::Channel(CHANNEL.into()) },
        asked,
        confirmed: None,
        refused: None,
        received: Vec::new(),
        closed: Closed::ByNode(asked),
        is_slow: false,
    }
}
