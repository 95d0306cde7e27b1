//! Settings that cannot be: each ends with one line that says what is wrong and what to do, and nothing is changed on
//! disk. What only shows once a cluster is there is in `cluster/membership.rs`.

use std::{
    fs,
    net::UdpSocket,
    path::{Path, PathBuf},
};

use carillon_cluster_tests::{Authority, Ended, free_addr, run};
use tempfile::TempDir;

const USAGE: i32 = 64;

/// A folder with a secret, and a data folder that is not there yet.
struct Folder {
    folder: TempDir,
    secret: PathBuf,
    data: PathBuf,
}

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (secret, data) = (folder.path().join("secret"), folder.path().join("data"));
        fs::write(&secret, "a secret that only this test knows\n").expect("writes the secret");
        Self { folder, secret, data }
    }

    /// Runs a member of a cluster with more `flags`, until it ends.
    fn serve(&self, flags: &[&str]) -> Ended {
        let (client, admin) = (free_addr().to_string(), "127.0.0.1:0");
        let data = self.data.display().to_string();
        let common = ["serve", "--client-addr", &client, "--admin-addr", admin, "--data-dir", &data];
        run(&[&common, flags].concat(), &[], b"")
    }
}

/// The node has ended with one line that has all of `words` in it.
fn assert_refused(ended: &Ended, code: i32, words: &[&str]) {
    let is_error = |line: &&str| line.contains("ERROR") || line.starts_with("carillon: ");
    let lines: Vec<&str> = ended.errors.lines().filter(is_error).collect();
    assert_eq!(lines.len(), 1, "one line: {}", ended.errors);
    for word in words {
        assert!(lines[0].contains(word), "'{word}' is not in {}", lines[0]);
    }
    assert_eq!(ended.code, Some(code), "{}", ended.errors);
}

/// All files and what is in them.
fn content(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            files.extend(content(&entry.path()));
        } else {
            files.push((entry.path(), fs::read(entry.path()).expect("a file")));
        }
    }
    files.sort();
    files
}

#[test]
fn a_secret_that_is_missing_or_too_short_is_told_before_anything_is_written() {
    let folder = Folder::new();
    let peer = free_addr().to_string();
    let member = ["--peer-addr", &peer];
    let missing = folder.serve(&member);
    assert_refused(&missing, USAGE, &["--peer-addr needs --cluster-secret-file", "openssl rand -hex 32"]);

    let nowhere = folder.folder.path().join("nowhere").display().to_string();
    let ended = folder.serve(&[&member[..], &["--cluster-secret-file", &nowhere]].concat());
    assert_refused(&ended, USAGE, &["--cluster-secret-file", &nowhere, "No such file"]);

    fs::write(&folder.secret, "short").expect("writes");
    let secret = folder.secret.display().to_string();
    let ended = folder.serve(&[&member[..], &["--cluster-secret-file", &secret]].concat());
    assert_refused(&ended, USAGE, &["--cluster-secret-file", &secret, "has 5 bytes", "openssl rand -hex 32"]);
    assert!(!folder.data.exists(), "nothing is written");
}

#[test]
fn certificates_between_nodes_that_cannot_be_used_are_told_before_anything_is_written() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let (cert, key) = authority.sign("own", &["carillon"]);
    let (_, other_key) = authority.sign("other", &["carillon"]);
    let (ca, empty) = (authority.path("ca.pem"), authority.path("empty"));
    fs::write(&empty, "").expect("writes");
    let peer = free_addr().to_string();
    for (ca, cert, key, words) in [
        (&empty, &cert, &key, ["--peer-ca-file", "no certificate in it"]),
        (&ca, &empty, &key, ["--peer-cert-file", "no certificate in it"]),
        (&ca, &cert, &empty, ["--peer-key-file", "empty"]),
        (&ca, &cert, &other_key, ["peer certificate", "KeyMismatch"]),
    ] {
        let [ca, cert, key] = [ca, cert, key].map(|path| path.display().to_string());
        let files = ["--peer-ca-file", &ca, "--peer-cert-file", &cert, "--peer-key-file", &key];
        let flags = [&["--peer-addr", &peer][..], &files].concat();
        assert_refused(&folder.serve(&flags), USAGE, &words);
    }
    assert!(!folder.data.exists(), "nothing is written");
}

#[test]
fn settings_of_a_cluster_that_do_not_go_together_are_told() {
    let folder = Folder::new();
    let (peer, secret) = (free_addr().to_string(), folder.secret.display().to_string());
    let member = ["--peer-addr", &peer, "--cluster-secret-file", &secret];
    for (flags, words) in [
        (vec!["--expect", "3"], ["--peers and --expect are for a cluster", "needs --peer-addr"]),
        ([&member[..], &["--peers", "carillon"]].concat(), ["--peers 'carillon'", "host:port"]),
        ([&member[..], &["--lease-ms", "100"]].concat(), ["--lease-ms 100 is too short", "has to be above"]),
        (
            vec!["--peer-addr", "0.0.0.0:7379", "--cluster-secret-file", &secret],
            ["other nodes cannot dial --peer-addr 0.0.0.0:7379", "--advertise-addr"],
        ),
    ] {
        assert_refused(&folder.serve(&flags), USAGE, &words);
    }
    assert!(!folder.data.exists(), "nothing is written");
}

#[test]
fn a_peer_address_that_is_taken_is_told() {
    let folder = Folder::new();
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let addr = taken.local_addr().expect("has one").to_string();
    let secret = folder.secret.display().to_string();
    let ended = folder.serve(&["--peer-addr", &addr, "--cluster-secret-file", &secret]);
    assert_refused(
        &ended,
        1,
        &["cannot listen for peers on", &addr, "is another node or server running there?"],
    );
}

#[test]
fn a_data_folder_of_another_version_is_told_and_left_as_it_is() {
    let folder = Folder::new();
    fs::create_dir(&folder.data).expect("a folder");
    fs::write(folder.data.join("format"), "9\n").expect("writes");
    fs::write(folder.data.join("lock"), "").expect("writes");
    fs::create_dir(folder.data.join("store")).expect("a folder");
    fs::write(folder.data.join("store").join("db"), "what a later version keeps").expect("writes");
    let before = content(&folder.data);
    let (peer, secret) = (free_addr().to_string(), folder.secret.display().to_string());
    let member = ["--peer-addr", &peer, "--cluster-secret-file", &secret];
    for flags in [&member[..], &[]] {
        let data = folder.data.display().to_string();
        assert_refused(&folder.serve(flags), 1, &[&data, "format \"9\"", "this version reads format 1 only"]);
        assert_eq!(content(&folder.data), before);
    }
}
