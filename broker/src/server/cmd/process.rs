//! What the kernel knows of this process, for INFO. Where there is no `/proc`, the fields are absent.

use super::info::field;

/// Clock ticks per second in `/proc`: `USER_HZ`, which is part of the kernel's interface and never another
/// value on the machines that Rust's Linux targets name.
const TICKS_PER_S: u64 = 100;

/// Time that all threads have spent in the kernel and outside. There are no children.
pub(super) fn cpu(text: &mut String) {
    let Some((user, sys)) = cpu_ticks() else { return };
    for (name, ticks) in [
        ("used_cpu_sys", sys),
        ("used_cpu_user", user),
        ("used_cpu_sys_children", 0),
        ("used_cpu_user_children", 0),
    ] {
        field(text, name, format_args!("{}.{:02}0000", ticks / TICKS_PER_S, ticks % TICKS_PER_S));
    }
}

/// Processor time that all threads have used so far, in seconds.
pub fn cpu_seconds() -> Option<f64> {
    let (user, sys) = cpu_ticks()?;
    Some((user + sys) as f64 / TICKS_PER_S as f64)
}

/// See `proc_pid_stat(5)`. The name of the program, in parentheses, may hold anything.
fn cpu_ticks() -> Option<(u64, u64)> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The third field of the page is the first behind the name; `utime` is the fourteenth.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(14 - 3);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// Memory that the process holds. Redis tells what its allocator has given out; here it is what the kernel has.
pub(super) fn memory(text: &mut String) {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return };
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib * 1024)
    };
    for (name, source) in
        [("used_memory", "VmRSS:"), ("used_memory_rss", "VmRSS:"), ("used_memory_peak", "VmHWM:")]
    {
        if let Some(bytes) = bytes(source) {
            field(text, name, bytes);
        }
    }
}
