//! `assay run`: runs of a cluster, through its gateway or its manager.
//!
//! Comes in: what to start, watch, stop or repeat. Goes out: how the runs went, and the exit code
//! that they mean. It must never report a run as good of which it has not seen every result.

mod follow;
mod list;
mod report;
mod sum;
mod tasks;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use assay_model::ids::RunId;
use assay_proto::convert;
use assay_proto::v1;
use serde_json::json;

use super::{by_prefix, partition_key};
use crate::args::RunCommand;
use crate::client::port::Cluster;
use crate::client::{coded, connect};
use crate::context::Context;
use crate::exit::Exit;
use crate::stop::Stop;

use follow::{Ended, follow};
use list::{LOOKED_AT, list, runs};
use report::{Report, Stands};

/// How long an answer may be behind what was told of a run.
const BEHIND_MAX: Duration = Duration::from_secs(10);
/// Between two looks at such a one.
const BEHIND_LOOK: Duration = Duration::from_millis(250);

/// Runs the command.
pub async fn run(command: RunCommand, cx: &Context) -> Result<Exit> {
    let cluster = connect(cx).await?;
    match command {
        RunCommand::Start {
            datasets,
            backfill,
            partitions,
            rescan,
            idempotency_key,
            wait,
            watch,
            timeout,
        } => {
            let wish = Wish {
                window: backfill.as_deref().map(window).transpose()?,
                partitions,
                rescan,
                key: idempotency_key,
            };
            let started = start(cluster.as_ref(), &datasets, &wish, cx).await?;
            if wait || watch || timeout.is_some() {
                ends(&cluster, &started, watch, timeout, cx).await
            } else {
                tell_started(&started, cx)
            }
        }
        RunCommand::List {
            dataset,
            active,
            limit,
        } => list(cluster.as_ref(), dataset.as_deref(), active, limit, cx).await,
        RunCommand::Get { id } => {
            let run = resolve(cluster.as_ref(), &id).await?;
            let report = Report::read(cluster.as_ref(), run, Stands::WhenAlone).await?;
            report.print(Exit::Ok, cx)?;
            Ok(Exit::Ok)
        }
        RunCommand::Watch { id, timeout } => {
            let run = resolve(cluster.as_ref(), &id).await?;
            let started = [Started::known(run)];
            ends(&cluster, &started, true, timeout, cx).await
        }
        RunCommand::Cancel { id } => cancel(cluster.as_ref(), &id, cx).await,
        RunCommand::Retry { id } => retry(cluster.as_ref(), &id, cx).await,
    }
}

/// What a run is to look at.
struct Wish {
    /// Days of the past; `Some(None)` is all of it.
    window: Option<Option<u32>>,
    partitions: Vec<String>,
    rescan: bool,
    key: Option<String>,
}

/// A run that was asked for.
struct Started {
    run: RunId,
    /// Its dataset; empty when only the run was named.
    dataset: String,
    /// Whether the same key had started it before.
    existed: bool,
}

impl Started {
    fn known(run: RunId) -> Self {
        Self {
            run,
            dataset: String::new(),
            existed: true,
        }
    }
}

/// Reads `90d` or `all`; `None` is all.
fn window(text: &str) -> Result<Option<u32>> {
    if text == "all" {
        return Ok(None);
    }
    text.strip_suffix('d')
        .and_then(|days| days.parse::<u32>().ok())
        .filter(|days| *days > 0)
        .map(Some)
        .ok_or_else(|| {
            let why = format!("--backfill {text}: use a number of days such as `90d`, or `all`");
            coded(Exit::Usage, why)
        })
}

/// The keys of the partitions that were named, as those of the dataset are spelt.
async fn keys_of(cluster: &dyn Cluster, dataset: &str, named: &[String]) -> Result<Vec<String>> {
    if !named.iter().any(|key| key.contains('=')) {
        return Ok(named.to_vec());
    }
    let answer = cluster.definition(dataset).await?;
    let dataset = convert::definition(answer.definition_json)
        .context("the manager's answer cannot be read; compare: assay version")?;
    let keys = named.iter().map(|named| partition_key(&dataset, named));
    Ok(keys.collect())
}

async fn start(
    cluster: &dyn Cluster,
    datasets: &[String],
    wish: &Wish,
    cx: &Context,
) -> Result<Vec<Started>> {
    let known = cluster.datasets().await?;
    let names: Vec<String> = known.into_iter().map(|d| d.id).collect();
    // Every name is looked up before anything is started.
    let ids: Result<Vec<String>> = datasets
        .iter()
        .map(|wanted| {
            by_prefix("dataset", wanted, &names).map_err(|error| {
                let dir = cx.registry_dir();
                coded(
                    Exit::Usage,
                    format!(
                        "{error}\n  {} knows {} datasets; add one: \
                         assay dataset apply -f FILE --dir {}",
                        cluster.address(),
                        names.len(),
                        dir.display()
                    ),
                )
            })
        })
        .collect();
    let mut started = Vec::new();
    for dataset in ids? {
        let trigger = if wish.window.is_some() {
            "backfill"
        } else {
            "manual"
        };
        let wished = v1::SubmitRequest {
            what: Some(v1::submit_request::What::DatasetId(dataset.clone())),
            trigger: trigger.to_owned(),
            selection: Some(v1::Selection {
                keys: keys_of(cluster, &dataset, &wish.partitions).await?,
                last_days: wish.window.flatten().unwrap_or(0),
                rescan: wish.rescan,
            }),
            idempotency_key: wish.key.clone().unwrap_or_default(),
            slot: None,
        };
        let answer = cluster.start(wished).await.map_err(|refusal| {
            let before = match started.len() {
                0 => String::new(),
                n => format!("{n} runs were started before this: "),
            };
            refusal.error.context(format!("{before}{dataset}"))
        })?;
        started.push(Started {
            run: convert::run_id(answer.run_id)?,
            dataset,
            existed: answer.existed,
        });
    }
    Ok(started)
}

fn tell_started(started: &[Started], cx: &Context) -> Result<Exit> {
    let mut out = String::new();
    for one in started {
        let word = if one.existed { "known  " } else { "started" };
        out.push_str(&format!("{word}  {}  {}\n", one.run, one.dataset));
    }
    cx.screen.text(&out)?;
    if let Some(first) = started.first() {
        cx.screen
            .note(&format!("follow it: assay run watch {}", first.run));
    }
    let items: Vec<_> = started
        .iter()
        .map(|s| json!({"id": s.run, "dataset": s.dataset, "existed": s.existed}))
        .collect();
    cx.screen
        .items("RunStartedList", &items, &json!({}), Exit::Ok)?;
    Ok(Exit::Ok)
}

/// Waits for the end of runs, shows each, and says what they mean together.
async fn ends(
    cluster: &Arc<dyn Cluster>,
    started: &[Started],
    watch: bool,
    timeout: Option<Duration>,
    cx: &Context,
) -> Result<Exit> {
    let mut stop = Stop::listen()?;
    let deadline = timeout.map(|t| tokio::time::Instant::now() + t);
    let mut exit = Exit::Ok;
    let mut reports = Vec::new();
    for one in started {
        let ended = tokio::select! {
            ended = follow(cluster, one.run, watch, deadline, cx) => ended?,
            _ = stop.asked() => Ended::Interrupted,
        };
        match ended {
            Ended::Yes => {
                // Another one may answer by then.
                let cluster = cluster.again().await?;
                let report = after_its_end(cluster.as_ref(), one.run).await?;
                exit = exit.max(report.exit());
                reports.push(report);
            }
            Ended::TimedOut => {
                cx.screen.note(&format!(
                    "the time is over; the run goes on: assay run watch {}",
                    one.run
                ));
                exit = Exit::StillRunning;
                break;
            }
            Ended::Interrupted => {
                cx.screen.note(&format!(
                    "the run goes on: assay run watch {0}   stop it: assay run cancel {0}",
                    one.run
                ));
                exit = Exit::Interrupted;
                break;
            }
        }
    }
    report::print_all(&reports, exit, cx)?;
    Ok(exit)
}

/// What became of a run that has ended. Whoever answers may be a moment behind the one that told of
/// the end, and what it knew before is no verdict.
async fn after_its_end(cluster: &dyn Cluster, run: RunId) -> Result<Report> {
    let until = tokio::time::Instant::now() + BEHIND_MAX;
    loop {
        let report = Report::read(cluster, run, Stands::Too).await?;
        if report.has_ended() {
            return Ok(report);
        }
        if tokio::time::Instant::now() >= until {
            let why = format!(
                "{run} has ended, and {} shows it as it was before\n  ask again: assay run get {run}",
                cluster.address()
            );
            return Err(coded(Exit::NotEvaluated, why));
        }
        tokio::time::sleep(BEHIND_LOOK).await;
    }
}

/// The run that `wanted` names in whole or, uniquely, begins; `run_` may be left out.
async fn resolve(cluster: &dyn Cluster, wanted: &str) -> Result<RunId> {
    let wanted = with_mark(wanted);
    if let Ok(id) = wanted.parse() {
        return Ok(id);
    }
    let newest = runs(cluster, "", false, LOOKED_AT).await?;
    let names: Vec<String> = newest.iter().map(|(run, _)| run.id.to_string()).collect();
    let found = by_prefix("run", &wanted, &names).map_err(|error| {
        if names.len() < LOOKED_AT as usize {
            return error;
        }
        let why = format!("{error}\n  only the newest {LOOKED_AT} runs are known by a beginning");
        coded(Exit::Usage, why)
    })?;
    Ok(found.parse()?)
}

fn with_mark(wanted: &str) -> String {
    let wanted = wanted.to_ascii_lowercase();
    if wanted.starts_with("run_") || "run_".starts_with(&wanted) {
        wanted
    } else {
        format!("run_{wanted}")
    }
}

async fn cancel(cluster: &dyn Cluster, id: &str, cx: &Context) -> Result<Exit> {
    let run = resolve(cluster, id).await?;
    cluster.cancel(run, "cancelled by assay run cancel").await?;
    cx.screen.text(&format!("cancelled  {run}\n"))?;
    let item = json!({"id": run, "done": "cancelled"});
    cx.screen
        .items("RunChange", &[item], &json!({}), Exit::Ok)?;
    Ok(Exit::Ok)
}

async fn retry(cluster: &dyn Cluster, id: &str, cx: &Context) -> Result<Exit> {
    let run = resolve(cluster, id).await?;
    cluster.retry(run).await?;
    cx.screen.text(&format!("tried again  {run}\n"))?;
    cx.screen.note(&format!("follow it: assay run watch {run}"));
    let item = json!({"id": run, "done": "retried"});
    cx.screen
        .items("RunChange", &[item], &json!({}), Exit::Ok)?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_days_or_all() {
        assert_eq!(window("90d").unwrap(), Some(90));
        assert_eq!(window("all").unwrap(), None);
        for wrong in ["90", "0d", "-1d", "d", "soon", "99999999999d"] {
            let error = window(wrong).unwrap_err();
            assert_eq!(crate::exit::of(&error), Exit::Usage, "{wrong}");
            assert!(error.to_string().contains("90d"), "{error}");
        }
    }

    #[test]
    fn the_mark_of_a_run_id_may_be_left_out() {
        assert_eq!(with_mark("01AB"), "run_01ab");
        assert_eq!(with_mark("run_01"), "run_01");
        assert_eq!(with_mark("ru"), "ru");
    }
}
