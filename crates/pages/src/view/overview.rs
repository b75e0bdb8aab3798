//! The overview: what needs a look now, and what is going on.

use askama::Template;
use assay_answers::overview::Overview;
use assay_model::outcome::Health;

use super::Body;
use crate::chart::small::{Square, strip};
use crate::frame::{Cx, Frame, Section};
use crate::html::Markup;
use crate::{Pages, mark, show};

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
        total,
        frame,
        overview,
    })
}
