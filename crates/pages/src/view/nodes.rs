//! Data nodes: cards of all, and one with the tasks it holds.

use askama::Template;
use assay_answers::Problem;
use assay_answers::node::{Node, NodeDetail, NodeList};

use super::Body;
use crate::Pages;
use crate::chart::small::gauge;
use crate::frame::{Cx, Frame, Section, sh};
use crate::html::{Markup, part};
use crate::words;

struct Card {
    of: Node,
    slots: Markup,
    cpu: Markup,
    memory: Markup,
    silent: String,
}

#[derive(Template)]
#[template(path = "nodes.html")]
struct ListPage {
    frame: Frame,
    cards: Vec<Card>,
    list: NodeList,
}

#[derive(Template)]
#[template(path = "node.html")]
struct Page {
    frame: Frame,
    card: Card,
    of: NodeDetail,
    may: bool,
    takes: bool,
}

fn card(of: &Node) -> Card {
    let share = |used: f64, all: f64| if all > 0.0 { used / all } else { 0.0 };
    Card {
        slots: gauge(
            share(f64::from(of.slots_used), f64::from(of.slots)),
            "Slots",
            &format!("{} of {}", of.slots_used, of.slots),
        ),
        cpu: gauge(
            of.cpu,
            "CPU",
            &format!("{:.0} %", (of.cpu * 100.0).clamp(0.0, 100.0)),
        ),
        memory: gauge(
            share(of.memory_used_bytes as f64, of.memory_bytes as f64),
            "Memory",
            &format!(
                "{} of {}",
                words::bytes(of.memory_used_bytes),
                words::bytes(of.memory_bytes)
            ),
        ),
        silent: words::duration_ms(of.silent_ms),
        of: of.clone(),
    }
}

/// The page of the list.
///
/// # Errors
/// What the reads answer.
pub async fn list(pages: &Pages, cx: &Cx<'_>) -> Body {
    let mut frame = Frame::new(cx, "Nodes", Section::Nodes)
        .same("/api/v1/nodes", "assay node list")
        .poll(3);
    let list = frame.take(pages.facts.nodes(cx.who).await?);
    super::render(&ListPage {
        cards: list.items.iter().map(card).collect(),
        list,
        frame,
    })
}

/// The page of one.
///
/// # Errors
/// What the reads answer.
pub async fn page(pages: &Pages, cx: &Cx<'_>, node: &str) -> Body {
    let mut frame = Frame::new(cx, node, Section::Nodes)
        .crumb("Nodes", "/nodes")
        .same(format!("/api/v1/nodes/{}", part(node)), "assay node list")
        .poll(3);
    let of = frame.take(pages.facts.node(cx.who, node).await?);
    super::render(&Page {
        card: card(&of.node),
        may: pages.deeds.is_some(),
        takes: matches!(of.node.state.as_str(), "live" | "suspect" | "registering"),
        frame,
        of,
    })
}

/// Lets a node finish and leave, or take tasks again.
///
/// # Errors
/// What the wish answers.
pub async fn change(pages: &Pages, cx: &Cx<'_>, node: &str, verb: &str) -> Result<String, Problem> {
    let done = match verb {
        "drain" => {
            let reason = cx
                .asked
                .f("reason")
                .unwrap_or("asked for on the node's page");
            pages.deeds()?.drain_node(cx.who, node, reason).await?;
            "drained"
        }
        "uncordon" => {
            pages.deeds()?.uncordon_node(cx.who, node).await?;
            "uncordoned"
        }
        _ => return Err(super::problem::no_page(&cx.asked.path)),
    };
    Ok(format!("/nodes/{}?done={done}", part(node)))
}

/// How long a node was away before a step back to work, or a dash.
#[must_use]
pub fn back(away_ms: &Option<u64>) -> String {
    away_ms.map_or_else(|| "–".to_owned(), words::duration_ms)
}

/// The command that does what the button does.
#[must_use]
pub fn command(node: &str, takes: bool) -> String {
    format!(
        "assay node {} {}",
        if takes { "drain" } else { "uncordon" },
        sh(node)
    )
}
