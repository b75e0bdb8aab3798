//! What the leader keeps of the fleet over time: its size and its work once a minute, and how each
//! change of the wanted number went.
//!
//! Comes in: the core's view, what the store knows of changes and of the lives of nodes. Goes out:
//! notes, under the leader's epoch. The phases of a change are found in the log of events, so that the
//! next leader finds the same. It must never hold up a term, or keep a phase that the log does not show.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use assay_manager_core::View;
use assay_model::ids::{Epoch, Incarnation, NodeId};
use assay_store::StoreError;
use assay_store::fleet::{FleetNote, FleetSample, NodeStep, ScaleEvent, StepFilter};
use assay_telemetry::repeat::Repeat;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::fleet::Fleet;
use crate::handle::{Shared, SubmitError};

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(2);
/// How long a term lasts before its first sample: nodes come back to a new leader one by one, and a
/// cluster that lives for one check has no history.
const SETTLED: Duration = Duration::from_secs(10);
/// Between two samples.
const SAMPLE_EVERY: Duration = Duration::from_secs(60);
/// How long samples are kept: a day, and what a page that was just opened still shows of it.
const SAMPLES_KEPT: SignedDuration = SignedDuration::from_hours(25);
/// How long changes of the wanted number are kept.
const EVENTS_KEPT: SignedDuration = SignedDuration::from_hours(90 * 24);
/// How long a change is followed: what has not come by then is not its doing.
const FOLLOWED: SignedDuration = SignedDuration::from_hours(6);
/// Changes that are followed at once; the newest.
const EVENTS_MAX: u32 = 20;
/// Steps of nodes that are read for them at once.
const STEPS: u32 = 2_000;

/// Keeps notes until the manager stops.
pub(crate) async fn keep(shared: Arc<Shared>) {
    let mut stop = shared.stop.subscribe();
    let mut repeat = Repeat::default();
    let mut writer = Writer::default();
    while !*stop.borrow() {
        match writer.look(&shared).await {
            Ok(()) => repeat.ends(),
            // Who leads now keeps them.
            Err(StoreError::FencedEpoch { .. }) => {}
            Err(error) => {
                if let Some(again) = repeat.fails() {
                    tracing::warn!(%error, "what becomes of the fleet is not kept; trying again{again}");
                }
            }
        }
        // Ends early when the manager stops.
        let _ = tokio::time::timeout(PAUSE, stop.wait_for(|stop| *stop)).await;
    }
}

/// When it looked at what last.
#[derive(Default)]
struct Writer {
    /// The term, and since when it is known.
    term: Option<(Epoch, Instant)>,
    sampled: Option<Instant>,
    /// The wanted number when changes were read last, and whether one of them is still followed.
    followed: Option<(u32, bool)>,
    steps: Steps,
}

/// The steps of nodes while changes are followed, all of them: what is kept of a change stays as it is.
#[derive(Default)]
struct Steps {
    /// Since when they are here.
    since: Option<Timestamp>,
    /// As far as the log was read, oldest first.
    read: Vec<NodeStep>,
}

impl Steps {
    /// What is asked for those since an instant that are not here.
    fn question(&mut self, since: Timestamp) -> StepFilter {
        if self.since.is_none_or(|known| since < known) {
            self.read.clear();
        }
        self.since = Some(since);
        self.read.retain(|step| step.at >= since);
        StepFilter {
            since: Some(since),
            after: self.read.last().map_or(0, |last| last.seq),
            limit: STEPS,
            ..StepFilter::default()
        }
    }

    /// Takes in the answer; says whether there may be more.
    fn take(&mut self, page: Vec<NodeStep>) -> bool {
        let is_full = page.len() >= STEPS as usize;
        self.read.extend(page);
        is_full
    }
}

impl Writer {
    async fn look(&mut self, shared: &Shared) -> Result<(), StoreError> {
        let Ok(seat) = shared.seats.seat() else {
            return Ok(());
        };
        let since = match self.term {
            Some((epoch, since)) if epoch == seat.epoch => since,
            _ => Instant::now(),
        };
        if self.term != Some((seat.epoch, since)) {
            *self = Self {
                term: Some((seat.epoch, since)),
                ..Self::default()
            };
        }
        let desired = shared.desired.borrow().0;
        let changed = self
            .followed
            .is_none_or(|(last, open)| open || last != desired);
        let samples = since.elapsed() >= SETTLED
            && self.sampled.is_none_or(|at| at.elapsed() >= SAMPLE_EVERY);
        if !changed && !samples {
            return Ok(());
        }
        let view = match shared.view().await {
            Ok(view) => view,
            Err(SubmitError::Store(error)) => return Err(error),
            // The term has ended.
            Err(_) => return Ok(()),
        };
        let now = (shared.parts.now)();
        let mut note = FleetNote::default();
        let mut open = false;
        if changed {
            (note.phases, open) = follow(shared, &view, now, &mut self.steps).await?;
        }
        if samples {
            note.sample = Some(sample(&view, now));
            note.forget_samples = now.checked_sub(SAMPLES_KEPT).ok();
            note.forget_events = now.checked_sub(EVENTS_KEPT).ok();
        }
        if note != FleetNote::default() {
            shared.parts.metrics.note_fleet(seat.epoch, &note).await?;
        }
        if samples {
            self.sampled = Some(Instant::now());
        }
        if changed {
            self.followed = Some((desired, open));
        }
        Ok(())
    }
}

/// How the fleet is.
fn sample(view: &View, at: Timestamp) -> FleetSample {
    let fleet = Fleet::of(view);
    FleetSample {
        at,
        desired: fleet.nodes_desired,
        ready: fleet.nodes_live,
        queued: fleet.queued,
        running: fleet.slots_used,
    }
}

/// The changes that have come further, and whether one is still to be followed.
async fn follow(
    shared: &Shared,
    view: &View,
    now: Timestamp,
    steps: &mut Steps,
) -> Result<(Vec<ScaleEvent>, bool), StoreError> {
    let metrics = &shared.parts.metrics;
    let events = metrics.scale_events(EVENTS_MAX).await?;
    let spans = open(&events, now);
    let Some(since) = spans.iter().map(|span| span.event.at).min() else {
        *steps = Steps::default();
        return Ok((Vec::new(), false));
    };
    loop {
        let page = metrics.node_steps(&steps.question(since)).await?;
        if !steps.take(page) {
            break;
        }
    }
    let steps = steps.read.as_slice();
    let live = Fleet::of(view).nodes_live;
    let at_work: BTreeSet<(&NodeId, Incarnation)> = view
        .nodes
        .iter()
        .filter(|node| node.held > 0)
        .map(|node| (&node.node, node.incarnation))
        .collect();
    let mut further = Vec::new();
    for span in &spans {
        let mut event = phases(span, steps, live);
        if event.task_at.is_none() {
            for step in joined(span, steps) {
                // The log is searched where there is something to be found.
                if at_work.contains(&(&step.node, step.incarnation)) {
                    let begun = metrics.first_start(&step.node, step.incarnation, step.seq);
                    event.task_at = earlier(event.task_at, begun.await?);
                }
            }
        }
        if event != *span.event {
            further.push(event);
        }
    }
    Ok((further, true))
}

/// A change that is followed, until the next one was decided.
struct Span<'a> {
    event: &'a ScaleEvent,
    until: Option<Timestamp>,
}

/// The changes of `events`, newest first, of which a phase may still be missing.
fn open(events: &[ScaleEvent], now: Timestamp) -> Vec<Span<'_>> {
    let mut until = None;
    let mut spans = Vec::new();
    for event in events {
        let grows = event.to > event.from;
        let lacks = event.done_at.is_none() || (grows && event.task_at.is_none());
        // What the next change found unfinished stays so.
        let replaced = until.is_some_and(|until: Timestamp| {
            now.duration_since(until) > SignedDuration::from_mins(1)
        });
        if lacks && !replaced && now.duration_since(event.at) < FOLLOWED {
            spans.push(Span { event, until });
        }
        until = Some(event.at);
    }
    spans
}

fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    a.into_iter().chain(b).min()
}

/// The lives that began while a change was followed.
fn joined<'a>(span: &'a Span<'_>, steps: &'a [NodeStep]) -> impl Iterator<Item = &'a NodeStep> {
    within(span, steps).filter(|step| step.state.is_none())
}

fn within<'a>(span: &'a Span<'_>, steps: &'a [NodeStep]) -> impl Iterator<Item = &'a NodeStep> {
    let (from, until) = (span.event.at, span.until);
    steps
        .iter()
        .filter(move |step| step.at >= from && until.is_none_or(|until| step.at < until))
}

/// A change with what `steps` show of it; `live` nodes take tasks at present.
fn phases(span: &Span<'_>, steps: &[NodeStep], live: u32) -> ScaleEvent {
    let mut event = span.event.clone();
    let grows = event.to > event.from;
    let of_it: Vec<&NodeStep> = within(span, steps)
        .filter(|step| match step.state {
            None => grows,
            Some(state) => !grows && state.is_final(),
        })
        .collect();
    if event.first_at.is_none() {
        event.first_at = of_it.first().map(|step| step.at);
    }
    let reached = if grows {
        live >= event.to
    } else {
        live <= event.to
    };
    if event.done_at.is_none() && span.until.is_none() && reached {
        // There may have been enough of them when it was decided.
        event.done_at = of_it.last().map(|step| step.at).or(Some(event.at));
    }
    event
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

    use assay_model::node::NodeState;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn event(second: i64, from: u32, to: u32) -> ScaleEvent {
        ScaleEvent {
            id: second.unsigned_abs(),
            at: at(second),
            from,
            to,
            reason: String::new(),
            first_at: None,
            task_at: None,
            done_at: None,
        }
    }

    fn step(second: i64, node: &str, state: Option<NodeState>) -> NodeStep {
        NodeStep {
            seq: second.unsigned_abs(),
            at: at(second),
            node: NodeId::new(node),
            incarnation: Incarnation(1),
            state,
            reason: None,
        }
    }

    #[test]
    fn the_steps_of_nodes_are_read_to_their_end_and_then_on() {
        let many = i64::from(STEPS) * 2 + 100;
        let mut log: Vec<NodeStep> = (1..=many).map(|n| step(n, "n1", None)).collect();
        let answer = |log: &[NodeStep], asked: &StepFilter| -> Vec<NodeStep> {
            let since = asked.since.unwrap();
            let found = log.iter().filter(|s| s.seq > asked.after && s.at >= since);
            found.take(asked.limit as usize).cloned().collect()
        };
        let mut steps = Steps::default();
        let mut asked = 0;
        let mut read = |steps: &mut Steps, log: &[NodeStep], since: i64| {
            loop {
                asked += 1;
                let page = answer(log, &steps.question(at(since)));
                if !steps.take(page) {
                    return asked;
                }
            }
        };
        assert_eq!(read(&mut steps, &log, 11), 3);
        assert_eq!(steps.read, log[10..]);
        log.push(step(many + 1, "n2", None));
        assert_eq!(
            read(&mut steps, &log, 20),
            4,
            "what is here is not read again"
        );
        assert_eq!(steps.read, log[19..]);
        assert_eq!(
            read(&mut steps, &log, 1),
            7,
            "an earlier change is followed"
        );
        assert_eq!(steps.read, log);
    }

    #[test]
    fn a_growth_has_come_when_the_last_of_its_nodes_has() {
        let steps = [
            step(5, "n1", None),
            step(20, "n2", None),
            step(21, "n1", Some(NodeState::Suspect)),
            step(35, "n3", None),
        ];
        let up = event(10, 1, 3);
        let span = Span {
            event: &up,
            until: None,
        };
        let on_its_way = phases(&span, &steps[..3], 2);
        assert_eq!(
            (on_its_way.first_at, on_its_way.done_at),
            (Some(at(20)), None)
        );
        let come = phases(&span, &steps, 3);
        assert_eq!((come.first_at, come.done_at), (Some(at(20)), Some(at(35))));
        let lives: Vec<&str> = joined(&span, &steps).map(|s| s.node.as_str()).collect();
        assert_eq!(lives, ["n2", "n3"]);
    }

    #[test]
    fn a_reduction_has_come_when_the_last_of_its_nodes_has_left() {
        let steps = [
            step(20, "n2", Some(NodeState::Draining)),
            step(30, "n2", Some(NodeState::Gone)),
            step(31, "n4", None),
            step(40, "n3", Some(NodeState::Gone)),
        ];
        let down = event(10, 3, 1);
        let span = Span {
            event: &down,
            until: None,
        };
        let gone = phases(&span, &steps[..2], 2);
        assert_eq!((gone.first_at, gone.done_at), (Some(at(30)), None));
        assert_eq!(phases(&span, &steps, 1).done_at, Some(at(40)));
    }

    #[test]
    fn a_change_that_another_one_replaced_is_not_finished_by_what_that_one_does() {
        let (later, first) = (event(100, 3, 2), event(10, 1, 3));
        let events = [later, first];
        let spans = open(&events, at(110));
        assert_eq!(spans.len(), 2);
        let steps = [step(20, "n2", None), step(105, "n3", None)];
        let cut = phases(&spans[1], &steps, 3);
        assert_eq!((cut.first_at, cut.done_at), (Some(at(20)), None));
        assert_eq!(open(&events, at(200)).len(), 1);
        assert!(open(&events, at(100 + 7 * 3600)).is_empty());
    }

    #[test]
    fn what_is_whole_is_not_followed() {
        let mut up = event(10, 1, 2);
        up.done_at = Some(at(20));
        assert_eq!(open(std::slice::from_ref(&up), at(30)).len(), 1);
        up.task_at = Some(at(21));
        assert!(open(&[up], at(30)).is_empty());
        let mut down = event(10, 2, 1);
        down.done_at = Some(at(20));
        assert!(open(&[down], at(30)).is_empty());
    }
}
