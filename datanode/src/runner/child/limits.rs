//! What the kernel allows a child: set by the child on itself before it sees a task.
//!
//! In: the limits that the node names. Out: a process that can neither take the machine's memory,
//! nor write files, nor start processes, nor leave a core behind. It must never serve with a limit
//! that could not be set.
//!
//! Memory is bounded by `RLIMIT_DATA`, which counts what can be written to and not what is merely
//! reserved, with `RLIMIT_AS` far above it against maps of files. Both end in an abort of the child
//! that says "memory allocation failed"; the kernel's own out-of-memory killer is told to prefer
//! the child to its node.

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

/// Address space beyond the memory that may be written to: the program, its libraries, what the
/// allocator reserves.
const RESERVED_BYTES: u64 = 4 << 30;

/// What a child may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChildLimits {
    /// Writable memory, in bytes.
    pub(super) memory_bytes: u64,
    /// Open files.
    pub(super) open_files: u64,
}

/// Sets `resource` for good; a limit that is lower already stays.
fn cap(resource: Resource, most: u64) -> Result<(), String> {
    let most = getrlimit(resource)
        .maximum
        .map_or(most, |max| max.min(most));
    let limit = Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    setrlimit(resource, limit).map_err(|error| told("set a limit", error))
}

fn told(what: &str, error: Errno) -> String {
    format!("cannot {what}: {error}")
}

/// Limits of the process, to be set while it has one thread.
pub(super) fn hold(limits: ChildLimits) -> Result<(), String> {
    #[cfg(target_os = "linux")]
    {
        // A hint to the kernel; where it is not to be had, the limits below still hold.
        let _ = std::fs::write("/proc/self/oom_score_adj", "500");
        rustix::thread::set_no_new_privs(true).map_err(|e| told("give up privileges", e))?;
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
            .map_err(|e| told("forbid dumps", e))?;
    }
    cap(Resource::Core, 0)?;
    cap(Resource::Fsize, 0)?;
    cap(Resource::Nofile, limits.open_files)?;
    cap(Resource::Data, limits.memory_bytes)?;
    cap(
        Resource::As,
        limits.memory_bytes.saturating_add(RESERVED_BYTES),
    )
}

/// The last limit, once every thread is there: no more processes. (The kernel exempts root.)
pub(super) fn no_more_processes() -> Result<(), String> {
    cap(Resource::Nproc, 0)
}

/// Lets the process use so many more seconds of processor time.
pub(super) fn allow_cpu(seconds: u64) -> Result<(), String> {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let used = u64::try_from(used.tv_sec).unwrap_or_default();
    let most = getrlimit(Resource::Cpu).maximum;
    let limit = Rlimit {
        current: Some(
            used.saturating_add(seconds)
                .min(most.unwrap_or(u64::MAX - 1)),
        ),
        maximum: most,
    };
    setrlimit(Resource::Cpu, limit).map_err(|error| told("set a limit", error))
}
