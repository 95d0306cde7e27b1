//! Rendering `deploy/` with the tools that users render it with.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

use super::manifest::parse;

/// What `kube-tools.sh` pins.
const TOOLS: &str = "target/kube-tools/2.2.2";

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn tool(name: &str) -> PathBuf {
    let path = root().join(TOOLS).join(name);
    if !path.exists() {
        let made = Command::new(root().join("cluster-tests/kube-tools.sh")).status().expect("a shell");
        assert!(
            made.success() && path.exists(),
            "kube-tools.sh could not get {name}; its messages are above"
        );
    }
    path
}

fn output(command: &mut Command) -> String {
    let output = command.output().expect("the tool runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder of the project") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).expect("a copy");
        }
    }
}

/// A copy of what the repository has for kustomize, with a Secret of its own, as a user has it after `secrets.sh`; and room
/// beside it for an overlay of the user's own.
#[derive(Debug)]
pub struct Kustomize {
    folder: TempDir,
}

impl Default for Kustomize {
    fn default() -> Self {
        let kustomize = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        for part in ["kustomize", "examples/kubernetes-chat"] {
            copy(
                &root().join("deploy").join(part),
                &kustomize.folder.path().join("carillon/deploy").join(part),
            );
        }
        // Whoever works on the project may have made secrets.
        let _ = fs::remove_dir_all(kustomize.folder().join("base/secrets"));
        output(&mut Command::new(kustomize.folder().join("secrets.sh")));
        kustomize
    }
}

impl Kustomize {
    /// Where `deploy/kustomize` is.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().join("carillon/deploy/kustomize")
    }

    /// The objects of an overlay.
    pub fn overlay(&self, name: &str) -> Vec<Value> {
        kustomize(&self.folder().join("overlays").join(name))
    }

    /// The objects of a user's own overlay, that is beside the repository and calls it `../carillon`.
    pub fn own(&self, kustomization: &str) -> Vec<Value> {
        let folder = self.folder.path().join("mine");
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("kustomization.yaml"), kustomization).expect("writes");
        kustomize(&folder)
    }
}

/// The objects of the chat demo.
pub fn chat() -> Vec<Value> {
    kustomize(&root().join("deploy/examples/kubernetes-chat"))
}

fn kustomize(folder: &Path) -> Vec<Value> {
    parse(&output(Command::new(tool("kubectl")).arg("kustomize").arg(folder)))
}

/// What the chart renders, with more arguments of `helm template`.
pub fn helm(release: &str, args: &[&str]) -> Vec<Value> {
    let chart = root().join("deploy/helm/carillon");
    parse(&output(Command::new(tool("helm")).args(["template", release]).arg(chart).args(args)))
}

/// Whether the chart refuses these arguments, and what it says.
pub fn helm_refuses(args: &[&str]) -> Option<String> {
    helm_refused("carillon", args)
}

/// The same for a release of any name.
pub fn helm_refused(release: &str, args: &[&str]) -> Option<String> {
    let chart = root().join("deploy/helm/carillon");
    let output = Command::new(tool("helm")).args(["template", release]).arg(chart).args(args).output();
    let output = output.expect("helm runs");
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}
