//! Settings that SIGHUP and CONFIG SET change while the node runs. Reading one costs a plain load.

use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};

use super::{Limits, machine};
use crate::{
    config::{Row, Settings},
    lock::lock,
};

const MIB: u64 = 1024 * 1024;

/// A number that every thread reads and who changes settings writes.
#[derive(Debug, Default)]
pub struct Setting(AtomicU64);

impl Setting {
    /// A setting with its first value.
    pub fn new(value: u64) -> Self {
        Self(value.into())
    }

    /// The value now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Whether it is a bound, and `count` is above it; 0 is none.
    pub(crate) fn is_exceeded_by(&self, count: usize) -> bool {
        let max = self.get();
        max > 0 && count as u64 > max
    }

    /// Changes it, for whoever asks from now on.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

/// How much may wait for one client before its connection is closed.
#[derive(Debug, Default)]
pub struct OutboxLimit {
    /// Bytes that close it at once; 0 for no such limit.
    pub hard_bytes: Setting,
    /// Bytes that close it after `soft_s`; 0 for no such limit.
    pub soft_bytes: Setting,
    /// Seconds for which more than `soft_bytes` may wait.
    pub soft_s: Setting,
}

impl OutboxLimit {
    /// A limit with its first values.
    pub fn new(hard_bytes: u64, soft_bytes: u64, soft_s: u64) -> Self {
        Self {
            hard_bytes: Setting::new(hard_bytes),
            soft_bytes: Setting::new(soft_bytes),
            soft_s: Setting::new(soft_s),
        }
    }

    /// Whether `pending` bytes are more than may ever wait.
    pub(crate) fn is_above_hard(&self, pending: usize) -> bool {
        self.hard_bytes.is_exceeded_by(pending)
    }

    /// Whether `pending` bytes are more than may wait for long.
    pub(crate) fn is_above_soft(&self, pending: usize) -> bool {
        self.soft_bytes.is_exceeded_by(pending)
    }
}

/// The classes of clients for which Redis has limits, by the names that CONFIG GET tells.
pub(crate) const OUTBOX_CLASSES: [&str; 3] = ["normal", "slave", "pubsub"];

/// What can change while the node runs.
#[derive(Debug)]
pub struct LiveSettings {
    /// All settings as they are now. What is asked for often, or by other threads, is beside it as a number.
    current: Mutex<Settings>,
    /// Most connections at a time.
    pub clients_max: Setting,
    /// What may wait for a client. Here the limit for `pubsub` holds for every client: it is the others of
    /// Redis that are told and set without effect. There are no replicas, and what a client without
    /// subscriptions can leave unread is bounded in any case.
    pub outbox_limits: [OutboxLimit; OUTBOX_CLASSES.len()],
    /// Seconds after which a client that is no subscriber and says nothing is closed; 0 never closes one.
    pub idle_s: Setting,
    /// Seconds without a sign of a peer before the first keep-alive probe, for new connections; 0 for no probes.
    pub keepalive_s: Setting,
    /// What clients may take.
    pub limits: Limits,
    log: Log,
}

impl LiveSettings {
    /// What the settings say at the start. `log` changes what is logged.
    pub fn new(settings: &Settings, log: Log) -> Self {
        let live = Self {
            clients_max: Setting::default(),
            // The defaults of Redis's classes; that of `pubsub` is a setting.
            outbox_limits: [
                OutboxLimit::default(),
                OutboxLimit::new(256 * MIB, 64 * MIB, 60),
                OutboxLimit::default(),
            ],
            idle_s: Setting::default(),
            keepalive_s: Setting::default(),
            limits: Limits::default(),
            current: Mutex::new(settings.clone()),
            log,
        };
        live.publish(settings);
        live
    }

    /// Hands the settings to those who use them. Every row of the table that can change has its line here, or in
    /// [`change`](Self::change).
    fn publish(&self, settings: &Settings) {
        self.clients_max.set(machine::clients_max(settings.clients_max as u64));
        self.idle_s.set(settings.client_idle_s);
        self.keepalive_s.set(settings.tcp_keepalive_s);
        let outbox = self.outbox_limit();
        outbox.hard_bytes.set(settings.outbox_bytes_max);
        outbox.soft_bytes.set(settings.outbox_soft_bytes);
        outbox.soft_s.set(settings.outbox_soft_s);
        self.limits.publish(settings);
    }

    /// All settings as they are now.
    pub fn current(&self) -> Settings {
        self.lock().clone()
    }

    /// Changes those of these settings that can change to what is wanted. `tell` hears of each that differs, before
    /// it holds: afterwards, nothing may be logged any more.
    pub fn change(&self, wanted: &Settings, rows: &[&'static Row], mut tell: impl FnMut(&Changed)) {
        let mut current = self.lock();
        for row in rows.iter().filter(|row| row.is_live) {
            if row.get(&current) == row.get(wanted) {
                continue;
            }
            let old = row.show(&current);
            row.set(&mut current, row.get(wanted));
            tell(&Changed { name: row.name, old, new: row.show(&current) });
        }
        self.publish(&current);
        // Even if it is the same: nodes in one process share a log.
        if rows.iter().any(|row| row.name == "log-level") {
            self.log.set_filter(&current.log_level);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Settings> {
        lock(&self.current)
    }

    /// The limit that holds.
    pub(crate) fn outbox_limit(&self) -> &OutboxLimit {
        let [_, _, pubsub] = &self.outbox_limits;
        pubsub
    }
}

/// A setting that has changed, as people are told of it.
#[derive(Debug)]
pub struct Changed {
    /// Its name.
    pub name: &'static str,
    /// What it was.
    pub old: String,
    /// What it is.
    pub new: String,
}

/// Changes what is logged: given by the one who started the log.
#[derive(Clone)]
pub struct Log(Arc<dyn Fn(&str) + Send + Sync>);

impl Log {
    /// `set_filter` is called with what is to be logged from then on, as the setting `log-level` has it.
    pub fn new(set_filter: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(set_filter))
    }

    fn set_filter(&self, filter: &str) {
        (self.0)(filter);
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Log").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::config::{TABLE, Value};

    /// Another value than this one.
    fn another(row: &Row, settings: &Settings) -> Option<Value> {
        match row.get(settings) {
            Value::Number(number) => Some(Value::Number(number + 1)),
            Value::Bool(is_on) => Some(Value::Bool(!is_on)),
            Value::Text(_) if row.name == "log-level" => Some(Value::Text("warn".into())),
            Value::Text(text) => Some(Value::Text(format!("{text}x"))),
            Value::List(_) => Some(Value::List(vec!["a:1".into()])),
            Value::Unset | Value::Hidden(_) => None,
        }
    }

    /// What is beside the settings as numbers.
    fn published(live: &LiveSettings) -> String {
        let all = format!("{live:?}");
        all.split_once("clients_max: ").expect("follows the settings").1.to_owned()
    }

    #[test]
    fn what_the_table_calls_changeable_reaches_those_who_use_it() {
        for row in TABLE {
            let filters = Arc::new(AtomicUsize::new(0));
            let log = Log::new({
                let filters = Arc::clone(&filters);
                move |_| {
                    filters.fetch_add(1, Ordering::Relaxed);
                }
            });
            let mut wanted = Settings::default();
            let live = LiveSettings::new(&wanted, log);
            let before = published(&live);
            let value = another(row, &wanted);
            if !value.is_some_and(|value| row.set(&mut wanted, value)) {
                assert!(!row.is_live, "{}: try another value", row.name);
                continue;
            }
            let mut told = Vec::new();
            live.change(&wanted, &[row], |changed| told.push(changed.name));
            let is_changed = live.current() == wanted;
            assert_eq!((is_changed, told.len()), (row.is_live, usize::from(row.is_live)), "{}", row.name);
            let reaches = published(&live) != before || filters.load(Ordering::Relaxed) > 0;
            assert_eq!(reaches, row.is_live, "{} has to be in publish or in change", row.name);
        }
    }
}
