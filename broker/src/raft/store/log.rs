//! Raft's log and vote: in memory for reading, on disk before anyone is told.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    io,
    ops::RangeBounds,
    sync::{Arc, Mutex, MutexGuard},
};

use openraft::{
    OptionalSend, RaftLogReader,
    entry::RaftEntry as _,
    storage::{IOFlushed, LogState, RaftLogStorage},
};

use super::{Disk, DiskError, writer::Batch};
use crate::{
    lock::lock,
    raft::types::{Entry, LogId, TypeConfig, Vote},
};

const VOTE_KEY: &[u8] = b"raft/vote";
const COMMITTED_KEY: &[u8] = b"raft/committed";
const PURGED_KEY: &[u8] = b"raft/purged";
const ENTRY_PREFIX: &[u8] = b"raft/log/";

#[derive(Debug, Default)]
struct Memory {
    entries: BTreeMap<u64, Entry>,
    vote: Option<Vote>,
    committed: Option<LogId>,
    purged: Option<LogId>,
}

/// The log of this node. openraft keeps it short: it is purged behind each snapshot.
#[derive(Clone, Debug)]
pub struct LogStore {
    disk: Disk,
    memory: Arc<Mutex<Memory>>,
}

impl LogStore {
    /// The log as it was found on disk.
    pub fn open(disk: &Disk) -> Result<Self, DiskError> {
        let mut memory = Memory {
            vote: disk.found(VOTE_KEY)?,
            committed: disk.found(COMMITTED_KEY)?,
            purged: disk.found(PURGED_KEY)?,
            entries: BTreeMap::new(),
        };
        let corrupt = |what: String| DiskError::Corrupt { path: disk.path().to_owned(), what };
        for (_, value) in disk.found_with_prefix(ENTRY_PREFIX) {
            let entry: Entry =
                serde_json::from_slice(value).map_err(|error| corrupt(format!("a log entry: {error}")))?;
            memory.entries.insert(entry.index(), entry);
        }
        let gap = memory.entries.keys().zip(memory.entries.keys().skip(1)).find(|(a, b)| **a + 1 != **b);
        if let Some((before, after)) = gap {
            return Err(corrupt(format!("no log entries between {before} and {after}")));
        }
        Ok(Self { disk: disk.clone(), memory: Arc::new(Mutex::new(memory)) })
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        lock(&self.memory)
    }
}

fn entry_key(index: u64) -> Vec<u8> {
    [ENTRY_PREFIX, &index.to_be_bytes()].concat()
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, io::Error> {
        Ok(self.memory().entries.range(range).map(|(_, entry)| entry.clone()).collect())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.memory().vote)
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        let memory = self.memory();
        let last = memory.entries.last_key_value().map(|(_, entry)| entry.log_id());
        Ok(LogState { last_purged_log_id: memory.purged, last_log_id: last.or(memory.purged) })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        self.memory().vote = Some(*vote);
        let mut batch = Batch::default();
        batch.put(VOTE_KEY, vote)?;
        self.disk.write_and_wait(batch).await
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        self.memory().committed = committed;
        let mut batch = Batch::default();
        batch.put(COMMITTED_KEY, &committed)?;
        // An old value only makes a start apply less at once: nobody waits for it.
        self.disk.write(batch, |_| {});
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        Ok(self.memory().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut batch = Batch::default();
        {
            let mut memory = self.memory();
            for entry in entries {
                batch.put(&entry_key(entry.index()), &entry)?;
                memory.entries.insert(entry.index(), entry);
            }
        }
        self.disk.write(batch, |result| callback.io_completed(result));
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> Result<(), io::Error> {
        let mut batch = Batch::default();
        {
            let first_gone = last.map_or(0, |log_id| log_id.index() + 1);
            let gone = self.memory().entries.split_off(&first_gone);
            gone.keys().for_each(|index| batch.remove(&entry_key(*index)));
        }
        self.disk.write_and_wait(batch).await
    }

    async fn purge(&mut self, through: LogId) -> Result<(), io::Error> {
        let mut batch = Batch::default();
        {
            let mut memory = self.memory();
            let kept = memory.entries.split_off(&(through.index() + 1));
            let gone = std::mem::replace(&mut memory.entries, kept);
            gone.keys().for_each(|index| batch.remove(&entry_key(*index)));
            memory.purged = Some(through);
        }
        batch.put(PURGED_KEY, &through)?;
        self.disk.write_and_wait(batch).await
    }
}
