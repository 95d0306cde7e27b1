//! Namespaces of the kernel that live as long as one process in them: what a pod's sandbox is made of.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    os::fd::AsFd as _,
    process::{Child, ChildStdin, Command, Stdio},
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Own namespaces for network, host name, mounts and processes.
///
/// Its first process ends with this value or with the whole test, however that ends: it waits for the end of a pipe. The
/// kernel then kills all others in it.
#[derive(Debug)]
pub(super) struct Namespaces {
    process: Child,
    /// The first process, by its number outside.
    pub(super) pid: u32,
    _pipe: ChildStdin,
}

impl Namespaces {
    /// Makes them and runs a shell script in them, as root. The error says what was refused.
    pub(super) fn new(script: &str) -> Result<Self, String> {
        let script = format!("{script}\necho ready\nexec cat > /dev/null");
        let mut process = Command::new("unshare")
            .args(["--net", "--uts", "--mount", "--pid", "--fork", "--kill-child", "--propagation=private"])
            .args(["--", "sh", "-euc", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("unshare: {error}"))?;
        let pipe = process.stdin.take().expect("is a pipe");
        let mut line = String::new();
        let _ = BufReader::new(process.stdout.take().expect("is a pipe")).read_line(&mut line);
        if line != "ready\n" {
            drop(pipe);
            let output = process.wait_with_output().map_err(|error| error.to_string())?;
            return Err(format!("{}{}", String::from_utf8_lossy(&output.stderr), output.status));
        }
        let pid = child_of(process.id()).expect("unshare has started the script");
        Ok(Self { process, pid, _pipe: pipe })
    }

    /// A command that runs inside, as root.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.pid.to_string(), "--net", "--uts", "--mount", "--pid", "--"]);
        command
    }

    /// Has `ip` do several things inside.
    pub(super) fn ip(&self, batch: &str) {
        feed(self.command().args(["ip", "-batch", "-"]), batch);
    }

    /// Moves the calling thread into this network, with all sockets and threads that it makes from now on.
    pub(super) fn enter_network(&self) {
        enter_network_of(self.pid);
    }
}

/// Moves the calling thread into the network of a process.
pub(super) fn enter_network_of(pid: u32) {
    let network = File::open(format!("/proc/{pid}/ns/net")).expect("the process runs");
    move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).expect("root may enter it");
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs a command with this as its input.
pub(super) fn feed(command: &mut Command, input: &str) {
    let mut process =
        command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the tool is there");
    let mut pipe = process.stdin.take().expect("is a pipe");
    pipe.write_all(input.as_bytes()).expect("it reads");
    drop(pipe);
    let output = process.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{command:?}: {}\n{input}", String::from_utf8_lossy(&output.stderr));
}

/// The one child of a process.
pub(super) fn child_of(pid: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}
