//! The bounds of a client.

use std::time::Duration;

use crate::{ConnectionSettings, SlowReader, connection_settings::NEVER};

/// The bounds of a client, each with a default that suits servers on the same network.
///
/// ```
/// use std::{sync::Arc, time::Duration};
///
/// use carillon_client::{Client, ClientSettings, Network, SlowReader};
///
/// let mut settings = ClientSettings::default();
/// settings.slow_reader = SlowReader::Drop;
/// settings.connection.silence_time_max = Duration::from_secs(3);
/// let addresses = vec!["10.0.0.1:6379".parse()?, "10.0.0.2:6379".parse()?];
/// let client = Client::with(addresses, Arc::new(Network::default()), settings);
/// # let _ = client;
/// # Ok::<(), carillon_client::AddressError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientSettings {
    /// The bounds of each of its connections.
    pub connection: ConnectionSettings,
    /// How long publishing and subscribing may wait for a server that can be reached. Default: 30 seconds, longer than
    /// any failover, and than the restart of a machine's service.
    pub patience: Duration,
    /// First pause when no server could be reached. It doubles, and is between half and all of that. Default: 50 ms, less
    /// than a restart takes.
    pub backoff_min: Duration,
    /// Longest pause. Default: 2 seconds, so that a server that is back is found soon.
    pub backoff_max: Duration,
    /// Bytes of messages that may wait in each subscription. Default: 8 MiB, Redis's soft limit for subscribers.
    pub unread_bytes_max: usize,
    /// What happens to messages above that. Default: the connection waits.
    pub slow_reader: SlowReader,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            connection: ConnectionSettings::default(),
            patience: Duration::from_secs(30),
            backoff_min: Duration::from_millis(50),
            backoff_max: Duration::from_secs(2),
            unread_bytes_max: 8 * 1024 * 1024,
            slow_reader: SlowReader::Block,
        }
    }
}

impl ClientSettings {
    /// The same, with times that can be counted.
    pub(crate) fn bounded(self) -> Self {
        Self {
            connection: self.connection.bounded(),
            patience: self.patience.min(NEVER),
            backoff_min: self.backoff_min.min(NEVER),
            backoff_max: self.backoff_max.min(NEVER),
            ..self
        }
    }
}
