//! A server under test as a process of its own, on a free loopback port.

use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;

use crate::{eventually, http, ports::Ports};

/// How long a server may take to accept its first connection.
const START_TIME_MAX: Duration = Duration::from_secs(10);

/// A running server; killed when dropped.
#[derive(Debug)]
pub struct Server {
    command: Command,
    process: Child,
    /// Where it listens.
    pub addr: SocketAddr,
    /// Where Carillon answers operators.
    pub admin: SocketAddr,
    _folder: TempDir,
    /// Its port stays its own while it is down: a client that tries again and again must not meet another, or itself.
    _ports: Ports,
}

impl Server {
    /// Starts `carillon serve` with more `flags`. The binary is the release build, or what `CARILLON_BIN` names.
    pub fn carillon(flags: &[&str]) -> Self {
        let binary = carillon_binary();
        Self::start(|addr, admin| {
            let mut command = Command::new(&binary);
            // It runs in a folder of its own, so that the default data folder is its own, too.
            command.args(["serve", "--log-level", "warn", "--admin-addr", &admin.to_string()]);
            command.args(["--client-addr", &addr.to_string()]).args(flags);
            command
        })
        .answering()
    }

    /// Starts `carillon serve` on an address with TLS, with more `flags`.
    pub fn carillon_tls_only(flags: &[&str]) -> Self {
        let binary = carillon_binary();
        Self::start(|addr, admin| {
            let mut command = Command::new(&binary);
            command.args(["serve", "--log-level", "warn", "--admin-addr", &admin.to_string()]);
            command.args(["--tls-addr", &addr.to_string()]).args(flags);
            command
        })
        .answering()
    }

    /// Once it answers operators, too: it accepts clients before.
    fn answering(self) -> Self {
        let answered = eventually(START_TIME_MAX, || http::get(self.admin, "/livez"));
        assert!(answered.is_some(), "the admin port does not answer");
        self
    }

    /// Starts redis-server, the reference.
    pub fn redis() -> Self {
        Self::redis_with(&[])
    }

    /// Starts redis-server with more `flags`.
    pub fn redis_with(flags: &[&str]) -> Self {
        Self::like_redis(Path::new("redis-server"), flags)
    }

    /// Starts a server that takes redis-server's flags.
    pub fn like_redis(binary: &Path, flags: &[&str]) -> Self {
        Self::start(|addr, _| {
            let mut command = Command::new(binary);
            let port = addr.port().to_string();
            command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
            command.args(flags).stdout(Stdio::null());
            command
        })
    }

    /// Starts nats-server.
    pub fn nats(binary: &Path) -> Self {
        Self::start(|addr, _| {
            let mut command = Command::new(binary);
            let port = addr.port().to_string();
            command
                .args(["--addr", "127.0.0.1", "--port", &port])
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command
        })
    }

    /// Starts the bare loop of `compare --single`.
    pub fn floor(binary: &Path) -> Self {
        Self::start(|addr, _| {
            let mut command = Command::new(binary);
            command.args(["--addr", &addr.to_string()]);
            command
        })
    }

    fn start(command: impl Fn(SocketAddr, SocketAddr) -> Command) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // Another test may take the port between finding and using it; then the server exits and the next port is tried.
        for _ in 0..5 {
            let mut ports = Ports::take();
            let (addr, admin) = (ports.next_addr(), ports.next_addr());
            let mut command = command(addr, admin);
            let mut process = command.current_dir(&folder).spawn().expect("the server's binary can be run");
            if wait_until_ready(&mut process, addr).is_ok() {
                return Self { command, process, addr, admin, _folder: folder, _ports: ports };
            }
        }
        panic!("the server did not start; its messages are above");
    }

    /// The process, for signals and measurements.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// A number from the admin port's `/metrics`, by its name and labels as they stand there.
    pub fn metric(&self, name: &str) -> f64 {
        // A node that is out of file descriptors answers later.
        eventually(START_TIME_MAX, || http::metric(self.admin, name)).expect("the admin port answers")
    }

    /// How many connections were closed, or not taken, for a reason.
    pub fn closed(&self, reason: &str) -> f64 {
        eventually(START_TIME_MAX, || http::closed(self.admin, reason)).expect("the admin port answers")
    }

    /// The most memory that it has held so far, in bytes.
    pub fn resident_bytes_peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel tells VmHWM");
        let kib = line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok());
        kib.expect("a number of KiB") * 1024
    }

    /// Kills it, as a crash would end it.
    pub fn kill(&mut self) {
        self.process.kill().expect("runs until now");
        self.process.wait().expect("ends");
    }

    /// Starts it again on the same port, after [`kill`](Self::kill).
    pub fn start_again(&mut self) {
        self.process = self.command.spawn().expect("the server's binary can be run");
        wait_until_ready(&mut self.process, self.addr).expect("it starts as it did before");
    }

    /// Sends a signal, by its name.
    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Sends SIGTERM and waits for the end. Returns whether it ended with success.
    pub fn terminate(mut self) -> bool {
        self.signal("TERM");
        self.process.wait().is_ok_and(|status| status.success())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
    assert!(status.is_ok_and(|status| status.success()), "kill -{name}");
}

/// The release build, or what `CARILLON_BIN` names.
pub fn carillon_binary() -> PathBuf {
    let binary = std::env::var_os("CARILLON_BIN").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/release/carillon")),
        PathBuf::from,
    );
    assert!(binary.exists(), "{} is missing: run cargo build --release first", binary.display());
    binary
}

/// Lets this process and those that it starts open as many files as the system allows: each client is one.
pub fn raise_open_files_limit() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("up to the hard limit");
}

/// A loopback address on which nothing listened a moment ago.
pub fn free_addr() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free loopback port")
}

fn wait_until_ready(process: &mut Child, addr: SocketAddr) -> io::Result<()> {
    let start = Instant::now();
    while start.elapsed() < START_TIME_MAX {
        if process.try_wait()?.is_some() {
            return Err(io::Error::other("the server ended"));
        }
        if TcpStream::connect(addr).is_ok() {
            return Ok(());
        }
        std::thread::yield_now();
    }
    Err(io::ErrorKind::TimedOut.into())
}
