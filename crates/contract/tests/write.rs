//! What `write` writes parses to the same, without a diagnostic.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use assay_contract::{Place, Suggestion, parse, render_plain, write};
use assay_model::check::{Bound, Check, CheckOrigin, Expectation, Severity, ValueRule};
use assay_model::dataset::{
    Cadence, Column, Credential, Format, FormatKind, KeyKind, KeySpec, Layout, Location,
    LogicalType, Partitioning, Sealing,
};
use assay_model::ids::{CheckId, DatasetId};
use assay_model::metric::{Metric, MetricKey};
use assay_model::source::{Bucket, BucketStore};
use proptest::prelude::*;

fn column(name: &str) -> Column {
    Column {
        name: name.to_owned(),
        logical_type: Some(LogicalType::String),
        physical_type: Some("Utf8".to_owned()),
        required: false,
        unique: false,
        primary_key: None,
        masked: false,
    }
}

fn check(id: &str, metric: MetricKey, expect: Expectation) -> Check {
    Check {
        id: CheckId::new(id),
        metric,
        expect,
        severity: Severity::Error,
        origin: CheckOrigin::Declared,
        dimension: None,
        description: None,
        line: None,
        tags: Vec::new(),
    }
}

fn number(text: &str) -> Bound {
    Bound::new(text).unwrap()
}

fn same(suggestion: &Suggestion) -> Result<(), TestCaseError> {
    let text = write(suggestion);
    let parsed = parse("new.yaml", &text, Path::new("/base"));
    prop_assert!(
        parsed.diagnostics.is_empty(),
        "{}\n{text}",
        render_plain(&parsed.diagnostics)
    );
    let dataset = parsed.dataset.unwrap();
    prop_assert_eq!(&dataset.id, &suggestion.id);
    prop_assert_eq!(&dataset.source.format, &suggestion.format);
    prop_assert_eq!(&dataset.partitions, &suggestion.partitions);
    prop_assert_eq!(&dataset.columns, &suggestion.columns);
    let mut checks: Vec<Check> = dataset
        .checks
        .into_iter()
        .filter(|c| c.origin == CheckOrigin::Declared)
        .collect();
    checks.iter_mut().for_each(|c| c.line = None);
    let by_id = |c: &Check| c.id.clone();
    checks.sort_by_key(by_id);
    let mut expected = suggestion.checks.clone();
    expected.sort_by_key(by_id);
    prop_assert_eq!(checks, expected);
    Ok(())
}

fn full() -> Suggestion {
    let rule = ValueRule {
        valid_values: Some(vec![
            "placed".to_owned(),
            "no".to_owned(),
            "it's: #1".to_owned(),
        ]),
        ..ValueRule::default()
    };
    let missing = ValueRule {
        missing_values: vec![String::new(), "n/a".to_owned()],
        ..ValueRule::default()
    };
    let args =
        |key: MetricKey, rule: &ValueRule| key.with_args(&serde_json::to_value(rule).unwrap());
    Suggestion {
        id: DatasetId::new("trips").unwrap(),
        place: Place::Local("./data/trips_{year}-{month}.csv".to_owned()),
        format: Format {
            delimiter: '\t',
            quote: '\'',
            header: false,
            null_tokens: vec![String::new(), "NA".to_owned()],
            ..Format::of(FormatKind::Csv)
        },
        partitions: Partitioning {
            layout: Layout::Template("trips_{year}-{month}.csv".to_owned()),
            keys: vec![
                KeySpec {
                    name: "year".to_owned(),
                    kind: KeyKind::Year,
                },
                KeySpec {
                    name: "month".to_owned(),
                    kind: KeyKind::Month,
                },
            ],
            time_zone: "America/New_York".to_owned(),
            sealing: Sealing::Marker {
                name: "_SUCCESS".to_owned(),
            },
            deadline_s: Some(7200),
            cadence: Some(Cadence::Monthly),
        },
        columns: vec![
            Column {
                primary_key: Some(1),
                required: true,
                masked: true,
                ..column("id")
            },
            Column {
                unique: true,
                ..column("vendor")
            },
        ],
        checks: vec![
            check(
                "rows",
                MetricKey::table(Metric::RowCount),
                Expectation::MustBeBetween(number("10"), number("1e9")),
            ),
            check(
                "known",
                args(MetricKey::column(Metric::InvalidCount, "vendor"), &rule),
                Expectation::MustBe(number("0")),
            ),
            check(
                "filled",
                args(
                    MetricKey::column(Metric::MissingPercent, "vendor"),
                    &missing,
                ),
                Expectation::MustBeLessThan(number("0.10")),
            ),
            check(
                "pair",
                MetricKey::column(Metric::DuplicateCount, "id,vendor"),
                Expectation::MustBe(number("0")),
            ),
            Check {
                severity: Severity::Warning,
                dimension: Some("accuracy".to_owned()),
                description: Some("median: stays put".to_owned()),
                tags: vec!["gold".to_owned()],
                ..check(
                    "median",
                    MetricKey::quantile("id", 0.5),
                    Expectation::Learned,
                )
            },
            check(
                "band",
                MetricKey::column(Metric::Mean, "id"),
                Expectation::Band {
                    within_stddev: 2.5,
                    over_runs: 20,
                    min_runs: 5,
                },
            ),
            check(
                "shape",
                MetricKey::table(Metric::Schema),
                Expectation::SameSchema,
            ),
        ],
    }
}

#[test]
fn a_written_file_says_what_was_suggested() {
    same(&full()).unwrap();
}

#[test]
fn a_bucket_is_written_with_the_references_to_what_logs_in() {
    let bucket = |store| Bucket {
        store,
        name: "trips".to_owned(),
        path: "yellow/{date}/*.parquet".to_owned(),
        region: None,
        endpoint: None,
        account: None,
        role: None,
        external_id: None,
    };
    let s3 = Bucket {
        region: Some("eu-west-1".to_owned()),
        endpoint: Some("http://127.0.0.1:9000".to_owned()),
        role: Some("arn:aws:iam::123456789012:role/reads".to_owned()),
        external_id: Some("assay-1".to_owned()),
        ..bucket(BucketStore::S3)
    };
    let azure = Bucket {
        account: Some("lake".to_owned()),
        ..bucket(BucketStore::Azure)
    };
    for (bucket, credential) in [
        (s3, Some("aws-sm:prod/trips")),
        (azure, Some("env:LAKE_KEY")),
        (bucket(BucketStore::Gcs), Some("anonymous")),
        (bucket(BucketStore::S3), None),
    ] {
        let location = Location::Bucket(bucket);
        let credential: Option<Credential> = credential.map(|text| text.parse().unwrap());
        let suggestion = Suggestion {
            place: Place::Remote(location.clone(), credential.clone()),
            ..full()
        };
        same(&suggestion).unwrap();
        let text = write(&suggestion);
        let source = parse("new.yaml", &text, Path::new("/base"))
            .dataset
            .unwrap()
            .source;
        assert_eq!(
            (source.location, source.credential),
            (location, credential),
            "{text}"
        );
    }
}

#[test]
fn a_short_suggestion_is_a_short_file() {
    let suggestion = Suggestion {
        id: DatasetId::new("trips").unwrap(),
        place: Place::Local("./data/trips/*.parquet".to_owned()),
        format: Format::of(FormatKind::Parquet),
        partitions: Partitioning::default(),
        columns: Vec::new(),
        checks: vec![check(
            "row_count",
            MetricKey::table(Metric::RowCount),
            Expectation::MustBeGreaterThan(number("0")),
        )],
    };
    same(&suggestion).unwrap();
    assert_eq!(
        write(&suggestion),
        "apiVersion: v3.1.0\nkind: DataContract\nid: trips\nversion: 0.1.0\n\
         status: draft  # `active` lets it run by its schedule\n\nservers:\n  - server: local\n    \
         type: local\n    path: './data/trips/*.parquet'\n    format: parquet\n\nschema:\n  \
         - name: trips\n    quality:\n      - id: row_count\n        metric: rowCount\n        \
         mustBeGreaterThan: 0\n"
    );
}

proptest! {
    #[test]
    fn any_names_of_columns_and_values_survive(
        names in prop::collection::btree_set("[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f,]{1,12}", 1..6),
        values in prop::collection::vec(".{0,8}", 1..4),
    ) {
        let names: Vec<String> = names
            .into_iter()
            .filter(|n| !n.trim().is_empty() && !n.contains("${"))
            .collect();
        prop_assume!(!names.is_empty() && !values.iter().any(|v| v.contains("${")));
        let rule = ValueRule { valid_values: Some(values), ..ValueRule::default() };
        let key = MetricKey::column(Metric::InvalidCount, &names[0])
            .with_args(&serde_json::to_value(&rule).unwrap());
        same(&Suggestion {
            columns: names.iter().map(|n| column(n)).collect(),
            checks: vec![check("known", key, Expectation::MustBe(number("0")))],
            ..full()
        })?;
    }
}

#[test]
fn the_look_of_a_written_file_is_pinned() {
    let pinned = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/written.odcs.yaml");
    let text = write(&full());
    if std::env::var_os("ASSAY_PIN").is_some() {
        std::fs::write(&pinned, &text).unwrap();
    }
    assert_eq!(
        text,
        std::fs::read_to_string(&pinned).unwrap(),
        "set ASSAY_PIN=1 to pin it"
    );
}
