//! The cluster: who leads, how many nodes there should be, what waits.

use askama::Template;
use assay_answers::Problem;
use assay_answers::cluster::{Cluster, Scale};

use super::Body;
use super::problem::of as problem;
use crate::Pages;
use crate::chart::small::gauge;
use crate::frame::{Cx, Frame, Section};
use crate::html::Markup;

#[derive(Template)]
#[template(path = "cluster.html")]
struct Page {
    frame: Frame,
    of: Cluster,
    slots: Markup,
    ready: usize,
    may: bool,
}

/// The page.
///
/// # Errors
/// What the reads answer.
pub async fn page(pages: &Pages, cx: &Cx<'_>) -> Body {
    let mut frame = Frame::new(cx, "Cluster", Section::Cluster)
        .same("/api/v1/cluster", "assay cluster status")
        .poll(3);
    let of = frame.take(pages.facts.cluster(cx.who).await?);
    let used: u32 = of.nodes.iter().map(|n| n.slots_used).sum();
    let all: u32 = of.nodes.iter().map(|n| n.slots).sum();
    let share = if all > 0 {
        f64::from(used) / f64::from(all)
    } else {
        0.0
    };
    super::render(&Page {
        slots: gauge(share, "Slots", &format!("{used} of {all}")),
        ready: of.nodes.iter().filter(|n| n.state == "live").count(),
        may: pages.deeds.is_some(),
        frame,
        of,
    })
}

/// Sets the bounds of the fleet.
///
/// # Errors
/// What the wish answers; 422 for bounds that are no numbers.
pub async fn scale(pages: &Pages, cx: &Cx<'_>) -> Result<String, Problem> {
    let number = |name: &str| cx.asked.f(name).and_then(|n| n.parse::<u32>().ok());
    let bounds = number("min")
        .zip(number("max"))
        .filter(|(min, max)| min <= max && *max > 0);
    let bad = || {
        problem(
            422,
            "invalid",
            "The bounds cannot be taken",
            "Give two whole numbers, the smaller first.",
        )
    };
    let (min, max) = bounds.ok_or_else(bad)?;
    pages.deeds()?.scale(cx.who, Scale { min, max }).await?;
    Ok("/cluster?done=scaled".to_owned())
}
