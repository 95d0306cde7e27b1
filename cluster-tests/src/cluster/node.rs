//! One node of a cluster under test: a process, its addresses, its folder and its log.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::status::Status;
use crate::{
    SmallDisk, eventually,
    http::{self, get},
    server::carillon_binary,
};

/// How long a node may take to end after SIGTERM.
const END_TIME_MAX: Duration = Duration::from_secs(15);

/// A node, running or not; killed when dropped.
#[derive(Debug)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Where clients connect while it is in the view.
    pub client: SocketAddr,
    /// Where operators ask.
    pub admin: SocketAddr,
    /// Its own socket, behind its gate.
    pub peer: SocketAddr,
    /// Its data folder.
    pub data: PathBuf,
    /// What runs, from the next start on; the build under test unless said otherwise.
    pub binary: Option<PathBuf>,
    log: PathBuf,
    /// Bytes of the log that are from before its last start.
    log_before: u64,
    flags: Vec<String>,
    environment: Vec<(&'static str, OsString)>,
    process: Option<Child>,
    stopped: Option<Instant>,
    disk: Option<SmallDisk>,
}

impl Node {
    /// One that is not started yet. `folder` is for all of its cluster.
    pub(super) fn new(
        name: &str,
        [client, admin, peer]: [SocketAddr; 3],
        folder: &Path,
        flags: &[(&str, String)],
    ) -> Self {
        let data = folder.join(name);
        let own = [
            ("--name", name.to_owned()),
            ("--client-addr", client.to_string()),
            ("--admin-addr", admin.to_string()),
            ("--peer-addr", peer.to_string()),
            ("--data-dir", data.display().to_string()),
        ];
        let flags =
            own.iter().chain(flags).flat_map(|(flag, value)| [(*flag).to_owned(), value.clone()]).collect();
        let log = folder.join(format!("{name}.log"));
        Self {
            name: name.to_owned(),
            client,
            admin,
            peer,
            data,
            binary: None,
            log,
            log_before: 0,
            flags,
            environment: Vec::new(),
            process: None,
            stopped: None,
            disk: None,
        }
    }

    /// Whether its process runs, be it stopped.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| matches!(process.try_wait(), Ok(None)))
    }

    /// Its process, for measurements; `None` while it does not run.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// Starts it, with the folder that it left.
    pub fn start(&mut self) {
        assert!(!self.is_running(), "{} runs already", self.name);
        let log = OpenOptions::new().create(true).append(true).open(&self.log).expect("a log file");
        self.log_before = log.metadata().expect("a file").len();
        let mut command = Command::new(self.binary.clone().unwrap_or_else(carillon_binary));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CARILLON_") {
                command.env_remove(name);
            }
        }
        let level = std::env::var("CARILLON_LOG_LEVEL").unwrap_or_else(|_| "info,openraft=error".to_owned());
        command.args(["serve", "--log-level", &level]).args(&self.flags);
        command.envs(self.environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.process = Some(command.spawn().expect("the binary can be run"));
    }

    /// Another value for a flag, from the next start on.
    pub fn set_flag(&mut self, flag: &str, value: &str) {
        let at = self.flags.iter().position(|own| own == flag).expect("a flag that every node has");
        value.clone_into(&mut self.flags[at + 1]);
    }

    /// Without a flag and its value, from the next start on.
    pub fn remove_flag(&mut self, flag: &str) {
        let at = self.flags.iter().position(|own| own == flag).expect("a flag that it has");
        self.flags.drain(at..at + 2);
    }

    /// More for its environment, from the next start on.
    pub fn set_environment(&mut self, more: impl IntoIterator<Item = (&'static str, OsString)>) {
        self.environment.extend(more);
    }

    /// One more flag, from the next start on.
    pub fn add_flag(&mut self, flag: &str, value: &str) {
        self.flags.extend([flag.to_owned(), value.to_owned()]);
    }

    /// Another data folder, from the next start on.
    pub fn set_data(&mut self, data: PathBuf) {
        self.set_flag("--data-dir", &data.display().to_string());
        self.data = data;
    }

    /// A disk of its own for its data folder, from the next start on.
    pub fn set_disk(&mut self, disk: SmallDisk) {
        self.set_data(disk.data());
        self.disk = Some(disk);
    }

    /// Its disk; `None` when its data is beside that of all others.
    pub fn disk(&self) -> Option<&SmallDisk> {
        self.disk.as_ref()
    }

    /// Kills it, as a crash would end it.
    pub fn kill(&mut self) {
        self.stopped = None;
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Stops its process, so that it does nothing, and keeps all its connections.
    pub fn stop(&mut self) {
        self.signal(Signal::STOP);
        self.stopped = Some(Instant::now());
    }

    /// Lets a stopped process go on. Returns since when it was stopped.
    pub fn go_on(&mut self) -> Option<Instant> {
        let since = self.stopped.take()?;
        self.signal(Signal::CONT);
        Some(since)
    }

    /// Sends SIGTERM and waits for its end. Returns its exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits for its end. Returns its exit code.
    pub fn wait(&mut self) -> Option<i32> {
        let mut process = self.process.take()?;
        let ended = eventually(END_TIME_MAX, || process.try_wait().expect("a child of this process"));
        if ended.is_none() {
            let _ = process.kill();
            let _ = process.wait();
            panic!("{} has not ended within {END_TIME_MAX:?}", self.name);
        }
        ended.and_then(|status| status.code())
    }

    fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().expect("runs");
        kill_process(Pid::from_child(process), signal).expect("a child of this process");
    }

    /// Removes its data folder.
    pub fn wipe(&mut self) {
        assert!(!self.is_running(), "{} runs", self.name);
        fs::remove_dir_all(&self.data).expect("a data folder");
    }

    /// Overwrites a part in the middle of every file of its store.
    pub fn corrupt(&mut self) {
        assert!(!self.is_running(), "{} runs", self.name);
        let mut files = Vec::new();
        files_below(&self.data.join("store"), &mut files);
        assert!(!files.is_empty(), "no store in {}", self.data.display());
        for path in files {
            let mut file = OpenOptions::new().write(true).open(&path).expect("a file of the store");
            let len = file.metadata().expect("a file").len();
            file.seek(SeekFrom::Start(len / 4)).expect("a place in the file");
            file.write_all(&vec![0xa5; (len / 2) as usize]).expect("writes");
        }
    }

    /// What it tells; `None` while it does not answer.
    pub fn status(&self) -> Option<Status> {
        let (code, body) = get(self.admin, "/status")?;
        if code != 200 {
            return None;
        }
        Some(
            serde_json::from_str(&body)
                .unwrap_or_else(|error| panic!("/status of {}: {error}: {body}", self.name)),
        )
    }

    /// Whether it serves clients, or why not.
    pub fn readiness(&self) -> Result<(), String> {
        match get(self.admin, "/readyz") {
            Some((200, _)) => Ok(()),
            Some((_, reason)) => Err(reason),
            None => Err("no answer".to_owned()),
        }
    }

    /// Asks its admin port: the status code and what comes with it; `None` when it does not answer.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        get(self.admin, path)
    }

    /// A number of its metrics, by its name and labels as they stand there; `None` when it does not answer.
    pub fn metric(&self, name: &str) -> Option<f64> {
        http::metric(self.admin, name)
    }

    /// Its whole log.
    pub fn log(&self) -> String {
        self.log_from(0)
    }

    /// What it has logged since it was started last.
    pub fn log_since_start(&self) -> String {
        self.log_from(self.log_before)
    }

    fn log_from(&self, start: u64) -> String {
        let mut bytes = Vec::new();
        if let Ok(mut file) = File::open(&self.log) {
            let _ = file.seek(SeekFrom::Start(start)).and_then(|_| file.read_to_end(&mut bytes));
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

fn files_below(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files_below(&path, files);
        } else if entry.metadata().is_ok_and(|metadata| metadata.len() > 0) {
            files.push(path);
        }
    }
}
