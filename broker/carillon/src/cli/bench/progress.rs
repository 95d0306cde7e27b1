//! A line on standard error that says how far a long run is.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

/// Between two lines where they are kept, as in a log.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Between two changes of the line on a terminal.
const CHANGE_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Progress {
    is_terminal: bool,
    /// Which round of which target this is.
    label: String,
    seconds: f64,
    told: Duration,
    delivered: u64,
}

impl Progress {
    pub(super) fn new(seconds: f64) -> Self {
        let is_terminal = io::stderr().is_terminal();
        Self { is_terminal, label: String::new(), seconds, told: Duration::ZERO, delivered: 0 }
    }

    /// Another round.
    pub(super) fn set_label(&mut self, label: String) {
        self.label = label;
    }

    pub(super) fn begin(&mut self) {
        (self.told, self.delivered) = (Duration::ZERO, 0);
    }

    /// All clients are connected and the measured time begins; scripts that disturb a server wait for this line.
    pub(super) fn measuring(&mut self) {
        let end = if self.is_terminal { "\r" } else { "\n" };
        write(&format!("carillon bench: {}: measuring for {} s{end}", self.label, self.seconds));
    }

    /// So much has been delivered after so much of the measured time.
    pub(super) fn tell(&mut self, elapsed: Duration, delivered: u64) {
        let every = if self.is_terminal { CHANGE_EVERY } else { LINE_EVERY };
        let since = elapsed.saturating_sub(self.told);
        if since < every {
            return;
        }
        let rate = delivered.saturating_sub(self.delivered) as f64 / since.as_secs_f64();
        (self.told, self.delivered) = (elapsed, delivered);
        let (seconds, end) = (elapsed.as_secs(), if self.is_terminal { "\x1b[K\r" } else { "\n" });
        write(&format!(
            "carillon bench: {}: {seconds} of {} s, {rate:.0} deliveries/s{end}",
            self.label, self.seconds
        ));
    }

    /// Clears the line.
    pub(super) fn end(&self) {
        if self.is_terminal {
            write("\x1b[K");
        }
    }
}

/// Nobody is left to be told when this fails.
fn write(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}
