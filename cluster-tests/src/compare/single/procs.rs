//! Processor time and memory, from `/proc`.

use std::{fs, time::Instant};

/// What has been used up to a moment, or between two.
#[derive(Debug)]
pub(super) struct Usage {
    pub(super) server_us: f64,
    own_us: f64,
    machine_us: f64,
    at: Instant,
    seconds: f64,
}

impl Usage {
    pub(super) fn of(server: u32) -> Result<Self, String> {
        let stat = read("/proc/stat")?;
        // Of all processors: user, nice and system.
        let machine = stat.split_whitespace().skip(1).take(3).filter_map(|ticks| ticks.parse::<f64>().ok());
        Ok(Self {
            server_us: process_us(&server.to_string())?,
            own_us: process_us("self")?,
            machine_us: machine.sum::<f64>() * tick_us(),
            at: Instant::now(),
            seconds: 0.0,
        })
    }

    pub(super) fn since(&self, before: &Self) -> Self {
        Self {
            server_us: self.server_us - before.server_us,
            own_us: self.own_us - before.own_us,
            machine_us: self.machine_us - before.machine_us,
            at: self.at,
            seconds: self.at.duration_since(before.at).as_secs_f64(),
        }
    }

    /// Cores that neither the server nor this process kept busy.
    pub(super) fn other_cores(&self) -> f64 {
        (self.machine_us - self.server_us - self.own_us).max(0.0) / self.seconds / 1e6
    }
}

/// Resident memory, in bytes.
pub(super) fn resident(process: u32) -> Result<f64, String> {
    let statm = read(&format!("/proc/{process}/statm"))?;
    let pages: Option<f64> = statm.split_whitespace().nth(1).and_then(|pages| pages.parse().ok());
    Ok(pages.ok_or("statm does not tell resident pages")? * rustix::param::page_size() as f64)
}

fn tick_us() -> f64 {
    1e6 / rustix::param::clock_ticks_per_second() as f64
}

/// User and system time, fields 14 and 15 of proc(5).
fn process_us(process: &str) -> Result<f64, String> {
    let stat = read(&format!("/proc/{process}/stat"))?;
    // The name in parentheses may hold anything.
    let (_, fields) = stat.rsplit_once(')').ok_or("stat does not tell a name")?;
    let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    Ok(ticks.sum::<f64>() * tick_us())
}

fn read(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
}
