//! The fleet over time: what the leader noted of it, and the lives of its nodes.
//!
//! Comes in: who asks. Goes out: what the store has, kept for a moment. It must never tell anybody of
//! the cluster who may not look at it.

use assay_answers::Reader;
use assay_answers::facts::Answer;
use assay_answers::fleet::{FleetHistory, FleetSample, NodeStep, ScaleEvent};
use assay_model::ids::NodeId;
use assay_model::node::NodeState;
use assay_store::fleet::{self, StepFilter};
use jiff::{SignedDuration, Timestamp};

use super::BRIEF;
use crate::api::Api;
use crate::memory::{Good, Key, Source};
use crate::problem::Miss;
use crate::rights::Action;

/// What is told of the past.
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// Samples of a day, with room for those of several leaders.
const SAMPLES: u32 = 2_000;
/// Changes of the wanted number that are told.
const EVENTS: u32 = 100;
/// Steps of one node that are read, and of those the newest that are told.
const STEPS_READ: u32 = 5_000;
const STEPS: usize = 100;

impl Api {
    /// The fleet over the last day.
    pub(crate) async fn fleet_of(&self, who: &Reader) -> Answer<FleetHistory> {
        self.may_cluster(who, Action::Look)?;
        let store = self.parts.store.clone();
        let since = before((self.parts.now)(), DAY);
        let load = async move {
            let samples = store.fleet_samples(since, SAMPLES).await?;
            let events = store.scale_events(EVENTS).await?;
            Ok::<_, Miss>(FleetHistory {
                samples: samples.iter().map(sample).collect(),
                scale_events: events.into_iter().map(event).collect(),
            })
        };
        let key = Key::about_all("fleet");
        let found = self
            .memory
            .answer(Source::Store, key, Good::For(BRIEF), load);
        Ok(found.await?.told())
    }

    /// What a node went through over the last day, newest first.
    pub(super) async fn steps(&self, node: &str) -> Answer<Vec<NodeStep>> {
        let store = self.parts.store.clone();
        let filter = StepFilter {
            node: Some(NodeId::new(node)),
            since: Some(before((self.parts.now)(), DAY)),
            limit: STEPS_READ,
            ..StepFilter::default()
        };
        let key = Key::about_all(format!("steps of {node}"));
        let load = async move { Ok::<_, Miss>(told(&store.node_steps(&filter).await?)) };
        let size = |steps: &Vec<NodeStep>| steps.len() * 200;
        let found = self
            .memory
            .value(Source::Store, key, Good::For(BRIEF), size, load);
        Ok(found.await?.told())
    }
}

fn before(now: Timestamp, long: SignedDuration) -> Timestamp {
    now.checked_sub(long).unwrap_or(Timestamp::MIN)
}

fn sample(of: &fleet::FleetSample) -> FleetSample {
    FleetSample {
        at: of.at,
        desired: of.desired,
        ready: of.ready,
        queued: of.queued,
        running: of.running,
    }
}

fn between(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.duration_since(from).as_millis()).unwrap_or(0)
}

fn event(of: fleet::ScaleEvent) -> ScaleEvent {
    ScaleEvent {
        at: of.at,
        from: of.from,
        to: of.to,
        reason: of.reason,
        first_node_at: of.first_at,
        first_task_at: of.task_at,
        done_at: of.done_at,
        duration_ms: of.done_at.map(|done| between(of.at, done)),
    }
}

/// Steps as they are told: newest first, each that leads back to work with how long that took.
fn told(steps: &[fleet::NodeStep]) -> Vec<NodeStep> {
    let mut away: Option<Timestamp> = None;
    let mut told = Vec::new();
    for step in steps {
        let works = matches!(step.state, None | Some(NodeState::Live));
        let away_ms = away.filter(|_| works).map(|since| between(since, step.at));
        away = match works {
            true => None,
            false => away.or(Some(step.at)),
        };
        let word = step.state.map_or("joined", NodeState::as_str);
        told.push(NodeStep {
            at: step.at,
            incarnation: step.incarnation.0,
            step: word.to_owned(),
            reason: step.reason.clone().filter(|_| step.state.is_some()),
            away_ms,
        });
    }
    told.reverse();
    told.truncate(STEPS);
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_model::ids::Incarnation;

    fn step(second: i64, life: u64, state: Option<NodeState>) -> fleet::NodeStep {
        fleet::NodeStep {
            seq: second.unsigned_abs(),
            at: Timestamp::from_second(second).unwrap(),
            node: NodeId::new("n1"),
            incarnation: Incarnation(life),
            state,
            reason: Some("why".to_owned()),
        }
    }

    #[test]
    fn a_node_that_comes_back_says_how_long_it_was_away() {
        let steps = [
            step(10, 1, None),
            step(20, 1, Some(NodeState::Suspect)),
            step(29, 1, Some(NodeState::Dead)),
            step(50, 2, None),
            step(60, 2, Some(NodeState::Draining)),
            step(65, 2, Some(NodeState::Live)),
        ];
        let told = told(&steps);
        let words: Vec<(&str, Option<u64>)> =
            told.iter().map(|s| (s.step.as_str(), s.away_ms)).collect();
        assert_eq!(
            words,
            [
                ("live", Some(5_000)),
                ("draining", None),
                ("joined", Some(30_000)),
                ("dead", None),
                ("suspect", None),
                ("joined", None),
            ]
        );
        assert_eq!(told[2].incarnation, 2);
    }
}
