//! Which server to connect to: those that worked before those that did not, none waited for longer than necessary.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{task::JoinSet, time::sleep};

use crate::{Address, ConnectError, Connection, Settings, Transport, driver::Driver};

/// How long one server is waited for before the next is tried beside it. A dead address does not answer at all.
const STAGGER: Duration = Duration::from_millis(250);

/// Addresses that names stand for; more are not tried at a time.
const CANDIDATES_MAX: usize = 64;

/// Pauses between attempts to reach any server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backoff {
    pub(crate) min: Duration,
    pub(crate) max: Duration,
}

impl Backoff {
    /// The pause after so many failures: between half and all of a time that doubles, so that clients that lost the same
    /// server do not come back together.
    pub(crate) fn pause(&self, failures: u32) -> Duration {
        let whole = self.min.saturating_mul(1 << failures.min(16)).min(self.max);
        whole.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

/// Makes connections to one of several servers.
#[derive(Debug)]
pub(crate) struct Dialer {
    addresses: Vec<Address>,
    transport: Arc<dyn Transport>,
    settings: Settings,
    pub(crate) backoff: Backoff,
    /// Failures since the last success, by endpoint.
    failures: Mutex<HashMap<String, u32>>,
}

impl Dialer {
    pub(crate) fn new(
        addresses: Vec<Address>,
        transport: Arc<dyn Transport>,
        settings: Settings,
        backoff: Backoff,
    ) -> Self {
        Self { addresses, transport, settings, backoff, failures: Mutex::default() }
    }

    /// Connects to some server. Ends with the last error when each was tried once; one that is permanent counts only if
    /// no server could be reached. Who gets the connection has to run its driver.
    pub(crate) async fn connect(&self) -> Result<(Connection, Driver), ConnectError> {
        let mut candidates = self.candidates().await?.into_iter();
        let mut attempts = JoinSet::new();
        let mut last = None;
        loop {
            let has_more = candidates.len() > 0;
            if let Some(address) = candidates.next() {
                let (transport, settings) = (Arc::clone(&self.transport), self.settings);
                attempts.spawn(async move {
                    let opened = Connection::establish(&*transport, &address, settings).await;
                    (address, opened)
                });
            }
            let ended = tokio::select! {
                ended = attempts.join_next() => ended,
                () = sleep(STAGGER), if has_more => continue,
            };
            match ended {
                Some(Ok((address, Ok(connection)))) => {
                    self.failures().remove(&address.to_string());
                    return Ok(connection);
                }
                Some(Ok((address, Err(error)))) => {
                    self.failed(&address.to_string());
                    last = Some(error);
                }
                Some(Err(_)) => {}
                None if candidates.len() > 0 => {}
                None => return Err(last.unwrap_or_else(|| self.nowhere(None))),
            }
        }
    }

    /// Notes that a server was lost, so that others come first.
    pub(crate) fn failed(&self, endpoint: &str) {
        *self.failures().entry(endpoint.to_owned()).or_default() += 1;
    }

    /// Number of addresses that were given.
    pub(crate) fn addresses(&self) -> usize {
        self.addresses.len()
    }

    async fn candidates(&self) -> Result<Vec<Address>, ConnectError> {
        let mut candidates: Vec<Address> = Vec::new();
        let mut last = None;
        for address in &self.addresses {
            let resolved = tokio::time::timeout(
                self.settings.connect_time_max,
                self.transport.resolve(&address.endpoint),
            );
            match resolved.await {
                Ok(Ok(endpoints)) => candidates.extend(
                    endpoints
                        .into_iter()
                        .map(|endpoint| Address { endpoint, credentials: address.credentials.clone() }),
                ),
                Ok(Err(error)) => last = Some(error),
                Err(_) => last = Some(std::io::ErrorKind::TimedOut.into()),
            }
        }
        if candidates.is_empty() {
            return Err(self.nowhere(last));
        }
        fastrand::shuffle(&mut candidates);
        let failures = self.failures();
        candidates.sort_by_key(|address| failures.get(&address.to_string()).copied().unwrap_or_default());
        candidates.truncate(CANDIDATES_MAX);
        drop(failures);
        // What was once there and is not any more is not to be remembered for ever.
        let mut failures = self.failures();
        failures.retain(|endpoint, _| candidates.iter().any(|address| address.to_string() == *endpoint));
        drop(failures);
        Ok(candidates)
    }

    fn nowhere(&self, source: Option<std::io::Error>) -> ConnectError {
        let endpoint = self.addresses.first().map(|address| address.endpoint.clone());
        ConnectError::Unreachable {
            endpoint: endpoint.unwrap_or_else(|| crate::Endpoint::Unix("".into())),
            source: source.unwrap_or_else(|| std::io::Error::other("the name has no addresses")),
        }
    }

    fn failures(&self) -> std::sync::MutexGuard<'_, HashMap<String, u32>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound_and_differ() {
        let backoff = Backoff { min: Duration::from_millis(50), max: Duration::from_secs(2) };
        for failures in 0..40 {
            let whole = Duration::from_millis(50 << failures.min(16)).min(backoff.max);
            let pause = backoff.pause(failures);
            assert!(pause >= whole / 2 && pause <= whole, "{failures}: {pause:?}");
        }
        let pauses: std::collections::HashSet<Duration> = (0..10).map(|_| backoff.pause(20)).collect();
        assert!(pauses.len() > 1);
    }
}
