//! Folders and files that pods mount.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt as _, chown, symlink},
    path::Path,
};

/// The kubelet's own default for files of config maps and secrets.
pub(super) const MODE_DEFAULT: u32 = 0o644;

/// Makes a folder that the group may write, as the kubelet does for `fsGroup`.
pub(super) fn claim(folder: &Path, group: Option<u32>) {
    fs::create_dir_all(folder).expect("a folder");
    own(folder, group, 0o2775);
}

/// Writes the files of a config map or secret as the kubelet's atomic writer does: they are links to links into a folder
/// that is exchanged as a whole.
pub(super) fn write_files(
    folder: &Path,
    files: &BTreeMap<String, Vec<u8>>,
    mode: u32,
    group: Option<u32>,
    version: u64,
) {
    fs::create_dir_all(folder).expect("a folder");
    own(folder, group, 0o2755);
    let data = format!("..{version}");
    fs::create_dir_all(folder.join(&data)).expect("a folder");
    own(&folder.join(&data), group, 0o2755);
    for (name, bytes) in files {
        let file = folder.join(&data).join(name);
        fs::write(&file, bytes).expect("writes");
        // A group that is to read may.
        own(&file, group, if group.is_some() { mode | 0o440 } else { mode });
    }
    let old = fs::read_link(folder.join("..data")).ok();
    let _ = fs::remove_file(folder.join("..data_tmp"));
    symlink(&data, folder.join("..data_tmp")).expect("a link");
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).expect("renames");
    for name in files.keys() {
        let link = folder.join(name);
        if link.symlink_metadata().is_err() {
            symlink(Path::new("..data").join(name), &link).expect("a link");
        }
    }
    if let Some(old) = old.filter(|old| old.as_os_str() != data.as_str()) {
        let _ = fs::remove_dir_all(folder.join(old));
    }
}

fn own(path: &Path, group: Option<u32>, mode: u32) {
    chown(path, Some(0), group).expect("root may");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("root may");
}
