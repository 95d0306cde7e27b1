//! The binary's commands for people, as processes with pipes.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStderr, ChildStdout, Command, Stdio},
};

use crate::server::{carillon_binary, signal};

/// What a command left behind.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Its standard output.
    pub output: String,
    /// Its standard error.
    pub errors: String,
}

/// A command that runs until it is told to end, or dropped.
#[derive(Debug)]
pub struct Running {
    process: Child,
    output: Option<BufReader<ChildStdout>>,
    errors: BufReader<ChildStderr>,
}

/// Runs `carillon` with `args` (words) and variables, gives it `input`, and waits for its end.
pub fn run(args: &[&str], variables: &[(&str, &str)], input: &[u8]) -> Ended {
    let mut process = command(args).envs(variables.iter().copied()).spawn().expect("the binary can be run");
    // It may end without having read all: that is a result, too.
    let _ = process.stdin.take().expect("is a pipe").write_all(input);
    let output = process.wait_with_output().expect("ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("prints UTF-8");
    Ended { code: output.status.code(), output: text(output.stdout), errors: text(output.stderr) }
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(carillon_binary());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARILLON_") {
            command.env_remove(name);
        }
    }
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Running {
    /// Starts `carillon` with `args`.
    pub fn start(args: &[&str]) -> Self {
        let mut process = command(args).spawn().expect("the binary can be run");
        let output = process.stdout.take().map(BufReader::new);
        let errors = BufReader::new(process.stderr.take().expect("is a pipe"));
        Self { process, output, errors }
    }

    /// Starts `carillon sub` with `args` and waits until it is subscribed.
    pub fn subscribed(args: &[&str]) -> Self {
        let mut running = Self::start(&[&["sub"], args].concat());
        let line = running.error_line();
        assert!(line.starts_with("carillon sub: subscribed at "), "{line}");
        running
    }

    /// The next line of standard output; empty at its end.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.as_mut().expect("is open").read_line(&mut line).expect("prints UTF-8");
        line
    }

    /// The next line of standard error; empty at its end.
    pub fn error_line(&mut self) -> String {
        let mut line = String::new();
        self.errors.read_line(&mut line).expect("prints UTF-8");
        line
    }

    /// Standard error up to the line that holds all of these words, with it.
    pub fn errors_until(&mut self, words: &[&str]) -> String {
        // Shown if it never comes, and the test ends by its time limit.
        eprintln!("waiting for {words:?}");
        let mut log = String::new();
        loop {
            let line = self.error_line();
            assert!(!line.is_empty(), "it ended before it said {words:?}: {log}");
            log.push_str(&line);
            if words.iter().all(|word| line.contains(word)) {
                return log;
            }
        }
    }

    /// Writes to standard input.
    pub fn write(&mut self, bytes: &[u8]) {
        self.process.stdin.as_mut().expect("is a pipe").write_all(bytes).expect("is read");
    }

    /// Stops reading standard output.
    pub fn close_output(&mut self) {
        self.output = None;
    }

    /// Sends a signal, by its name.
    pub fn signal(&self, name: &str) {
        signal(self.process.id(), name);
    }

    /// Waits for its end, and returns its exit code.
    pub fn code(&mut self) -> Option<i32> {
        self.process.wait().expect("ends").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
