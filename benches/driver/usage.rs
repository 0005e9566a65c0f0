//! What a process used so far, from `/proc` (Linux only).

use std::fs;
use std::time::Duration;

/// Processor time of all threads, in nanoseconds as the scheduler counts them; `/proc/<pid>/stat`
/// counts in steps of 10 ms, which is longer than an event takes. Exact while all threads sleep.
pub fn cpu(pid: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("a living process on Linux");
    let of = |task: &std::path::Path| -> Option<u64> {
        let text = fs::read_to_string(task.join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse().ok()
    };
    Duration::from_nanos(tasks.flatten().filter_map(|task| of(&task.path())).sum())
}

/// The most memory that was resident at once (`VmHWM`), in bytes.
pub fn peak_memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a living process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes: u64 = line.unwrap().trim().trim_end_matches(" kB").parse().unwrap();
    kilobytes * 1024
}

/// The load averages of the machine.
pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}
