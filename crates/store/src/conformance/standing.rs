//! What is promised of the results in force that a look answers for.

use std::sync::Arc;

use assay_model::ids::RunId;
use assay_model::ledger::LedgerState;
use assay_model::outcome::Outcome;
use assay_model::output::{Discovery, Evaluation, TaskOutput};

use super::Store;
use super::fixtures::{Bench, at, evaluation, ok, sighting};
use crate::standing::{Look, Standing, Which, standing};

const DAYS: [&str; 3] = ["2026-11-20", "2026-11-21", "2026-11-22"];

fn verdict(day: &str, version: &str, outcome: Outcome, seconds: i64) -> Evaluation {
    Evaluation {
        judged_at: at(seconds),
        ..evaluation(day, version, 10, outcome)
    }
}

/// One run a day, each with its outcome, one after another.
async fn days(bench: &Bench, outcomes: [Outcome; 3]) -> Vec<RunId> {
    let mut runs = Vec::new();
    for ((day, outcome), second) in DAYS.into_iter().zip(outcomes).zip(100..) {
        let verdict = verdict(day, "v1", outcome, second);
        runs.push(bench.judged(day, verdict).await);
    }
    runs
}

async fn look(bench: &Bench, runs: &[RunId], keys: &[&str], limit: u32) -> Standing {
    look_at(bench, runs, keys, limit, Which::All).await
}

async fn look_at(
    bench: &Bench,
    runs: &[RunId],
    keys: &[&str],
    limit: u32,
    which: Which<'_>,
) -> Standing {
    let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
    let look = Look {
        runs,
        keys: &keys,
        limit,
        which,
    };
    ok(standing(bench.store.as_ref(), bench.id(), look).await)
}

fn told(standing: &Standing) -> Vec<(&str, Outcome)> {
    let of = standing.rows.iter();
    of.map(|row| (row.partition.key.as_str(), row.result.outcome))
        .collect()
}

/// A run that judges good partitions does not make good what failed before; one that judges none
/// changes nothing.
pub async fn a_look_answers_for_what_still_stands_elsewhere(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let runs = days(&bench, [Outcome::Fail, Outcome::Pass, Outcome::Pass]).await;
    let expected = [(DAYS[0], Outcome::Fail), (DAYS[2], Outcome::Pass)];
    let fresh = look(&bench, &runs[2..], &[], 100).await;
    assert_eq!(told(&fresh), expected);
    assert_eq!((fresh.judged.len(), fresh.elsewhere.len()), (1, 1));
    assert!(!fresh.unchanged);
    let empty = bench.submit("nothing new").await;
    let again = look(&bench, &[empty], &[], 100).await;
    assert_eq!(told(&again), expected);
    assert_eq!(again.counts(), fresh.counts());
    assert!(again.unchanged);
}

/// A partition that is asked for by name answers for itself alone.
pub async fn named_partitions_are_answered_for_and_no_others(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let runs = days(&bench, [Outcome::Fail, Outcome::Missing, Outcome::Pass]).await;
    for (n, outcome) in [Outcome::Fail, Outcome::Missing, Outcome::Pass]
        .into_iter()
        .enumerate()
    {
        for run in &runs {
            let of_one = look(&bench, &[*run], &[DAYS[n]], 100).await;
            assert_eq!(told(&of_one), [(DAYS[n], outcome)]);
            assert_eq!(of_one.counts().planned, 1);
        }
    }
    let nobody = look(&bench, &runs, &["2026-12-01"], 100).await;
    assert_eq!((nobody.rows.len(), nobody.counts().planned), (0, 0));
}

/// A failure ends with a better verdict on its partition, and with nothing else.
pub async fn a_failure_stands_until_its_partition_is_judged_again(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    days(&bench, [Outcome::Error, Outcome::Warn, Outcome::Pass]).await;
    let before = look(&bench, &[], &[], 100).await;
    assert_eq!(before.elsewhere_counts.error, 1);
    assert_eq!(before.elsewhere_counts.warn, 1);
    let again = verdict(DAYS[0], "v2", Outcome::Pass, 200);
    let run = bench.judged("again", again).await;
    let after = look(&bench, &[run], &[], 100).await;
    let expected = [(DAYS[0], Outcome::Pass), (DAYS[1], Outcome::Warn)];
    assert_eq!(told(&after), expected);
}

/// Old data that was cleared away is no finding of today.
pub async fn what_was_cleared_away_does_not_stand(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    days(&bench, [Outcome::Fail, Outcome::Pass, Outcome::Pass]).await;
    let run = bench.submit("clean-up").await;
    let cleared = Discovery {
        sightings: vec![sighting(DAYS[0], "v1", LedgerState::Gone)],
        ..Discovery::default()
    };
    bench.finish(run, 0, &TaskOutput::Discovered(cleared)).await;
    let after = look(&bench, &[run], &[], 100).await;
    assert_eq!(told(&after), [(DAYS[2], Outcome::Pass)]);
}

/// Where findings are asked for, what is good is counted and not read, but for the checks that are
/// named; of partitions that are named all is read.
pub async fn findings_are_read_without_what_is_good(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let runs = days(&bench, [Outcome::Fail, Outcome::Pass, Outcome::Fail]).await;
    let expected = [(DAYS[0], Outcome::Fail), (DAYS[2], Outcome::Fail)];
    let whole = look(&bench, &runs, &[], 100).await;
    let checks = [assay_model::ids::CheckId::new("rows_exist")];
    let none = look_at(&bench, &runs, &[], 100, Which::Findings(&[])).await;
    assert_eq!(told(&none), expected);
    assert_eq!(none.counts(), whole.counts());
    assert_eq!((&none.judged, none.left_out()), (&whole.judged, 0));
    let named = look_at(&bench, &runs, &[], 100, Which::Findings(&checks)).await;
    assert_eq!(told(&named), told(&whole));
    let fresh = look_at(&bench, &runs[1..2], &[], 100, Which::Findings(&[])).await;
    assert_eq!(told(&fresh), expected);
    assert_eq!((fresh.judged.len(), fresh.elsewhere.len()), (1, 2));
    let bounded = look_at(&bench, &runs, &[], 1, Which::Findings(&[])).await;
    assert_eq!((told(&bounded).len(), bounded.left_out()), (1, 1));
    let day = look_at(&bench, &runs, &DAYS[1..2], 100, Which::Findings(&[])).await;
    assert_eq!(told(&day), [(DAYS[1], Outcome::Pass)]);
}

/// What is beyond the bound is counted, and a failure is listed before what is good.
pub async fn a_bound_on_the_results_loses_no_count(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let runs = days(&bench, [Outcome::Fail, Outcome::Fail, Outcome::Pass]).await;
    let bounded = look(&bench, &runs[2..], &[], 1).await;
    assert_eq!(bounded.counts().fail, 2);
    assert_eq!(bounded.left_out(), 2);
    assert_eq!(told(&bounded), [(DAYS[1], Outcome::Fail)]);
    let all = look(&bench, &runs, &[], 1).await;
    assert_eq!((all.counts().fail, all.counts().pass), (2, 1));
}
