//! CPU time and memory of processes, as the kernel counts them.

use std::fs;
use std::time::Duration;

use assay_cluster_tests::machine::{parent_of, processes};

/// The kernel counts CPU time in hundredths of a second on every Linux of today.
const TICKS: u64 = 100;

fn ticks(pid: u32, ended_children: bool) -> u64 {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return 0;
    };
    // pid (name) state parent …; times are the 14th to 17th.
    let cells: Vec<&str> = stat
        .rsplit_once(") ")
        .map_or("", |s| s.1)
        .split(' ')
        .collect();
    let end = if ended_children { 15 } else { 13 };
    let times = cells.get(11..end).unwrap_or_default();
    times.iter().filter_map(|t| t.parse::<u64>().ok()).sum()
}

/// CPU time of a process.
pub fn cpu(pid: u32) -> Duration {
    Duration::from_millis(ticks(pid, false) * 1000 / TICKS)
}

/// CPU time of a process and all its children, ended ones too.
pub fn cpu_of_family(parent: u32) -> Duration {
    let children = processes().filter(|pid| parent_of(*pid) == Some(parent));
    let sum = ticks(parent, true) + children.map(|pid| ticks(pid, false)).sum::<u64>();
    Duration::from_millis(sum * 1000 / TICKS)
}

/// A line of `/proc/PID/status` in MiB: `VmRSS`, `VmHWM`.
pub fn memory_mib(pid: u32, line: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let found = status
        .lines()
        .find_map(|l| l.strip_prefix(line)?.strip_prefix(':'));
    let kib = found.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) >> 10
}

/// The load of the machine over the last minute.
pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}
