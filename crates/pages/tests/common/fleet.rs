//! The fleet of a day: it grew, nothing is known of an hour, a node was lost and came back.

use assay_answers::fleet::{FleetHistory, FleetSample, NodeStep, ScaleEvent};
use assay_answers::usage::{GatewayUsage, QueueUsage, StoreUsage, TableUsage, Usage};
use jiff::{SignedDuration, Timestamp};

use super::now;
use super::state::World;

fn minutes_ago(minutes: i64) -> Timestamp {
    now() - SignedDuration::from_mins(minutes)
}

pub fn history(world: &World) -> FleetHistory {
    if world.empty {
        return FleetHistory {
            samples: Vec::new(),
            scale_events: Vec::new(),
        };
    }
    let known = (0..600_i64).rev().filter(|n| !(200..260).contains(n));
    let samples = known.map(|n| FleetSample {
        at: minutes_ago(n),
        desired: if n < 120 { 5 } else { 3 },
        ready: if n < 118 { 5 } else { 3 },
        queued: u64::try_from((n * 7) % 40).unwrap_or(0),
        running: 12,
    });
    let up = ScaleEvent {
        at: minutes_ago(120),
        from: 3,
        to: 5,
        reason: world.names.message.clone(),
        first_node_at: Some(minutes_ago(119)),
        first_task_at: Some(minutes_ago(118)),
        done_at: None,
        duration_ms: None,
    };
    FleetHistory {
        samples: samples.collect(),
        scale_events: vec![up],
    }
}

pub fn usage(world: &World) -> Usage {
    let queue = |queue: &str, waiting, p99_wait_ms| QueueUsage {
        queue: queue.to_owned(),
        waiting,
        came: 120_000,
        mean_wait_ms: Some(0.214),
        p99_wait_ms,
    };
    let rejected = [("overloaded", 7), ("rate_limited", 12), ("new_reason", 1)];
    let tables = [("run", 480, false), ("metric", 100_000, true)];
    Usage {
        gateway: GatewayUsage {
            since: minutes_ago(300),
            active: 3,
            allowed: 360_000,
            exceeded: 12,
            rejected: rejected.map(|(word, n)| (word.to_owned(), n)).into(),
            queues: vec![
                queue("owner", 0, Some(1.0)),
                queue("subscriber", 4, Some(250.0)),
                queue("anonymous", 9, None),
            ],
        },
        store: (!world.empty).then(|| StoreUsage {
            server: world.names.message.clone(),
            schema: 23,
            bytes: 214 << 20,
            free_bytes: Some(3 << 20),
            tables: tables
                .map(|(table, rows, more)| TableUsage {
                    table: table.to_owned(),
                    rows,
                    more,
                })
                .to_vec(),
        }),
        store_unknown: world.empty.then(|| world.names.message.clone()),
    }
}

pub fn steps(world: &World) -> Vec<NodeStep> {
    let step = |minutes, incarnation, step: &str, away_ms| NodeStep {
        at: minutes_ago(minutes),
        incarnation,
        step: step.to_owned(),
        reason: (step == "dead").then(|| world.names.message.clone()),
        away_ms,
    };
    vec![
        step(30, 2, "joined", Some(60_000)),
        step(31, 1, "dead", None),
        step(600, 1, "joined", None),
    ]
}
