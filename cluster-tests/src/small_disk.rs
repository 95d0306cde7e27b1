//! A disk that can be filled, or made read-only.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// What is written at a time while it is filled; then single bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// A small file system in memory; unmounted when dropped.
#[derive(Debug)]
pub struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// Mounts one of so many MiB, which takes root. `None`, with a word on standard error, where that is not allowed.
    pub fn mount(mib: u32) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let options = format!("size={mib}m");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder.path()).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self { folder }),
            refused => {
                eprintln!("NOT CHECKED: a file system cannot be mounted here: {refused:?}");
                None
            }
        }
    }

    /// A folder on it for a node's data.
    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// Its root.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }

    /// Fills it to the last byte.
    pub fn fill(&self) {
        let mut ballast = File::create(self.ballast()).expect("a file on the small disk");
        for bytes in [CHUNK_BYTES, 1] {
            while ballast.write_all(&vec![0; bytes]).is_ok() {}
        }
    }

    /// Lets nothing more be written to it, or lets it again. Nobody may have a file on it open for writing.
    pub fn set_read_only(&self, is_read_only: bool) {
        let option = if is_read_only { "remount,ro" } else { "remount,rw" };
        let done =
            Command::new("mount").args(["-o", option]).arg(self.path()).output().expect("mount can be run");
        assert!(done.status.success(), "mount -o {option}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// Frees what has been filled.
    pub fn free(&self) {
        fs::remove_file(self.ballast()).expect("it was filled");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whatever still holds a file on it is about to end.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}
