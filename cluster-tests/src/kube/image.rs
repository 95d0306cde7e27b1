//! Images: their file systems, and what their Dockerfiles say of the containers.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::dockerfile::{Configuration, build, last_stage};
use crate::carillon_binary;

const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy");

/// An image that pods run.
#[derive(Clone, Debug)]
pub(super) struct Image {
    pub(super) root: PathBuf,
    pub(super) configuration: Configuration,
}

impl Image {
    /// The image that manifests call so, put together in a folder.
    pub(super) fn named(reference: &str, folder: &Path) -> Self {
        let name = reference.rsplit('/').next().and_then(|name| name.split(':').next());
        match name {
            Some("carillon") => Self::carillon(&folder.join("image")),
            Some("carillon-chat") => Self::chat(&folder.join("chat-image")),
            _ => panic!("nobody knows how to build {reference} here"),
        }
    }

    /// Carillon's, with the binary under test.
    fn carillon(root: &Path) -> Self {
        let script = Path::new(DEPLOY).join("image/rootfs.sh");
        let made = Command::new(script).arg(carillon_binary()).arg(root).status().expect("a shell");
        assert!(made.success(), "rootfs.sh: {made}");
        Self::from_dockerfile(&Path::new(DEPLOY).join("Dockerfile"), Path::new(DEPLOY), root)
    }

    /// The chat demo's, on this machine's Node.js.
    fn chat(root: &Path) -> Self {
        let node =
            Command::new("sh").args(["-c", "readlink -f \"$(command -v node)\""]).output().expect("a shell");
        let node = String::from_utf8(node.stdout).expect("a path");
        assert!(!node.is_empty(), "the chat needs Node.js");
        let needs = Command::new("ldd").arg(node.trim()).output().expect("ldd runs").stdout;
        let needs = String::from_utf8(needs).expect("text");
        // "libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x...)" and "/lib64/ld-linux-x86-64.so.2 (0x...)".
        let libraries = needs.split_whitespace().filter(|word| word.starts_with('/'));
        for file in libraries.map(|library| (library, library)).chain([(node.trim(), "/usr/local/bin/node")])
        {
            let to = root.join(file.1.trim_start_matches('/'));
            fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
            fs::copy(file.0, to).expect("a copy");
        }
        let context = Path::new(DEPLOY).join("examples/socketio-chat");
        Self::from_dockerfile(&context.join("Dockerfile"), &context, root)
    }

    fn from_dockerfile(dockerfile: &Path, context: &Path, root: &Path) -> Self {
        let stage = last_stage(&fs::read_to_string(dockerfile).expect("a Dockerfile"));
        Self { configuration: build(&stage, context, root), root: root.to_owned() }
    }

    /// The whole command of a container, where its manifest may say something else.
    pub(super) fn command(&self, command: &[String], args: &[String]) -> Vec<String> {
        let of_image = &self.configuration;
        let entrypoint = if command.is_empty() { &of_image.entrypoint } else { command };
        // Who gives another program does not want the image's arguments.
        let args = if args.is_empty() && command.is_empty() { &of_image.command } else { args };
        entrypoint.iter().chain(args).cloned().collect()
    }

    /// A copy of its files, for a pod that mounts more into it.
    pub(super) fn unpack(&self, to: &Path) {
        // Links instead of copies: a pod's root is mounted so that it cannot be written.
        let copied = Command::new("cp").args(["--archive", "--link"]).arg(&self.root).arg(to).status();
        assert!(copied.is_ok_and(|status| status.success()), "cp");
    }
}
