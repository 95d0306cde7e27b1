//! The bounds of a connection.

use std::time::Duration;

/// Far enough away to be never; a deadline that is further cannot be counted.
pub(crate) const NEVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Shortest silence that means something: less, and a server on another machine would be lost again and again.
const SILENCE_TIME_MIN: Duration = Duration::from_millis(100);

/// The bounds of a connection, each with a default that suits a broker on the same network.
///
/// ```
/// let mut settings = carillon_client::ConnectionSettings::default();
/// settings.silence_time_max = std::time::Duration::from_secs(3);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionSettings {
    /// How long connecting may take, from looking up the name to the end of the greeting. Default: 5 seconds,
    /// which is one lost SYN (1 s, then 2 s) and a slow name server.
    pub connect_time_max: Duration,
    /// How long a server may be silent before the connection counts as lost; half-way a PING asks whether it
    /// is there. It also bounds how long a request may wait for a server that has stopped answering. At least 100 ms. Default:
    /// 10 seconds: shorter than most load balancers' patience, longer than a server's slowest command.
    pub silence_time_max: Duration,
    /// Longest reply or message, in bytes. Default: 512 MiB, Redis's own bound on a string.
    pub reply_bytes_max: usize,
    /// Bytes of messages that wait for the subscriber's `next`. Above it nothing more is read, so that the
    /// server's own limit on slow clients applies. Default: 8 MiB, Redis's soft limit for subscribers.
    pub unread_bytes_max: usize,
    /// Requests that may wait for their replies; further ones wait to be sent. Default: 1,024, some ten
    /// thousands a second over a round trip of 30 ms.
    pub requests_in_flight_max: usize,
}

impl Default for ConnectionSettings {
    fn default() -> Self {
        Self {
            connect_time_max: Duration::from_secs(5),
            silence_time_max: Duration::from_secs(10),
            reply_bytes_max: 512 * 1024 * 1024,
            unread_bytes_max: 8 * 1024 * 1024,
            requests_in_flight_max: 1024,
        }
    }
}

impl ConnectionSettings {
    /// The same, with times that can be counted.
    pub(crate) fn bounded(self) -> Self {
        Self {
            connect_time_max: self.connect_time_max.min(NEVER),
            silence_time_max: self.silence_time_max.clamp(SILENCE_TIME_MIN, NEVER),
            ..self
        }
    }
}
