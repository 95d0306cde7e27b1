//! A data folder that cannot be used, put out of the way.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use super::disk::LOCK_FILE;

/// Renames a data folder out of the way, so that a node can start without it. Nothing is deleted. Returns where
/// it is now.
pub fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    // A volume's mount point cannot be renamed: what is in it can be moved into a folder inside.
    let beside = path.with_file_name(format!("{name}.aside-{seconds}"));
    if fs::rename(path, &beside).is_ok() {
        return Ok(beside);
    }
    let inside = path.join(format!("aside-{seconds}"));
    fs::create_dir(&inside)?;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        if !name.to_string_lossy().starts_with("aside-") && name != LOCK_FILE {
            fs::rename(entry.path(), inside.join(name))?;
        }
    }
    Ok(inside)
}

#[cfg(test)]
mod tests {
    use super::{
        super::disk::{Disk, FORMAT_FILE},
        *,
    };

    #[test]
    fn a_corrupt_folder_is_set_aside_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        drop(Disk::open(&path).unwrap());
        let aside = set_aside(&path).unwrap();
        assert!(!path.exists() && aside.join(FORMAT_FILE).exists());
    }
}
