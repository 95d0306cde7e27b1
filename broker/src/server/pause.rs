//! CLIENT PAUSE: commands wait, for all clients of the node.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use crate::lock::lock;

/// Which commands wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Paused {
    Nothing,
    /// Those that write, of which a broker knows PUBLISH and SPUBLISH.
    Publishing,
    Everything,
}

/// The pause of a node. Asking whether there is one costs a single load.
#[derive(Debug, Default)]
pub(crate) struct Pause {
    paused: AtomicU8,
    until: Mutex<Option<Instant>>,
    changed: Notify,
}

impl Pause {
    /// Holds `what` back for `duration` from now. As in Redis, a pause is never made shorter or narrower.
    pub(crate) fn start(&self, what: Paused, duration: Duration) {
        let mut until = lock(&self.until);
        let end = Instant::now() + duration;
        *until = Some(until.filter(|_| self.now() != Paused::Nothing).map_or(end, |until| until.max(end)));
        self.paused.store(what.max(self.now()) as u8, Ordering::Release);
    }

    /// Ends the pause.
    pub(crate) fn end(&self) {
        *lock(&self.until) = None;
        self.paused.store(Paused::Nothing as u8, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// What is paused.
    pub(crate) fn now(&self) -> Paused {
        match self.paused.load(Ordering::Acquire) {
            0 => Paused::Nothing,
            1 => Paused::Publishing,
            _ => Paused::Everything,
        }
    }

    /// Waits until the pause is over or ended, and ends it when its time has come.
    pub(crate) async fn over(&self) {
        let changed = self.changed.notified();
        let until = *lock(&self.until);
        let Some(until) = until else { return };
        tokio::select! {
            () = changed => {}
            () = tokio::time::sleep_until(until.into()) => {
                let has_passed = |until: &Option<Instant>| until.is_some_and(|until| until <= Instant::now());
                let is_over = has_passed(&lock(&self.until));
                if is_over {
                    self.end();
                }
            }
        }
    }
}
