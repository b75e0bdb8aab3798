//! Causes over sequences of news, and against every order of them.

use super::*;
use assay_model::partition::PartitionKey;
use proptest::prelude::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn broken(incident: u128, dimension: &str, column: &str, severity: Severity) -> News {
    let partition = PartitionKey("2026-11-20".to_owned());
    News::Broken(Box::new(Broken {
        incident: Uuid::from_u128(incident),
        dataset: DatasetId::new("orders").unwrap(),
        check: CheckId::new(format!("check-{incident}")),
        dimension: dimension.to_owned(),
        column: column.to_owned(),
        severity,
        declared: false,
        finding: Finding {
            check: CheckId::new(format!("check-{incident}")),
            metric: "nullCount".to_owned(),
            actual: Some("3".to_owned()),
            expected: "= 0".to_owned(),
            partition,
            message: format!("check {incident} is broken"),
        },
    }))
}

fn mended(incident: u128) -> News {
    News::Mended {
        incident: Uuid::from_u128(incident),
    }
}

/// What a story of news leaves, and the kinds of what happened.
fn told(causes: Vec<Cause>, story: Vec<News>) -> (Vec<Cause>, Vec<String>) {
    let mut book = Book::of(causes);
    for (second, news) in (0..).zip(story) {
        book.take(news, at(second));
    }
    let (causes, events) = book.changes();
    (causes, events.into_iter().map(|e| e.kind).collect())
}

#[test]
fn checks_of_one_column_and_dimension_are_one_cause_and_others_are_not() {
    let (causes, events) = told(
        Vec::new(),
        vec![
            broken(1, "completeness", "amount", Severity::Warning),
            broken(2, "completeness", "amount", Severity::Warning),
            broken(3, "completeness", "id", Severity::Warning),
            broken(4, "uniqueness", "amount", Severity::Warning),
        ],
    );
    assert_eq!(causes.len(), 3);
    assert_eq!(events, ["opened", "opened", "opened"]);
    assert_eq!(causes.iter().map(|c| c.members.len()).max(), Some(2));
}

#[test]
fn a_graver_check_escalates_once_and_the_last_mended_one_resolves() {
    let (causes, events) = told(
        Vec::new(),
        vec![
            broken(1, "completeness", "amount", Severity::Warning),
            broken(2, "completeness", "amount", Severity::Error),
            broken(2, "completeness", "amount", Severity::Error),
            mended(2),
            mended(2),
            mended(1),
        ],
    );
    assert_eq!(events, ["opened", "escalated", "resolved"]);
    let cause = &causes[0];
    assert_eq!(cause.status, IncidentStatus::Resolved);
    assert_eq!(cause.resolved_at, Some(at(5)));
    // The gravest of the episode is remembered.
    assert_eq!(cause.severity, Severity::Error);
}

#[test]
fn what_comes_back_opens_the_same_cause_again() {
    let first = told(
        Vec::new(),
        vec![
            broken(1, "completeness", "amount", Severity::Error),
            mended(1),
        ],
    );
    let again = broken(2, "completeness", "amount", Severity::Warning);
    let (causes, events) = told(first.0.clone(), vec![again]);
    assert_eq!(events, ["opened"]);
    assert_eq!(causes[0].id, first.0[0].id);
    assert_eq!(
        (causes[0].episode, causes[0].severity),
        (2, Severity::Warning)
    );
    assert_eq!(causes[0].resolved_at, None);
}

#[test]
fn a_check_that_moves_to_another_dimension_leaves_the_first() {
    let (causes, events) = told(
        Vec::new(),
        vec![
            broken(1, "accuracy", "amount", Severity::Error),
            broken(1, "conformity", "amount", Severity::Error),
        ],
    );
    assert_eq!(events, ["opened", "resolved", "opened"]);
    let open: Vec<&str> = causes
        .iter()
        .filter(|c| c.is_open())
        .map(|c| &*c.dimension)
        .collect();
    assert_eq!(open, ["conformity"]);
}

fn one() -> Cause {
    let story = vec![broken(1, "completeness", "amount", Severity::Error)];
    told(Vec::new(), story).0.remove(0)
}

#[test]
fn people_acknowledge_mute_assign_and_resolve_and_it_is_known_who() {
    let mut cause = one();
    let event = wish(&mut cause, &Wish::Acknowledge, "ada", at(1)).unwrap();
    let event = event.unwrap();
    assert_eq!(
        (event.kind.as_str(), event.by.as_str()),
        ("acknowledged", "ada")
    );
    assert_eq!(cause.acknowledged_by.as_deref(), Some("ada"));
    wish(&mut cause, &Wish::Mute(at(100)), "ada", at(2)).unwrap();
    assert_eq!(cause.muted_until, Some(at(100)));
    wish(&mut cause, &Wish::Unmute, "ada", at(2)).unwrap();
    assert_eq!(cause.muted_until, None);
    wish(&mut cause, &Wish::Assign("bob".to_owned()), "ada", at(3)).unwrap();
    assert_eq!(cause.assignee.as_deref(), Some("bob"));
    wish(&mut cause, &Wish::Resolve, "ada", at(4)).unwrap();
    assert_eq!(cause.resolved_by.as_deref(), Some("ada"));
    assert!(cause.members.is_empty() && !cause.is_open());
    for over in [Wish::Acknowledge, Wish::Mute(at(100))] {
        let before = cause.clone();
        assert!(matches!(
            wish(&mut cause, &over, "bob", at(5)),
            Err(Refusal::Over(..))
        ));
        assert_eq!(cause, before);
    }
}

#[test]
fn a_repeat_of_what_stands_changes_nothing_and_is_no_refusal() {
    let mut cause = one();
    let each = [
        Wish::Acknowledge,
        Wish::Mute(at(100)),
        Wish::Unmute,
        Wish::Assign("bob".to_owned()),
        Wish::Assign(String::new()),
        Wish::Resolve,
    ];
    for (second, wanted) in (1..).zip(each) {
        let first = wish(&mut cause, &wanted, "ada", at(second)).unwrap();
        assert!(first.is_some(), "{wanted:?}");
        let before = cause.clone();
        // Later than a mute lasts, too.
        let again = wish(&mut cause, &wanted, "ada", at(second + 200));
        assert_eq!(again, Ok(None), "{wanted:?}");
        assert_eq!(cause, before, "{wanted:?}");
    }
    // Another person who looks is news.
    let mut cause = one();
    for who in ["ada", "bob"] {
        let event = wish(&mut cause, &Wish::Acknowledge, who, at(1)).unwrap();
        assert_eq!(event.map(|e| e.by).as_deref(), Some(who));
    }
}

#[test]
fn a_cause_is_called_by_the_owners_rule_whichever_is_told_of_first() {
    let of = |incident, severity, declared| match broken(incident, "coverage", "", severity) {
        News::Broken(it) => News::Broken(Box::new(Broken { declared, ..*it })),
        mended @ News::Mended { .. } => mended,
    };
    let owners = || of(1, Severity::Error, true);
    let besides = || of(2, Severity::Error, false);
    let called = |story: Vec<News>| told(Vec::new(), story).0.remove(0).finding.message;
    for story in [
        vec![owners(), besides()],
        vec![besides(), owners()],
        vec![owners(), besides(), besides()],
    ] {
        assert_eq!(called(story), "check 1 is broken");
    }
    // What is graver is graver, and what is mended gives its name up.
    let warning = || of(1, Severity::Warning, true);
    assert_eq!(called(vec![warning(), besides()]), "check 2 is broken");
    let story = vec![owners(), besides(), mended(1)];
    assert_eq!(called(story), "check 2 is broken");
    let story = vec![owners(), mended(1)];
    assert_eq!(called(story), "check 1 is broken");
}

#[test]
fn nobody_is_left_in_silence_by_mistake() {
    let mut cause = one();
    for until in [
        at(10),
        at(9),
        at(10) + MUTED_MAX + SignedDuration::from_secs(1),
    ] {
        let refused = wish(&mut cause, &Wish::Mute(until), "ada", at(10));
        assert_eq!(refused, Err(Refusal::NoSuchTime(until)));
    }
}

proptest! {
    /// Whatever the news, a cause is open exactly as long as a check of it is broken, no check is in
    /// two of them, and openings and ends alternate.
    #[test]
    fn a_cause_is_open_as_long_as_a_check_of_it_is_broken(
        story in prop::collection::vec((0_u128..6, 0_usize..2, prop::bool::ANY, prop::bool::ANY), 0..60)
    ) {
        let mut book = Book::default();
        let mut is_broken = std::collections::BTreeMap::new();
        for (second, (incident, dimension, grave, breaks)) in (0..).zip(story) {
            let dimension = ["completeness", "accuracy"][dimension];
            let severity = if grave { Severity::Error } else { Severity::Warning };
            if breaks {
                is_broken.insert(Uuid::from_u128(incident), dimension);
                book.take(broken(incident, dimension, "amount", severity), at(second));
            } else {
                is_broken.remove(&Uuid::from_u128(incident));
                book.take(mended(incident), at(second));
            }
        }
        let (causes, events) = book.changes();
        for cause in &causes {
            let of: std::collections::BTreeSet<Uuid> = is_broken.iter()
                .filter(|(_, dimension)| **dimension == cause.dimension)
                .map(|(incident, _)| *incident).collect();
            let members = cause.members.iter().map(|m| m.incident).collect();
            prop_assert_eq!(of, members);
            prop_assert_eq!(cause.is_open(), !cause.members.is_empty());
            prop_assert_eq!(cause.is_open(), cause.resolved_at.is_none());
            let turns: Vec<&str> = events.iter()
                .filter(|e| e.cause == cause.id && e.kind != "escalated")
                .map(|e| e.kind.as_str()).collect();
            for (place, turn) in turns.iter().enumerate() {
                prop_assert_eq!(*turn, ["opened", "resolved"][place % 2]);
            }
            let openings = turns.iter().filter(|t| **t == "opened").count();
            prop_assert_eq!(cause.episode as usize, openings);
        }
    }
}

#[test]
fn a_note_is_kept_with_who_and_when_also_of_what_is_over() {
    let mut cause = one();
    let note = |text: &str| Wish::Note(text.to_owned());
    let text = "the loader was off\nsee the post-mortem";
    let noted = wish(&mut cause, &note(text), "ada", at(1))
        .unwrap()
        .unwrap();
    assert_eq!(
        (&*noted.kind, &*noted.by, &*noted.detail),
        ("noted", "ada", text)
    );
    assert_eq!(noted.at, at(1));
    // A repeat whose answer was lost is one note; another's, and a later one, are others.
    assert_eq!(wish(&mut cause, &note(text), "ada", at(2)).unwrap(), None);
    assert!(
        wish(&mut cause, &note(text), "bob", at(3))
            .unwrap()
            .is_some()
    );
    assert!(
        wish(&mut cause, &note(text), "bob", at(700))
            .unwrap()
            .is_some()
    );
    wish(&mut cause, &Wish::Resolve, "ada", at(701)).unwrap();
    assert!(
        wish(&mut cause, &note("mended"), "ada", at(702))
            .unwrap()
            .is_some()
    );
    let before = cause.clone();
    for bad in ["", " \n", "a\u{1b}[2Jb", &"x".repeat(2_001)] {
        let refused = wish(&mut cause, &note(bad), "ada", at(703));
        assert!(matches!(refused, Err(Refusal::NoNote(_))), "{bad:?}");
    }
    assert_eq!(cause, before);
    assert!(wish(&mut cause, &note(&"é".repeat(2_000)), "ada", at(704)).is_ok());
}
