//! What is read again when files change, as Kubernetes changes them; and what systemd is told.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::{fs::symlink, net::UnixDatagram},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use carillon_cluster_tests::{Server, Wire, carillon_binary, eventually};
use carillon_proto::resp::Value;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(20);

/// A folder that is mounted from a config map or secret: its files are links into a folder that is exchanged as a whole.
struct Mounted {
    folder: TempDir,
    version: u32,
}

impl Mounted {
    fn new(files: &[(&str, &str)]) -> Self {
        let mut mounted = Self { folder: tempfile::tempdir().expect("a temporary folder"), version: 0 };
        mounted.exchange(files);
        for (name, _) in files {
            symlink(Path::new("..data").join(name), mounted.path(name)).expect("a link");
        }
        mounted
    }

    fn exchange(&mut self, files: &[(&str, &str)]) {
        self.version += 1;
        let (new, link) = (format!("..{}", self.version), self.path("..data_tmp"));
        fs::create_dir(self.path(&new)).expect("a folder");
        for (name, text) in files {
            fs::write(self.path(&new).join(name), text).expect("writes");
        }
        symlink(&new, &link).expect("a link");
        fs::rename(link, self.path("..data")).expect("exchanges");
        let _ = fs::remove_dir_all(self.path(&format!("..{}", self.version - 1)));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}

fn ok() -> Value {
    Value::Simple("OK".to_owned())
}

fn takes(server: &Server, password: &str) -> bool {
    Wire::connect(server.addr).ask(&["auth", password]) == ok()
}

fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
    assert!(eventually(PATIENCE, || is_so().then_some(())).is_some(), "after {PATIENCE:?}: {what}");
}

#[test]
fn a_password_is_changed_without_a_moment_in_which_neither_is_taken() {
    let mut files = Mounted::new(&[("password", "old"), ("previous", "")]);
    let (password, previous) = (files.text("password"), files.text("previous"));
    let flags = ["--password-file", &password, "--previous-password-file", &previous];
    let server = Server::carillon(&flags);
    let mut connected = Wire::connect(server.addr);
    assert_eq!(connected.ask(&["auth", "old"]), ok());
    files.exchange(&[("password", "new\n"), ("previous", "old\n")]);
    wait("the new one is taken", || {
        assert!(takes(&server, "old"), "the old one still is");
        takes(&server, "new")
    });
    files.exchange(&[("password", "new\n"), ("previous", "")]);
    wait("the old one is not taken any more", || {
        assert!(takes(&server, "new"), "the new one still is");
        !takes(&server, "old")
    });
    assert_eq!(connected.ask(&["ping"]), Value::Simple("PONG".to_owned()), "who is there stays");
    // What cannot be a password changes nothing.
    files.exchange(&[("password", ""), ("previous", "")]);
    files.exchange(&[("password", ""), ("previous", "other")]);
    std::thread::sleep(Duration::from_secs(5));
    assert!(takes(&server, "new") && !takes(&server, "other"));
}

#[test]
fn the_operators_token_is_the_one_that_the_file_has() {
    let mut files = Mounted::new(&[("token", "old\n")]);
    let server = Server::carillon(&["--admin-token-file", &files.text("token")]);
    let admin = server.admin;
    let takes = |token: &str| {
        let bearer = format!(
            "GET /status HTTP/1.1\r\nHost: {admin}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        );
        let mut socket = TcpStream::connect(admin).expect("it listens");
        socket.write_all(bearer.as_bytes()).expect("it reads");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("it answers");
        answer.starts_with("HTTP/1.1 200")
    };
    assert!(takes("old") && !takes("new"));
    files.exchange(&[("token", "new\n")]);
    assert!(takes("new") && !takes("old"));
    // Nobody gets in by an empty one, and nobody is locked out.
    files.exchange(&[("token", "")]);
    assert!(takes("new") && !takes(""));
}

#[test]
fn settings_change_with_the_file_that_is_mounted() {
    let mut files = Mounted::new(&[("carillon.toml", "client-idle-s = 0\n")]);
    let server = Server::carillon(&["--config", &files.text("carillon.toml")]);
    let mut wire = Wire::connect(server.addr);
    let mut timeout = || {
        let Value::Array(pair) = wire.ask(&["config", "get", "timeout"]) else {
            panic!("a name and a value")
        };
        pair.last().cloned()
    };
    assert_eq!(timeout(), Some(Value::Bulk(b"0".to_vec())));
    files.exchange(&[("carillon.toml", "client-idle-s = 600\n")]);
    wait("the file is read", || timeout() == Some(Value::Bulk(b"600".to_vec())));
}

/// `Type=notify`: started when it says so, and it says when it ends.
#[test]
fn systemd_is_told_when_a_node_is_ready_and_when_it_ends() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    let mut node = Command::new(carillon_binary())
        .args(["serve", "--client-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--log-level", "warn"])
        .env("NOTIFY_SOCKET", &path)
        .current_dir(&folder)
        .stdout(Stdio::null())
        .spawn()
        .expect("the binary can be run");
    let told = || {
        let mut text = [0; 256];
        let len = socket.recv(&mut text).expect("systemd is told something");
        String::from_utf8_lossy(&text[..len]).trim().to_owned()
    };
    assert_eq!(told(), "READY=1");
    let killed = Command::new("kill").args(["-TERM", &node.id().to_string()]).status();
    assert!(killed.is_ok_and(|status| status.success()));
    assert_eq!(told(), "STOPPING=1");
    assert!(node.wait().expect("ends").success());
}
