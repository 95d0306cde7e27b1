//! A redis-server, or one that takes the same flags.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use carillon_proto::resp::Value;
use rustix::process::{Pid, Signal, kill_process};

use crate::{Wire, eventually};

/// How long a server may take to accept, and a cluster to form.
pub(super) const START_TIME_MAX: Duration = Duration::from_secs(20);

/// A running server; killed when dropped.
#[derive(Debug)]
pub(super) struct RedisProcess {
    process: Child,
    /// Where it listens.
    pub(super) addr: SocketAddr,
}

impl RedisProcess {
    /// Starts one with a folder of its own and nothing that it keeps there but its configuration.
    pub(super) fn start(binary: &Path, addr: SocketAddr, folder: &Path, flags: &[&str]) -> Self {
        let folder = folder.join(addr.port().to_string());
        fs::create_dir_all(&folder).expect("a folder for the server");
        let mut command = Command::new(binary);
        command.args(["--port", &addr.port().to_string(), "--save", "", "--appendonly", "no"]).args(flags);
        Self::spawn(command, addr, &folder)
    }

    /// Starts a Sentinel with this configuration, which it rewrites.
    pub(super) fn start_sentinel(binary: &Path, addr: SocketAddr, folder: &Path, lines: &[String]) -> Self {
        let folder = folder.join(addr.port().to_string());
        fs::create_dir_all(&folder).expect("a folder for the Sentinel");
        let path = folder.join("sentinel.conf");
        let text = format!("port {}\nbind 127.0.0.1\n{}\n", addr.port(), lines.join("\n"));
        fs::write(&path, text).expect("writes the configuration");
        let mut command = Command::new(binary);
        command.arg(&path).arg("--sentinel");
        Self::spawn(command, addr, &folder)
    }

    fn spawn(mut command: Command, addr: SocketAddr, folder: &Path) -> Self {
        command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().unwrap_or_else(|error| panic!("{command:?} cannot be run: {error}"));
        let process = Self { process, addr };
        let ready = eventually(START_TIME_MAX, || TcpStream::connect(addr).ok());
        assert!(ready.is_some(), "{command:?} does not accept connections");
        process
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(super) fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).expect("a child of this process");
    }

    /// Sends a request on a connection of its own.
    pub(super) fn ask(&self, words: &[&str]) -> Value {
        Wire::connect(self.addr).ask(words)
    }

    /// Whether the answer to a request holds this text.
    pub(super) fn tells(&self, words: &[&str], text: &str) -> bool {
        matches!(self.ask(words), Value::Bulk(bytes) if String::from_utf8_lossy(&bytes).contains(text))
    }
}

impl Drop for RedisProcess {
    fn drop(&mut self) {
        self.kill();
    }
}
