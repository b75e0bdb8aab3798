//! The list of runs.

use askama::Template;
use assay_answers::facts::RunsQuery;
use assay_answers::run::Run;
use assay_model::run::RunState;

use super::{Body, Choice, Part, with_query};
use crate::Pages;
use crate::frame::{Cx, Frame, Section, sh};

#[derive(Template)]
#[template(path = "runs.html")]
struct Page {
    frame: Frame,
    runs: Vec<Run>,
    choices: Vec<Choice>,
    dataset: String,
    state: String,
    part: Part,
}

/// The page.
///
/// # Errors
/// What the reads answer.
pub async fn page(pages: &Pages, cx: &Cx<'_>) -> Body {
    let (dataset, state) = (cx.asked.q("dataset"), cx.asked.q("state"));
    let mut cli = "assay run list".to_owned();
    if let Some(dataset) = dataset {
        cli.push_str(&format!(" --dataset {}", sh(dataset)));
    }
    if state == Some("active") {
        cli.push_str(" --active");
    }
    let filters = [("dataset", dataset), ("state", state)];
    let mut frame = Frame::new(cx, "Runs", Section::Runs)
        .same(with_query("/api/v1/runs", &filters), cli)
        .poll(5);
    let query = RunsQuery {
        dataset: dataset.map(str::to_owned),
        state: state.map(str::to_owned),
        cut: super::cut(cx, 50),
    };
    let list = frame.take(pages.facts.runs(cx.who, &query).await?);
    let link = |state| with_query("/runs", &[("dataset", dataset), ("state", state)]);
    let mut choices = vec![
        Choice {
            name: "all".to_owned(),
            href: link(None),
            chosen: state.is_none(),
        },
        Choice {
            name: "not ended".to_owned(),
            href: link(Some("active")),
            chosen: state == Some("active"),
        },
    ];
    choices.extend(
        RunState::ALL
            .iter()
            .filter(|s| s.is_terminal())
            .map(|word| Choice {
                name: word.as_str().replace('_', " "),
                href: link(Some(word.as_str())),
                chosen: state == Some(word.as_str()),
            }),
    );
    super::render(&Page {
        part: Part::of(
            list.items.len(),
            list.total,
            list.next_cursor.as_deref(),
            "/runs",
            &filters,
        ),
        runs: list.items,
        dataset: dataset.unwrap_or_default().to_owned(),
        state: state.unwrap_or_default().to_owned(),
        choices,
        frame,
    })
}
