//! How a process died, in words.
//!
//! In: an exit status, the end of a standard error. Out: one line for a log and a page. What
//! follows from a death is never decided by these words.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use super::message::clean;

/// Lines of the standard error that are told.
const LINES: usize = 3;
/// Their characters.
const CHARACTERS: usize = 600;

/// The name of a signal, and what it usually means.
const fn signal(number: i32) -> Option<(&'static str, &'static str)> {
    Some(match number {
        1 => ("SIGHUP", "its terminal is gone"),
        4 => ("SIGILL", "it met no instruction of this machine"),
        6 => (
            "SIGABRT",
            "it gave up: out of memory, out of stack, or a broken rule",
        ),
        8 => ("SIGFPE", "it divided by zero"),
        9 => (
            "SIGKILL",
            "someone killed it, most likely the system for want of memory",
        ),
        11 => ("SIGSEGV", "it touched memory that is not its own"),
        15 => ("SIGTERM", "someone asked it to end"),
        _ => return None,
    })
}

/// Signals whose numbers differ between systems.
fn of_this_system(number: i32) -> Option<(&'static str, &'static str)> {
    use rustix::process::Signal;
    let of = |signal: Signal| signal.as_raw() == number;
    if of(Signal::BUS) {
        Some((
            "SIGBUS",
            "a file under it became shorter, or memory ran out",
        ))
    } else if of(Signal::XCPU) {
        Some((
            "SIGXCPU",
            "it used more processor time than its time-out allows",
        ))
    } else if of(Signal::XFSZ) {
        Some(("SIGXFSZ", "it tried to write a file"))
    } else if of(Signal::SYS) {
        Some(("SIGSYS", "it asked the system for what it may not have"))
    } else {
        None
    }
}

/// An exit status in words.
pub(super) fn status(status: ExitStatus) -> String {
    if let Some(number) = status.signal() {
        return match signal(number).or_else(|| of_this_system(number)) {
            Some((name, meaning)) => format!("ended by {name} ({meaning})"),
            None => format!("ended by signal {number}"),
        };
    }
    match status.code() {
        Some(code) => format!("ended with exit code {code} and no answer"),
        None => "ended without a status".to_owned(),
    }
}

/// What the last words show to be the cause, where a signal alone does not tell.
pub(super) fn cause(last: &str, memory_cap: u64) -> Option<String> {
    if last.contains("memory allocation of") {
        let mib = memory_cap >> 20;
        return Some(format!(
            "ran out of memory: it may write to {mib} MiB; give the node more memory or fewer \
             slots, or measure fewer columns at a time"
        ));
    }
    let deep = last.contains("overflowed its stack");
    deep.then(|| "ran out of stack".to_owned())
}

/// The last lines that say something.
pub(super) fn last_lines(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<String> = text
        .lines()
        .map(clean)
        .filter(|line| !line.is_empty() && !line.starts_with("note: run with `RUST_BACKTRACE"))
        .collect();
    let last = lines[lines.len().saturating_sub(LINES)..].join(" | ");
    let excess = last.chars().count().saturating_sub(CHARACTERS);
    last.chars().skip(excess).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_death_is_told_by_name() {
        let words = |raw| status(ExitStatus::from_raw(raw));
        assert!(words(6).contains("SIGABRT"));
        assert!(words(9).contains("SIGKILL"));
        assert!(words(rustix::process::Signal::XCPU.as_raw()).contains("SIGXCPU"));
        assert!(words(64).contains("signal 64"));
        assert_eq!(words(3 << 8), "ended with exit code 3 and no answer");
    }

    #[test]
    fn want_of_memory_is_told_with_its_limit() {
        let last = "memory allocation of 1048576 bytes failed";
        assert!(cause(last, 112 << 20).unwrap().contains("112 MiB"));
        assert!(cause("thread 'task' has overflowed its stack", 1).is_some());
        assert_eq!(cause("goodbye", 1), None);
    }

    #[test]
    fn last_words_are_few_and_harmless() {
        let bytes = b"one\n\ntwo\x1b[31m\nthree\nnote: run with `RUST_BACKTRACE=1`\nfour\xff\n";
        assert_eq!(last_lines(bytes), "two [31m | three | four\u{fffd}");
        assert_eq!(last_lines(&[b'x'; 5000]).chars().count(), CHARACTERS);
        assert_eq!(last_lines(b""), "");
    }
}
