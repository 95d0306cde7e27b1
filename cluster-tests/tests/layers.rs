//! Imports run downward only: `app` over `server` and `cluster`, `cluster` over `raft` over `mesh`, all over `hub`; `server`
//! over `config` and `acl`; and the pure parts know no sockets, clock or runtime.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What the pure parts of the broker must not name.
const PURE: &[&str] = &[
    "crate::server",
    "crate::config",
    "crate::app",
    "tokio",
    "std::net",
    "Instant",
    "SystemTime",
    "std::thread",
];

/// Folders and files, each with what it must not name.
const FORBIDDEN: [(&str, &[&str]); 9] = [
    ("broker/src/hub", PURE),
    (
        "broker/src/mesh",
        &[
            "crate::server",
            "crate::cluster",
            "crate::raft",
            "crate::config",
            "crate::app",
            "openraft",
            "sled",
        ],
    ),
    (
        "broker/src/raft",
        &["crate::server", "crate::cluster", "crate::config", "crate::app", "quinn", "rustls"],
    ),
    (
        "broker/src/cluster",
        &["crate::server", "crate::hub", "crate::config", "crate::app", "quinn", "openraft::", "sled::"],
    ),
    (
        "broker/src/config",
        &[
            "crate::server",
            "crate::cluster",
            "crate::raft",
            "crate::mesh",
            "crate::app",
            "crate::cli",
            "tokio::",
            "clap",
        ],
    ),
    ("broker/src/acl", PURE),
    (
        "broker/src/server",
        &[
            "crate::mesh",
            "crate::raft",
            "crate::cluster",
            "crate::app",
            "crate::cli",
            "carillon_client",
            "clap",
        ],
    ),
    ("broker/carillon/src/cli", &["carillon_broker::server", "carillon_broker::hub", "carillon_broker::app"]),
    ("proto/src", &["tokio", "std::net", "std::time", "std::thread", "std::fs"]),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the project") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn imports_run_downward_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (folder, forbidden) in FORBIDDEN {
        let mut files = Vec::new();
        sources(&root.join(folder), &mut files);
        assert!(files.len() > 3, "{folder} has moved: tell this test where to");
        for file in files {
            let text = fs::read_to_string(&file).expect("a source file");
            for (number, line) in text.lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                for name in forbidden {
                    let place = format!("{}:{}", file.display(), number + 1);
                    assert!(!code.contains(name), "{place} names {name}, which belongs to a layer above");
                }
            }
        }
    }
}
