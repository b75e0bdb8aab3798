//! Who there is, who has gone, and who stands by.
//!
//! Comes in: what the core knows of the nodes that live. Goes out: the same with since when and why,
//! as the store has it; the nodes that have gone lately, from the store, too; and the managers, from
//! the coordinator. A store or coordinator that does not answer is told as such. It must never hold
//! up the answer for long, nor show what it could not ask as if it were empty.

use std::collections::BTreeMap;
use std::time::Duration;

use assay_coordination::Candidate;
use assay_manager_core::{NodeView, View};
use assay_model::ids::NodeId;
use assay_proto::{convert, v1};
use assay_store::port::NodeRow;
use jiff::{SignedDuration, Timestamp};

use crate::handle::Shared;

/// Nodes that have gone are shown for so long.
const DEPARTED_FOR: SignedDuration = SignedDuration::from_hours(24);
/// So many of them are shown.
const DEPARTED_MAX: usize = 20;
/// Rows of nodes that are read for one answer.
const ROWS_MAX: u32 = 5_000;
/// How long each question may take.
const ASKED_WITHIN: Duration = Duration::from_secs(1);

/// Nodes and managers, for a reader.
pub(super) struct Muster {
    pub(super) nodes: Vec<v1::NodeStatus>,
    pub(super) departed: Vec<v1::NodeStatus>,
    pub(super) departed_more: u32,
    pub(super) managers: Vec<v1::ManagerStatus>,
    pub(super) unknown: Vec<String>,
}

/// Asks the store and the coordinator, at the same time.
pub(super) async fn of(shared: &Shared, view: &View, now: Timestamp) -> Muster {
    let (rows, candidates) = tokio::join!(rows(shared, now), candidates(shared));
    let mut unknown = Vec::new();
    let mut heard = |subject: &str, why: String| unknown.push(format!("{subject}: {why}"));
    let rows = rows.unwrap_or_else(|why| {
        heard(
            "the nodes that have gone, and why a node is in its state, are not known",
            why,
        );
        Vec::new()
    });
    let candidates = candidates.unwrap_or_else(|why| {
        heard("the managers that stand by are not known", why);
        Vec::new()
    });
    let mut muster = assembled(view, rows, now);
    let versions = &shared.versions;
    versions.keep(|node| view.nodes.iter().any(|known| known.node == *node));
    for (shown, node) in muster.nodes.iter_mut().zip(&view.nodes) {
        shown.version = versions.of(&node.node);
    }
    let own = &shared.parts.config.name;
    muster.managers = candidates
        .into_iter()
        .map(|candidate| v1::ManagerStatus {
            leads: candidate.name == *own,
            name: candidate.name,
            address: candidate.address,
        })
        .collect();
    muster.unknown = unknown;
    muster
}

async fn rows(shared: &Shared, now: Timestamp) -> Result<Vec<NodeRow>, String> {
    if let Some(away) = shared.seats.reach.away() {
        return Err(away.reason);
    }
    let since = now.checked_sub(DEPARTED_FOR).unwrap_or(Timestamp::MIN);
    let asked = shared.parts.metrics.nodes(since, ROWS_MAX);
    match tokio::time::timeout(ASKED_WITHIN, asked).await {
        Ok(rows) => rows.map_err(|error| error.to_string()),
        Err(_) => Err(late("the store")),
    }
}

async fn candidates(shared: &Shared) -> Result<Vec<Candidate>, String> {
    let asked = shared.parts.coordinator.candidates();
    match tokio::time::timeout(ASKED_WITHIN, asked).await {
        Ok(candidates) => candidates.map_err(|error| error.to_string()),
        Err(_) => Err(late("the coordinator")),
    }
}

fn late(whom: &str) -> String {
    format!("{whom} did not answer within {} s", ASKED_WITHIN.as_secs())
}

/// The core's nodes with what their rows add, and the rows of those that have gone.
fn assembled(view: &View, rows: Vec<NodeRow>, now: Timestamp) -> Muster {
    let mut known: BTreeMap<NodeId, NodeRow> = BTreeMap::new();
    let mut departed = Vec::new();
    for row in rows {
        let mut shown = view.nodes.iter();
        let shown = shown.any(|n| n.node == row.node.id && n.incarnation >= row.node.incarnation);
        if shown {
            known.insert(row.node.id.clone(), row);
        } else if row.node.state.is_final() {
            departed.push(row);
        }
    }
    let more = departed.len().saturating_sub(DEPARTED_MAX);
    let gone = departed.into_iter().take(DEPARTED_MAX);
    Muster {
        nodes: view
            .nodes
            .iter()
            .map(|node| present(node, known.get(&node.node), now))
            .collect(),
        departed: gone.map(|row| absent(row, now)).collect(),
        departed_more: u32::try_from(more).unwrap_or(u32::MAX),
        managers: Vec::new(),
        unknown: Vec::new(),
    }
}

fn present(node: &NodeView, row: Option<&NodeRow>, now: Timestamp) -> v1::NodeStatus {
    // What was written of another life or state says nothing of this one.
    let row =
        row.filter(|row| row.node.incarnation == node.incarnation && row.node.state == node.state);
    v1::NodeStatus {
        id: node.node.to_string(),
        incarnation: node.incarnation.0,
        state: node.state.to_string(),
        slots: node.slots,
        slots_used: node.held,
        memory_bytes: node.memory_total_bytes,
        zone: node.zone.clone(),
        cpu: node.cpu,
        memory_used_bytes: node.memory_bytes,
        silent_ms: since_ms(node.last_heard, now),
        reason: row.and_then(|row| row.reason.clone()).unwrap_or_default(),
        since: row.map(|row| convert::time_of(row.since)),
        version: String::new(),
    }
}

fn absent(row: NodeRow, now: Timestamp) -> v1::NodeStatus {
    v1::NodeStatus {
        silent_ms: since_ms(row.since, now),
        id: row.node.id.to_string(),
        incarnation: row.node.incarnation.0,
        state: row.node.state.to_string(),
        slots: row.node.slots,
        memory_bytes: row.node.memory_bytes,
        zone: row.node.zone,
        reason: row.reason.unwrap_or_default(),
        since: Some(convert::time_of(row.since)),
        ..Default::default()
    }
}

fn since_ms(then: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.duration_since(then).as_millis()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

    use super::*;
    use assay_model::ids::Incarnation;
    use assay_model::node::{Node, NodeState};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn row(name: &str, life: u64, state: NodeState, reason: &str) -> NodeRow {
        NodeRow {
            node: Node {
                id: NodeId::new(name),
                incarnation: Incarnation(life),
                state,
                slots: 2,
                memory_bytes: 7,
                zone: "a".to_owned(),
            },
            since: at(100),
            reason: Some(reason.to_owned()),
        }
    }

    fn shown(name: &str, life: u64, state: NodeState) -> NodeView {
        NodeView {
            node: NodeId::new(name),
            incarnation: Incarnation(life),
            state,
            zone: String::new(),
            slots: 2,
            held: 1,
            cpu: 0.5,
            memory_bytes: 1,
            memory_total_bytes: 7,
            read_bytes_per_s: 0,
            last_heard: at(90),
        }
    }

    #[test]
    fn a_row_says_why_only_of_the_very_life_and_state_that_is_shown() {
        let view = View {
            nodes: vec![
                shown("drains", 1, NodeState::Draining),
                shown("again", 2, NodeState::Live),
                shown("moves", 1, NodeState::Live),
            ],
            ..View::default()
        };
        let rows = vec![
            row("drains", 1, NodeState::Draining, "new disks"),
            row("moves", 1, NodeState::Suspect, "its stream is silent"),
            row("again", 1, NodeState::Dead, "it died"),
            row(
                "gone",
                4,
                NodeState::Dead,
                "it died; 3 tasks were given back",
            ),
        ];
        let muster = assembled(&view, rows, at(160));
        let why: Vec<&str> = muster.nodes.iter().map(|n| n.reason.as_str()).collect();
        assert_eq!(why, ["new disks", "", ""]);
        assert_eq!(muster.nodes[0].since, Some(convert::time_of(at(100))));
        let gone: Vec<_> = muster
            .departed
            .iter()
            .map(|n| (&*n.id, &*n.state))
            .collect();
        assert_eq!(gone, [("gone", "dead")]);
        assert!(muster.departed[0].reason.contains("3 tasks"));
        assert_eq!(muster.departed[0].silent_ms, 60_000);
    }

    #[test]
    fn what_is_beyond_the_bound_is_counted() {
        let rows = (0..25)
            .map(|i| row(&format!("n{i}"), 1, NodeState::Gone, "drained"))
            .collect();
        let muster = assembled(&View::default(), rows, at(160));
        assert_eq!((muster.departed.len(), muster.departed_more), (20, 5));
    }
}
