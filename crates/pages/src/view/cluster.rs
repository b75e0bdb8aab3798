//! The cluster: who leads, how many nodes there should be, what waits, and how that was over a day.

mod day;

use askama::Template;
use assay_answers::Problem;
use assay_answers::cluster::{Cluster, Scale};
use assay_answers::fleet::{FleetHistory, ScaleEvent};
use assay_answers::usage::Usage;

use super::Body;
use super::problem::of as problem;
use crate::Pages;
use crate::chart::small::gauge;
use crate::frame::{Cx, Frame, Section};
use crate::html::Markup;
use crate::words;
use jiff::Timestamp;

#[derive(Template)]
#[template(path = "cluster.html")]
struct Page {
    frame: Frame,
    of: Cluster,
    slots: Markup,
    ready: usize,
    may: bool,
    /// The past; `None` while it cannot be read. The page is for such times as well.
    history: Option<FleetHistory>,
    /// Nodes wanted and ready, and tasks queued and at work, over the last day; `None` while nothing
    /// of it is known.
    charts: Option<(Markup, Markup)>,
    usage: Usage,
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
    let history = match pages.facts.fleet(cx.who).await {
        Ok(told) => Some(frame.take(told)),
        Err(problem) if problem.status == 503 => None,
        Err(problem) => return Err(problem),
    };
    let usage = frame.take(pages.facts.usage(cx.who).await?);
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
        charts: history
            .as_ref()
            .and_then(|history| day::charts(&history.samples, frame.now)),
        history,
        usage,
        frame,
        of,
    })
}

/// How long after a change was decided a phase of it came, or a dash.
#[must_use]
pub fn after(event: &ScaleEvent, phase: &Option<Timestamp>) -> String {
    phase.map_or_else(|| "–".to_owned(), |phase| words::between(event.at, phase))
}

/// Why requests are refused, for people.
#[must_use]
pub fn reason_words(reason: &str) -> String {
    match reason {
        "rate_limited" => "above a rate limit, or on a connection too many",
        "overloaded" => "no place was free in time",
        "draining" => "the gateway was stopping",
        "unauthorized" => "from nobody known, or without the right",
        "invalid" => "could not be read",
        other => other,
    }
    .replace('_', " ")
}

/// Who waits in a queue, for people.
#[must_use]
pub fn queue_words(queue: &str) -> &str {
    match queue {
        "owner" => "operators, and owners of what they ask for",
        "subscriber" => "others who are known",
        "anonymous" => "those without a credential",
        other => other,
    }
}

/// A length of time in milliseconds, or a dash.
#[must_use]
pub fn ms(of: &Option<f64>) -> String {
    of.map_or_else(|| "–".to_owned(), |ms| format!("{} ms", words::decimal(ms)))
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
