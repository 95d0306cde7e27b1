//! Which server to connect to: those that worked before those that did not, none waited for longer than necessary.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{task::JoinSet, time::sleep};

use crate::{Address, ConnectError, Connection, ConnectionSettings, Endpoint, Transport, driver::Driver};

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
        self.whole(failures).mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    /// The pause before the next attempt when so many have failed: none, if none has.
    pub(crate) fn after(&self, failures: u32) -> Duration {
        failures.checked_sub(1).map_or(Duration::ZERO, |before| self.pause(before))
    }

    /// The longest that it can be.
    pub(crate) fn whole(&self, failures: u32) -> Duration {
        self.min.saturating_mul(1 << failures.min(16)).min(self.max)
    }
}

/// Why there is no connection to any server.
#[derive(Debug)]
pub(crate) struct Failed {
    /// Of one of them: the one that says most.
    pub(crate) error: ConnectError,
    /// It is of no use to try again: that holds of every server.
    pub(crate) is_final: bool,
}

impl Failed {
    /// This one, behind whatever failed before.
    fn behind(self, before: Option<Self>) -> Self {
        match before {
            Some(before) => before.and(self),
            None => self,
        }
    }

    /// Which of two says more. Wrong credentials have to be mended by someone; a server that has ended is no news beside one
    /// that cannot be reached.
    fn and(self, other: Self) -> Self {
        let rank = |error: &ConnectError| match error {
            ConnectError::ServerEnded { .. } => 0,
            error if error.is_permanent() => 2,
            _ => 1,
        };
        let is_final = self.is_final && other.is_final;
        let error = if rank(&self.error) > rank(&other.error) { self.error } else { other.error };
        Self { error, is_final }
    }
}

impl From<ConnectError> for Failed {
    fn from(error: ConnectError) -> Self {
        Self { is_final: error.is_permanent(), error }
    }
}

/// Makes connections to one of several servers.
#[derive(Debug)]
pub(crate) struct Dialer {
    addresses: Vec<Address>,
    transport: Arc<dyn Transport>,
    settings: ConnectionSettings,
    pub(crate) backoff: Backoff,
    /// Failures since the last success, by endpoint.
    failures: Mutex<HashMap<String, u32>>,
}

impl Dialer {
    pub(crate) fn new(
        addresses: Vec<Address>,
        transport: Arc<dyn Transport>,
        settings: ConnectionSettings,
        backoff: Backoff,
    ) -> Self {
        Self { addresses, transport, settings, backoff, failures: Mutex::default() }
    }

    /// Connects to some server. Ends when each was tried once and none could be reached. Who gets the connection has to run
    /// its driver.
    pub(crate) async fn connect(&self) -> Result<(Connection, Driver), Failed> {
        let (candidates, unresolved) = self.candidates().await;
        let mut candidates = candidates.into_iter();
        let mut attempts = JoinSet::new();
        let mut failed = unresolved.map(Failed::from);
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
                    failed = Some(Failed::from(error).behind(failed));
                }
                // A transport of someone else's may panic.
                Some(Err(panic)) => failed = Some(self.panicked(panic).behind(failed)),
                None if candidates.len() > 0 => {}
                None => {
                    return Err(failed.unwrap_or(Failed { error: ConnectError::NoAddress, is_final: true }));
                }
            }
        }
    }

    /// Notes that a server was lost, so that others come first.
    pub(crate) fn failed(&self, endpoint: &str) {
        *self.failures().entry(endpoint.to_owned()).or_default() += 1;
    }

    /// The addresses that were given, as a text.
    pub(crate) fn servers(&self) -> String {
        let servers: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        servers.join(", ")
    }

    /// Number of addresses that were given.
    pub(crate) fn addresses(&self) -> usize {
        self.addresses.len()
    }

    /// The servers in the order in which to try them; and what has become of an address that stands for none.
    async fn candidates(&self) -> (Vec<Address>, Option<ConnectError>) {
        let mut candidates: Vec<Address> = Vec::new();
        let mut unresolved = None;
        for address in &self.addresses {
            let resolved = tokio::time::timeout(
                self.settings.connect_time_max,
                self.transport.resolve(&address.endpoint),
            );
            let nowhere =
                |error| Some(ConnectError::Unreachable { endpoint: address.endpoint.clone(), error });
            match resolved.await {
                Ok(Ok(endpoints)) if endpoints.is_empty() => {
                    unresolved = nowhere(io::Error::other("the name has no addresses"));
                }
                Ok(Ok(endpoints)) => candidates.extend(
                    endpoints
                        .into_iter()
                        .map(|endpoint| Address { endpoint, credentials: address.credentials.clone() }),
                ),
                Ok(Err(error)) => unresolved = nowhere(error),
                Err(_) => unresolved = nowhere(io::ErrorKind::TimedOut.into()),
            }
        }
        fastrand::shuffle(&mut candidates);
        let mut failures = self.failures();
        // Among those that failed as often, a node in this process is nearest.
        candidates.sort_by_key(|address| {
            let is_elsewhere = !matches!(address.endpoint, Endpoint::InProcess(_));
            (failures.get(&address.to_string()).copied().unwrap_or_default(), is_elsewhere)
        });
        candidates.truncate(CANDIDATES_MAX);
        // What was once there and is not any more is not to be remembered for ever.
        failures.retain(|endpoint, _| candidates.iter().any(|address| address.to_string() == *endpoint));
        drop(failures);
        (candidates, unresolved)
    }

    fn panicked(&self, panic: tokio::task::JoinError) -> Failed {
        let first = self.addresses.first();
        let error = first.map_or(ConnectError::NoAddress, |address| ConnectError::Unreachable {
            endpoint: address.endpoint.clone(),
            error: io::Error::other(panic),
        });
        error.into()
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

    #[test]
    fn trying_again_is_of_no_use_only_if_it_is_of_no_use_everywhere() {
        let endpoint = || Endpoint::InProcess("a".into());
        let away =
            || ConnectError::Unreachable { endpoint: endpoint(), error: io::ErrorKind::TimedOut.into() };
        let ended = || ConnectError::ServerEnded { endpoint: endpoint() };
        let wrong = || ConnectError::PasswordNeeded { endpoint: endpoint(), reply: "NOAUTH".into() };
        let both = |one: ConnectError, other: ConnectError| Failed::from(one).and(other.into());
        for failed in [both(away(), ended()), both(ended(), away())] {
            assert!(
                !failed.is_final && matches!(failed.error, ConnectError::Unreachable { .. }),
                "{failed:?}"
            );
        }
        for failed in [both(away(), wrong()), both(wrong(), away())] {
            assert!(
                !failed.is_final && matches!(failed.error, ConnectError::PasswordNeeded { .. }),
                "{failed:?}"
            );
        }
        for failed in [both(ended(), wrong()), both(wrong(), ended())] {
            assert!(
                failed.is_final && matches!(failed.error, ConnectError::PasswordNeeded { .. }),
                "{failed:?}"
            );
        }
    }
}
