//! Until when it is certain that nothing was missed.
//!
//! Bytes that arrive do not tell: what was published before them, by someone else, may have been behind them. A server
//! answers in order; so once it has answered a PING, everything is here that it had taken for this connection by the time
//! the PING was sent.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// How often a server that sends messages is asked. A gap is told to begin up to this much too early.
const INTERVAL: Duration = Duration::from_secs(1);

/// What is known of one connection.
#[derive(Debug)]
pub(crate) struct Proof {
    /// Everything that was published before this has arrived.
    pub(crate) until: SystemTime,
    asked: SystemTime,
    asked_at: Instant,
    heard_since: bool,
}

impl Default for Proof {
    /// Of a connection that has just been greeted: there were no subscriptions that could miss anything.
    fn default() -> Self {
        let now = SystemTime::now();
        Self { until: now, asked: now, asked_at: Instant::now(), heard_since: false }
    }
}

impl Proof {
    pub(crate) fn heard(&mut self) {
        self.heard_since = true;
    }

    pub(crate) fn asked(&mut self) {
        (self.asked, self.asked_at) = (SystemTime::now(), Instant::now());
    }

    pub(crate) fn answered(&mut self) {
        self.until = self.asked;
        self.heard_since = false;
    }

    /// When to ask next, if something has come since it was asked last.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.heard_since.then(|| self.asked_at + INTERVAL)
    }
}
