//! Processes as the system lists them, and signals to them.
//!
//! Comes in: process ids of this drill. Goes out: their children, and what was sent to them. It must
//! never signal a process by anything but its id.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// All processes of the machine.
pub fn processes() -> impl Iterator<Item = u32> {
    let listed = fs::read_dir("/proc").into_iter().flatten().flatten();
    listed.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The parent of a process.
#[must_use]
pub fn parent_of(pid: u32) -> Option<u32> {
    cell(pid, 1)?.parse().ok()
}

/// The state of a process as a letter: `R`, `S`, `T` for stopped, …
#[must_use]
pub fn state_of(pid: u32) -> Option<String> {
    cell(pid, 0)
}

/// What a process has computed, in ticks.
#[must_use]
pub fn ticks_of(pid: u32) -> Option<u64> {
    let of = |n| cell(pid, n)?.parse::<u64>().ok();
    Some(of(11)? + of(12)?)
}

fn cell(pid: u32, n: usize) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // pid (name) state parent …; the name may hold anything, even brackets.
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(n).map(str::to_owned)
}

/// The processes that `parent` has started and that run `program`.
#[must_use]
pub fn children_of(parent: u32, program: &str) -> Vec<u32> {
    let ours = processes().filter(|pid| parent_of(*pid) == Some(parent));
    ours.filter(|pid| {
        fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|c| c.contains(program))
    })
    .collect()
}

/// Sends a signal; a process that has ended hears nothing.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may have ended by itself.
        let _ = kill_process(pid, signal);
    }
}
