//! `assay doctor`: what is wrong with this installation, and what to do about it.
//!
//! Comes in: nothing but the settings. Goes out: one line per thing looked at. It changes nothing:
//! what it creates to see whether it may, it removes.

mod cluster;
mod gateway;
pub mod port;
mod shared;
mod sources;

use std::path::{Path, PathBuf};

use anyhow::Result;
use assay_proto::v1;
use assay_store::port::RunFilter;
use jiff::Timestamp;
use jiff::civil::date;
use serde_json::{Value, json};

use crate::client::Client;
use crate::config::files;
use crate::context::{Context, cores};
use crate::dev::{open_notices, open_reader, open_registry};
use crate::exit::{Exit, said};
use crate::lock::holder_of;
use crate::show::text;

use port::{Port, look_at};

/// Free bytes below which a store is in danger.
const DISK_LOW: u64 = 1 << 30;
/// Free bytes below which a store cannot work.
const DISK_OUT: u64 = 64 << 20;
/// Invalid files and sources that are named.
const NAMED_MAX: usize = 5;

/// How a look ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    Warning,
    Failed,
}

/// One thing that was looked at.
struct Finding {
    what: &'static str,
    state: State,
    detail: String,
    remedy: Option<String>,
}

impl Finding {
    fn good(what: &'static str, detail: impl Into<String>) -> Self {
        Self {
            what,
            state: State::Good,
            detail: detail.into(),
            remedy: None,
        }
    }

    fn warning(what: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            what,
            state: State::Warning,
            detail: detail.into(),
            remedy: Some(remedy.into()),
        }
    }

    fn failed(what: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            state: State::Failed,
            ..Self::warning(what, detail, remedy)
        }
    }
}

/// Runs the command.
pub async fn run(cx: &Context) -> Result<Exit> {
    let mut found = vec![config(cx)];
    let elsewhere = match gateway::look(cx).await {
        Some(found) => Some(found),
        None => cluster::look(cx).await,
    };
    match elsewhere {
        // What lies on this machine has no part in a cluster elsewhere.
        Some(elsewhere) => {
            found.extend(elsewhere);
            found.extend(shared::look(cx).await);
        }
        None => found.extend(embedded(cx).await),
    }
    let exit = if found.iter().any(|f| f.state == State::Failed) {
        Exit::NotEvaluated
    } else {
        Exit::Ok
    };
    print(&found, exit, cx)?;
    Ok(exit)
}

/// The installation on this machine.
async fn embedded(cx: &Context) -> Vec<Finding> {
    let mut found = vec![data_folder(cx), disk(cx)];
    found.push(server(cx).await);
    found.push(store(cx).await);
    found.extend(registry(cx).await);
    found.extend([
        listening(cx),
        clock(),
        memory(cx),
        Finding::good("cores", cores().to_string()),
    ]);
    found
}

fn print(found: &[Finding], exit: Exit, cx: &Context) -> Result<()> {
    let mut out = String::new();
    for finding in found {
        let (mark, color) = match finding.state {
            State::Good => ("✔", "32"),
            State::Warning => ("!", "33"),
            State::Failed => ("✖", "31"),
        };
        let mark = text::paint(mark, color, cx.screen.color);
        out.push_str(&format!(
            " {mark} {:<12} {}\n",
            finding.what, finding.detail
        ));
        if let Some(remedy) = &finding.remedy {
            out.push_str(&format!("{:16}try: {remedy}\n", ""));
        }
    }
    let count = |state: State| found.iter().filter(|f| f.state == state).count();
    let (good, warnings, failed) = (
        count(State::Good),
        count(State::Warning),
        count(State::Failed),
    );
    out.push_str(&format!(
        "{good} ok, {}, {failed} failed   exit code {}\n",
        text::counted(warnings, "warning"),
        exit.code()
    ));
    cx.screen.text(&out)?;
    let items: Vec<Value> = found
        .iter()
        .map(|finding| {
            let state = match finding.state {
                State::Good => "ok",
                State::Warning => "warning",
                State::Failed => "failed",
            };
            json!({"what": finding.what, "state": state, "detail": finding.detail, "remedy": finding.remedy})
        })
        .collect();
    let summary = json!({"ok": good, "warnings": warnings, "failed": failed});
    cx.screen.items("DoctorFindingList", &items, &summary, exit)
}

fn config(cx: &Context) -> Finding {
    let read: Vec<String> = files(cx.global.config.as_deref())
        .iter()
        .filter(|file| file.is_file())
        .map(|file| file.display().to_string())
        .collect();
    let set = cx
        .settings
        .rows()
        .iter()
        .filter(|r| r.2 != "built-in")
        .count();
    let from = if read.is_empty() {
        "no settings file".to_owned()
    } else {
        read.join(", ")
    };
    Finding::good(
        "config",
        format!("{from}; {set} settings differ from the built-in ones"),
    )
}

/// `path`, or the nearest folder above it that is there.
fn nearest(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute
        .ancestors()
        .find(|place| place.exists())
        .unwrap_or(Path::new("/"))
        .to_owned()
}

fn data_folder(cx: &Context) -> Finding {
    let folder = cx.data_dir();
    let place = nearest(&folder);
    let name = folder.display();
    // A file without a name: it is gone when it is closed, whatever happens.
    match tempfile::tempfile_in(&place) {
        Ok(_) if folder.is_dir() => Finding::good("data folder", format!("{name}, writable")),
        Ok(_) => Finding::good("data folder", format!("{name}, made at first use")),
        Err(error) => Finding::failed(
            "data folder",
            format!("{}: {error}", place.display()),
            "give yourself the right to write there, or take another: --data-dir DIR",
        ),
    }
}

fn disk(cx: &Context) -> Finding {
    let place = nearest(&cx.data_dir());
    match rustix::fs::statvfs(&place) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let detail = format!("{} free at {}", text::bytes(free), place.display());
            let remedy = "free some space, or take another disk: --data-dir DIR";
            match free {
                ..DISK_OUT => Finding::failed("disk", detail, remedy),
                DISK_OUT..DISK_LOW => Finding::warning("disk", detail, remedy),
                _ => Finding::good("disk", detail),
            }
        }
        Err(error) => Finding::warning(
            "disk",
            format!("{}: {error}", place.display()),
            "look at the disk yourself: df -h",
        ),
    }
}

async fn server(cx: &Context) -> Finding {
    let client = match Client::find(cx).await {
        Ok(Some(client)) => client,
        Ok(None) => {
            let folder = cx.data_dir();
            return match holder_of(&folder) {
                Some(holder) => Finding::good(
                    "server",
                    format!(
                        "none; {} is in use by assay {} (pid {})",
                        folder.display(),
                        holder.command,
                        holder.pid
                    ),
                ),
                None => Finding::good("server", "none runs here; start one with assay dev"),
            };
        }
        Err(error) => {
            let text = said(&error);
            let (what, remedy) = text
                .split_once("\n  ")
                .unwrap_or((&text, "start one: assay dev"));
            return Finding::failed("server", what, remedy);
        }
    };
    let request = client.call(v1::StatusRequest {});
    match client.cluster().status(request).await {
        Ok(answer) => {
            let status = answer.into_inner();
            let live = status.nodes.iter().filter(|n| n.state == "live").count();
            let detail = format!(
                "{}, {live} of {} live, {} unfinished",
                client.address,
                text::counted(status.nodes.len(), "node"),
                text::counted(status.runs_unfinished as usize, "run")
            );
            if live == 0 {
                let remedy = "without a node no task runs; start a data node";
                return Finding::warning("server", detail, remedy);
            }
            Finding::good("server", detail)
        }
        Err(status) => Finding::failed(
            "server",
            format!("{}: {}", client.address, status.message()),
            "wait for a leader, or restart it; then assay doctor again",
        ),
    }
}

async fn store(cx: &Context) -> Finding {
    let folder = cx.data_dir();
    let remedy = format!(
        "keep a copy of {0}, then move it away; assay measures anew",
        folder.display()
    );
    let store = match open_reader(&folder).await {
        Ok(Some(store)) => store,
        Ok(None) => {
            return Finding::good("store", "none yet; made by the first check or assay dev");
        }
        Err(error) => return Finding::failed("store", said(&error), remedy),
    };
    let notices = match open_notices(&folder).await {
        Ok(notices) => notices,
        Err(error) => return Finding::failed("store", said(&error), remedy),
    };
    let filter = RunFilter {
        limit: 1000,
        ..RunFilter::default()
    };
    let read = async {
        let runs = store.runs(&filter).await?;
        // Those that lists show: of what a backfill found nobody is told.
        let open = match &notices {
            Some(notices) => notices.open_causes().await?,
            None => Vec::new(),
        };
        let open: u64 = open.iter().map(|of| of.count).sum();
        let mut datasets: Vec<_> = runs.iter().map(|run| run.dataset.clone()).collect();
        datasets.sort();
        datasets.dedup();
        for dataset in &datasets {
            store.ledger(dataset).await?;
            store.verdicts(dataset, None, 2000).await?;
        }
        Ok::<_, assay_store::StoreError>((runs.len(), datasets.len(), open))
    };
    match read.await {
        Ok((runs, datasets, open)) => Finding::good(
            "store",
            format!(
                "{}, readable; {}, {}, {}",
                folder.display(),
                text::counted(datasets, "dataset"),
                text::counted(runs, "newest run"),
                text::counted(usize::try_from(open).unwrap_or(usize::MAX), "open incident")
            ),
        ),
        Err(error) => Finding::failed("store", error.to_string(), remedy),
    }
}

async fn registry(cx: &Context) -> Vec<Finding> {
    if cx.settings.text("registry.url").is_some() {
        return shared::look(cx).await;
    }
    let dir = cx.registry_dir();
    if !dir.is_dir() {
        return vec![Finding::warning(
            "registry",
            format!("there is no folder {}", dir.display()),
            "fill it: assay dataset apply -f FILE; or name another: registry.dir in assay.toml",
        )];
    }
    let base = std::path::absolute(&dir).unwrap_or_else(|_| dir.clone());
    let listing = match open_registry(&dir, &base) {
        Ok(registry) => registry.list().await,
        Err(error) => {
            let remedy = "give yourself the right to read it";
            return vec![Finding::failed("registry", said(&error), remedy)];
        }
    };
    let listing = match listing {
        Ok(listing) => listing,
        Err(error) => {
            let remedy = "give yourself the right to read it";
            return vec![Finding::failed("registry", error.to_string(), remedy)];
        }
    };
    let broken: Vec<&str> = listing
        .invalid
        .iter()
        .filter(|file| !file.is_only_unsupported())
        .map(|file| file.origin.as_str())
        .collect();
    let name = dir.display();
    let count = listing.definitions.len();
    let counted = text::counted(count, "dataset");
    let mut found = vec![if broken.is_empty() {
        Finding::good("registry", format!("{name}, {counted}"))
    } else {
        Finding::failed(
            "registry",
            format!("{name}, {counted}; invalid: {}", named(&broken)),
            format!("assay dataset validate {name}"),
        )
    }];
    let datasets = listing.definitions.iter().map(|d| d.dataset.clone());
    found.extend(sources::look(datasets.collect()).await);
    found
}

/// The first few of `names`, and how many more.
fn named(names: &[&str]) -> String {
    let shown = names.iter().take(NAMED_MAX).copied().collect::<Vec<_>>();
    match names.len().saturating_sub(NAMED_MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The manager that runs on the data folder, and where it listens, whatever port is set.
fn running(cx: &Context) -> Option<(u32, String)> {
    let holder = holder_of(&cx.data_dir())?;
    let address = holder.address?;
    let at = address.strip_prefix("http://").unwrap_or(&address);
    Some((holder.pid, at.to_owned()))
}

fn listening(cx: &Context) -> Finding {
    let port: u16 = match cx.settings.parse("dev.grpc_port") {
        Ok(port) => port.unwrap_or(8081),
        Err(error) => {
            let remedy = "use a number from 0 to 65535";
            return Finding::failed("port", error.to_string(), remedy);
        }
    };
    if let Some((pid, at)) = running(cx) {
        let what = format!("{at}, the manager of this data folder (pid {pid})");
        return Finding::good("port", what);
    }
    let remedy = "take another: assay dev --grpc-port 0 (any free one)";
    match look_at(port) {
        Port::Free => Finding::good("port", format!("{port} is free")),
        Port::Taken(Some((pid, name))) => Finding::warning(
            "port",
            format!("{port} is in use (pid {pid}, {name})"),
            remedy,
        ),
        Port::Taken(None) => Finding::warning("port", format!("{port} is in use"), remedy),
        Port::Refused(why) => Finding::failed("port", format!("{port}: {why}"), remedy),
    }
}

fn clock() -> Finding {
    let now = Timestamp::now();
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    let detail = now.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
    // This program is from 2026; no clock is right before that.
    if today < date(2026, 1, 1) || today > date(2100, 1, 1) {
        let remedy = "set the clock: partitions are expected and sealed by it";
        return Finding::failed("clock", detail, remedy);
    }
    Finding::good("clock", detail)
}

fn memory(cx: &Context) -> Finding {
    let remedy = "use a size such as 512MiB for scan.memory";
    let budget = match cx.memory_bytes(None) {
        Ok(budget) => budget,
        Err(error) => return Finding::failed("memory", error.to_string(), remedy),
    };
    let told = std::fs::read_to_string("/proc/meminfo").ok();
    let available = told.and_then(|text| available_bytes(&text));
    match available {
        Some(available) if available < budget => Finding::warning(
            "memory",
            format!(
                "scans may take {}, {} are available",
                text::bytes(budget),
                text::bytes(available)
            ),
            "set scan.memory lower, or end other programs",
        ),
        Some(available) => Finding::good(
            "memory",
            format!(
                "{} available, scans may take {}",
                text::bytes(available),
                text::bytes(budget)
            ),
        ),
        None => Finding::good("memory", format!("scans may take {}", text::bytes(budget))),
    }
}

/// Bytes that programs may still take, from the kernel's table.
fn available_bytes(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find(|line| line.starts_with("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_of_memory_is_read_in_bytes() {
        let text = "MemTotal:  100 kB\nMemAvailable:   42 kB\n";
        assert_eq!(available_bytes(text), Some(42 << 10));
        assert_eq!(available_bytes("MemAvailable: much"), None);
    }

    #[test]
    fn a_long_list_is_cut_and_says_so() {
        assert_eq!(named(&["a", "b"]), "a, b");
        assert_eq!(
            named(&["a", "b", "c", "d", "e", "f", "g"]),
            "a, b, c, d, e and 2 more"
        );
    }
}
