//! `assay check`: plan, run here, print, exit.
//!
//! Comes in: dataset files. Goes out: what their new partitions are like, and an exit code. It
//! keeps what it measures in the data folder, so that the next one has a history; beside a running
//! `assay dev` it reads that history and writes nothing.

mod annotate;
pub mod junit;
pub mod report;
mod shown;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use assay_contract::{Parsed, parse_bytes, render_fancy};
use assay_model::dataset::{Dataset, StoragePolicy};
use assay_model::run::{Selection, Trigger};
use assay_store::port::RunFilter;

use crate::args::{CheckArgs, NodeRange};
use crate::context::{Context, cores, tasks_at_once};
use crate::dev::{Embedded, EmbeddedConfig, snapshot_store};
use crate::exit::{Exit, OrExit};
use crate::lock::{DataLock, Lock, hold};
use crate::progress;
use crate::show::say;
use crate::show::text::safe;
use crate::stop::Stop;

use report::{Checked, Filter};
use shown::Shown;

/// How long a full disk is waited for.
const NO_SPACE: Duration = Duration::from_secs(5);

/// Runs the command.
pub async fn run(args: CheckArgs, cx: &Context) -> Result<Exit> {
    let Some(datasets) = read_definitions(&args.files, cx)? else {
        return Ok(Exit::Invalid);
    };
    let mut stop = Stop::listen()?;
    let place = Place::choose(&args, cx).await?;
    let memory_bytes = cx.memory_bytes(args.memory)?;
    let slots = args.slots.map(|slots| slots.max(1));
    let embedded = Embedded::start(EmbeddedConfig {
        data_dir: place.folder.clone(),
        nodes: NodeRange { min: 1, max: 1 },
        slots: slots.unwrap_or_else(|| tasks_at_once(cores(), memory_bytes)),
        memory_bytes,
        storage: cx.storage()?,
        address: None,
    })
    .await?;
    let filter = Filter::new(&args);
    let mut all = Vec::new();
    for (file, mut dataset) in datasets {
        if place.writes_nothing() || args.ephemeral {
            // No copy is to be stored: the same numbers come from where the rows lie.
            dataset.storage = StoragePolicy::default();
        }
        let checked = tokio::select! {
            checked = check_one(&embedded, &file, dataset, &args, &filter, cx) => checked,
            // Its tasks would wait for ever, which nobody who waits for a check wants.
            error = embedded.out_of_space(NO_SPACE) => return Err(error),
            how = stop.asked() => {
                cx.screen.note(&left(how, &args));
                stop.or_now(embedded.shutdown(Duration::from_secs(5))).await;
                return Ok(Exit::Interrupted);
            }
        };
        match checked {
            Ok(checked) => {
                all.push(checked);
            }
            Err(error) => {
                embedded.shutdown(Duration::from_secs(5)).await;
                return Err(error);
            }
        }
    }
    embedded.shutdown(Duration::from_secs(30)).await;
    if let Some(why) = filter.misfit(&all) {
        return Err(anyhow::anyhow!(why)).or_exit(Exit::Usage);
    }
    let unmet = filter.unmet(&all);
    if let Some(first) = all.first_mut() {
        first.broken.extend(unmet);
    }
    let exits = all.iter().map(|checked| checked.exit(args.fail_on));
    let exit = exits.max().unwrap_or(Exit::Ok);
    report::print(&all, exit, &args, cx)?;
    if let Some(path) = &args.junit {
        junit::write(path, &all)?;
    }
    Ok(exit)
}

/// What a check that was stopped leaves behind.
fn left(how: &str, args: &CheckArgs) -> String {
    let what = if args.ephemeral {
        "nothing is kept"
    } else {
        "what was judged is kept, and the same command goes on with the rest"
    };
    format!("{how}: tasks at work are handed back; {what} (exit code 130; again to stop now)")
}

/// Reads all files; prints every diagnostic of every file; `None` when one is invalid.
fn read_definitions(files: &[PathBuf], cx: &Context) -> Result<Option<Vec<(PathBuf, Dataset)>>> {
    let mut good = Vec::new();
    let mut invalid = false;
    for file in files {
        let (parsed, bytes) = parse_file(file)?;
        let text = String::from_utf8_lossy(&bytes);
        if parsed.has_errors() || cx.global.verbose > 0 || parsed.dataset.is_none() {
            let color = cx.screen.color;
            let told = render_fancy(&text, &parsed.diagnostics, color);
            say(&safe(&told, color));
        }
        match parsed.dataset {
            Some(dataset) => good.push((file.clone(), dataset)),
            None => invalid = true,
        }
    }
    Ok((!invalid).then_some(good))
}

/// Parses one dataset file; its relative paths start at its folder.
pub fn parse_file(file: &Path) -> Result<(Parsed, Vec<u8>)> {
    let bytes = std::fs::read(file)
        .with_context(|| format!("cannot read the dataset file {}", file.display()))
        .or_exit(Exit::Invalid)?;
    let absolute = std::path::absolute(file)?;
    let base = absolute.parent().unwrap_or(Path::new("/")).to_owned();
    let parsed = parse_bytes(&file.display().to_string(), &bytes, &base);
    Ok((parsed, bytes))
}

/// Where a check keeps its state.
struct Place {
    /// The folder; `None` is memory.
    folder: Option<PathBuf>,
    _lock: Option<DataLock>,
    copy: Option<tempfile::TempDir>,
}

impl Place {
    /// Whether another program is at work on the state, and this one only reads it.
    fn writes_nothing(&self) -> bool {
        self.copy.is_some()
    }

    async fn choose(args: &CheckArgs, cx: &Context) -> Result<Self> {
        if args.ephemeral {
            return Ok(Self {
                folder: None,
                _lock: None,
                copy: None,
            });
        }
        let folder = cx.data_dir();
        match hold(&folder, "check")? {
            Lock::Held(lock) => Ok(Self {
                folder: Some(folder),
                _lock: Some(lock),
                copy: None,
            }),
            Lock::Taken(holder) => {
                cx.screen.note(&format!(
                    "{} is in use by assay {} (pid {}): reading its history, writing nothing",
                    folder.display(),
                    holder.command,
                    holder.pid
                ));
                let copy = tempfile::tempdir().context("cannot make a temporary folder")?;
                snapshot_store(&folder, copy.path()).await?;
                Ok(Self {
                    folder: Some(copy.path().to_owned()),
                    _lock: None,
                    copy: Some(copy),
                })
            }
        }
    }
}

async fn check_one(
    embedded: &Embedded,
    file: &Path,
    dataset: Dataset,
    args: &CheckArgs,
    filter: &Filter,
    cx: &Context,
) -> Result<Checked> {
    let started = Instant::now();
    let selection = Selection {
        keys: filter.partitions_of(&dataset),
        rescan: args.rescan,
        ..Selection::default()
    };
    // What an earlier check left unfinished goes on by itself, and belongs to what this one found.
    let unfinished = RunFilter {
        dataset: Some(dataset.id.clone()),
        unfinished: true,
        limit: 1000,
    };
    let unfinished = embedded.metrics.runs(&unfinished).await?;
    let submitted = embedded
        .manager
        .submit(dataset.clone(), Trigger::Manual, selection, None)
        .await?;
    let title = dataset.id.to_string();
    let run = progress::follow(&embedded.manager, submitted.run, &title, &cx.screen).await?;
    let mut runs = vec![run];
    for earlier in unfinished {
        runs.push(progress::follow(&embedded.manager, earlier.id, &title, &cx.screen).await?);
    }
    let elapsed = started.elapsed();
    Checked::read(
        embedded.metrics.as_ref(),
        file,
        dataset,
        runs,
        filter,
        Shown::by(args, cx.screen.output),
        elapsed,
    )
    .await
}
