//! What was denied to whom: ACL LOG.

use std::{collections::VecDeque, time::Duration};

/// Entries that are kept: Redis's default of `acllog-max-len`.
const ENTRIES_MAX: usize = 128;

/// How many of the latest entries a new one may be counted with, instead of being one more.
const COMPARED_MAX: usize = 10;

/// How old such an entry may be.
const GROUPED_FOR: Duration = Duration::from_secs(60);

/// Bytes of a name that are kept: clients choose them, and the log has to stay small.
const NAME_BYTES_MAX: usize = 256;

/// What was denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A command.
    Command,
    /// A channel.
    Channel,
    /// To be a user.
    Auth,
}

impl Reason {
    /// Redis's word for it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Channel => "channel",
            Self::Auth => "auth",
        }
    }
}

/// Where it was denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// Outside of a transaction.
    Toplevel,
    /// In a transaction.
    Multi,
}

impl Context {
    /// Redis's word for it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Toplevel => "toplevel",
            Self::Multi => "multi",
        }
    }
}

/// One entry, which may stand for several times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// How many times.
    pub count: u64,
    /// What was denied.
    pub reason: Reason,
    /// Where.
    pub context: Context,
    /// The command or channel.
    pub object: Vec<u8>,
    /// To whom.
    pub username: Vec<u8>,
    /// On which connection the last time, as CLIENT LIST has it.
    pub client: Vec<u8>,
    /// When the last time was, on any clock.
    pub at: Duration,
}

/// The latest entries, the latest first.
#[derive(Clone, Debug, Default)]
pub struct AclLog(VecDeque<LogEntry>);

impl AclLog {
    /// Notes one more. One like it of the last minute is counted up instead.
    pub fn add(&mut self, mut entry: LogEntry) {
        entry.object.truncate(NAME_BYTES_MAX);
        entry.username.truncate(NAME_BYTES_MAX);
        let is_alike = |old: &LogEntry| {
            (old.reason, old.context, &old.object, &old.username)
                == (entry.reason, entry.context, &entry.object, &entry.username)
                && entry.at.saturating_sub(old.at) <= GROUPED_FOR
        };
        if let Some(old) =
            self.0.iter().take(COMPARED_MAX).position(is_alike).and_then(|at| self.0.remove(at))
        {
            entry.count += old.count;
        }
        self.0.push_front(entry);
        self.0.truncate(ENTRIES_MAX);
    }

    /// The latest entries.
    pub fn latest(&self, count: usize) -> impl ExactSizeIterator<Item = &LogEntry> {
        self.0.iter().take(count)
    }

    /// Forgets all.
    pub fn reset(&mut self) {
        self.0.clear();
    }
}
