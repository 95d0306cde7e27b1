//! The image: the file system that `deploy/image/rootfs.sh` puts together, and what `deploy/Dockerfile` says of it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::carillon_binary;

const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy");

/// An image that pods run.
#[derive(Clone, Debug)]
pub(super) struct Image {
    pub(super) root: PathBuf,
    pub(super) entrypoint: Vec<String>,
}

impl Image {
    /// Carillon's, with the binary under test.
    pub(super) fn carillon(folder: &Path) -> Self {
        let root = folder.join("image");
        let script = Path::new(DEPLOY).join("image/rootfs.sh");
        let made = Command::new(script).arg(carillon_binary()).arg(&root).status().expect("a shell");
        assert!(made.success(), "rootfs.sh: {made}");
        let dockerfile = fs::read_to_string(Path::new(DEPLOY).join("Dockerfile")).expect("a Dockerfile");
        let entrypoint = dockerfile.lines().find_map(|line| line.strip_prefix("ENTRYPOINT "));
        let entrypoint = serde_json::from_str(entrypoint.expect("an ENTRYPOINT")).expect("in its JSON form");
        Self { root, entrypoint }
    }

    /// A copy of its files, for a pod that mounts more into it.
    pub(super) fn unpack(&self, to: &Path) {
        // Links instead of copies: a pod's root is mounted so that it cannot be written.
        let copied = Command::new("cp").args(["--archive", "--link"]).arg(&self.root).arg(to).status();
        assert!(copied.is_ok_and(|status| status.success()), "cp");
    }
}
