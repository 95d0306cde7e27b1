//! A wall clock that can be set, for one process, by Debian's libfaketime.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

/// What a process is told instead of the machine's time of day. Clocks that only measure how much time has passed are
/// left alone.
#[derive(Debug)]
pub struct WallClock {
    library: PathBuf,
    folder: TempDir,
}

impl WallClock {
    /// One that is right. `None`, with a word on standard error, where libfaketime is not installed.
    pub fn right() -> Option<Self> {
        let library = fs::read_dir("/usr/lib").ok().and_then(|folders| {
            let places = folders.flatten().map(|folder| folder.path().join("faketime/libfaketime.so.1"));
            places.into_iter().find(|path| path.exists())
        });
        let Some(library) = library else {
            eprintln!("NOT CHECKED: no clock can be set, for libfaketime is not here (Debian: faketime)");
            return None;
        };
        let clock = Self { library, folder: tempfile::tempdir().expect("a temporary folder") };
        clock.set("+0");
        Some(clock)
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("time")
    }

    /// Sets it, as libfaketime has it: `-10y` is ten years before the machine's clock, `+90m` an hour and a half after.
    pub fn set(&self, offset: &str) {
        let next = self.folder.path().join("next");
        // At once: the process may read it at any moment.
        fs::write(&next, offset).and_then(|()| fs::rename(&next, self.file())).expect("writes a file");
    }

    /// What has to be in the environment of the process.
    pub fn environment(&self) -> [(&'static str, OsString); 4] {
        let path = |path: &Path| path.as_os_str().to_owned();
        [
            ("LD_PRELOAD", path(&self.library)),
            ("FAKETIME_TIMESTAMP_FILE", path(&self.file())),
            ("FAKETIME_NO_CACHE", "1".into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
        ]
    }
}
