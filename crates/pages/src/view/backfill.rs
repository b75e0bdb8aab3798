//! Measuring the past: the form, and how far each backfill has come.

use askama::Template;
use assay_answers::Problem;
use assay_answers::facts::{Cut, RunsQuery};
use assay_answers::run::{Run, StartRun};
use assay_model::run::Trigger;

use super::Body;
use super::problem::of as problem;
use super::run::{bar_of, left};
use crate::frame::{Cx, Frame, Section, dataset_path, sh};
use crate::html::Markup;
use crate::{Pages, show};

struct Progress {
    of: Run,
    bar: Markup,
    percent: u64,
    /// When it may have ended, in words.
    left: Option<String>,
}

#[derive(Template)]
#[template(path = "backfill.html")]
struct Page {
    frame: Frame,
    dataset: String,
    current: &'static str,
    runs: Vec<Progress>,
    more: bool,
    may_run: bool,
    key: String,
}

/// The page.
///
/// # Errors
/// What the reads answer.
pub async fn page(pages: &Pages, cx: &Cx<'_>, dataset: &str) -> Body {
    let mut frame = Frame::new(cx, format!("Backfill of {dataset}"), Section::Datasets)
        .crumb("Datasets", "/datasets")
        .crumb(dataset, dataset_path(dataset, ""))
        .same(
            super::with_query("/api/v1/runs", &[("dataset", Some(dataset))]),
            format!("assay run start {} --backfill 90d --watch", sh(dataset)),
        )
        .poll(3);
    // That it exists, and may be seen, is asked of itself: a list of runs would only be empty.
    frame.take(pages.facts.dataset(cx.who, dataset).await?);
    let query = RunsQuery {
        dataset: Some(dataset.to_owned()),
        state: None,
        cut: Cut {
            limit: Some(200),
            cursor: None,
        },
    };
    let list = frame.take(pages.facts.runs(cx.who, &query).await?);
    let runs = list
        .items
        .into_iter()
        .filter(|run| run.trigger == Trigger::Backfill);
    let mut runs: Vec<Progress> = runs
        .take(20)
        .map(|run| {
            let ended = run
                .task_states
                .iter()
                .filter(|(state, _)| state.is_terminal());
            Progress {
                percent: show::percent(ended.map(|(_, n)| n).sum(), run.task_count),
                bar: bar_of(&run),
                left: None,
                of: run,
            }
        })
        .collect();
    for progress in runs.iter_mut().filter(|p| !p.of.state.is_terminal()) {
        let told = pages.facts.run(cx.who, &progress.of.id).await;
        progress.left = told.ok().and_then(|told| left(&told.it.progress));
    }
    super::render(&Page {
        dataset: dataset.to_owned(),
        current: "Backfill",
        may_run: pages.deeds.is_some(),
        key: super::dataset::key_of(cx),
        more: list.next_cursor.is_some(),
        runs,
        frame,
    })
}

/// Starts a backfill.
///
/// # Errors
/// What the wish answers; 422 for a window that is no number of days.
pub async fn start(pages: &Pages, cx: &Cx<'_>, dataset: &str) -> Result<String, Problem> {
    let last_days = match cx.asked.f("days") {
        None | Some("all") => None,
        Some(days) => {
            let number = days.parse::<u32>().ok().filter(|n| *n > 0);
            let bad = || {
                problem(
                    422,
                    "invalid",
                    "The window cannot be taken",
                    "Give a number of days, or leave it empty for all of the past.",
                )
            };
            Some(number.ok_or_else(bad)?)
        }
    };
    let what = StartRun {
        last_days,
        rescan: cx.asked.f("rescan") == Some("1"),
        backfill: true,
        ..StartRun::default()
    };
    let key = cx
        .asked
        .f("key")
        .map_or_else(|| super::dataset::key_of(cx), str::to_owned);
    pages
        .deeds()?
        .start_run(cx.who, dataset, &what, &key)
        .await?;
    Ok(format!("{}?done=run", dataset_path(dataset, "/backfill")))
}
