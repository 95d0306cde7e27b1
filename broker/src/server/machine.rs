//! What the machine, or the container, lets a node have.

use std::fs;

use crate::open_files;

/// Files that a node opens beside its clients' connections: logs, sockets of its own, the store, and those of a
/// moment, such as connections to the admin port.
const OWN_FILES: u64 = 128;

/// Part of the memory that clients may fill when nothing else is set.
const CLIENTS_MEMORY_PART: u64 = 2;

/// Never less than this is taken for clients, in bytes.
const CLIENTS_BYTES_MIN: u64 = 64 * 1024 * 1024;

/// As many clients as can be had, up to `wanted`.
pub(super) fn clients_max(wanted: u64) -> u64 {
    let needed = wanted.saturating_add(OWN_FILES);
    let allowed = open_files::allow(needed);
    if allowed >= needed {
        return wanted;
    }
    let clients_max = allowed.saturating_sub(OWN_FILES).max(1);
    tracing::warn!(
        clients_max,
        wanted,
        open_files = allowed,
        "the limit on open files (ulimit -n) is too low for --clients-max {wanted}, which needs {needed}; \
         this node takes {clients_max} clients"
    );
    clients_max
}

/// The bound on what all clients may make the node hold: the setting, or a part of the memory there is.
pub(super) fn clients_bytes_max(set: u64) -> u64 {
    if set > 0 {
        return set;
    }
    let memory = memory_bytes(|path| fs::read_to_string(path).ok());
    memory.map_or(u64::MAX, |bytes| (bytes / CLIENTS_MEMORY_PART).max(CLIENTS_BYTES_MIN))
}

/// Memory of the machine, or of the control group that this process is in, in bytes.
fn memory_bytes(read: impl Fn(&str) -> Option<String>) -> Option<u64> {
    let group = |path: &str| read(path)?.trim().parse::<u64>().ok();
    let machine = || {
        let text = read("/proc/meminfo")?;
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
    };
    let limits =
        [group("/sys/fs/cgroup/memory.max"), group("/sys/fs/cgroup/memory/memory.limit_in_bytes"), machine()];
    limits.into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_of_machine_and_container_counts() {
        let meminfo = "MemTotal:       2048 kB\nMemFree: 1 kB\n";
        let files = |group: &'static str| {
            move |path: &str| match path {
                "/sys/fs/cgroup/memory.max" => Some(group.to_owned()),
                "/proc/meminfo" => Some(meminfo.to_owned()),
                _ => None,
            }
        };
        assert_eq!(memory_bytes(files("max\n")), Some(2048 * 1024));
        assert_eq!(memory_bytes(files("1048576\n")), Some(1_048_576));
        assert_eq!(memory_bytes(|_| None), None);
        assert_eq!(clients_bytes_max(7), 7);
    }
}
