//! Copies that live with others: readers that hold the table, evaluations that come late, sources
//! that are read again, and columns that other readers of files take for something else.

use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, Int32Array, Int64Array, NullArray, RecordBatch, StringArray};
use assay_model::dataset::FormatKind;
use assay_model::partition::PartitionKey;
use assay_model::run::Selection;
use assay_scan::discover::discover;
use assay_scan::storage::{Publication, cut};
use assay_scan::{ErrorClass, ScanContext};
use parquet::data_type::Int32Type;
use parquet::data_type::{ByteArray, ByteArrayType, FixedLenByteArray, FixedLenByteArrayType};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::same::write;
use super::stored::{Stored, assert_as_in_place, daily, files, ingested, now, numbers, single};
use super::table::list;

fn put(path: &std::path::Path, columns: Vec<(&str, ArrayRef)>) {
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    write(
        path,
        &RecordBatch::try_from_iter_with_nullable(columns).unwrap(),
    );
}

fn nothing(rows: usize) -> ArrayRef {
    Arc::new(NullArray::new(rows))
}

#[test]
fn a_column_without_values_fits_beside_every_type() {
    let stored = Stored::new();
    let folder = tempfile::tempdir().unwrap();
    let v: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    put(
        &folder.path().join("a.parquet"),
        vec![("v", v.clone()), ("w", nothing(2))],
    );
    let dataset = ingested(single(files(folder.path(), FormatKind::Parquet)));
    assert_as_in_place(&stored, &dataset);
    // Beside files in which the same column has values.
    let w: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
    put(
        &folder.path().join("b.parquet"),
        vec![("w", w), ("v", nothing(2))],
    );
    assert_as_in_place(&stored, &dataset);
    assert_eq!(
        stored.sql("SELECT count(*) || ' ' || count(w) || ' ' || sum(v) FROM assay_data.t"),
        "4 1 3"
    );
    // And in a table of days, whichever comes first.
    let days = tempfile::tempdir().unwrap();
    put(
        &days.path().join("day=2024-01-01.parquet"),
        vec![("v", nothing(3))],
    );
    put(
        &days.path().join("day=2024-01-02.parquet"),
        vec![("v", v.clone()), ("n", nothing(2))],
    );
    put(
        &days.path().join("day=2024-01-03.parquet"),
        vec![("v", v), ("n", nothing(2))],
    );
    let mut dataset = daily(days.path());
    dataset.id = assay_model::ids::DatasetId::new("days").unwrap();
    assert_as_in_place(&stored, &dataset);
}

#[test]
fn annotations_that_others_narrow_by_lose_no_value() {
    let stored = Stored::new();
    let folder = tempfile::tempdir().unwrap();
    let schema = "message m { \
        required int32 tiny (INTEGER(8,true)); required int32 small (INT_16); \
        required int32 bits (INTEGER(8,false)); required int32 wide (UINT_16); \
        required binary mood (ENUM); required binary doc (JSON); \
        required fixed_len_byte_array(16) id (UUID); \
        required fixed_len_byte_array(2) half (FLOAT16); }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let file = File::create(folder.path().join("t.parquet")).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let texts = |all: [&str; 3]| all.map(|text| ByteArray::from(text.as_bytes().to_vec()));
    let fixed = |all: [Vec<u8>; 3]| all.map(|b| FixedLenByteArray::from(ByteArray::from(b)));
    let mut at = 0;
    while let Some(mut column) = group.next_column().unwrap() {
        // Values that the annotation has no room for are values of the file all the same.
        let numbers = [
            &[1, 300, -200],
            &[7, 70_000, -9],
            &[250, 256, -1],
            &[1, -1, 65_536],
        ];
        match at {
            0..=3 => {
                let typed = column.typed::<Int32Type>();
                typed.write_batch(numbers[at], None, None).unwrap();
            }
            4 | 5 => {
                let values = [["sad", "ok", "sad"], ["{}", "[1]", "{}"]][at - 4];
                let typed = column.typed::<ByteArrayType>();
                typed.write_batch(&texts(values), None, None).unwrap();
            }
            _ => {
                let wide = [vec![1; 16], vec![2; 16], vec![1; 16]];
                let half = [vec![0, 60], vec![0, 62], vec![0, 192]];
                let values = [fixed(wide), fixed(half)][at - 6].clone();
                let typed = column.typed::<FixedLenByteArrayType>();
                typed.write_batch(&values, None, None).unwrap();
            }
        }
        column.close().unwrap();
        at += 1;
    }
    group.close().unwrap();
    writer.close().unwrap();
    let dataset = ingested(single(files(folder.path(), FormatKind::Parquet)));
    assert_as_in_place(&stored, &dataset);
    let seen = "SELECT sum(tiny) || ' ' || sum(bits) || ' ' || string_agg(DISTINCT mood, ',') \
                FROM assay_data.t";
    assert_eq!(stored.sql(seen), "101 4294967801 ok,sad");
}

#[test]
fn a_table_that_is_replaced_whole_may_change_its_types() {
    let stored = Stored::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    put(&path, vec![("v", Arc::new(Int32Array::from(vec![1, 2])))]);
    let dataset = ingested(single(files(folder.path(), FormatKind::Parquet)));
    stored.take(&dataset);
    put(
        &path,
        vec![("v", Arc::new(StringArray::from(vec!["a", "b", "c"])))],
    );
    stored.take(&dataset);
    assert_eq!(
        stored.sql("SELECT string_agg(v, '' ORDER BY v) FROM assay_data.t"),
        "abc"
    );
}

#[test]
fn a_source_that_is_read_again_is_read_though_it_shows_nothing_new() {
    let stored = Stored::new();
    let folder = tempfile::tempdir().unwrap();
    numbers(folder.path(), "day=2024-01-01.parquet", &[1, 2]);
    let path = folder.path().join("day=2024-01-01.parquet");
    let then = std::fs::metadata(&path).unwrap().modified().unwrap();
    let dataset = daily(folder.path());
    stored.take(&dataset);
    // Others of the same size, with the time of the first.
    numbers(folder.path(), "day=2024-01-01.parquet", &[7, 8]);
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(then)
        .unwrap();
    let unseen = list(&dataset, &stored.context).unwrap();
    let rescan = Selection {
        rescan: true,
        ..Selection::default()
    };
    let at = "2030-01-01T00:00:00Z".parse().unwrap();
    let plan = discover(&dataset, &[], &rescan, at, &stored.context).unwrap();
    assert_eq!(plan.evaluations[0].version, unseen.evaluations[0].version);
    assert_ne!(plan.evaluations[0].copies, unseen.evaluations[0].copies);
    assert_eq!(
        plan.evaluations[0].copies,
        [cut(&dataset, &plan.measures[0])]
    );
    stored.ingest(&dataset, &plan);
    stored.publish(&dataset, &plan).unwrap();
    assert_eq!(stored.sql("SELECT sum(v) FROM assay_data.t"), "15");
    assert_eq!(stored.tables(), "1");
}

#[test]
fn an_evaluation_that_comes_late_leaves_what_another_run_is_at_work_on() {
    let stored = Stored::new();
    let folder = tempfile::tempdir().unwrap();
    numbers(folder.path(), "day=2024-01-01.parquet", &[1, 2]);
    let dataset = daily(folder.path());
    let first = list(&dataset, &stored.context).unwrap();
    stored.ingest(&dataset, &first);
    numbers(folder.path(), "day=2024-01-01.parquet", &[3, 4, 5]);
    let second = list(&dataset, &stored.context).unwrap();
    stored.ingest(&dataset, &second);
    // Twice: a repeat drops nothing, either.
    for _ in 0..2 {
        stored.publish(&dataset, &first).unwrap();
        assert_eq!(stored.tables(), "2");
    }
    stored.publish(&dataset, &second).unwrap();
    assert_eq!(stored.sql("SELECT sum(v) FROM assay_data.t"), "12");
    assert_eq!(stored.tables(), "1");
}

#[test]
fn what_is_gone_or_left_behind_goes_with_the_next_publication() {
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
    stored.take(&dataset);
    // A batch of a version that never came, and a row without a table, both of long ago.
    numbers(folder.path(), "day=2024-01-03.parquet", &[3, 3]);
    let lost = list(&dataset, &stored.context).unwrap();
    stored
        .storage
        .ingest(&dataset, &lost.measures[2], &stored.context)
        .unwrap();
    numbers(folder.path(), "day=2024-01-03.parquet", &[3, 3, 3]);
    let lost = list(&dataset, &stored.context).unwrap();
    stored
        .storage
        .ingest(&dataset, &lost.measures[2], &stored.context)
        .unwrap();
    stored.sql("UPDATE assay_ingest.batch SET written_at = now() - interval '8 days'");
    let last = stored.sql("SELECT max(id) FROM assay_ingest.batch");
    stored.sql(&format!("DROP TABLE assay_ingest.\"b{last}\""));
    assert_eq!(stored.tables(), "4");
    let of = &plan.evaluations[0];
    let publication = Publication {
        dataset: dataset.id.clone(),
        partition: of.partition.clone(),
        version: of.version.clone(),
        cuts: of.copies.clone(),
        retention_days: None,
        gone: vec![
            PartitionKey("2024-01-02".to_owned()),
            of.partition.key.clone(),
        ],
        now: now(),
    };
    let published = stored
        .storage
        .publish(&publication, &stored.context)
        .unwrap();
    assert_eq!(published.dropped, 1);
    let days = "SELECT string_agg(_assay_partition, ' ' ORDER BY 1) FROM assay_data.t";
    assert_eq!(stored.sql(days), "2024-01-01 2024-01-03");
    assert_eq!(stored.sql("SELECT count(*) FROM assay_ingest.batch"), "2");
    assert_eq!(stored.tables(), "2");
}

#[test]
fn a_reader_of_the_table_keeps_old_partitions_and_no_new_one() {
    let stored = Stored::new();
    let folder = tempfile::tempdir().unwrap();
    numbers(folder.path(), "day=2023-11-30.parquet", &[1]);
    let mut dataset = daily(folder.path());
    stored.take(&dataset);
    numbers(folder.path(), "day=2023-12-31.parquet", &[2]);
    dataset.storage.retention_days = Some(10);
    let seen = "SELECT string_agg(_assay_partition, ' ' ORDER BY 1) FROM assay_data.t";
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            stored.sql("SELECT count(*), pg_sleep(60) FROM assay_data.t UNION ALL SELECT 0, NULL")
        });
        let holds = "SELECT count(*) FROM pg_locks WHERE relation = 'assay_data.t'::regclass \
                     AND granted AND pid <> pg_backend_pid()";
        let begun = Instant::now();
        while stored.sql(holds) == "0" {
            assert!(begun.elapsed() < Duration::from_secs(60), "no reader came");
            std::thread::sleep(Duration::from_millis(20));
        }
        // The new day comes beside the reader; the old one stays for it.
        let plan = list(&dataset, &stored.context).unwrap();
        stored.ingest(&dataset, &plan);
        let new = plan
            .evaluations
            .iter()
            .find(|e| e.partition.key.0 == "2023-12-31")
            .unwrap();
        let publication = Publication {
            dataset: dataset.id.clone(),
            partition: new.partition.clone(),
            version: new.version.clone(),
            cuts: new.copies.clone(),
            retention_days: Some(10),
            gone: Vec::new(),
            now: now(),
        };
        let published = stored
            .storage
            .publish(&publication, &stored.context)
            .unwrap();
        assert_eq!((published.rows, published.dropped), (1, 0));
        assert_eq!(stored.sql(seen), "2023-11-30 2023-12-31");
        stored.sql(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity \
             WHERE query LIKE 'SELECT count(*), pg_sleep%' AND datname = current_database()",
        );
        // The reader was stopped.
        assert!(reader.join().is_err());
        let published = stored
            .storage
            .publish(&publication, &stored.context)
            .unwrap();
        assert_eq!(published.dropped, 1);
    });
    assert_eq!(stored.sql(seen), "2023-12-31");
}

#[test]
fn a_row_that_could_not_be_read_back_is_not_written() {
    let stored = Stored::new();
    let folder = tempfile::tempdir().unwrap();
    let long = "x".repeat(17 << 20);
    put(
        &folder.path().join("t.parquet"),
        vec![("w", Arc::new(StringArray::from(vec!["a", long.as_str()])))],
    );
    let dataset = ingested(single(files(folder.path(), FormatKind::Parquet)));
    let plan = list(&dataset, &stored.context).unwrap();
    let small = ScanContext {
        memory_bytes: 4 << 20,
        ..stored.context.clone()
    };
    let error = stored
        .storage
        .ingest(&dataset, &plan.measures[0], &small)
        .unwrap_err();
    assert_eq!(error.class(), ErrorClass::Permanent);
    assert!(error.to_string().contains("row 2"), "{error}");
    assert_eq!(stored.tables(), "0");
    let large = ScanContext {
        memory_bytes: 256 << 20,
        ..stored.context.clone()
    };
    let states = stored
        .storage
        .ingest(&dataset, &plan.measures[0], &large)
        .unwrap();
    assert_eq!(states.values().map(|state| state.rows).sum::<u64>(), 2);
}

#[test]
fn a_batch_that_readers_see_is_not_dropped_for_what_is_written_down_of_it() {
    let stored = Stored::new();
    let folder = tempfile::tempdir().unwrap();
    numbers(folder.path(), "day=2024-01-01.parquet", &[1, 2]);
    let dataset = daily(folder.path());
    stored.take(&dataset);
    stored.sql("UPDATE assay_ingest.batch SET told = '{}'");
    let plan = list(&dataset, &stored.context).unwrap();
    stored.ingest(&dataset, &plan);
    assert_eq!(stored.sql("SELECT sum(v) FROM assay_data.t"), "3");
    assert_eq!(stored.tables(), "2");
    stored.publish(&dataset, &plan).unwrap();
    assert_eq!(stored.sql("SELECT sum(v) FROM assay_data.t"), "3");
    assert_eq!(stored.tables(), "1");
}

#[test]
fn bookkeeping_of_an_earlier_version_is_brought_to_this_one_and_of_a_later_one_refused() {
    let stored = Stored::new();
    let folder = tempfile::tempdir().unwrap();
    numbers(folder.path(), "day=2024-01-01.parquet", &[1, 2]);
    let dataset = daily(folder.path());
    stored.take(&dataset);
    stored
        .sql("DROP TABLE assay_ingest.about; ALTER TABLE assay_ingest.partition DROP COLUMN as_of");
    numbers(folder.path(), "day=2024-01-01.parquet", &[3, 4, 5]);
    stored.take(&dataset);
    assert_eq!(stored.sql("SELECT sum(v) FROM assay_data.t"), "12");
    stored.sql("UPDATE assay_ingest.about SET version = 99");
    let plan = list(&dataset, &stored.context).unwrap();
    let error = stored.publish(&dataset, &plan).unwrap_err();
    assert!(error.to_string().contains("version 99"), "{error}");
    assert_eq!(error.class(), ErrorClass::Permanent);
}

#[test]
fn a_writer_that_has_stopped_keeps_no_other_from_writing() {
    let stored = Stored::new();
    let folder = tempfile::tempdir().unwrap();
    numbers(folder.path(), "day=2024-01-01.parquet", &[1, 2]);
    let dataset = daily(folder.path());
    stored.take(&dataset);
    let plan = list(&dataset, &stored.context).unwrap();
    let spec = &plan.measures[0];
    let name = cut(&dataset, spec);
    stored.sql("DROP TABLE assay_data.t");
    std::thread::scope(|scope| {
        let key = format!("(\"t\", \"2024-01-01\", \"{name}\")");
        let stored = &stored;
        let holder = scope.spawn(move || {
            stored.sql(&format!(
                "BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('{key}', 7)); \
                 SELECT pg_sleep(600)"
            ))
        });
        let holds = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted";
        let begun = Instant::now();
        while stored.sql(holds) == "0" {
            assert!(begun.elapsed() < Duration::from_secs(60), "nobody holds it");
            std::thread::sleep(Duration::from_millis(20));
        }
        let states = stored
            .storage
            .ingest(&dataset, spec, &stored.context)
            .unwrap();
        assert_eq!(states.values().map(|state| state.rows).sum::<u64>(), 2);
        assert_ne!(stored.sql(holds), "0", "it was given up");
        stored.sql(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity \
             WHERE query LIKE '%pg_sleep(600)' AND datname = current_database()",
        );
        assert!(holder.join().is_err());
    });
    stored.publish(&dataset, &plan).unwrap();
    assert_eq!(stored.sql("SELECT sum(v) FROM assay_data.t"), "3");
}

#[test]
fn copies_of_another_store_are_not_replaced_by_those_of_a_dataset_of_the_same_name() {
    let stored = Stored::new();
    let folder = tempfile::tempdir().unwrap();
    numbers(folder.path(), "day=2024-01-01.parquet", &[1, 2]);
    let dataset = daily(folder.path());
    stored.take(&dataset);
    let others = Stored::beside(&stored, "another store");
    let elsewhere = tempfile::tempdir().unwrap();
    numbers(elsewhere.path(), "day=2024-01-01.parquet", &[7, 8, 9]);
    let theirs = daily(elsewhere.path());
    let plan = list(&theirs, &others.context).unwrap();
    let refused = others
        .storage
        .ingest(&theirs, &plan.measures[0], &others.context);
    let refused = refused.unwrap_err();
    assert_eq!(refused.class(), ErrorClass::Permanent);
    let told = refused.to_string();
    for word in [
        "the tests",
        "another store",
        "UPDATE assay_ingest.owner",
        "another id",
    ] {
        assert!(told.contains(word), "{told}");
    }
    assert!(others.publish(&theirs, &plan).is_err());
    let key = PartitionKey("2024-01-01".to_owned());
    let removed = others
        .storage
        .remove(&theirs.id, &key, now(), &others.context);
    assert!(removed.is_err());
    let table = format!("SELECT count(*) FROM assay_data.{:?}", dataset.id.as_str());
    assert_eq!(stored.sql(&table), "2");
    // Handed over as it is told, they are the other's.
    let sql = told
        .split("UPDATE")
        .nth(1)
        .unwrap()
        .split(';')
        .next()
        .unwrap();
    stored.sql(&format!("UPDATE{sql}"));
    others.take(&theirs);
    assert_eq!(stored.sql(&table), "3");
    assert!(
        stored
            .publish(&dataset, &list(&dataset, &stored.context).unwrap())
            .is_err()
    );
}

#[test]
fn more_columns_than_a_table_has_are_refused_by_the_first_that_has_no_room() {
    let stored = Stored::new();
    for (columns, fits) in [(1598, true), (1599, false)] {
        let folder = tempfile::tempdir().unwrap();
        let names: Vec<String> = (1..=columns).map(|n| format!("c{n}")).collect();
        let text = format!("{}\n{}\n", names.join(","), vec!["1"; columns].join(","));
        std::fs::write(folder.path().join("wide.csv"), text).unwrap();
        let mut dataset = ingested(single(files(folder.path(), FormatKind::Csv)));
        dataset.id = assay_model::ids::DatasetId::new(format!("wide{columns}")).unwrap();
        let plan = list(&dataset, &stored.context).unwrap();
        let taken = stored
            .storage
            .ingest(&dataset, &plan.measures[0], &stored.context);
        match taken {
            Ok(_) => assert!(fits, "{columns}"),
            Err(error) => {
                let told = error.to_string();
                assert!(
                    !fits && told.contains("c1599") && told.contains("in-place"),
                    "{told}"
                );
            }
        }
    }
}
