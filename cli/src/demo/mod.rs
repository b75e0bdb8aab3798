//! `assay demo`: a story with planted faults, told on an embedded cluster.
//!
//! Comes in: a folder to write to. Goes out: 90 days of orders, their verdicts, and for each
//! planted fault the check that found it. Anything that is flagged and was not planted, or planted
//! and not flagged, is said and ends with a code other than 0.

pub mod generate;
pub mod report;
pub mod story;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use assay_model::dataset::Dataset;
use assay_model::run::{Selection, Trigger};
use indicatif::{ProgressBar, ProgressDrawTarget};
use jiff::Timestamp;

use crate::args::{DemoArgs, NodeRange};
use crate::check::parse_file;
use crate::context::{Context, cores};
use crate::dev::{Embedded, EmbeddedConfig};
use crate::exit::Exit;
use crate::progress;
use crate::stop::Stop;

use story::{Day, Fault};

/// Marks a folder as a demonstration's, which the next one may replace.
const MARK: &str = ".assay-demo";

const DEFINITION: &str = r#"apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
status: active
name: Orders of a web shop
servers:
  - server: files
    type: local
    path: ./orders
    format: parquet
schema:
  - name: orders
    properties:
      - name: order_id
        logicalType: integer
        required: true
        unique: true
      - name: status
        logicalType: string
        quality:
          - id: status_known
            metric: invalidValues
            arguments: { validValues: [placed, paid, shipped, delivered, cancelled] }
            mustBe: 0
            severity: error
    quality:
      - id: not_empty
        metric: rowCount
        mustBeGreaterThan: 0
        severity: error
"#;

/// Runs the command.
pub async fn run(args: DemoArgs, cx: &Context) -> Result<Exit> {
    let started = Instant::now();
    let mut stop = Stop::listen()?;
    let last = match args.until {
        Some(day) => day,
        None => yesterday(),
    };
    let days = story::days(last, args.rows_per_day);
    prepare(&args.dir)?;
    let written = tokio::select! {
        written = write_all(&args.dir, &days, cx) => written?,
        how = stop.asked() => return Ok(interrupted(how, &args.dir, cx)),
    };
    let file = args.dir.join("orders.odcs.yaml");
    std::fs::write(&file, DEFINITION)
        .with_context(|| format!("cannot write {}", file.display()))?;
    let (parsed, _) = parse_file(&file)?;
    let Some(dataset) = parsed.dataset else {
        bail!("the demonstration's definition is not understood: this is a fault of assay");
    };
    let nodes = args.nodes.unwrap_or_else(|| cores().clamp(2, 4)).max(1);
    let embedded = Embedded::start(EmbeddedConfig {
        data_dir: Some(args.dir.join(".assay")),
        nodes: NodeRange {
            min: nodes,
            max: nodes,
        },
        slots: 1,
        memory_bytes: cx.memory_bytes(None)?,
        storage: None,
        address: None,
    })
    .await?;
    let judged = tokio::select! {
        judged = tell(&embedded, &dataset, &args.dir, &days, cx) => judged,
        how = stop.asked() => {
            stop.or_now(embedded.shutdown(Duration::from_secs(5))).await;
            return Ok(interrupted(how, &args.dir, cx));
        }
    };
    let outcome = match judged {
        Ok(()) => report::Findings::read(embedded.metrics.as_ref(), &dataset, &days).await,
        Err(error) => Err(error),
    };
    embedded.shutdown(Duration::from_secs(30)).await;
    let findings = outcome?;
    report::print(&findings, &written, nodes, started.elapsed(), &args.dir, cx)?;
    Ok(if findings.is_as_told() {
        Exit::Ok
    } else {
        Exit::BadData
    })
}

/// What is said of a demonstration that was stopped.
fn interrupted(how: &str, folder: &Path, cx: &Context) -> Exit {
    cx.screen.note(&format!(
        "{how}: the story is not at its end; the same command tells it anew in {} (exit code 130)",
        folder.display()
    ));
    Exit::Interrupted
}

fn yesterday() -> jiff::civil::Date {
    let today = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    today.yesterday().unwrap_or(today)
}

/// Makes an empty folder for the demonstration, or empties that of an earlier one.
fn prepare(folder: &Path) -> Result<()> {
    if folder.join(MARK).is_file() {
        for name in ["orders", ".assay"] {
            let path = folder.join(name);
            if path.is_dir() {
                std::fs::remove_dir_all(&path)
                    .with_context(|| format!("cannot empty {}", path.display()))?;
            }
        }
    } else if folder.is_dir() && folder.read_dir()?.next().is_some() {
        bail!(
            "{} is not empty and no earlier demonstration's; name another folder with --dir",
            folder.display()
        );
    }
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    std::fs::write(folder.join(MARK), "")?;
    Ok(())
}

/// What was written.
#[derive(Debug, Clone, Copy, Default)]
pub struct Written {
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Writes all days, on every core. Dropped before its end, it leaves the rest unwritten.
async fn write_all(folder: &Path, days: &[Day], cx: &Context) -> Result<Written> {
    let bar = ProgressBar::new(days.len() as u64);
    if !cx.screen.live {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    bar.set_prefix("writing orders");
    let next = Arc::new(AtomicUsize::new(0));
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..cores() {
        let (next, bar) = (next.clone(), bar.clone());
        let (orders, days) = (folder.join("orders"), days.to_vec());
        writers.spawn_blocking(move || -> Result<Written> {
            let mut sum = Written::default();
            while let Some(day) = days.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Some((rows, bytes)) = generate::write_day(&orders, day, 0)? {
                    sum.rows += rows as u64;
                    sum.bytes += bytes;
                }
                bar.inc(1);
            }
            Ok(sum)
        });
    }
    let mut sum = Written::default();
    while let Some(part) = writers.join_next().await {
        let part = part.context("a writer of the demonstration crashed")??;
        sum.rows += part.rows;
        sum.bytes += part.bytes;
    }
    bar.finish_and_clear();
    Ok(sum)
}

/// The backfill; then a day is delivered again, and a scan finds it.
async fn tell(
    embedded: &Embedded,
    dataset: &Dataset,
    folder: &Path,
    days: &[Day],
    cx: &Context,
) -> Result<()> {
    let manager = &embedded.manager;
    for (title, trigger) in [("backfill", Trigger::Backfill), ("scan", Trigger::Arrival)] {
        let submitted = manager
            .submit(dataset.clone(), trigger, Selection::default(), None)
            .await?;
        progress::follow(manager, submitted.run, title, &cx.screen).await?;
        if trigger == Trigger::Backfill {
            for day in days.iter().filter(|d| d.fault == Some(Fault::Rewritten)) {
                generate::write_day(&folder.join("orders"), day, 1)?;
            }
        }
    }
    Ok(())
}
