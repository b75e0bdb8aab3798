//! The series of a process and the limits that it lives within: those of its control group, where
//! there are some, and else the machine's.
//!
//! Comes in: `/proc` and `/sys/fs/cgroup`. Goes out: gauges and counters. It must never report a
//! guess: what the system does not tell has no series.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::{ProcessLoad, Telemetry};

/// Sets the series that never change: the build.
pub fn describe(telemetry: &Telemetry, version: &str) {
    telemetry.set("assay_build_info", &[("version", version)], 1.0);
}

/// What sets the series of this process whenever they are asked for; `prefix` begins the names of
/// those that Prometheus has no usual name for (`assay_node`).
#[must_use]
pub fn refresh(prefix: &'static str) -> Arc<dyn Fn(&Telemetry) + Send + Sync> {
    let load = Mutex::new(ProcessLoad::new());
    Arc::new(move |telemetry| {
        let measured = load
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .measure();
        if let Some(share) = measured.cpu {
            let cores = f64::from(cores());
            let limit = cpu_limit().map_or(cores, |limit| limit.min(cores));
            let name = format!("{prefix}_cpu_utilization_ratio");
            telemetry.set(&name, &[], (share * cores / limit).clamp(0.0, 1.0));
            telemetry.set(&format!("{prefix}_cpu_limit_cores"), &[], limit);
        }
        if let Some(bytes) = measured.memory_bytes {
            telemetry.set("process_resident_memory_bytes", &[], float(bytes));
            telemetry.set(
                &format!("{prefix}_memory_usage_bytes"),
                &[],
                float(memory_used().unwrap_or(bytes)),
            );
        }
        if let Some(bytes) = memory_limit() {
            let name = format!("{prefix}_memory_limit_bytes");
            telemetry.set(&name, &[], float(bytes));
        }
        of_proc(telemetry, prefix);
    })
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 bytes")]
fn float(n: u64) -> f64 {
    n as f64
}

fn cores() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(cores).unwrap_or(1)
}

/// What `/proc/self` tells beside the load.
fn of_proc(telemetry: &Telemetry, prefix: &str) {
    let io = read(Path::new("/proc/self/io"));
    for (field, what, direction) in [
        ("rchar:", "io_bytes_total", "read"),
        ("wchar:", "io_bytes_total", "write"),
        ("read_bytes:", "disk_io_bytes_total", "read"),
        ("write_bytes:", "disk_io_bytes_total", "write"),
    ] {
        if let Some(bytes) = io.as_deref().and_then(|text| named(text, field)) {
            let name = format!("{prefix}_{what}");
            telemetry.set_total(&name, &[("direction", direction)], float(bytes));
        }
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        telemetry.set("process_open_fds", &[], float(open.count() as u64));
    }
    let status = read(Path::new("/proc/self/status"));
    if let Some(threads) = status.as_deref().and_then(|text| named(text, "Threads:")) {
        telemetry.set("process_threads", &[], float(threads));
    }
    if let Some(seconds) = crate::process::cpu_seconds() {
        telemetry.set_total("process_cpu_seconds_total", &[], seconds);
    }
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

fn named(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// Memory that this process and its children may take, in bytes: the tightest limit of its control
/// groups, or the machine's memory.
#[must_use]
pub fn memory_limit() -> Option<u64> {
    let machine = read(Path::new("/proc/meminfo"))
        .and_then(|text| named(&text, "MemTotal:"))
        .map(|kib| kib << 10);
    let groups = groups("memory", &["memory.max", "memory.limit_in_bytes"]);
    let tightest = groups.iter().filter_map(|text| text.trim().parse().ok());
    tightest.chain(machine).min()
}

/// Memory that the control group takes, in bytes; absent when the group is the machine's.
fn memory_used() -> Option<u64> {
    let limited = groups("memory", &["memory.max", "memory.limit_in_bytes"])
        .iter()
        .any(|text| text.trim().parse::<u64>().is_ok_and(|n| n < 1 << 60));
    if !limited {
        return None;
    }
    let used = groups("memory", &["memory.current", "memory.usage_in_bytes"]);
    used.first()?.trim().parse().ok()
}

/// Cores that this process may use, if its control groups limit them.
fn cpu_limit() -> Option<f64> {
    let version_2 = groups("cpu", &["cpu.max"]);
    let tightest = version_2.iter().filter_map(|text| cores_of(text));
    let version_1 = groups("cpu", &["cpu.cfs_quota_us"])
        .into_iter()
        .zip(groups("cpu", &["cpu.cfs_period_us"]));
    let version_1 =
        version_1.filter_map(|(quota, period)| cores_of(&format!("{} {period}", quota.trim())));
    tightest.chain(version_1).reduce(f64::min)
}

/// `200000 100000` is two cores; `max 100000` and `-1 100000` are no limit.
fn cores_of(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    let quota: f64 = quota.parse().ok().filter(|quota| *quota > 0.0)?;
    let period: f64 = period.trim().parse().ok().filter(|period| *period > 0.0)?;
    Some(quota / period)
}

/// The texts of the first of `files` that is there, in the process's control group and each above.
fn groups(controller: &str, files: &[&str]) -> Vec<String> {
    let Some(own) = read(Path::new("/proc/self/cgroup")) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for line in own.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let root = match controllers {
            "" => PathBuf::from("/sys/fs/cgroup"),
            list if list.split(',').any(|c| c == controller) => {
                Path::new("/sys/fs/cgroup").join(controller)
            }
            _ => continue,
        };
        let mut group = root.join(path.trim_start_matches('/'));
        loop {
            found.extend(files.iter().find_map(|file| read(&group.join(file))));
            if group == root || !group.pop() {
                break;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_processors_is_read_and_the_absence_of_one_is_none() {
        assert_eq!(cores_of("150000 100000\n"), Some(1.5));
        assert_eq!(cores_of("max 100000\n"), None);
        assert_eq!(cores_of("-1 100000\n"), None);
        assert_eq!(cores_of("nonsense"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_series_of_a_process_are_read_off() {
        let telemetry = Telemetry::default();
        describe(&telemetry, "1.2.3");
        refresh("assay_node")(&telemetry);
        for name in [
            "process_resident_memory_bytes",
            "process_cpu_seconds_total",
            "process_open_fds",
            "assay_node_memory_usage_bytes",
            "assay_node_memory_limit_bytes",
        ] {
            assert!(telemetry.value(name, &[]).is_some(), "{name}");
        }
        assert!(memory_limit().unwrap() > 16 << 20);
        let read = telemetry.value("assay_node_io_bytes_total", &[("direction", "read")]);
        assert!(read.unwrap() > 0.0);
    }
}
