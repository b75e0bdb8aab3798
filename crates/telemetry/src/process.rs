//! What this process uses of its machine: CPU, memory and bytes read, from `/proc`.
//!
//! Comes in: two looks, some time apart. Goes out: shares and rates between them. It must never
//! report a guess: where the system does not tell, the figure is `None`.

use std::time::{Duration, Instant};

/// The clock ticks of `/proc/self/stat` per second: 100 on every Linux that Rust runs on
/// (`USER_HZ`, an ABI constant of the kernel's interface).
const TICKS_PER_S: f64 = 100.0;

/// A look at the process.
#[derive(Debug, Clone, Copy)]
struct Look {
    at: Instant,
    cpu_ticks: Option<u64>,
    read_bytes: Option<u64>,
}

/// Measures between two looks.
#[derive(Debug)]
pub struct ProcessLoad {
    last: Look,
    cores: f64,
    cpu: Option<f64>,
    read_bytes_per_s: Option<u64>,
}

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Measured {
    /// CPU in use, 0 to 1 of all cores, since the last look.
    pub cpu: Option<f64>,
    /// Resident memory, bytes.
    pub memory_bytes: Option<u64>,
    /// Bytes read per second (files and sockets) since the last look.
    pub read_bytes_per_s: Option<u64>,
}

impl Default for ProcessLoad {
    fn default() -> Self {
        Self::new()
    }
}

impl ProcessLoad {
    /// Takes the first look.
    #[must_use]
    pub fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            last: look(),
            cores: u32::try_from(cores).map_or(1.0, f64::from),
            cpu: None,
            read_bytes_per_s: None,
        }
    }

    /// Takes another look. Within a fifth of a second of the last one, the shares and rates are
    /// those of before: the kernel's ticks are too coarse.
    #[expect(
        clippy::cast_precision_loss,
        reason = "ticks and bytes of one interval"
    )]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates"
    )]
    pub fn measure(&mut self) -> Measured {
        let now = look();
        let elapsed = now.at.duration_since(self.last.at);
        if elapsed >= Duration::from_millis(200) {
            let seconds = elapsed.as_secs_f64();
            self.cpu = delta(now.cpu_ticks, self.last.cpu_ticks)
                .map(|ticks| (ticks as f64 / TICKS_PER_S / seconds / self.cores).clamp(0.0, 1.0));
            self.read_bytes_per_s = delta(now.read_bytes, self.last.read_bytes)
                .map(|bytes| (bytes as f64 / seconds) as u64);
            self.last = now;
        }
        Measured {
            cpu: self.cpu,
            memory_bytes: resident(),
            read_bytes_per_s: self.read_bytes_per_s,
        }
    }
}

fn delta(now: Option<u64>, before: Option<u64>) -> Option<u64> {
    Some(now?.saturating_sub(before?))
}

fn look() -> Look {
    Look {
        at: Instant::now(),
        cpu_ticks: std::fs::read_to_string("/proc/self/stat")
            .ok()
            .and_then(|text| cpu_ticks(&text)),
        read_bytes: std::fs::read_to_string("/proc/self/io")
            .ok()
            .and_then(|text| field(&text, "rchar:")),
    }
}

/// Seconds of processor time that this process has used.
#[expect(clippy::cast_precision_loss, reason = "ticks of one process")]
pub(crate) fn cpu_seconds() -> Option<f64> {
    let ticks = cpu_ticks(&std::fs::read_to_string("/proc/self/stat").ok()?)?;
    Some(ticks as f64 / TICKS_PER_S)
}

/// User and system time, fields 14 and 15; the second field may hold blanks and brackets.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let after_name = stat.get(stat.rfind(')')? + 1..)?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    Some(field(&status, "VmRSS:")? * 1024)
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(name))?
        .split_ascii_whitespace()
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_with_brackets_does_not_shift_the_fields() {
        let stat = "7 (a) (b c) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 1 0 5 1 1";
        assert_eq!(cpu_ticks(stat), Some(300));
        assert_eq!(cpu_ticks("nonsense"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_busy_process_is_seen_to_be_busy() {
        let mut load = ProcessLoad::new();
        let began = Instant::now();
        let mut sum = 0_u64;
        while began.elapsed() < Duration::from_millis(300) {
            sum = sum.wrapping_add(std::hint::black_box(1));
        }
        let measured = load.measure();
        assert!(measured.cpu.unwrap() > 0.0, "{measured:?} {sum}");
        assert!(measured.memory_bytes.unwrap() > 100_000);
    }
}
