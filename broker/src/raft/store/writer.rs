//! The one thread that writes to the store.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt as _,
    path::PathBuf,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::JoinHandle,
};

use serde::Serialize;
use tokio::sync::watch;

use super::disk::{BATCH_KEY, sealed};

/// Batches that may wait for the disk before those who write have to wait, too.
const WAITING_MAX: usize = 1024;

/// Changes that reach the disk together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    changes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Batch {
    /// Sets a value.
    pub(super) fn put<T: Serialize>(&mut self, key: &[u8], value: &T) -> io::Result<()> {
        self.changes.push((key.to_vec(), Some(serde_json::to_vec(value)?)));
        Ok(())
    }

    /// Removes a value.
    pub(super) fn remove(&mut self, key: &[u8]) {
        self.changes.push((key.to_vec(), None));
    }
}

/// Called with the outcome once a batch is on disk.
type Done = Box<dyn FnOnce(io::Result<()>) + Send>;

/// A thread, since flushing blocks, and one only, since sled's own asynchronous flush can fill its thread pool
/// and deadlock. Whatever waits when it comes round is synced together.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Option<SyncSender<(Batch, Done)>>,
    thread: Option<JoinHandle<()>>,
    has_failed: watch::Receiver<bool>,
}

impl Writer {
    pub(super) fn start(tree: sled::Db, file: File, synced: PathBuf, last_batch: u64) -> io::Result<Self> {
        let synced = OpenOptions::new().write(true).create(true).truncate(false).open(synced)?;
        let (queue, waiting) = sync_channel(WAITING_MAX);
        let (tell_failed, has_failed) = watch::channel(false);
        let store = Store { tree, file, synced, last_batch, failed: None, tell_failed };
        let thread =
            std::thread::Builder::new().name("store".to_owned()).spawn(move || store.run(&waiting))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), has_failed })
    }

    /// Becomes true when nothing is written any more, whether or not anyone waits for what failed.
    pub(super) fn has_failed(&self) -> watch::Receiver<bool> {
        self.has_failed.clone()
    }

    pub(super) fn write(&self, batch: Batch, done: Done) {
        let Some(queue) = &self.queue else { return };
        if let Err(std::sync::mpsc::SendError((_, done))) = queue.send((batch, done)) {
            done(Err(io::Error::other("the writer of the data folder has stopped")));
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The thread ends with its queue; the folder is free once it has.
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Store {
    tree: sled::Db,
    file: File,
    synced: File,
    last_batch: u64,
    /// Why nothing is written any more. After a sync that failed the next one may succeed without what was lost, and
    /// a batch must not be there without the one before it.
    failed: Option<(io::ErrorKind, String)>,
    tell_failed: watch::Sender<bool>,
}

impl Store {
    fn run(mut self, waiting: &Receiver<(Batch, Done)>) {
        while let Ok(first) = waiting.recv() {
            let group: Vec<_> = std::iter::once(first).chain(waiting.try_iter()).collect();
            let (batches, done): (Vec<_>, Vec<_>) = group.into_iter().unzip();
            if self.failed.is_none()
                && let Err(error) = self.commit(batches)
            {
                tracing::error!(%error, "the data folder cannot be written");
                self.failed = Some((error.kind(), error.to_string()));
                self.tell_failed.send_replace(true);
            }
            for done in done {
                done(self.outcome());
            }
        }
    }

    fn outcome(&self) -> io::Result<()> {
        let failed = self.failed.as_ref();
        failed.map_or(Ok(()), |(kind, text)| Err(io::Error::new(*kind, text.clone())))
    }

    fn commit(&mut self, batches: Vec<Batch>) -> io::Result<()> {
        let number = self.last_batch + 1;
        let mut all = sled::Batch::default();
        for (key, value) in batches.into_iter().flat_map(|batch| batch.changes) {
            match value {
                Some(value) => {
                    let stored = sealed(&key, &value);
                    all.insert(key, stored);
                }
                None => all.remove(key),
            }
        }
        all.insert(BATCH_KEY, sealed(BATCH_KEY, &number.to_be_bytes()));
        self.tree.apply_batch(all)?;
        self.tree.flush()?;
        self.file.sync_data()?;
        // Only now may anyone be told, and only what is told must be there when the store is opened again.
        self.synced.write_all_at(&number.to_be_bytes(), 0)?;
        self.synced.sync_data()?;
        self.last_batch = number;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A node learned of it with the next write that somebody waited for, which could be long after: until then it was
    /// counted as a voter that it could not be.
    #[tokio::test]
    async fn a_write_that_fails_is_told_though_nobody_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let tree = sled::open(folder.path().join("tree")).unwrap();
        // It cannot be synced, as a file on a disk that has failed.
        let unsyncable = File::open("/dev/null").unwrap();
        let writer = Writer::start(tree, unsyncable, folder.path().join("synced"), 0).unwrap();
        let mut has_failed = writer.has_failed();
        assert!(!*has_failed.borrow());
        let mut batch = Batch::default();
        batch.put(b"key", &1).unwrap();
        writer.write(batch, Box::new(|_| {}));
        has_failed.wait_for(|failed| *failed).await.unwrap();
    }
}
