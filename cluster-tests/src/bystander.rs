//! Well-behaved clients of a server that others misuse: what do they notice?

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use carillon_proto::resp::Value;

use crate::Wire;

/// Between two messages: far more often than the bound on their latency, far less than would load the server.
const PACE: Duration = Duration::from_millis(2);

/// Fewer would show nothing of a server that was misused for a moment only.
const MESSAGES_MIN: u64 = 20;

/// A publisher and a subscriber, who exchange numbered messages until they are asked what they have seen.
#[derive(Debug)]
pub struct Bystander {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

/// What the two have noticed.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Messages published, each of which was answered and received, in order.
    pub messages: u64,
    /// The longest time from sending one to having it and its answer.
    pub longest: Duration,
}

impl Bystander {
    /// Connects both and starts.
    pub fn start(addr: SocketAddr) -> Self {
        let (mut publisher, mut subscriber) = (Wire::connect(addr), Wire::connect(addr));
        subscriber.ask(&["subscribe", "bystander"]);
        let is_over = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            let mut seen = Seen { messages: 0, longest: Duration::ZERO };
            while seen.messages < MESSAGES_MIN || !until.load(Ordering::SeqCst) {
                let (start, number) = (Instant::now(), seen.messages.to_string());
                let answer = publisher.ask(&["publish", "bystander", &number]);
                let Value::Integer(1) = answer else { panic!("{answer:?} in answer to message {number}") };
                let message = subscriber.receive();
                let Value::Array(parts) = &message else { panic!("{message:?} is no message") };
                assert_eq!(parts.last(), Some(&Value::Bulk(number.into_bytes())), "the bystander's message");
                seen.longest = seen.longest.max(start.elapsed());
                seen.messages += 1;
                std::thread::sleep(PACE);
            }
            seen
        });
        Self { is_over, thread }
    }

    /// Ends both. Fails when a message was lost, doubled, out of order or not answered.
    pub fn end(self) -> Seen {
        self.is_over.store(true, Ordering::SeqCst);
        self.thread.join().expect("the bystander lost nothing")
    }
}
