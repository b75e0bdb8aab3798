//! What a discovery sees besides whole partitions is told: deleted data, odd names, gaps that
//! nothing judges.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use assay_model::dataset::{
    Dataset, DatasetStatus, Format, FormatKind, KeyKind, KeySpec, LimitPolicy, Location,
    Partitioning, Profile, RunPolicy, ScanPolicy, Source,
};
use assay_model::ids::DatasetId;
use assay_model::ledger::{LedgerEntry, LedgerState};
use assay_model::output::Discovery;
use assay_model::run::Selection;
use assay_model::task::EvaluateMode;
use assay_scan::discover::discover;
use assay_scan::{ScanContext, ScanError};
use jiff::Timestamp;

fn dataset(path: &Path, partitions: Partitioning) -> Dataset {
    Dataset {
        others: Vec::new(),
        storage: assay_model::dataset::StoragePolicy::default(),
        id: DatasetId::new("feed").unwrap(),
        version: "1.0.0".to_owned(),
        status: DatasetStatus::Draft,
        name: None,
        tenant: None,
        owner: None,
        subscribers: Vec::new(),
        tags: Vec::new(),
        source: Source {
            credential: None,
            server: "local".to_owned(),
            location: Location::Local {
                path: path.display().to_string(),
            },
            format: Format::of(FormatKind::Csv),
        },
        partitions,
        columns: Vec::new(),
        checks: Vec::new(),
        profile: Profile::default(),
        limits: LimitPolicy::default(),
        run: RunPolicy::default(),
        scan: ScanPolicy::default(),
    }
}

fn dated() -> Partitioning {
    Partitioning {
        keys: vec![KeySpec {
            name: "dt".to_owned(),
            kind: KeyKind::Date,
        }],
        ..Partitioning::default()
    }
}

/// A folder with a look at it and the ledger that follows.
struct Feed {
    folder: tempfile::TempDir,
    partitions: Partitioning,
    ledger: Vec<LedgerEntry>,
}

impl Feed {
    /// Files with these names, seen and judged.
    fn new(partitions: Partitioning, names: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut feed = Self {
            folder,
            partitions,
            ledger: Vec::new(),
        };
        names.iter().for_each(|name| feed.write(name));
        let found = feed.look().unwrap();
        feed.judge(&found);
        feed
    }

    /// The days `from` to `to` of January 2026.
    fn of_days(from: u8, to: u8) -> Self {
        let names: Vec<String> = (from..=to).map(day).collect();
        Self::new(Partitioning::default(), &names)
    }

    fn write(&self, name: &str) {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "a\n1\n").unwrap();
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.folder.path().join(name)).unwrap();
    }

    fn choose(&self, selection: &Selection) -> Result<Discovery, ScanError> {
        let dataset = dataset(self.folder.path(), self.partitions.clone());
        let now = "2026-03-01T12:00:00Z".parse::<Timestamp>().unwrap();
        let context = ScanContext::default();
        discover(&dataset, &self.ledger, selection, now, &context)
    }

    fn look(&self) -> Result<Discovery, ScanError> {
        self.choose(&Selection::default())
    }

    /// Takes over what a look found, every evaluation done.
    fn judge(&mut self, found: &Discovery) {
        for seen in &found.sightings {
            let key = &seen.partition.key;
            let done = found.evaluations.iter().find(|e| e.partition.key == *key);
            let old = self.ledger.iter().position(|e| e.partition.key == *key);
            let old = old.map(|at| self.ledger.remove(at));
            let state = match done.map(|e| e.mode) {
                Some(EvaluateMode::Judge) => LedgerState::Scanned,
                _ => seen.state,
            };
            self.ledger.push(LedgerEntry {
                partition: seen.partition.clone(),
                state,
                version: seen.version.clone(),
                judged: match done {
                    Some(done) => Some(done.version.clone()),
                    None => old.and_then(|old| old.judged),
                },
                revision: 1,
                objects: seen.objects,
                bytes: seen.bytes,
                first_seen: "2026-02-01T00:00:00Z".parse().unwrap(),
                last_modified: seen.last_modified,
                verdict: None,
            });
        }
        self.ledger.sort_by(|a, b| a.partition.cmp(&b.partition));
    }
}

fn day(day: u8) -> String {
    format!("dt=2026-01-{day:02}/part-0.csv")
}

/// The partitions that are evaluated in `mode`.
fn of(found: &Discovery, mode: EvaluateMode) -> Vec<&str> {
    let of_mode = found.evaluations.iter().filter(|e| e.mode == mode);
    of_mode.map(|e| e.partition.key.as_str()).collect()
}

#[test]
fn a_partition_that_was_judged_and_is_deleted_is_told_once_and_measured_when_it_is_back() {
    let mut feed = Feed::of_days(1, 20);
    feed.remove(&day(11));
    feed.remove(&day(20));
    let found = feed.look().unwrap();
    assert_eq!(of(&found, EvaluateMode::Gone), ["2026-01-11", "2026-01-20"]);
    let reason = found.evaluations[0].reason.clone().unwrap();
    assert!(reason.contains("its file (4 bytes) is gone"), "{reason}");
    // A run that fails before it tells leaves it to the next.
    let judged = feed.ledger.clone();
    let mut untold = found.clone();
    untold.evaluations.clear();
    feed.judge(&untold);
    let again = feed.look().unwrap();
    assert_eq!(of(&again, EvaluateMode::Gone), ["2026-01-11", "2026-01-20"]);

    feed.ledger = judged;
    feed.judge(&found);
    let quiet = feed.look().unwrap();
    assert!(quiet.evaluations.is_empty() && quiet.sightings.is_empty());
    feed.write(&day(11));
    let back = feed.look().unwrap();
    assert_eq!(of(&back, EvaluateMode::Judge), ["2026-01-11"]);
    assert_eq!(back.sightings[0].state, LedgerState::Sealed);
}

#[test]
fn the_oldest_partitions_may_be_cleared_away_and_that_is_a_sentence() {
    let mut feed = Feed::of_days(1, 20);
    (1..=4).for_each(|n| feed.remove(&day(n)));
    let found = feed.look().unwrap();
    assert!(found.evaluations.is_empty(), "{:?}", found.evaluations);
    assert_eq!(found.sightings.len(), 4);
    let notice = found.notices.concat();
    assert!(notice.contains("4 partitions at the old end"), "{notice}");
    assert!(notice.contains("2026-01-01 to 2026-01-04"), "{notice}");
    feed.judge(&found);
    let again = feed.look().unwrap().notices.concat();
    assert!(!again.contains("at the old end"), "told once: {again}");
}

#[test]
fn losing_most_of_the_data_is_no_clean_up() {
    let feed = Feed::of_days(1, 20);
    (1..=12).for_each(|n| feed.remove(&day(n)));
    let found = feed.look().unwrap();
    assert_eq!(of(&found, EvaluateMode::Gone).len(), 12);
    assert!(found.notices.is_empty());
}

#[test]
fn a_run_of_one_partition_leaves_the_loss_of_another_to_the_next_run() {
    let mut feed = Feed::of_days(1, 20);
    feed.remove(&day(11));
    let one = Selection {
        keys: vec!["2026-01-05".to_owned()],
        ..Selection::default()
    };
    let found = feed.choose(&one).unwrap();
    feed.judge(&found);
    let next = feed.look().unwrap();
    assert_eq!(of(&next, EvaluateMode::Gone), ["2026-01-11"]);
}

#[test]
fn a_listing_without_any_data_is_an_error_and_nothing_is_gone() {
    let feed = Feed::of_days(1, 20);
    (1..=20).for_each(|n| feed.remove(&day(n)));
    let error = feed.look().unwrap_err().to_string();
    assert!(error.contains("20 partitions"), "{error}");
    assert!(error.contains("not taken for gone"), "{error}");
}

#[test]
fn one_odd_name_among_dates_is_told_and_the_gap_is_still_missing() {
    let odd = ["dt=latest/part-0.csv", "dt=2026-02-30/part-0.csv"];
    for odd in odd {
        let mut names: Vec<String> = (1..=20).filter(|n| *n != 11).map(day).collect();
        names.push(odd.to_owned());
        let feed = Feed::new(Partitioning::default(), &names);
        let missing = feed
            .ledger
            .iter()
            .filter(|e| e.state == LedgerState::Missing);
        let missing: Vec<&str> = missing.map(|e| e.partition.key.as_str()).collect();
        assert_eq!(missing, ["2026-01-11"], "{odd}");
        let ignored = feed.look().unwrap().ignored.concat();
        assert!(
            ignored.starts_with(odd) && ignored.contains("a date"),
            "{ignored}"
        );
    }
}

#[test]
fn one_odd_folder_or_file_does_not_make_one_partition_of_all() {
    type Name = fn(u8) -> String;
    let cases: [(Name, &str); 3] = [
        (|n| format!("2026-01-{n:02}/x.csv"), "old/x.csv"),
        (|n| format!("2026/01/{n:02}/x.csv"), "readme.csv"),
        (|n| format!("week_{n}.csv"), "weeks.csv"),
    ];
    for (name, odd) in cases {
        let mut names: Vec<String> = (1..=12).map(name).collect();
        names.push(odd.to_owned());
        let feed = Feed::new(Partitioning::default(), &names);
        assert_eq!(feed.ledger.len(), 12, "{odd}: {:?}", feed.ledger);
        let ignored = feed.look().unwrap().ignored;
        assert!(
            ignored.len() == 1 && ignored[0].starts_with(odd),
            "{ignored:?}"
        );
    }
}

#[test]
fn a_name_that_is_not_of_the_declared_kind_is_an_error_of_that_file_alone() {
    let mut names: Vec<String> = (1..=3).map(day).collect();
    names.push("dt=2026-13-01/part-0.csv".to_owned());
    let mut feed = Feed::new(dated(), &names);
    for _ in 0..2 {
        let found = feed.look().unwrap();
        assert_eq!(of(&found, EvaluateMode::Refused), ["2026-13-01"]);
        assert_eq!(found.unchanged, 3);
        let reason = found.evaluations[0].reason.clone().unwrap();
        for part in [
            "dt=2026-13-01/part-0.csv",
            "\"2026-13-01\"",
            "a date such as",
        ] {
            assert!(reason.contains(part), "{reason}");
        }
    }
    // Put right, it is no loss.
    feed.remove("dt=2026-13-01/part-0.csv");
    let found = feed.look().unwrap();
    assert!(found.evaluations.is_empty() && found.notices.is_empty());
    feed.judge(&found);
    assert!(feed.look().unwrap().sightings.is_empty());
}

#[test]
fn holes_that_no_rhythm_judges_are_told_in_a_draft_too() {
    let days = |some: &[u8]| -> Vec<String> { some.iter().map(|n| day(*n)).collect() };
    let young = Feed::new(Partitioning::default(), &days(&[1, 2, 3, 5, 6]));
    let notice = young.look().unwrap().notices.concat();
    assert!(
        notice.contains("5 of 6 from 2026-01-01 to 2026-01-06"),
        "{notice}"
    );
    assert!(notice.contains("cadence"), "{notice}");
    let whole = Feed::new(Partitioning::default(), &days(&[1, 2, 3]));
    assert!(whole.look().unwrap().notices.is_empty());
    let sparse = Feed::new(Partitioning::default(), &days(&[1, 15, 29]));
    assert!(sparse.look().unwrap().notices.is_empty());
    let long: Vec<String> = (1..=9).chain(80..=81).map(later_day).collect();
    let notice = Feed::new(Partitioning::default(), &long).look().unwrap();
    let notice = notice.notices.concat();
    assert!(notice.contains("11 of 81 from 2026-01-01"), "{notice}");
    // A draft's gaps are reported as any other's.
    let names: Vec<String> = (1..=20).filter(|n| *n != 11).map(day).collect();
    let draft = Feed::new(Partitioning::default(), &names);
    assert!(draft.ledger.iter().any(|e| e.state == LedgerState::Missing));
}

/// The path of the n-th day of 2026, from 1.
fn later_day(n: i32) -> String {
    let day = jiff::civil::date(2025, 12, 31) + jiff::Span::new().days(n);
    format!("dt={day}/part-0.csv")
}

#[cfg(unix)]
#[test]
fn a_link_to_a_store_that_is_not_mounted_is_told() {
    let feed = Feed::of_days(1, 3);
    let link = feed.folder.path().join("dt=2026-01-04");
    std::os::unix::fs::symlink(feed.folder.path().join("nowhere"), link).unwrap();
    let ignored = feed.look().unwrap().ignored.concat();
    assert!(ignored.contains("target is not there"), "{ignored}");
}

#[test]
fn a_long_outage_inside_an_archive_is_missing() {
    let names: Vec<String> = (1..=20).chain(52..=59).map(later_day).collect();
    let archive = Feed::new(Partitioning::default(), &names);
    let missing = archive
        .ledger
        .iter()
        .filter(|e| e.state == LedgerState::Missing);
    let missing: Vec<&str> = missing.map(|e| e.partition.key.as_str()).collect();
    assert_eq!(missing.len(), 31, "{missing:?}");
    assert_eq!((missing[0], missing[30]), ("2026-01-21", "2026-02-20"));
}
