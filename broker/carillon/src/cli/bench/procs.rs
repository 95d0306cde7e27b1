//! Processor time and memory of processes, from `/proc`.

use std::{fs, path::Path};

use serde::Serialize;

/// What processes have used by a moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    /// Processor time, in microseconds. The kernel tells it in ticks of 10 ms.
    pub(super) cpu_us: f64,
    /// Resident memory, in bytes.
    pub(super) rss_bytes: u64,
}

/// What servers and load used over the measured time.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Machine {
    /// Cores that the servers' processes kept busy; absent when no process is known.
    pub(super) server_cores: Option<f64>,
    /// The servers' most resident memory, in bytes.
    pub(super) server_rss_bytes_max: Option<u64>,
    /// Cores that the load kept busy.
    pub(super) load_cores: f64,
    /// The part of its threads' time that the load used; near 1 it is the load that limits.
    pub(super) load_saturation: f64,
    /// Cores that all else on this machine kept busy; above 0.1 they disturb.
    pub(super) other_cores: f64,
}

/// Processor time and memory of all `pids` together. A process that has ended adds nothing.
pub(super) fn usage(pids: &[u32]) -> Usage {
    pids.iter().filter_map(|pid| usage_of(&pid.to_string())).fold(Usage::default(), |sum, usage| Usage {
        cpu_us: sum.cpu_us + usage.cpu_us,
        rss_bytes: sum.rss_bytes + usage.rss_bytes,
    })
}

/// Processor time of this process.
pub(super) fn own_usage() -> Usage {
    usage_of("self").unwrap_or_default()
}

/// Whether there is such a process.
pub(super) fn exists(pid: u32) -> bool {
    usage_of(&pid.to_string()).is_some()
}

/// Processor time that all processes of this machine have used, in microseconds.
pub(super) fn machine_cpu_us() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = stat.lines().next().unwrap_or_default().split_whitespace().skip(1);
    let ticks: Vec<f64> = fields.filter_map(|field| field.parse().ok()).collect();
    // user, nice and system; interrupts belong to nobody.
    ticks.iter().take(3).sum::<f64>() * tick_us()
}

fn tick_us() -> f64 {
    1e6 / rustix::param::clock_ticks_per_second() as f64
}

fn usage_of(process: &str) -> Option<Usage> {
    let folder = Path::new("/proc").join(process);
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    let (user, system) = ticks(&stat)?;
    let statm = fs::read_to_string(folder.join("statm")).ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(Usage {
        cpu_us: (user + system) as f64 * tick_us(),
        rss_bytes: pages * rustix::param::page_size() as u64,
    })
}

/// Ticks in user and in system mode, from the text of a `stat` file (proc(5), fields 14 and 15).
fn ticks(stat: &str) -> Option<(u64, u64)> {
    // The second field is a name in parentheses, which may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "7 (a) b (c) S 1 1 1 0 -1 4194560 9 0 0 0 123 45 0 0 20 0 5 0 100 1000 200";
        assert_eq!(ticks(stat), Some((123, 45)));
    }

    #[test]
    fn this_process_uses_memory() {
        assert!(own_usage().rss_bytes > 100_000);
        assert_eq!(usage(&[std::process::id()]).rss_bytes > 100_000, exists(std::process::id()));
        assert!(!exists(u32::MAX));
    }
}
