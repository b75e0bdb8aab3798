//! Copies of partitions in storage: the numbers that the rows gave where they lay, and tables that
//! readers see whole.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, UInt64Array};
use assay_metrics::TableState;
use assay_model::check::{Bound, Check, CheckOrigin, Expectation, Severity};
use assay_model::dataset::{Dataset, FormatKind, Layout, Location};
use assay_model::ids::CheckId;
use assay_model::metric::{Metric, MetricKey};
use assay_model::output::Discovery;
use assay_model::partition::{PartitionKey, PartitionVersion};
use assay_model::source::{StorageMode, StoragePolicy};
use assay_model::task::MeasureSpec;
use assay_scan::reach::{Access, Reach, Secret};
use assay_scan::storage::{Publication, Published, Storage, StorageAt, cut};
use assay_scan::{ErrorClass, ScanContext, ScanError};
use jiff::Timestamp;

use super::same::{every_type, load, shared, write};
use super::table::{ALL, Home, assert_same, dataset, list, measure};

/// A database that is storage, and a way to it.
pub struct Stored {
    pub home: Home,
    pub context: ScanContext,
    pub storage: Arc<dyn Storage>,
}

impl Stored {
    pub fn new() -> Self {
        Self::of(Home::new(), "the tests")
    }

    /// The same database, as another store has it.
    pub fn beside(other: &Self, owner: &str) -> Self {
        let home = Home::at(other.home.server, other.home.url.clone());
        Self::of(home, owner)
    }

    fn of(home: Home, owner: &str) -> Self {
        let at = StorageAt {
            host: home.database.host.clone(),
            port: home.database.port,
            database: home.database.database.clone(),
            user: "postgres".to_owned(),
            password: Secret::new("unused"),
            ca: None,
            plain: false,
            owner: owner.to_owned(),
        };
        let secret = Secret::new("postgres:unused");
        let access = Access {
            secrets: [("env:ASSAY_SOURCE_T".to_owned(), secret)].into(),
            storage: Some(at),
            ..Access::default()
        };
        let reach: Arc<dyn Reach> = assay_sources::reach(access);
        Self {
            home,
            storage: reach.storage().unwrap(),
            context: ScanContext {
                reach: Some(reach),
                ..ScanContext::default()
            },
        }
    }

    /// The states of the copies of all partitions.
    pub fn ingest(
        &self,
        dataset: &Dataset,
        plan: &Discovery,
    ) -> BTreeMap<PartitionKey, TableState> {
        let mut states: BTreeMap<PartitionKey, TableState> = BTreeMap::new();
        for spec in &plan.measures {
            let taken = self.storage.ingest(dataset, spec, &self.context).unwrap();
            for (key, state) in taken {
                states.entry(key).or_default().merge(&state);
            }
        }
        states
    }

    /// Publishes every partition of a plan.
    pub fn publish(&self, dataset: &Dataset, plan: &Discovery) -> Result<Published, ScanError> {
        let mut last = Published::default();
        for evaluation in &plan.evaluations {
            let specs = plan.measures.iter().zip(1u32..);
            let own = specs.filter(|(_, no)| evaluation.measured_by.contains(no));
            last = self.storage.publish(
                &Publication {
                    dataset: dataset.id.clone(),
                    partition: evaluation.partition.clone(),
                    version: evaluation.version.clone(),
                    cuts: own.map(|(spec, _)| cut(dataset, spec)).collect(),
                    retention_days: dataset.storage.retention_days,
                    gone: Vec::new(),
                    now: now(),
                },
                &self.context,
            )?;
        }
        Ok(last)
    }

    /// Lists, ingests and publishes.
    pub fn take(&self, dataset: &Dataset) -> BTreeMap<PartitionKey, TableState> {
        let plan = list(dataset, &self.context).unwrap();
        let states = self.ingest(dataset, &plan);
        self.publish(dataset, &plan).unwrap();
        states
    }

    pub fn sql(&self, statement: &str) -> String {
        self.home.sql(statement).trim().to_owned()
    }

    /// Tables of rows.
    pub fn tables(&self) -> String {
        self.sql(
            "SELECT count(*) FROM pg_class WHERE relnamespace = 'assay_ingest'::regnamespace \
                  AND relname ~ '^b[0-9]+$'",
        )
    }
}

pub fn now() -> Timestamp {
    "2024-01-01T00:00:00Z".parse().unwrap()
}

pub fn files(path: &Path, kind: FormatKind) -> Dataset {
    let path = path.display().to_string();
    dataset(Location::Local { path }, kind)
}

/// A dataset that is ingested, with a profile that asks for everything.
pub fn ingested(mut dataset: Dataset) -> Dataset {
    dataset.storage = StoragePolicy {
        mode: StorageMode::Ingest,
        retention_days: None,
    };
    dataset.profile.metrics = ALL.to_vec();
    dataset
}

pub fn single(mut dataset: Dataset) -> Dataset {
    dataset.partitions.layout = Layout::Single;
    dataset
}

fn of_key(columns: &str) -> Check {
    Check {
        id: CheckId::new(columns),
        metric: MetricKey::column(Metric::DuplicateCount, columns),
        expect: Expectation::MustBe(Bound::new("0").unwrap()),
        severity: Severity::Error,
        origin: CheckOrigin::Declared,
        dimension: None,
        description: None,
        line: None,
        tags: Vec::new(),
    }
}

/// Compares states of copies with those of the same dataset where it lies, schema and all.
pub fn assert_as_in_place(stored: &Stored, dataset: &Dataset) {
    let plan = list(dataset, &stored.context).unwrap();
    let copies = stored.ingest(dataset, &plan);
    let in_place = measure(dataset, &plan, &stored.context).unwrap();
    assert_eq!(copies.len(), in_place.len());
    for (key, state) in &in_place {
        let copy = &copies[key];
        assert_same(copy, state);
        assert_eq!(copy.schema, state.schema, "{key}");
        assert_eq!(
            (copy.files, copy.bytes),
            (state.files, state.bytes),
            "{key}"
        );
        let told = |state: &TableState| {
            let mut flags = state.flags.clone();
            // Where NULLs were counted is told of files only.
            flags.retain(|flag, _| !flag.starts_with(assay_scan::plan::STATED_NULLS));
            flags
        };
        assert_eq!(told(copy), told(state), "{key}");
    }
    stored.publish(dataset, &plan).unwrap();
    let rows: u64 = in_place.values().map(|state| state.rows).sum();
    let parent = format!("SELECT count(*) FROM assay_data.\"{}\"", dataset.id);
    assert_eq!(stored.sql(&parent), rows.to_string());
}

#[test]
fn every_type_of_a_file_gives_from_storage_what_it_gave() {
    let stored = Stored::new();
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("t.parquet"), &every_type());
    let mut dataset = ingested(single(files(folder.path(), FormatKind::Parquet)));
    dataset.checks = ["i4", "money", "word", "at", "i4, word"].map(of_key).into();
    assert_as_in_place(&stored, &dataset);
    let narrow: ArrayRef = Arc::new(UInt64Array::from(vec![Some(u64::MAX), None, Some(7)]));
    let small: ArrayRef = Arc::new(arrow_array::Int8Array::from(vec![-1, 2, 3]));
    let seconds = arrow_array::TimestampSecondArray::from(vec![Some(1), None, Some(-9)]);
    let columns = [
        ("u8", narrow),
        ("i1", small),
        ("s", Arc::new(seconds) as ArrayRef),
    ];
    let more = tempfile::tempdir().unwrap();
    write(
        &more.path().join("t.parquet"),
        &RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true)))
            .unwrap(),
    );
    let mut dataset = ingested(single(files(more.path(), FormatKind::Parquet)));
    dataset.id = assay_model::ids::DatasetId::new("others").unwrap();
    assert_as_in_place(&stored, &dataset);
}

#[test]
fn every_type_of_a_table_gives_from_storage_what_it_gave() {
    let stored = Stored::new();
    stored.home.sql(
        "CREATE TYPE mood AS ENUM ('sad', 'ok'); \
         CREATE TABLE t (i2 int2, n numeric NOT NULL, price numeric(8,2), big numeric(5,-2), f4 float4, \
           day date, at timestamptz, clock timestamp, how mood, tags int[], code char(5), doc jsonb, \
           raw json, span interval, bytes bytea, id uuid, yes bool, time time); \
         INSERT INTO t VALUES \
         (1, 1.5, 'NaN', 12300, 'NaN', 'infinity', '-infinity', '1970-01-01', 'ok', '{1,2}', 'ab', \
           '{\"b\":1,\"a\":2}', '{ \"b\" : 1 }', '1 day', '\\x00ff', gen_random_uuid(), true, '23:59:59.999999'), \
         (-2, 'Infinity', 2.50, 300, 'inf', '2024-01-02', '2024-01-02Z', 'infinity', 'sad', NULL, \
           'abc', NULL, NULL, NULL, '', gen_random_uuid(), NULL, '00:00'), \
         (NULL, 123456789012345678901234567890.25, 4.50, NULL, '-0', '0044-03-15 BC', '2024-01-03Z', NULL, \
           NULL, '{}', '', '[]', '[]', '2 h', NULL, NULL, false, NULL)",
    );
    let dataset = ingested(single(stored.home.dataset()));
    assert_as_in_place(&stored, &dataset);
    let mut by_day = stored.home.dataset();
    by_day.id = assay_model::ids::DatasetId::new("by-mood").unwrap();
    by_day.partitions.layout = Layout::Column {
        column: "how".to_owned(),
        granularity: None,
    };
    assert_as_in_place(&stored, &ingested(by_day));
}

fn flights(kind: &str, days: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for day in days {
        let extension = kind.trim_start_matches("flights_");
        let name = format!("date={day}.{extension}");
        let from = shared().join("nycflights13").join(kind);
        let from = std::fs::read_dir(from).unwrap().map(|e| e.unwrap().path());
        let from: PathBuf = from
            .into_iter()
            .find(|p| p.to_string_lossy().contains(day))
            .unwrap();
        std::fs::copy(&from, folder.path().join(&name)).unwrap();
    }
    folder
}

#[test]
fn flights_as_csv_and_as_parquet_give_from_storage_what_they_gave() {
    let stored = Stored::new();
    let days = ["2013-01-01", "2013-01-02", "2013-02-08"];
    for (kind, format) in [
        ("flights_csv", FormatKind::Csv),
        ("flights_parquet", FormatKind::Parquet),
    ] {
        let folder = flights(kind, &days);
        let mut dataset = ingested(files(folder.path(), format));
        dataset.id = assay_model::ids::DatasetId::new(kind).unwrap();
        dataset.partitions.layout = Layout::Template("date={date}.*".to_owned());
        dataset.checks = ["flight", "carrier, flight, dep_time"].map(of_key).into();
        assert_as_in_place(&stored, &dataset);
    }
    let folder = flights("flights_parquet", &days[..1]);
    load(&stored.home, &folder.path().join("date=2013-01-01.parquet"));
    assert_as_in_place(&stored, &ingested(single(stored.home.dataset())));
}

#[test]
fn delimited_text_stays_as_it_was_written() {
    let stored = Stored::new();
    let folder = tempfile::tempdir().unwrap();
    let text = "id;note;when\n1.0;\"a;\"\"b\"\"\nc\";2024-01-01\n01;NA;soon\n+1;;NA\n x ;\"\";\n";
    std::fs::write(folder.path().join("a.csv"), text).unwrap();
    std::fs::write(folder.path().join("b.csv"), "id;note;when\n").unwrap();
    let mut dataset = ingested(single(files(folder.path(), FormatKind::Csv)));
    dataset.source.format.delimiter = ';';
    dataset.source.format.null_tokens = vec!["NA".to_owned()];
    assert_as_in_place(&stored, &dataset);
    let told = stored.sql("SELECT string_agg(coalesce(id, '-') || '|' || coalesce(note, '-') || '|' || coalesce(\"when\", '-'), '/') FROM assay_data.t");
    assert_eq!(told, "1.0|a;\"b\"\nc|2024-01-01/01|-|soon/+1||-/ x ||");
    for (id, text, header) in [
        ("one", "v\n1\n\n3\n", true),
        ("bare", "1,\"\"\n2,x\n", false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.csv"), text).unwrap();
        let mut dataset = ingested(single(files(folder.path(), FormatKind::Csv)));
        dataset.id = assay_model::ids::DatasetId::new(id).unwrap();
        dataset.source.format.header = header;
        assert_as_in_place(&stored, &dataset);
        dataset.source.format.null_tokens = Vec::new();
        dataset.id = assay_model::ids::DatasetId::new(format!("{id}-plain")).unwrap();
        assert_as_in_place(&stored, &dataset);
    }
}

pub fn numbers(folder: &Path, name: &str, values: &[i32]) {
    let column: ArrayRef = Arc::new(Int32Array::from(values.to_vec()));
    let batch = RecordBatch::try_from_iter([("v", column)]).unwrap();
    write(&folder.join(name), &batch);
}

pub fn daily(folder: &Path) -> Dataset {
    let mut dataset = ingested(files(folder, FormatKind::Parquet));
    dataset.partitions.layout = Layout::Template("day={day}.parquet".to_owned());
    dataset
}

#[test]
fn a_batch_is_written_once_and_a_rewritten_partition_takes_the_place_of_its_predecessor() {
    let stored = Stored::new();
    let folder = tempfile::tempdir().unwrap();
    numbers(folder.path(), "day=2024-01-01.parquet", &[1, 2]);
    numbers(folder.path(), "day=2024-01-02.parquet", &[3]);
    let dataset = daily(folder.path());
    stored.take(&dataset);
    let seen = "SELECT string_agg(_assay_partition || ':' || v, ' ' ORDER BY 1) FROM assay_data.t";
    let first = stored.sql("SELECT string_agg(id::text, ' ' ORDER BY id) FROM assay_ingest.batch");
    stored.take(&dataset);
    let again = stored.sql("SELECT string_agg(id::text, ' ' ORDER BY id) FROM assay_ingest.batch");
    assert_eq!(first, again, "written again");
    numbers(folder.path(), "day=2024-01-01.parquet", &[7, 8, 9]);
    let plan = list(&dataset, &stored.context).unwrap();
    stored.ingest(&dataset, &plan);
    // What is written is not seen before it is published.
    assert_eq!(stored.sql("SELECT sum(v) FROM assay_data.t"), "6");
    assert_eq!(stored.tables(), "3");
    stored.publish(&dataset, &plan).unwrap();
    assert_eq!(
        stored.sql(seen),
        "2024-01-01:7 2024-01-01:8 2024-01-01:9 2024-01-02:3"
    );
    assert_eq!(stored.tables(), "2");
    let key = PartitionKey("2024-01-01".to_owned());
    stored
        .storage
        .remove(&dataset.id, &key, now(), &stored.context)
        .unwrap();
    assert_eq!(stored.sql(seen), "2024-01-02:3");
    assert_eq!(
        stored.sql("SELECT count(*) FROM assay_ingest.partition"),
        "1"
    );
    assert_eq!(stored.tables(), "1");
}

#[test]
fn what_is_no_longer_there_is_written_again_and_never_published_from_memory() {
    let stored = Stored::new();
    let folder = tempfile::tempdir().unwrap();
    numbers(folder.path(), "day=2024-01-01.parquet", &[1, 2]);
    let dataset = daily(folder.path());
    let plan = list(&dataset, &stored.context).unwrap();
    let error = stored.publish(&dataset, &plan).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Changed, "{error}");
    stored.take(&dataset);
    // A node that was thought lost comes back with a version of yesterday, whose rows are there.
    let early = Publication {
        dataset: dataset.id.clone(),
        partition: plan.evaluations[0].partition.clone(),
        version: PartitionVersion("early".to_owned()),
        cuts: plan.evaluations[0].copies.clone(),
        retention_days: None,
        gone: Vec::new(),
        now: "2023-12-31T23:59:59Z".parse().unwrap(),
    };
    let error = stored.storage.publish(&early, &stored.context).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Changed, "{error}");
    let key = &early.partition.key;
    let error = stored
        .storage
        .remove(&dataset.id, key, early.now, &stored.context);
    assert_eq!(error.unwrap_err().class(), ErrorClass::Changed);
    stored.home.sql("DROP TABLE assay_data.t");
    stored.take(&dataset);
    assert_eq!(stored.sql("SELECT sum(v) FROM assay_data.t"), "3");
}

#[test]
fn partitions_older_than_what_is_kept_are_dropped_and_never_shown() {
    let stored = Stored::new();
    let folder = tempfile::tempdir().unwrap();
    for day in ["2023-11-30", "2023-12-15", "2023-12-31"] {
        numbers(folder.path(), &format!("day={day}.parquet"), &[1]);
    }
    let mut dataset = daily(folder.path());
    stored.take(&dataset);
    let days = "SELECT string_agg(_assay_partition, ' ' ORDER BY 1) FROM assay_data.t";
    assert_eq!(stored.sql(days), "2023-11-30 2023-12-15 2023-12-31");
    dataset.storage.retention_days = Some(10);
    let states = stored.take(&dataset);
    assert_eq!(states.len(), 3, "checks run all the same");
    assert_eq!(stored.sql(days), "2023-12-31");
    assert_eq!(stored.tables(), "1");
}

#[test]
fn a_new_column_is_null_before_it_came_and_one_of_another_type_is_refused_by_name() {
    let stored = Stored::new();
    let folder = tempfile::tempdir().unwrap();
    numbers(folder.path(), "day=2024-01-01.parquet", &[1]);
    let dataset = daily(folder.path());
    stored.take(&dataset);
    let put = |name: &str, columns: Vec<(&str, ArrayRef)>| {
        write(
            &folder.path().join(name),
            &RecordBatch::try_from_iter(columns).unwrap(),
        );
    };
    let word: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    put(
        "day=2024-01-02.parquet",
        vec![
            ("w", word.clone()),
            ("v", Arc::new(Int32Array::from(vec![2]))),
        ],
    );
    put("day=2024-01-03.parquet", vec![("w", word)]);
    stored.take(&dataset);
    let seen = "SELECT string_agg(coalesce(v::text, '-') || coalesce(w, '-'), ' ' ORDER BY _assay_partition) FROM assay_data.t";
    assert_eq!(stored.sql(seen), "1- 2a -a");
    put(
        "day=2024-01-04.parquet",
        vec![("v", Arc::new(Int64Array::from(vec![2])))],
    );
    let plan = list(&dataset, &stored.context).unwrap();
    stored.ingest(&dataset, &plan);
    let error = stored.publish(&dataset, &plan).unwrap_err();
    let told = error.to_string();
    assert!(
        told.contains("bigint") && told.contains("integer") && told.contains("\"v\""),
        "{told}"
    );
    assert_eq!(error.class(), ErrorClass::Permanent);
    assert_eq!(stored.sql(seen), "1- 2a -a");
}

#[test]
fn files_of_one_partition_may_have_different_columns_but_not_types() {
    let stored = Stored::new();
    let folder = tempfile::tempdir().unwrap();
    numbers(folder.path(), "a.parquet", &[1, 2]);
    let word: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    let v: ArrayRef = Arc::new(Int32Array::from(vec![None]));
    let batch = RecordBatch::try_from_iter([("w", word), ("v", v)]).unwrap();
    write(&folder.path().join("b.parquet"), &batch);
    let dataset = ingested(single(files(folder.path(), FormatKind::Parquet)));
    assert_as_in_place(&stored, &dataset);
    let v: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    write(
        &folder.path().join("c.parquet"),
        &RecordBatch::try_from_iter([("v", v)]).unwrap(),
    );
    let plan = list(&dataset, &stored.context).unwrap();
    let error = stored
        .storage
        .ingest(&dataset, &plan.measures[0], &stored.context)
        .unwrap_err();
    assert!(
        error.to_string().contains("int64 here and int32"),
        "{error}"
    );
}

#[test]
fn what_cannot_be_stored_is_refused_by_its_row_and_name_and_leaves_nothing() {
    let stored = Stored::new();
    let folder = tempfile::tempdir().unwrap();
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "b\0c"]));
    write(
        &folder.path().join("t.parquet"),
        &RecordBatch::try_from_iter([("w", texts)]).unwrap(),
    );
    let dataset = ingested(single(files(folder.path(), FormatKind::Parquet)));
    let plan = list(&dataset, &stored.context).unwrap();
    let error = stored
        .storage
        .ingest(&dataset, &plan.measures[0], &stored.context)
        .unwrap_err();
    let told = error.to_string();
    assert!(
        told.contains("row 2") && told.contains("\"w\"") && told.contains("NUL"),
        "{told}"
    );
    assert_eq!(error.class(), ErrorClass::Permanent);
    assert_eq!(
        (
            stored.tables().as_str(),
            stored
                .sql("SELECT count(*) FROM assay_ingest.batch")
                .as_str()
        ),
        ("0", "0")
    );
}

#[test]
fn two_attempts_of_one_batch_write_it_once() {
    let stored = Stored::new();
    let folder = tempfile::tempdir().unwrap();
    numbers(
        folder.path(),
        "day=2024-01-01.parquet",
        &(0..50_000).collect::<Vec<_>>(),
    );
    let dataset = daily(folder.path());
    let plan = list(&dataset, &stored.context).unwrap();
    let spec: &MeasureSpec = &plan.measures[0];
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                stored
                    .storage
                    .ingest(&dataset, spec, &stored.context)
                    .unwrap()
            });
        }
    });
    assert_eq!(stored.tables(), "1");
    stored.publish(&dataset, &plan).unwrap();
    assert_eq!(
        stored.sql("SELECT count(*) || ' ' || sum(v) FROM assay_data.t"),
        "50000 1249975000"
    );
}

#[test]
fn a_part_comes_without_being_read_again_and_a_query_of_one_partition_looks_at_no_other() {
    let stored = Stored::new();
    let folder = tempfile::tempdir().unwrap();
    for day in 1..=3 {
        numbers(
            folder.path(),
            &format!("day=2024-01-0{day}.parquet"),
            &[day],
        );
    }
    let dataset = daily(folder.path());
    let plan = list(&dataset, &stored.context).unwrap();
    stored.ingest(&dataset, &plan);
    let database = &stored.home.database.database;
    stored.home.sql(&format!(
        "ALTER DATABASE \"{database}\" SET log_min_messages = 'debug1'"
    ));
    stored.publish(&dataset, &plan).unwrap();
    let implied = stored.home.server.log();
    let implied = implied
        .matches("is implied by existing constraints")
        .count();
    assert!(implied >= 3, "{implied}");
    let plan =
        stored.sql("EXPLAIN SELECT v FROM assay_data.t WHERE _assay_partition = '2024-01-02'");
    assert_eq!(plan.matches("Scan on").count(), 1, "{plan}");
}

#[test]
fn a_batch_is_named_by_its_content_and_by_nothing_else() {
    let stored = Stored::new();
    let folder = tempfile::tempdir().unwrap();
    numbers(folder.path(), "day=2024-01-01.parquet", &[1]);
    let dataset = daily(folder.path());
    let plan = list(&dataset, &stored.context).unwrap();
    let spec = &plan.measures[0];
    assert_eq!(plan.evaluations[0].copies, [cut(&dataset, spec)]);
    let changed = |change: &dyn Fn(&mut Dataset, &mut MeasureSpec)| {
        let (mut dataset, mut spec) = (dataset.clone(), spec.clone());
        change(&mut dataset, &mut spec);
        cut(&dataset, &spec)
    };
    let name = cut(&dataset, spec);
    assert_eq!(changed(&|_, spec| spec.batches = 7), name);
    assert_ne!(changed(&|_, spec| spec.slices[0].object.size = 7), name);
    assert_ne!(
        changed(&|_, s| s.slices[0].object.etag = Some("x".into())),
        name
    );
    assert_ne!(changed(&|d, _| d.source.format.null_tokens.clear()), name);
}
