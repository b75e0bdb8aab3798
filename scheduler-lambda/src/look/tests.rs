//! What each kind of dataset comes to, and that no order of ticks loses or doubles a slot.

use std::collections::{BTreeMap, BTreeSet};

use assay_model::dataset::CatchUp;
use assay_registry::InvalidFile;
use proptest::prelude::*;

use super::*;
use crate::samples::{at, dataset, entry};

fn registered(mut entry: Entry, through: &str) -> Entry {
    entry.registered = true;
    entry.emitted_through = Some(at(through));
    entry
}

fn hourly() -> Dataset {
    dataset(Some("0 * * * *"), "UTC", CatchUp::All)
}

fn by_arrival(id: &str) -> Dataset {
    let mut dataset = dataset(None, "UTC", CatchUp::Latest);
    dataset.id = DatasetId::new(id).unwrap();
    dataset
}

const NOW: &str = "2026-11-20T12:30:00Z";

fn decided(entry: &Entry) -> Decision {
    look(entry, &Policy::default(), at(NOW))
}

fn reason_of(entry: &Entry) -> Reason {
    let decision = decided(entry);
    assert!(decision.emissions.is_empty(), "{decision:?}");
    assert_eq!(decision.look.through, entry.emitted_through);
    assert_eq!(decision.look.registered, entry.registered);
    assert_eq!(decision.skipped_count, 1);
    decision.skipped[0].reason
}

#[test]
fn a_new_dataset_gets_a_run_over_its_past_and_then_its_next_slot() {
    let mut new = hourly();
    new.limits.backfill_days = Some(90);
    let decision = decided(&entry(new.clone()));
    let [backfill] = &decision.emissions[..] else {
        panic!("{decision:?}")
    };
    assert_eq!(backfill.trigger, Trigger::Backfill);
    assert_eq!(backfill.key, Key::Text(REGISTRATION.to_owned()));
    assert_eq!(backfill.selection.last_days, Some(90));
    let look = &decision.look;
    assert!(look.registered);
    assert_eq!(look.through, Some(at(NOW)));
    assert_eq!(look.next, Some(at("2026-11-20T13:00:00Z")));
    let again = registered(entry(new), NOW);
    let decision = super::look(&again, &Policy::default(), at("2026-11-20T13:00:30Z"));
    let keys: Vec<_> = decision.emissions.into_iter().map(|e| e.key).collect();
    assert_eq!(keys, [Key::Slot(at("2026-11-20T13:00:00Z"))]);
}

#[test]
fn what_was_emitted_before_a_registration_was_noted_stays_emitted() {
    let mut known = entry(hourly());
    known.emitted_through = Some(at("2026-11-20T09:10:00Z"));
    let decision = decided(&known);
    assert_eq!(decision.emissions.len(), 1);
    assert_eq!(decision.look.through, Some(at("2026-11-20T09:10:00Z")));
    assert!(decision.look.next.unwrap() <= at(NOW), "its slots are due");
}

#[test]
fn a_dataset_without_a_schedule_is_looked_at_on_a_grid_of_its_own() {
    let one = registered(entry(by_arrival("one")), "2026-11-20T12:00:00Z");
    let decision = decided(&one);
    let [emission] = &decision.emissions[..] else {
        panic!("{decision:?}")
    };
    assert_eq!(emission.trigger, Trigger::Arrival);
    let slot = decision.look.through.unwrap();
    assert_eq!(emission.key, Key::Text(format!("arrival|{slot}")));
    let next = decision.look.next.unwrap();
    assert_eq!(next.as_second() - slot.as_second(), 900);
    assert!(slot <= at(NOW) && next > at(NOW));
    // The same instant has the same slot, and within a quarter of an hour there is one.
    let again = registered(entry(by_arrival("one")), &slot.to_string());
    let decision = decided(&again);
    assert_eq!(decision.emissions, []);
    assert_eq!(decision.look.next, Some(next));
    let slots: BTreeSet<_> = (0..200)
        .map(|n| registered(entry(by_arrival(&format!("d{n}"))), "2026-11-20T12:00:00Z"))
        .map(|entry| decided(&entry).look.through)
        .collect();
    assert!(slots.len() > 100, "they are spread: {}", slots.len());
}

#[test]
fn how_often_it_is_looked_at_is_the_owners_wish() {
    let mut often = by_arrival("one");
    often.run.poll_s = Some(60);
    let decision = decided(&registered(entry(often), "2026-11-20T12:00:00Z"));
    let (slot, next) = (decision.look.through.unwrap(), decision.look.next.unwrap());
    assert_eq!(next.as_second() - slot.as_second(), 60);
    // Half an hour of missed looks are one: it finds all that has come.
    assert_eq!(decision.emissions.len(), 1);
}

#[test]
fn a_dataset_that_does_not_run_says_why() {
    let mut draft = hourly();
    draft.status = DatasetStatus::Draft;
    assert_eq!(reason_of(&entry(draft)), Reason::Draft);
    let mut retired = hourly();
    retired.status = DatasetStatus::Retired;
    let retired = registered(entry(retired), "2026-11-20T09:00:00Z");
    assert_eq!(reason_of(&retired), Reason::Retired);
    assert_eq!(decided(&retired).look.next, None);
    for (schedule, zone) in [("61 * * * *", "UTC"), ("0 * * * *", "Mars/Olympus")] {
        let bad = registered(
            entry(dataset(Some(schedule), zone, CatchUp::All)),
            "2026-11-20T09:00:00Z",
        );
        assert_eq!(reason_of(&bad), Reason::BadSchedule);
        let look = decided(&bad).look;
        assert!(look.note.is_some() && look.next > Some(at(NOW)));
    }
    let mut invalid = entry(hourly());
    invalid.definition = Err(InvalidFile {
        origin: "table".to_owned(),
        text: "".into(),
        diagnostics: Vec::new(),
        kept: None,
    });
    assert_eq!(reason_of(&invalid), Reason::Invalid);
    let mut misplaced = entry(hourly());
    misplaced.key = "other".to_owned();
    assert_eq!(reason_of(&misplaced), Reason::Misplaced);
    assert!(decided(&misplaced).words.contains("`other`"));
}

#[test]
fn a_source_outside_its_owners_list_is_not_read_and_is_caught_up_on_when_it_is_allowed() {
    let known = registered(entry(hourly()), "2026-11-20T09:30:00Z");
    let mut policy = Policy::default();
    let only = |prefix: &str| vec![prefix.to_owned()];
    policy.owners.insert("*".to_owned(), only("s3://lake/"));
    let refused = look(&known, &policy, at(NOW));
    assert_eq!(refused.emissions, []);
    assert_eq!(refused.skipped[0].reason, Reason::NotAllowed);
    assert!(refused.look.note.unwrap().contains("file:///data"));
    assert_eq!(refused.look.through, known.emitted_through);
    policy.owners.insert("*".to_owned(), only("file:///data"));
    assert_eq!(look(&known, &policy, at(NOW)).emissions.len(), 3);
}

#[test]
fn a_paused_dataset_asks_for_nothing_and_goes_on_by_its_policy() {
    let mut paused = hourly();
    paused.run.paused = true;
    paused.run.paused_reason = Some("the source moves house".to_owned());
    let entry_of = |dataset| registered(entry(dataset), "2026-11-20T09:30:00Z");
    let held = entry_of(paused.clone());
    assert_eq!(reason_of(&held), Reason::Paused);
    assert!(decided(&held).words.contains("moves house"));
    for (catch_up, runs, skipped) in [
        (CatchUp::All, 3, 0),
        (CatchUp::Latest, 1, 2),
        (CatchUp::None, 0, 3),
    ] {
        paused.run.paused = false;
        paused.run.catch_up = catch_up;
        let decision = decided(&entry_of(paused.clone()));
        assert_eq!(decision.emissions.len(), runs, "{catch_up}");
        assert_eq!(decision.skipped_count, skipped, "{catch_up}");
        assert!(decision.skipped.iter().all(|s| s.reason == Reason::Missed));
    }
}

/// What one tick of a sequence does: when, whether its runs come through, whether its mark is kept.
#[derive(Debug, Clone, Copy)]
struct Step {
    after_s: i64,
    back_s: i64,
    taken: bool,
    marked: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0_i64..20_000, 0_i64..40_000, 0..10_u8, 0..10_u8).prop_map(
        |(after_s, back_s, taken, marked)| Step {
            after_s,
            // Most ticks come in order.
            back_s: if back_s < 10_000 { back_s } else { 0 },
            taken: taken > 2,
            marked: marked > 2,
        },
    );
    prop::collection::vec(step, 1..40)
}

/// Plays `steps`; gives each run that was asked for with how often, and the last instant.
fn play(dataset: &Dataset, steps: &[Step]) -> (BTreeMap<Key, u32>, Entry, Timestamp) {
    let mut entry = registered(entry(dataset.clone()), "2026-03-28T10:00:00Z");
    let mut asked = BTreeMap::new();
    let mut clock = at("2026-03-28T10:00:00Z").as_second();
    let mut latest = clock;
    let whole = Step {
        after_s: 0,
        back_s: 0,
        taken: true,
        marked: true,
    };
    // Ticks that all come through follow until there is nothing left to catch up on.
    for step in steps.iter().chain([whole; 40].iter()) {
        clock += step.after_s;
        latest = latest.max(clock - step.back_s);
        let now = Timestamp::from_second(clock - step.back_s).unwrap();
        let decision = look(&entry, &Policy::default(), now);
        let taken = if step.taken {
            decision.emissions.len()
        } else {
            decision.emissions.len() / 2
        };
        for emission in &decision.emissions[..taken] {
            *asked.entry(emission.key.clone()).or_default() += 1;
        }
        assert!(
            decision.look.through >= entry.emitted_through,
            "it goes back"
        );
        if step.taken && step.marked {
            entry.emitted_through = decision.look.through;
        }
    }
    (asked, entry, Timestamp::from_second(latest).unwrap())
}

proptest! {
    #[test]
    fn any_order_of_ticks_asks_for_exactly_the_slots_that_are_due(steps in steps()) {
        let dataset = dataset(Some("*/20 * * * *"), "Europe/Berlin", CatchUp::All);
        let (asked, entry, latest) = play(&dataset, &steps);
        let mut expected = BTreeSet::new();
        let mut slot = at("2026-03-28T10:00:00Z");
        let end = entry.emitted_through.unwrap();
        prop_assert!(end >= latest, "caught up to {end} of {latest}");
        loop {
            // Twenty minutes are a whole part of an hour, and Berlin's gap is a whole hour.
            slot = Timestamp::from_second(slot.as_second() + 1200).unwrap();
            if slot > latest { break; }
            expected.insert(Key::Slot(slot));
        }
        let asked: BTreeSet<Key> = asked.into_keys().collect();
        prop_assert_eq!(asked, expected);
    }

    #[test]
    fn any_order_of_ticks_asks_for_the_latest_look_at_data_and_for_none_beside_the_grid(
        steps in steps(),
    ) {
        let dataset = by_arrival("one");
        let (asked, entry, latest) = play(&dataset, &steps);
        let grid = arrival::latest(&dataset, latest);
        if grid > at("2026-03-28T10:00:00Z") {
            let newest = Key::Text(format!("arrival|{grid}"));
            prop_assert!(asked.contains_key(&newest));
            prop_assert!(entry.emitted_through.unwrap() >= grid);
        }
        for key in asked.keys() {
            let Key::Text(text) = key else { panic!("{key:?}") };
            let slot = at(text.strip_prefix("arrival|").unwrap());
            prop_assert_eq!(arrival::latest(&dataset, slot), slot);
        }
    }
}
