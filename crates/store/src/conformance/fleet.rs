//! What is promised of the fleet over time: what the leader saw, how changes went, the lives of nodes.

use std::sync::Arc;

use assay_model::change::{Answer, Change};
use assay_model::ids::Incarnation;
use assay_model::node::NodeState;

use super::Store;
use super::fixtures::{Bench, at, ok};
use crate::error::StoreError;
use crate::fleet::{FleetNote, FleetSample, StepFilter};

fn sample(second: i64) -> FleetNote {
    FleetNote {
        sample: Some(FleetSample {
            at: at(second),
            desired: 3,
            ready: 2,
            queued: 70_000,
            running: 4,
        }),
        ..FleetNote::default()
    }
}

async fn scaled(bench: &Bench, second: i64, (from, to): (u32, u32)) {
    let reason = "it's \"40\" waiting".to_owned();
    let at = at(second);
    let event = Change::ScaleEvent {
        at,
        from,
        to,
        reason,
    };
    assert_eq!(bench.change(event).await, Answer::Ok);
}

/// Samples come back in order, the newest of too many, and are forgotten when they are old.
pub async fn samples_are_kept_for_as_long_as_they_are_wanted(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let store = &bench.store;
    for second in [60, 120, 180] {
        ok(store.note_fleet(bench.epoch, &sample(second)).await);
    }
    // A repeat of an instant is the same one.
    ok(store.note_fleet(bench.epoch, &sample(180)).await);
    let found = async |since: i64, limit: u32| -> Vec<i64> {
        let found = ok(store.fleet_samples(at(since), limit).await);
        let seconds = found.iter().map(|s| s.at.duration_since(at(0)).as_secs());
        seconds.collect()
    };
    assert_eq!(found(0, 10).await, [60, 120, 180]);
    assert_eq!(found(61, 10).await, [120, 180]);
    assert_eq!(found(0, 1).await, [180]);
    let one = ok(store.fleet_samples(at(180), 1).await);
    assert_eq!(one.first().copied(), sample(180).sample);
    let forget = FleetNote {
        forget_samples: Some(at(120)),
        ..FleetNote::default()
    };
    ok(store.note_fleet(bench.epoch, &forget).await);
    assert_eq!(found(0, 10).await, [120, 180]);
}

/// A change of the wanted number is listed with its phases; one that is known stays as it is.
pub async fn a_change_of_the_fleet_keeps_its_phases(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let store = &bench.store;
    scaled(&bench, 10, (1, 3)).await;
    scaled(&bench, 90, (3, 1)).await;
    let all = ok(store.scale_events(10).await);
    let listed: Vec<_> = all.iter().map(|e| (e.at, e.from, e.to)).collect();
    assert_eq!(listed, [(at(90), 3, 1), (at(10), 1, 3)]);
    assert_eq!(all[1].reason, "it's \"40\" waiting");
    assert_eq!(all[1].first_at, None);
    let mut up = all[1].clone();
    let note = |event: &crate::fleet::ScaleEvent| FleetNote {
        phases: vec![event.clone()],
        ..FleetNote::default()
    };
    up.first_at = Some(at(20));
    ok(store.note_fleet(bench.epoch, &note(&up)).await);
    up.first_at = Some(at(30));
    up.task_at = Some(at(31));
    up.done_at = Some(at(40));
    ok(store.note_fleet(bench.epoch, &note(&up)).await);
    let kept = ok(store.scale_events(10).await);
    up.first_at = Some(at(20));
    assert_eq!(kept, [all[0].clone(), up]);
    assert_eq!(ok(store.scale_events(1).await), kept[..1]);
    let forget = FleetNote {
        forget_events: Some(at(11)),
        ..FleetNote::default()
    };
    ok(store.note_fleet(bench.epoch, &forget).await);
    assert_eq!(ok(store.scale_events(10).await), kept[..1]);
}

/// A manager that was deposed keeps nothing of what it sees.
pub async fn a_stale_epoch_notes_nothing_of_the_fleet(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let store = &bench.store;
    ok(store.mint_epoch("manager-2").await);
    let refused = store.note_fleet(bench.epoch, &sample(60)).await;
    assert!(
        matches!(refused, Err(StoreError::FencedEpoch { .. })),
        "{refused:?}"
    );
    assert_eq!(ok(store.fleet_samples(at(0), 10).await), []);
}

/// The steps of a node's life are listed from its beginning, and when its first task began.
pub async fn the_steps_of_a_node_are_listed(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let store = &bench.store;
    let all = StepFilter {
        node: Some(bench.node.clone()),
        limit: 10,
        ..StepFilter::default()
    };
    let first = ok(store.node_steps(&all).await);
    let lives: Vec<_> = first.iter().map(|s| (s.incarnation, s.state)).collect();
    assert_eq!(lives, [(bench.incarnation, None)]);
    let begun = async |life: Incarnation| {
        let node = &bench.node;
        ok(store.first_start(node, life, first[0].seq).await)
    };
    assert_eq!(begun(bench.incarnation).await, None);
    let run = bench.submit("a").await;
    let token = bench.assign(run, 0, 1).await;
    ok(store.start(&token, at(77)).await);
    assert!(begun(bench.incarnation).await.is_some());
    assert_eq!(begun(Incarnation(bench.incarnation.0 + 1)).await, None);
    let dead = Change::MoveNode {
        node: bench.node.clone(),
        incarnation: bench.incarnation,
        state: NodeState::Dead,
        at: at(500),
        reason: "it is silent".to_owned(),
    };
    assert_eq!(bench.change(dead).await, Answer::Ok);
    let later = StepFilter {
        after: first[0].seq,
        ..all.clone()
    };
    let steps = ok(store.node_steps(&later).await);
    assert_eq!(steps.len(), 1);
    assert_eq!(steps[0].node, bench.node);
    assert_eq!(
        (steps[0].state, steps[0].at),
        (Some(NodeState::Dead), at(500))
    );
    assert_eq!(steps[0].reason.as_deref(), Some("it is silent"));
    let since = StepFilter {
        since: Some(at(500)),
        node: None,
        ..all.clone()
    };
    assert_eq!(ok(store.node_steps(&since).await).last(), steps.first());
    let none = StepFilter {
        node: Some(assay_model::ids::NodeId::new("another")),
        ..all.clone()
    };
    assert_eq!(ok(store.node_steps(&none).await), []);
    let bounded = StepFilter { limit: 1, ..all };
    assert_eq!(ok(store.node_steps(&bounded).await), first);
}
