//! The data folder: locked, versioned, checked when it is opened.

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io::{self, Read as _, Write as _},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::{oneshot, watch};

use super::writer::{Batch, Writer};

/// The form of the data that this build writes and reads.
const FORMAT: u32 = 1;

pub(super) const FORMAT_FILE: &str = "format";
const NEW_FORMAT_FILE: &str = "format.new";
pub(super) const LOCK_FILE: &str = "lock";
/// The number of the last batch that is known to be on disk.
pub(super) const SYNCED_FILE: &str = "synced";
const STORE_FOLDER: &str = "store";
/// sled's own file inside the store, which is what has to be synced.
const STORE_FILE: &str = "db";

/// Written and removed before the store is opened: a store that meets a full disk while it opens looks like a
/// corrupt one, and leaves half of what it was about to write.
const ROOM_FILE: &str = "room";
/// Two of sled's segments, and something for the files beside the store.
const ROOM_BYTES: usize = 1200 * 1024;

/// The number of the last batch, inside the store.
pub(super) const BATCH_KEY: &[u8] = b"batch";

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// A node uses it, of another process or of this one.
    #[error(
        "the data folder {} is in use by a node; give this one another --data-dir, or wait until that one has ended",
        .0.display()
    )]
    InUse(PathBuf),
    /// It was written by another version.
    #[error("the data folder {} has format {found:?}; this version reads format {FORMAT} only", path.display())]
    Format {
        /// The folder.
        path: PathBuf,
        /// What its format file says.
        found: String,
    },
    /// Its content is not what was written.
    #[error("the data folder {} is corrupt: {what}", path.display())]
    Corrupt {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// There is no room for what a start writes.
    #[error("the data folder {} has no room for {ROOM_BYTES} bytes: {source}; make room and start again", path.display())]
    Full {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused something.
    #[error("the data folder {} cannot be used: {source}", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// An open data folder. Reads come from memory; writes go through one thread that syncs them in groups.
#[derive(Clone, Debug)]
pub struct Disk {
    path: PathBuf,
    writer: Arc<Writer>,
    /// What was found when the folder was opened; taken by who starts from it.
    found: Arc<BTreeMap<Vec<u8>, Vec<u8>>>,
    /// Locked as long as the folder is open.
    _lock: Arc<File>,
}

impl Disk {
    /// Opens a data folder, and makes it first if it is not there.
    pub fn open(path: &Path) -> Result<Self, DiskError> {
        let io_error = |source| DiskError::Io { path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(io_error)?;
        let lock = File::create(path.join(LOCK_FILE)).map_err(io_error)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => DiskError::InUse(path.to_owned()),
            TryLockError::Error(source) => io_error(source),
        })?;
        check_format(path)?;
        find_room(path)?;
        let corrupt = |what: String| DiskError::Corrupt { path: path.to_owned(), what };
        let (tree, found) = read_store(&path.join(STORE_FOLDER)).map_err(|error| match error {
            Unread::Corrupt(what) => corrupt(what),
            Unread::Io(source) => io_error(source),
        })?;
        let last_batch = found.get(BATCH_KEY).and_then(|value| value.as_slice().try_into().ok());
        let last_batch = last_batch.map_or(0, u64::from_be_bytes);
        let synced = read_synced(&path.join(SYNCED_FILE)).map_err(io_error)?;
        if last_batch < synced {
            return Err(corrupt(format!(
                "batch {synced} was written, and the last that can be read is {last_batch}"
            )));
        }
        let store_file = File::open(path.join(STORE_FOLDER).join(STORE_FILE)).map_err(io_error)?;
        let writer = Writer::start(tree, store_file, path.join(SYNCED_FILE), last_batch).map_err(io_error)?;
        Ok(Self {
            path: path.to_owned(),
            writer: Arc::new(writer),
            found: Arc::new(found),
            _lock: Arc::new(lock),
        })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A value as it was when the folder was opened.
    pub fn found<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, DiskError> {
        let Some(value) = self.found.get(key) else { return Ok(None) };
        let what = |error| format!("{}: {error}", String::from_utf8_lossy(key));
        serde_json::from_slice(value)
            .map(Some)
            .map_err(|error| DiskError::Corrupt { path: self.path.clone(), what: what(error) })
    }

    /// The values whose keys begin with `prefix`, as they were when the folder was opened.
    pub(super) fn found_with_prefix(&self, prefix: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.found
            .range(prefix.to_vec()..)
            .map(|(key, value)| (key.as_slice(), value.as_slice()))
            .take_while(move |(key, _)| key.starts_with(prefix))
    }

    /// Becomes true when a write has failed, after which nothing is written any more.
    pub fn has_failed(&self) -> watch::Receiver<bool> {
        self.writer.has_failed()
    }

    /// Writes one value and waits until it is on disk.
    pub fn put_now<T: Serialize>(&self, key: &[u8], value: &T) -> io::Result<()> {
        let (done, wait) = std::sync::mpsc::channel();
        let mut batch = Batch::default();
        batch.put(key, value)?;
        self.write(batch, move |result| {
            let _ = done.send(result);
        });
        wait.recv().map_err(|_| io::Error::other("the writer of the data folder has stopped"))?
    }

    /// Writes one value; it is on disk when this is over.
    pub async fn put<T: Serialize>(&self, key: &[u8], value: &T) -> io::Result<()> {
        let mut batch = Batch::default();
        batch.put(key, value)?;
        self.write_and_wait(batch).await
    }

    /// Writes a batch; `done` is called once it is on disk.
    pub(super) fn write(&self, batch: Batch, done: impl FnOnce(io::Result<()>) + Send + 'static) {
        self.writer.write(batch, Box::new(done));
    }

    /// Writes a batch and waits until it is on disk.
    pub(super) async fn write_and_wait(&self, batch: Batch) -> io::Result<()> {
        let (done, wait) = oneshot::channel();
        self.write(batch, move |result| {
            let _ = done.send(result);
        });
        wait.await.map_err(|_| io::Error::other("the writer of the data folder has stopped"))?
    }
}

fn find_room(path: &Path) -> Result<(), DiskError> {
    let file = path.join(ROOM_FILE);
    let written = File::create(&file).and_then(|mut file| {
        file.write_all(&vec![0xa5; ROOM_BYTES])?;
        // Some file systems find out only now.
        file.sync_all()
    });
    let removed = fs::remove_file(&file);
    written.and(removed).map_err(|source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            DiskError::Full { path: path.to_owned(), source }
        }
        _ => DiskError::Io { path: path.to_owned(), source },
    })
}

fn check_format(path: &Path) -> Result<(), DiskError> {
    let io_error = |source| DiskError::Io { path: path.to_owned(), source };
    let file = path.join(FORMAT_FILE);
    match fs::read_to_string(&file) {
        Ok(text) if text.trim() == FORMAT.to_string() => Ok(()),
        Ok(found) => Err(DiskError::Format { path: path.to_owned(), found: found.trim().to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if path.join(STORE_FOLDER).exists() {
                let what = format!("there is a {STORE_FOLDER} folder and no {FORMAT_FILE} file");
                return Err(DiskError::Corrupt { path: path.to_owned(), what });
            }
            // Whole or not at all: an empty file would be a format that nobody knows.
            let unnamed = path.join(NEW_FORMAT_FILE);
            fs::write(&unnamed, format!("{FORMAT}\n")).map_err(io_error)?;
            File::open(&unnamed).and_then(|file| file.sync_all()).map_err(io_error)?;
            fs::rename(&unnamed, &file).map_err(io_error)?;
            File::open(path).and_then(|folder| folder.sync_all()).map_err(io_error)
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(DiskError::Format { path: path.to_owned(), found: "no text".to_owned() })
        }
        Err(error) => Err(io_error(error)),
    }
}

type Found = BTreeMap<Vec<u8>, Vec<u8>>;

/// Why a store could not be read.
enum Unread {
    /// What is there is not what was written.
    Corrupt(String),
    /// The system refused, and what is there may be as good as ever: it must not be set aside.
    Io(io::Error),
}

impl From<sled::Error> for Unread {
    fn from(error: sled::Error) -> Self {
        use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
        match error {
            // sled's own words for files that end too early or hold something else.
            sled::Error::Io(error)
                if !matches!(error.kind(), InvalidData | InvalidInput | Other | UnexpectedEof) =>
            {
                Self::Io(error)
            }
            error => Self::Corrupt(error.to_string()),
        }
    }
}

/// Opens the store and reads all of it, checking every value.
fn read_store(path: &Path) -> Result<(sled::Db, Found), Unread> {
    // sled panics on some kinds of damage; that must not take the node down without a word.
    catch_unwind(AssertUnwindSafe(|| {
        let config = sled::Config::new()
            .path(path)
            .mode(sled::Mode::HighThroughput)
            .cache_capacity(8 * 1024 * 1024)
            // The writer flushes after each batch; a flush that nobody waits for would only add wake-ups.
            .flush_every_ms(None);
        let tree = config.open()?;
        let mut found = Found::new();
        for pair in tree.iter() {
            let (key, stored) = pair?;
            let value = checked(&key, &stored).ok_or_else(|| {
                let key = String::from_utf8_lossy(&key);
                Unread::Corrupt(format!("the checksum of '{key}' does not match"))
            })?;
            found.insert(key.to_vec(), value.to_vec());
        }
        Ok((tree, found))
    }))
    .unwrap_or_else(|_| Err(Unread::Corrupt("the store's pages cannot be read".to_owned())))
}

/// A value with a checksum over it and its key before it.
pub(super) fn sealed(key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut stored = checksum(key, value).to_be_bytes().to_vec();
    stored.extend_from_slice(value);
    stored
}

fn checked<'a>(key: &[u8], stored: &'a [u8]) -> Option<&'a [u8]> {
    let (sum, value) = stored.split_first_chunk::<4>()?;
    (u32::from_be_bytes(*sum) == checksum(key, value)).then_some(value)
}

fn checksum(key: &[u8], value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&(key.len() as u64).to_be_bytes());
    hasher.update(key);
    hasher.update(value);
    hasher.finalize()
}

fn read_synced(path: &Path) -> io::Result<u64> {
    let mut bytes = [0; 8];
    match File::open(path).and_then(|mut file| file.read_exact(&mut bytes)) {
        Ok(()) => Ok(u64::from_be_bytes(bytes)),
        // Killed between its creation and its first number.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof) => Ok(0),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, SeekFrom};

    use super::*;

    #[test]
    fn what_is_written_is_there_again_and_the_folder_is_locked() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::open(folder.path()).unwrap();
        disk.put_now(b"answer", &42).unwrap();
        assert!(matches!(Disk::open(folder.path()), Err(DiskError::InUse(_))));
        drop(disk);
        let disk = Disk::open(folder.path()).unwrap();
        assert_eq!(disk.found::<u32>(b"answer").unwrap(), Some(42));
        assert_eq!(disk.found::<u32>(b"question").unwrap(), None);
    }

    #[test]
    fn damage_is_found_wherever_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::open(folder.path()).unwrap();
        for number in 0..200_u32 {
            disk.put_now(&number.to_be_bytes(), &"x".repeat(200)).unwrap();
        }
        drop(disk);
        let path = folder.path().join(STORE_FOLDER).join(STORE_FILE);
        let whole = fs::read(&path).unwrap();
        let used = whole.iter().rposition(|byte| *byte == b'x').unwrap();
        for at in (0..used).step_by(used / 23) {
            let mut file = File::options().write(true).open(&path).unwrap();
            file.seek(SeekFrom::Start(at as u64)).unwrap();
            file.write_all(&[!whole[at]; 1]).unwrap();
            drop(file);
            match Disk::open(folder.path()) {
                Err(DiskError::Corrupt { .. }) => {}
                Err(error) => panic!("byte {at}: {error}"),
                // A byte that no longer counts may change.
                Ok(disk) => {
                    for number in 0..200_u32 {
                        let value = disk.found::<String>(&number.to_be_bytes()).unwrap();
                        assert_eq!(value, Some("x".repeat(200)), "byte {at}, value {number}");
                    }
                }
            }
            fs::remove_dir_all(folder.path().join(STORE_FOLDER)).unwrap();
            fs::create_dir(folder.path().join(STORE_FOLDER)).unwrap();
            fs::write(&path, &whole).unwrap();
        }
    }

    #[test]
    fn another_format_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FORMAT_FILE), "9").unwrap();
        let error = Disk::open(folder.path()).unwrap_err();
        assert!(error.to_string().contains("format \"9\""), "{error}");
    }

    /// It was once taken for a corrupt one, and the node for a new one.
    #[test]
    fn a_store_that_the_system_does_not_open_is_not_corrupt() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert!(matches!(Unread::from(sled::Error::Io(full)), Unread::Io(_)));
        let short = io::Error::from(io::ErrorKind::UnexpectedEof);
        assert!(matches!(Unread::from(sled::Error::Io(short)), Unread::Corrupt(_)));
    }
}
