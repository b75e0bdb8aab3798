//! The overview: what needs a look now, and what is going on.

use askama::Template;
use assay_answers::facts::{Cut, IncidentsQuery};
use assay_answers::incident::Incident;
use assay_answers::overview::Overview;
use assay_model::outcome::{Health, Outcome};

use super::Body;
use crate::chart::small::{Square, strip};
use crate::frame::{Cx, Frame, Section};
use crate::html::Markup;
use crate::{Pages, mark, show};

/// Open incidents that are shown.
const OPEN: u32 = 5;

/// A counter that leads to what it counts.
struct Counter {
    icon: Markup,
    count: u64,
    name: &'static str,
    href: String,
}

#[derive(Template)]
#[template(path = "overview.html")]
struct Page {
    frame: Frame,
    overview: Overview,
    counters: Vec<Counter>,
    total: u64,
    runs: Markup,
    open: Vec<Incident>,
}

fn counters(overview: &Overview) -> Vec<Counter> {
    let of = &overview.datasets;
    [
        (Health::Failing, of.failing, "failing"),
        (Health::Warning, of.warning, "warning"),
        (Health::NotEvaluated, of.not_evaluated, "not evaluated"),
        (Health::Learning, of.learning, "learning"),
        (Health::Healthy, of.healthy, "healthy"),
    ]
    .into_iter()
    .map(|(health, count, name)| Counter {
        icon: askama::filters::Safe(mark::icon(mark::of_health(health))),
        count,
        name,
        href: format!("/datasets?health={health}"),
    })
    .collect()
}

/// What the marks of runs mean.
#[must_use]
pub const fn keys() -> [(Outcome, &'static str); 7] {
    [
        (Outcome::Pass, "every check that was judged passed"),
        (
            Outcome::Learning,
            "nothing is broken, some are still learning",
        ),
        (Outcome::Warn, "a warning"),
        (Outcome::Fail, "a check failed"),
        (Outcome::Missing, "a partition has not come"),
        (Outcome::Error, "part of it could not be evaluated"),
        (Outcome::Skipped, "nothing to judge"),
    ]
}

/// The page.
///
/// # Errors
/// What the reads answer.
pub async fn page(pages: &Pages, cx: &Cx<'_>) -> Body {
    let told = pages.facts.overview(cx.who).await?;
    let mut frame = Frame::new(cx, "Overview", Section::Overview)
        .same("/api/v1/status", "assay cluster status")
        .poll(5);
    let overview = frame.take(told);
    let query = IncidentsQuery {
        status: Some("open".to_owned()),
        cut: Cut {
            limit: Some(OPEN),
            cursor: None,
        },
        ..IncidentsQuery::default()
    };
    // Their number is known without them.
    let open = match pages.facts.incidents(cx.who, &query).await {
        Ok(told) => frame.take(told).items,
        Err(_) => Vec::new(),
    };
    let squares: Vec<Square> = overview
        .runs
        .iter()
        .rev()
        .map(|run| Square {
            outcome: show::of_run(run.state, &run.counts),
            title: format!(
                "{}: {}, {}",
                run.dataset,
                run.state,
                crate::words::relative(run.created_at, cx.now)
            ),
            href: format!("/runs/{}", show::part(&run.id)),
        })
        .collect();
    let of = &overview.datasets;
    let total = of.healthy + of.warning + of.failing + of.not_evaluated + of.learning;
    super::render(&Page {
        counters: counters(&overview),
        runs: strip(&squares),
        open,
        total,
        frame,
        overview,
    })
}
