//! Incidents over sequences of partitions.

use super::*;
use assay_model::check::CheckOrigin;
use assay_model::metric::{Metric, MetricKey, MetricValue};

fn partition(day: u32) -> Partition {
    let text = format!("2026-11-{day:02}");
    Partition {
        order: text.clone(),
        key: PartitionKey(text),
        ..Partition::all()
    }
}

fn result(outcome: Outcome, severity: Severity) -> CheckResult {
    CheckResult {
        check: CheckId::new("c"),
        metric: MetricKey::column(Metric::NullCount, "a"),
        severity,
        origin: CheckOrigin::Declared,
        outcome,
        actual: MetricValue::integer(3),
        error_bound: None,
        note: None,
        expected: "= 0".to_owned(),
        limits: None,
        reason: None,
    }
}

/// The incidents of a dataset over time, as the store keeps them.
#[derive(Default)]
struct World {
    incidents: BTreeMap<uuid::Uuid, Incident>,
    order: BTreeMap<PartitionKey, String>,
    /// Partitions whose data is there no more.
    gone: BTreeSet<&'static str>,
    told: Vec<OutboxEntry>,
    /// Partitions are judged while they grow.
    growing: bool,
    /// Partitions could not be measured.
    unmeasured: bool,
    /// Nobody is told.
    backfill: bool,
    /// Judgements so far, for their moments.
    judged: i64,
}

impl World {
    fn judge(
        &mut self,
        day: u32,
        version: &str,
        rejudged: bool,
        mode: EvaluateMode,
        r: CheckResult,
    ) {
        let partition = partition(day);
        self.order
            .insert(partition.key.clone(), partition.order.clone());
        let open: Vec<Incident> = self.open();
        let places = self.order.iter();
        let order = places.map(|(key, place)| (key.as_str(), place.as_str()));
        self.judged += 1;
        let judged = Judged {
            dataset: &DatasetId::new("orders").unwrap(),
            partition: &partition,
            version: &PartitionVersion(version.to_owned()),
            mode,
            sealed: !self.growing,
            measured: !self.unmeasured,
            rejudged,
            told: !self.backfill,
            results: &[r],
            open: &open,
            order: &order.collect(),
            gone: &self.gone,
            now: Timestamp::from_second(self.judged).unwrap(),
        };
        let (incidents, outbox) = after(&judged);
        assert_eq!(after(&judged), (incidents.clone(), outbox.clone()));
        for incident in incidents {
            self.incidents.insert(incident.id, incident);
        }
        for message in outbox {
            // As the store does: a message that is there already is the same message, and one that
            // follows another is not told where that was not.
            let is_there = |key: &str| self.told.iter().any(|told| told.key == key);
            let follows = message.after.as_deref().is_none_or(is_there);
            if follows && !is_there(&message.key) {
                self.told.push(message);
            }
        }
    }

    fn day(&mut self, day: u32, outcome: Outcome) {
        self.judge(
            day,
            "v1",
            false,
            EvaluateMode::Judge,
            result(outcome, Severity::Error),
        );
    }

    fn open(&self) -> Vec<Incident> {
        let all = self.incidents.values();
        all.filter(|i| i.status != IncidentStatus::Resolved)
            .cloned()
            .collect()
    }

    fn events(&self) -> Vec<&str> {
        self.told.iter().map(|m| m.event.as_str()).collect()
    }
}

#[test]
fn a_bad_streak_is_one_incident_and_one_message() {
    let mut world = World::default();
    for day in 1..=3 {
        world.day(day, Outcome::Fail);
    }
    let open = world.open();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].partitions, 3);
    assert_eq!(open[0].first_partition, partition(1).key);
    assert_eq!(open[0].last_partition, partition(3).key);
    assert_eq!(world.events(), ["incident.opened"]);
    world.day(4, Outcome::Pass);
    assert!(world.open().is_empty());
    assert_eq!(world.events(), ["incident.opened", "incident.resolved"]);
}

#[test]
fn a_late_partition_that_passes_does_not_resolve_what_a_later_one_opened() {
    let mut world = World::default();
    world.day(5, Outcome::Fail);
    world.day(2, Outcome::Pass);
    assert_eq!(world.open().len(), 1);
    world.day(3, Outcome::Fail);
    let open = world.open();
    assert_eq!((open.len(), open[0].partitions), (1, 2));
    assert_eq!(open[0].last_partition, partition(5).key);
}

#[test]
fn a_rewritten_partition_updates_its_incident_and_a_repaired_one_resolves_it() {
    let mut world = World::default();
    world.day(1, Outcome::Fail);
    world.judge(
        1,
        "v2",
        true,
        EvaluateMode::Judge,
        result(Outcome::Fail, Severity::Error),
    );
    let open = world.open();
    assert_eq!((open.len(), open[0].partitions), (1, 1));
    world.judge(
        1,
        "v3",
        true,
        EvaluateMode::Judge,
        result(Outcome::Pass, Severity::Error),
    );
    assert!(world.open().is_empty());
}

#[test]
fn what_was_not_judged_neither_opens_nor_resolves() {
    let mut world = World::default();
    for outcome in [Outcome::Learning, Outcome::Skipped] {
        world.day(1, outcome);
        assert!(world.incidents.is_empty(), "{outcome}");
    }
    world.day(2, Outcome::Fail);
    world.day(3, Outcome::Skipped);
    assert_eq!(world.open().len(), 1);
}

#[test]
fn a_partition_that_cannot_be_evaluated_is_one_incident_until_it_is_evaluated_itself() {
    let mut world = World::default();
    world.day(1, Outcome::Error);
    world.day(1, Outcome::Overflow);
    let open = world.open();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].check.as_str(), UNJUDGED);
    assert_eq!(world.events(), ["incident.opened"]);
    // A file that cannot be read at all.
    let error = result(Outcome::Error, Severity::Error);
    world.judge(3, "v1", false, EvaluateMode::Refused, error);
    // Of their data no other partition says anything, an older one as little as a newer one.
    world.day(2, Outcome::Pass);
    world.day(4, Outcome::Pass);
    assert_eq!(world.open().len(), 2);
    assert_eq!(world.events(), ["incident.opened"; 2]);
    world.day(3, Outcome::Pass);
    assert_eq!(world.open().len(), 1);
    world.day(1, Outcome::Fail);
    let open = world.open();
    assert_eq!((open.len(), open[0].check.as_str()), (1, "c"));
}

#[test]
fn what_could_not_be_evaluated_ends_when_its_data_is_gone() {
    let mut world = World::default();
    world.day(1, Outcome::Error);
    world.day(2, Outcome::Error);
    // Cleared away at the old end, without a word.
    world.gone.insert("2026-11-01");
    world.day(3, Outcome::Pass);
    assert_eq!(world.open().len(), 1);
    let gone = result(Outcome::Skipped, Severity::Warning);
    world.judge(2, "gone:v1", true, EvaluateMode::Gone, gone);
    let open = world.open();
    assert_eq!((open.len(), open[0].check.as_str()), (1, GONE));
}

#[test]
fn what_began_in_a_backfill_is_told_by_the_first_partition_that_is_told_of() {
    let mut world = World {
        backfill: true,
        ..World::default()
    };
    world.day(1, Outcome::Fail);
    world.day(2, Outcome::Fail);
    assert_eq!(world.events(), [""; 0]);
    world.backfill = false;
    world.day(3, Outcome::Fail);
    world.day(4, Outcome::Fail);
    assert_eq!(world.events(), ["incident.opened"]);
    // Opened again by the same partition, it is told again.
    world.day(5, Outcome::Pass);
    world.day(6, Outcome::Fail);
    let told = ["incident.opened", "incident.resolved", "incident.opened"];
    assert_eq!(world.events(), told);
}

#[test]
fn a_partition_that_grows_opens_and_resolves_nothing() {
    let mut world = World {
        growing: true,
        ..World::default()
    };
    world.day(1, Outcome::Fail);
    world.day(1, Outcome::Error);
    assert!(world.incidents.is_empty());
    world.growing = false;
    world.day(1, Outcome::Fail);
    world.growing = true;
    world.day(2, Outcome::Pass);
    assert_eq!(world.open().len(), 1);
    // That it was complete and has changed is known while it grows.
    let mut restated = result(Outcome::Warn, Severity::Warning);
    restated.check = CheckId::new(RESTATED);
    world.judge(3, "v2", true, EvaluateMode::Judge, restated);
    assert_eq!(world.open().len(), 2);
}

#[test]
fn that_a_partition_was_restated_ends_with_the_next_one() {
    let mut world = World::default();
    let of = |outcome| CheckResult {
        check: CheckId::new(RESTATED),
        ..result(outcome, Severity::Warning)
    };
    let judge = EvaluateMode::Judge;
    world.judge(1, "v2", true, judge, of(Outcome::Warn));
    assert_eq!(world.open().len(), 1);
    // It came for the first time, and was held against nothing.
    world.judge(2, "v1", false, judge, of(Outcome::Skipped));
    assert!(world.open().is_empty());
}

#[test]
fn a_warning_opens_no_grave_incident() {
    let mut world = World::default();
    world.day(1, Outcome::Warn);
    assert_eq!(world.open()[0].severity, Severity::Warning);
    world.day(2, Outcome::Fail);
    assert_eq!(world.open()[0].severity, Severity::Error);
    assert_eq!(world.events(), ["incident.opened", "incident.escalated"]);
}

#[test]
fn a_partition_of_the_future_is_an_incident_of_its_own_until_it_is_mended() {
    let mut world = World::default();
    let mut future = result(Outcome::Warn, Severity::Warning);
    future.check = CheckId::new(FUTURE);
    for growing in [true, false] {
        world.growing = growing;
        world.judge(9, "v1", false, EvaluateMode::Judge, future.clone());
    }
    world.day(1, Outcome::Pass);
    assert_eq!(world.open().len(), 1);
    assert_eq!(world.events(), ["incident.opened"]);
    let mut gone = result(Outcome::Warn, Severity::Warning);
    gone.check = CheckId::new(GONE);
    world.judge(9, "gone:v1", true, EvaluateMode::Gone, gone);
    let open: Vec<String> = world.open().iter().map(|i| i.check.to_string()).collect();
    assert_eq!(open, [GONE]);
}

#[test]
fn information_never_alarms() {
    let mut world = World::default();
    world.judge(
        1,
        "v1",
        false,
        EvaluateMode::Judge,
        result(Outcome::Warn, Severity::Info),
    );
    assert!(world.incidents.is_empty());
}

#[test]
fn a_graver_breach_escalates_once() {
    let mut world = World::default();
    world.judge(
        1,
        "v",
        false,
        EvaluateMode::Judge,
        result(Outcome::Warn, Severity::Warning),
    );
    world.day(2, Outcome::Fail);
    world.day(3, Outcome::Fail);
    assert_eq!(world.events(), ["incident.opened", "incident.escalated"]);
    assert_eq!(world.open()[0].severity, Severity::Error);
}

#[test]
fn a_missing_partition_is_an_incident_until_it_comes() {
    let mut world = World::default();
    let none = result(Outcome::Missing, Severity::Error);
    world.judge(1, "missing", false, EvaluateMode::Missing, none.clone());
    world.judge(1, "missing", true, EvaluateMode::Missing, none);
    world.day(2, Outcome::Pass);
    assert_eq!(world.open().len(), 1);
    assert_eq!(world.events(), ["incident.opened"]);
    world.judge(
        1,
        "v1",
        true,
        EvaluateMode::Judge,
        result(Outcome::Pass, Severity::Error),
    );
    assert!(world.open().is_empty());
}

#[test]
fn each_partition_that_is_taken_away_is_told_until_it_is_back() {
    let mut world = World::default();
    world.day(1, Outcome::Pass);
    world.day(2, Outcome::Pass);
    let mut gone = result(Outcome::Warn, Severity::Warning);
    gone.check = CheckId::new(GONE);
    gone.reason = Some("its file is gone".to_owned());
    world.judge(1, "gone:v1", true, EvaluateMode::Gone, gone.clone());
    world.judge(2, "gone:v1", true, EvaluateMode::Gone, gone.clone());
    assert_eq!(world.events(), ["incident.opened", "incident.opened"]);
    let open = world.open();
    assert!(open.iter().all(|i| i.severity == Severity::Warning));
    assert!(open[0].message.contains("its file is gone"), "{open:?}");
    // Another partition that passes says nothing about the lost ones.
    world.day(3, Outcome::Pass);
    assert_eq!(world.open().len(), 2);
    let pass = result(Outcome::Pass, Severity::Error);
    world.judge(1, "v1", true, EvaluateMode::Judge, pass);
    assert_eq!(world.open().len(), 1);
    // Lost again, in another version: told again.
    world.judge(1, "gone:v2", true, EvaluateMode::Gone, gone);
    assert_eq!(world.open().len(), 2);
    assert_eq!(world.events().len(), 4);
}

#[test]
fn an_incident_of_a_check_that_is_due_no_more_is_resolved() {
    let mut world = World::default();
    world.day(1, Outcome::Fail);
    let mut other = result(Outcome::Pass, Severity::Error);
    other.check = CheckId::new("d");
    let judge = EvaluateMode::Judge;
    // A partition that could not be measured does not name what is due, nor does one that grows.
    world.unmeasured = true;
    world.judge(2, "v1", false, judge, other.clone());
    (world.unmeasured, world.growing) = (false, true);
    world.judge(2, "v1", false, judge, other.clone());
    world.growing = false;
    // The profile of an earlier partition may lack what a later one has.
    world.judge(0, "v1", false, judge, other.clone());
    assert_eq!(world.open().len(), 1);
    world.judge(2, "v1", false, judge, other);
    assert!(world.open().is_empty());
    assert_eq!(world.events(), ["incident.opened", "incident.resolved"]);
    let ended = world.incidents.values().next().unwrap();
    assert!(ended.message.contains("due no more"), "{}", ended.message);
}

#[test]
fn an_incident_of_a_partition_does_not_end_with_the_checks_of_another() {
    let mut world = World::default();
    let missing = result(Outcome::Missing, Severity::Error);
    world.judge(1, "v1", false, EvaluateMode::Missing, missing);
    world.day(2, Outcome::Pass);
    assert_eq!(world.open().len(), 1);
}

#[test]
fn an_end_is_told_only_where_the_beginning_was() {
    let mut world = World {
        backfill: true,
        ..World::default()
    };
    world.day(1, Outcome::Fail);
    world.backfill = false;
    world.day(2, Outcome::Pass);
    assert!(world.open().is_empty());
    assert!(world.told.is_empty(), "{:?}", world.events());
}

#[test]
fn an_incident_that_comes_back_is_told_anew_even_if_first_by_a_backfill() {
    let mut world = World::default();
    let judge = EvaluateMode::Judge;
    let of = |outcome| result(outcome, Severity::Error);
    world.judge(1, "v1", false, judge, of(Outcome::Fail));
    world.judge(1, "v2", true, judge, of(Outcome::Pass));
    world.backfill = true;
    world.judge(1, "v3", true, judge, of(Outcome::Fail));
    world.backfill = false;
    world.day(2, Outcome::Fail);
    assert_eq!(world.incidents.len(), 1, "the same incident");
    let opened = "incident.opened";
    assert_eq!(world.events(), [opened, "incident.resolved", opened]);
    world.day(3, Outcome::Pass);
    assert_eq!(world.events()[3..], ["incident.resolved"]);
}
