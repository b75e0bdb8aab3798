//! Discovery against real folders: layouts, seals, late, rewritten, gone and missing partitions.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use assay_model::dataset::{
    Cadence, Dataset, DatasetStatus, Format, FormatKind, KeyKind, KeySpec, Layout, LimitPolicy,
    Location, Partitioning, Profile, RunPolicy, ScanPolicy, Sealing, Source,
};
use assay_model::ids::DatasetId;
use assay_model::ledger::{LedgerEntry, LedgerState};
use assay_model::output::Discovery;
use assay_model::run::Selection;
use assay_model::task::EvaluateMode;
use assay_scan::discover::discover;
use assay_scan::{ScanContext, ScanError};
use jiff::{Timestamp, ToSpan};

fn dataset(path: &Path, partitions: Partitioning) -> Dataset {
    Dataset {
        others: Vec::new(),
        storage: assay_model::dataset::StoragePolicy::default(),
        id: DatasetId::new("feed").unwrap(),
        version: "1.0.0".to_owned(),
        status: DatasetStatus::Active,
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

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn look(dataset: &Dataset, ledger: &[LedgerEntry], now: Timestamp) -> Result<Discovery, ScanError> {
    discover(
        dataset,
        ledger,
        &Selection::default(),
        now,
        &ScanContext::default(),
    )
}

fn keys(discovery: &Discovery) -> Vec<&str> {
    discovery
        .evaluations
        .iter()
        .map(|e| e.partition.key.as_str())
        .collect()
}

/// The ledger after every evaluation of a discovery succeeded.
fn ledger_after(discovery: &Discovery, before: &[LedgerEntry], now: Timestamp) -> Vec<LedgerEntry> {
    let mut ledger = before.to_vec();
    for sighting in &discovery.sightings {
        let evaluation = discovery
            .evaluations
            .iter()
            .find(|e| e.partition.key == sighting.partition.key);
        let state = match (evaluation, sighting.state) {
            (Some(e), _) if e.mode == EvaluateMode::Missing => LedgerState::Missing,
            (Some(e), _) if e.sealed => LedgerState::Scanned,
            (_, state) => state,
        };
        let old = ledger
            .iter()
            .position(|e| e.partition.key == sighting.partition.key);
        let first_seen = old.map_or(now, |at| ledger[at].first_seen);
        let judged = match (evaluation, old) {
            (Some(e), _) => Some(e.version.clone()),
            (None, Some(at)) => ledger[at].judged.clone(),
            (None, None) => None,
        };
        let entry = LedgerEntry {
            partition: sighting.partition.clone(),
            state,
            version: sighting.version.clone(),
            judged,
            revision: 1,
            objects: sighting.objects,
            bytes: sighting.bytes,
            first_seen,
            last_modified: sighting.last_modified,
            verdict: None,
        };
        match old {
            Some(at) => ledger[at] = entry,
            None => ledger.push(entry),
        }
    }
    ledger
}

fn days(folder: &Path, skip: &[i8]) {
    for day in (1..=28).filter(|day| !skip.contains(day)) {
        write(folder, &format!("dt=2024-02-{day:02}/part-0.csv"), "a\n1\n");
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn an_unchanged_folder_costs_no_read_and_a_changed_file_is_measured_again() {
    let folder = tempfile::tempdir().unwrap();
    days(folder.path(), &[]);
    let dataset = dataset(folder.path(), Partitioning::default());
    let now = at("2024-02-29T12:00:00Z");
    let first = look(&dataset, &[], now).unwrap();
    assert_eq!(first.evaluations.len(), 28);
    assert!(first.evaluations.iter().all(|e| e.sealed));
    let numbers: Vec<u32> = first
        .evaluations
        .iter()
        .flat_map(|e| e.measured_by.clone())
        .collect();
    assert_eq!(numbers, (1..=28).collect::<Vec<u32>>());
    let ledger = ledger_after(&first, &[], now);
    let second = look(&dataset, &ledger, now).unwrap();
    assert_eq!(
        (
            second.unchanged,
            second.measures.len(),
            second.sightings.len()
        ),
        (28, 0, 0)
    );

    write(folder.path(), "dt=2024-02-07/part-0.csv", "a\n1\n2\n");
    write(folder.path(), "dt=2024-02-29/part-0.csv", "a\n1\n");
    std::fs::remove_dir_all(folder.path().join("dt=2024-02-03")).unwrap();
    let third = look(&dataset, &ledger, now).unwrap();
    assert_eq!(keys(&third), ["2024-02-03", "2024-02-07", "2024-02-29"]);
    assert_eq!(third.evaluations[0].mode, EvaluateMode::Gone);
    let state = |key: &str| {
        third
            .sightings
            .iter()
            .find(|s| s.partition.key.as_str() == key)
            .map(|s| s.state)
    };
    assert_eq!(state("2024-02-07"), Some(LedgerState::Rewritten));
    assert_eq!(state("2024-02-03"), Some(LedgerState::Gone));
    // The day has not ended.
    assert_eq!(state("2024-02-29"), Some(LedgerState::Discovered));
    assert!(!third.evaluations[2].sealed);
}

#[test]
fn a_hole_is_missing_once_and_late_when_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    days(folder.path(), &[14]);
    let dataset = dataset(folder.path(), Partitioning::default());
    let now = at("2024-02-29T12:00:00Z");
    let first = look(&dataset, &[], now).unwrap();
    let hole = first
        .evaluations
        .iter()
        .find(|e| e.mode == EvaluateMode::Missing)
        .unwrap();
    assert_eq!(hole.partition.key.as_str(), "2024-02-14");
    let ledger = ledger_after(&first, &[], now);
    let second = look(&dataset, &ledger, now).unwrap();
    assert!(second.evaluations.is_empty(), "reported once");
    write(folder.path(), "dt=2024-02-14/part-0.csv", "a\n1\n");
    let third = look(&dataset, &ledger, now).unwrap();
    assert_eq!(keys(&third), ["2024-02-14"]);
    assert_eq!(third.evaluations[0].mode, EvaluateMode::Judge);
}

#[test]
fn a_declared_daily_feed_that_stops_is_missing_after_its_deadline_and_an_archive_is_not() {
    let folder = tempfile::tempdir().unwrap();
    days(folder.path(), &[]);
    let daily = Partitioning {
        cadence: Some(Cadence::Daily),
        deadline_s: Some(6 * 3600),
        ..Partitioning::default()
    };
    let declared = dataset(folder.path(), daily);
    let missing = |now: &str| {
        let found = look(&declared, &[], at(now)).unwrap();
        found
            .evaluations
            .iter()
            .filter(|e| e.mode == EvaluateMode::Missing)
            .count()
    };
    assert_eq!(missing("2024-03-01T05:59:59Z"), 0);
    assert_eq!(missing("2024-03-01T06:00:00Z"), 1);
    assert_eq!(missing("2024-03-03T06:00:00Z"), 3);
    // The files were written years after their data time: a learned rhythm ends with them.
    let learned = dataset(folder.path(), Partitioning::default());
    let found = look(&learned, &[], Timestamp::now()).unwrap();
    assert!(
        found
            .evaluations
            .iter()
            .all(|e| e.mode == EvaluateMode::Judge)
    );
    // That is said: a feed that stopped and was copied since looks like it.
    let told = |notices: &[String]| {
        let of_end = |n: &&String| n.contains("taken for an archive that has ended");
        notices.iter().filter(of_end).count()
    };
    assert_eq!(told(&found.notices), 1, "{:?}", found.notices);
    assert!(
        found.notices[0].contains("after 2024-02-"),
        "{:?}",
        found.notices
    );
    let live = look(&learned, &[], at("2024-03-01T05:00:00Z")).unwrap();
    assert_eq!(told(&live.notices), 0, "{:?}", live.notices);
    let found = look(&declared, &[], Timestamp::now()).unwrap();
    assert_eq!(told(&found.notices), 0, "its rhythm never ends");
}

#[test]
fn seals_follow_the_marker_or_the_quiet_time() {
    let folder = tempfile::tempdir().unwrap();
    days(folder.path(), &[]);
    write(folder.path(), "dt=2024-02-01/_SUCCESS", "");
    let sealing = Sealing::Marker {
        name: "_SUCCESS".to_owned(),
    };
    let marked = dataset(
        folder.path(),
        Partitioning {
            sealing,
            ..Partitioning::default()
        },
    );
    let found = look(&marked, &[], at("2024-02-29T12:00:00Z")).unwrap();
    let sealed: Vec<&str> = found
        .evaluations
        .iter()
        .filter(|e| e.sealed)
        .map(|e| e.partition.key.as_str())
        .collect();
    assert_eq!(sealed, ["2024-02-01"]);

    // Undated: two listings that agree, a quiet time apart.
    let one = tempfile::tempdir().unwrap();
    write(one.path(), "a.csv", "x\n1\n");
    let sealing = Sealing::Quiet { quiet_s: 600 };
    let quiet = dataset(
        one.path(),
        Partitioning {
            sealing,
            ..Partitioning::default()
        },
    );
    let now = Timestamp::now() + 1.hours();
    let first = look(&quiet, &[], now).unwrap();
    assert_eq!(
        (keys(&first), first.evaluations[0].sealed),
        (vec!["all"], false)
    );
    let ledger = ledger_after(&first, &[], now);
    assert!(
        look(&quiet, &ledger, now + 5.minutes())
            .unwrap()
            .evaluations
            .is_empty()
    );
    let later = look(&quiet, &ledger, now + 10.minutes()).unwrap();
    assert!(later.evaluations[0].sealed);
}

#[test]
fn layouts_are_told_by_looking() {
    let cases: [(&[&str], &[&str]); 8] = [
        (
            &["year=2024/month=1/a.csv", "year=2024/month=02/a.csv"],
            &["year=2024/month=01", "year=2024/month=02"],
        ),
        (
            &["date=2013-01-01.csv", "date=2013-01-02.csv"],
            &["2013-01-01", "2013-01-02"],
        ),
        (&["week_2.csv", "week_10.csv"], &["2", "10"]),
        (&["t_2019-01.csv", "t_2019-02.csv"], &["2019-01", "2019-02"]),
        (
            &["2024/01/05/x.csv", "2024/01/06/y.csv"],
            &["year=2024/month=01/day=05", "year=2024/month=01/day=06"],
        ),
        (
            &["20240105/x.csv", "20240106/y.csv"],
            &["2024-01-05", "2024-01-06"],
        ),
        (&["part-0.csv", "part-1.csv"], &["all"]),
        (&["users.csv", "more.csv", "notes.md"], &["all"]),
    ];
    for (files, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        files
            .iter()
            .for_each(|file| write(folder.path(), file, "a\n1\n"));
        let dataset = dataset(folder.path(), Partitioning::default());
        let found = look(&dataset, &[], at("2025-01-01T00:00:00Z")).unwrap();
        assert_eq!(keys(&found), expected, "{files:?}");
        let ignored = files.iter().filter(|file| file.ends_with(".md")).count();
        assert_eq!(found.ignored.len(), ignored, "{:?}", found.ignored);
    }
}

#[test]
fn a_key_that_does_not_parse_names_the_file_the_value_and_the_form() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "t_2019-13.csv", "a\n");
    let keys = ["year", "month"].map(|name| KeySpec {
        name: name.to_owned(),
        kind: if name == "year" {
            KeyKind::Year
        } else {
            KeyKind::Month
        },
    });
    let layout = Layout::Template("t_{year}-{month}.csv".to_owned());
    let partitions = Partitioning {
        layout,
        keys: keys.to_vec(),
        ..Partitioning::default()
    };
    let dataset = dataset(folder.path(), partitions);
    let error = look(&dataset, &[], Timestamp::now())
        .unwrap_err()
        .to_string();
    for part in [
        "t_2019-13.csv",
        "\"13\"",
        "a month from 1 to 12",
        "assayPartitions",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn an_empty_location_is_an_error_and_not_a_ledger_of_gone_partitions() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path(), Partitioning::default());
    let error = look(&dataset, &[], Timestamp::now())
        .unwrap_err()
        .to_string();
    assert!(error.contains("no csv file was found"), "{error}");
}

#[test]
fn a_key_column_shares_batches_and_an_unchanged_file_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let rows = |day: u8| {
        format!(
            "2024-01-{day:02}T05:00:00,1\n2024-01-{:02} 23:59:59,2\n",
            day + 1
        )
    };
    write(folder.path(), "one.csv", &format!("ts,v\n{}", rows(1)));
    write(folder.path(), "two.csv", &format!("ts,v\n{},3\n", rows(2)));
    let layout = Layout::Column {
        column: "ts".to_owned(),
        granularity: Some(Cadence::Daily),
    };
    let mut dataset = dataset(
        folder.path(),
        Partitioning {
            layout,
            ..Partitioning::default()
        },
    );
    dataset.scan.target_bytes = 60;
    let now = at("2024-02-01T00:00:00Z");
    let first = look(&dataset, &[], now).unwrap();
    let null = assay_scan::discover::value::NULL_KEY;
    assert_eq!(
        keys(&first),
        [null, "2024-01-01", "2024-01-02", "2024-01-03"]
    );
    let mut rows = std::collections::BTreeMap::new();
    for spec in &first.measures {
        let context = ScanContext::default();
        for part in assay_scan::measure::measure(&dataset, spec, &context).unwrap() {
            *rows.entry(part.partition.0).or_insert(0) += part.rows;
        }
    }
    let counted: Vec<u64> = rows.into_values().collect();
    assert_eq!(counted, [1, 2, 1, 1]);
    // Both files hold rows of the second day.
    let shared = &first.evaluations[2];
    assert_eq!(shared.objects, 2);
    let ledger = ledger_after(&first, &[], now);
    let second = look(&dataset, &ledger, now).unwrap();
    assert_eq!((second.unchanged, second.measures.len()), (4, 0));
}

#[test]
fn a_partition_that_was_asked_for_and_is_not_there_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    days(folder.path(), &[]);
    let dataset = dataset(folder.path(), Partitioning::default());
    let choose = |key: &str| Selection {
        keys: vec![key.to_owned()],
        ..Selection::default()
    };
    let context = ScanContext::default();
    let now = at("2024-03-01T00:00:00Z");
    let one = discover(&dataset, &[], &choose("2024-02-05"), now, &context).unwrap();
    assert_eq!(keys(&one), ["2024-02-05"]);
    assert_eq!(one.sightings.len(), 28);
    assert!(discover(&dataset, &[], &choose("2024-02-31"), now, &context).is_err());
    let window = Selection {
        last_days: Some(3),
        ..Selection::default()
    };
    let last = discover(&dataset, &[], &window, now, &context).unwrap();
    assert_eq!(keys(&last), ["2024-02-27", "2024-02-28"]);
}

#[test]
fn introspection_tells_format_keys_types_and_checks_of_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    for day in 1..=3 {
        let mut text = "id;when;kind;price;note\n".to_owned();
        for row in 0..50 {
            let kind = ["new", "old"][row % 2];
            text.push_str(&format!("{row};2024-02-0{day}T05:00:00Z;{kind};{row}.5;\n"));
        }
        write(folder.path(), &format!("orders_2024-02-0{day}.csv"), &text);
    }
    let source = Source {
        server: "local".to_owned(),
        location: Location::Local {
            path: folder.path().display().to_string(),
        },
        format: Format::of(FormatKind::Parquet),
        credential: None,
    };
    let now = at("2024-02-04T00:00:00Z");
    let found = assay_scan::introspect::introspect(&source, now, &ScanContext::default()).unwrap();
    assert_eq!((found.format.delimiter, found.format.header), (';', true));
    assert_eq!(
        (found.partitions, found.sampled_rows, found.row_estimate),
        (3, 150, 150)
    );
    assert_eq!(
        found.keys.iter().map(|k| k.kind).collect::<Vec<_>>(),
        [KeyKind::Date]
    );
    let told: Vec<String> = found
        .columns
        .iter()
        .map(|c| {
            format!(
                "{} {:?} {} {}",
                c.name, c.logical_type, c.required, c.unique
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "id Some(Integer) true true",
            "when Some(Timestamp) true false",
            "kind Some(String) true false",
            "price Some(Number) true true",
            "note None false false",
        ]
    );
    assert_eq!(
        found.columns[2].allowed.as_deref(),
        Some(&["new".to_owned(), "old".to_owned()][..])
    );
    let checks: Vec<&str> = found.checks.iter().map(|check| check.id.as_str()).collect();
    assert_eq!(checks, ["row_count", "kind_known"]);
}

#[test]
fn partitions_of_before_there_were_series_learn_theirs_without_a_read() {
    let folder = tempfile::tempdir().unwrap();
    for region in ["eu", "lu"] {
        write(
            folder.path(),
            &format!("dt=2024-02-07/region={region}/part-0.csv"),
            "a\n1\n",
        );
    }
    let dataset = dataset(folder.path(), Partitioning::default());
    let now = at("2024-02-29T12:00:00Z");
    let first = look(&dataset, &[], now).unwrap();
    let series = |found: &Discovery| -> Vec<String> {
        let of = |s: &assay_model::ledger::Sighting| s.partition.series.clone();
        found.sightings.iter().map(of).collect()
    };
    assert_eq!(series(&first), ["region=eu", "region=lu"]);
    let mut ledger = ledger_after(&first, &[], now);
    ledger[1].partition.series.clear();
    let second = look(&dataset, &ledger, now).unwrap();
    assert_eq!(series(&second), ["region=lu"]);
    assert_eq!(second.sightings[0].state, LedgerState::Scanned);
    assert_eq!((second.unchanged, second.measures.len()), (2, 0));
    assert!(second.evaluations.is_empty());
}

#[test]
fn each_series_misses_its_own_partitions() {
    let folder = tempfile::tempdir().unwrap();
    for region in ["eu", "lu"] {
        for day in (1..=28).filter(|day| region == "eu" || *day != 14) {
            let name = format!("region={region}/dt=2024-02-{day:02}/part-0.csv");
            write(folder.path(), &name, "a\n1\n");
        }
    }
    let dataset = dataset(folder.path(), Partitioning::default());
    let found = look(&dataset, &[], at("2024-02-29T12:00:00Z")).unwrap();
    let missing = found
        .evaluations
        .iter()
        .filter(|e| e.mode == EvaluateMode::Missing);
    let missing: Vec<(&str, &str)> = missing
        .map(|e| (e.partition.key.as_str(), e.partition.series.as_str()))
        .collect();
    assert_eq!(missing, [("region=lu/dt=2024-02-14", "region=lu")]);
}
