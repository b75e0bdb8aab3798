//! Datasets that are ingested, as an owner meets them: the verdicts of the same rows wherever they
//! lie, readers that see whole versions whatever is killed, and what is said where nothing can be
//! stored.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use assay_test_servers::ministack;
use assay_test_servers::postgres::{self, Postgres};
use assay_test_servers::s3::TestBucket;
use common::{Place, Said, shared};
use serde_json::Value;

const CHECKS: &str = "schema:
  - name: flights
    properties:
      - name: dep_delay
        quality:
          - { id: late, type: custom, engine: assay, implementation: { metric: sum, mustBe: 1 } }
          - { id: on-average, type: custom, engine: assay, implementation: { metric: mean, mustBe: 1 } }
          - { id: spread, type: custom, engine: assay, implementation: { metric: stddev, mustBe: 1 } }
      - name: arr_delay
        quality:
          - { id: unknown, metric: nullValues, mustBe: 0 }
          - { id: longest, type: custom, engine: assay, implementation: { metric: max, mustBe: 1 } }
      - name: tailnum
        quality:
          - { id: planes, type: custom, engine: assay, implementation: { metric: distinctCount, mustBe: 1 } }
          - { id: again, metric: duplicateValues, mustBe: 1 }
      - name: carrier
        quality:
          - { id: shapes, metric: invalidValues, arguments: { pattern: '^[A-V]' }, mustBe: 0 }
    quality:
      - { id: rows, metric: rowCount, mustBeGreaterThan: 2000 }
";

fn document(server: &str, storage: &str) -> String {
    format!(
        "apiVersion: v3.1.0\nkind: DataContract\nid: flights\nversion: 1.0.0\nstatus: active\n\
         servers:\n  - server: here\n{server}{CHECKS}customProperties:\n\
         \x20 - {{ property: assayPartitions, value: {{ layout: single, sealing: immediately }} }}\n\
         \x20 - {{ property: assayLimits, value: {{ learned: false }} }}\n{storage}"
    )
}

const INGEST: &str = "  - { property: assayStorage, value: { mode: ingest } }\n";

/// Runs the program; copies go to the database of `url`.
fn assay(place: &Place, args: &[&str], url: &str) -> Said {
    let mut command = place.command(args);
    command.envs(ministack::shared().environment());
    command.env("LAKE_KEY", "canary-id:canary-secret");
    command.env("PG_LOGIN", "postgres:canary-word");
    command.env("COPIES", url);
    command.env("ASSAY_INGEST__URL", "env:COPIES");
    let said = Said::of(&command.output().unwrap());
    assert!(!said.all().contains("canary"), "{}", said.all());
    said
}

/// The verdicts of a definition, with storage of its own; and the address of that.
fn verdicts(place: &Place, text: &str) -> ((Value, Value), String) {
    let url = postgres::shared().create_database();
    place.write("d.yaml", text);
    let data = tempfile::tempdir().unwrap();
    let data = data.path().to_str().unwrap();
    let args = ["check", "d.yaml", "--data-dir", data, "-o", "json"];
    let said = assay(place, &args, &url);
    let json = said.json();
    let items = json["items"].as_array().unwrap();
    // Bytes are those of where the rows lie.
    let mut summary = json["summary"].clone();
    summary["bytes"] = Value::Null;
    assert!(items.len() >= 4, "{}", said.all());
    ((json["items"].clone(), summary), url)
}

#[test]
fn the_same_rows_give_the_same_verdicts_in_files_in_a_bucket_in_a_table_and_ingested_from_each() {
    let place = Place::new();
    let server = postgres::shared();
    let from = shared().join("nycflights13/flights_parquet");
    for day in ["2013-01-01", "2013-01-02", "2013-02-08"] {
        let name = format!("date={day}.parquet");
        place.write(
            &format!("flights/{name}"),
            std::fs::read(from.join(&name)).unwrap(),
        );
    }
    let folder = place.path("flights");
    let bucket = TestBucket::create(ministack::shared().port(), "cli-ingest");
    bucket.put_folder(&folder, "in/");
    let path = folder.display();
    let files = format!("    type: local\n    path: {path}/*.parquet\n    format: parquet\n");
    let lake = "    type: s3\n    location: s3://cli-ingest/in/*.parquet\n    format: parquet\n    \
        customProperties:\n      - { property: credentialRef, value: 'env:LAKE_KEY' }\n";
    let (expected, _) = verdicts(&place, &document(&files, ""));
    let (stored, copies) = verdicts(&place, &document(&files, INGEST));
    assert_eq!(stored, expected, "ingested from files");
    assert_eq!(
        verdicts(&place, &document(lake, "")).0,
        expected,
        "in a bucket"
    );
    let (stored, _) = verdicts(&place, &document(lake, INGEST));
    assert_eq!(stored, expected, "ingested from a bucket");
    // The copy, without the columns that it has of its own, is a table like any other.
    let columns = server.sql(
        &copies,
        "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute \
         WHERE attrelid = 'assay_data.flights'::regclass AND attnum > 2",
    );
    let sql = format!("CREATE TABLE flights AS SELECT {columns} FROM assay_data.flights");
    server.sql(&copies, &sql);
    let database = copies
        .rsplit('/')
        .next()
        .unwrap()
        .split('?')
        .next()
        .unwrap();
    let table = format!(
        "    type: postgres\n    host: 127.0.0.1\n    port: {}\n    database: {database}\n    \
         schema: public\n    customProperties:\n      \
         - {{ property: credentialRef, value: 'env:PG_LOGIN' }}\n",
        server.port()
    );
    assert_eq!(
        verdicts(&place, &document(&table, "")).0,
        expected,
        "in a table"
    );
    let (stored, _) = verdicts(&place, &document(&table, INGEST));
    assert_eq!(stored, expected, "ingested from a table");
}

#[test]
fn the_same_months_of_taxi_rides_give_the_same_verdicts_ingested_from_files_and_from_a_bucket() {
    let place = Place::new();
    let folder = shared().join("taxi_yellow_samples");
    let bucket = TestBucket::create(ministack::shared().port(), "cli-ingest-taxi");
    bucket.put_folder(&folder, "in/");
    let url = postgres::shared().create_database();
    let mut expected = None;
    for (source, credential) in [
        (folder.display().to_string(), &[][..]),
        (
            "s3://cli-ingest-taxi/in/".to_owned(),
            &["--credential", "env:LAKE_KEY"][..],
        ),
    ] {
        let init = [
            "dataset",
            "init",
            &source,
            "--id",
            "taxi",
            "-f",
            "taxi.yaml",
            "--force",
        ];
        assay(&place, &[&init, credential].concat(), &url).ended(0);
        let text = std::fs::read_to_string(place.path("taxi.yaml")).unwrap();
        let head = "\ncustomProperties:\n";
        assert!(text.contains(head), "{text}");
        let ingested = text.replace(head, &format!("{head}{INGEST}"));
        let (in_place, _) = verdicts(&place, &text);
        let expected = expected.get_or_insert(in_place.clone());
        assert_eq!(&in_place, expected, "{source}");
        let (stored, copies) = verdicts(&place, &ingested);
        assert_eq!(&stored, expected, "ingested from {source}");
        let months = "SELECT count(DISTINCT _assay_partition) FROM assay_data.taxi";
        assert_eq!(postgres::shared().sql(&copies, months).trim(), "2");
    }
}

/// Loads rides into the table `taxi`; its columns, with the types that both know.
fn rides(url: &str, file: &std::path::Path) -> Vec<(String, &'static str)> {
    let text = std::fs::read_to_string(file).unwrap();
    let header = text.lines().next().unwrap();
    let of = |name: &str| match name {
        name if name.ends_with("_datetime") => ("timestamp", "timestamp"),
        name if name.ends_with("_amount") => ("number", "float8"),
        _ => ("integer", "int8"),
    };
    let names: Vec<String> = header.split(',').map(str::to_owned).collect();
    let columns: Vec<String> = names
        .iter()
        .map(|name| format!("\"{name}\" {}", of(name).1))
        .collect();
    let server = postgres::shared();
    server.sql(url, &format!("CREATE TABLE taxi ({})", columns.join(", ")));
    let path = file.display();
    let copy = format!("\\copy taxi FROM '{path}' (FORMAT csv, HEADER)");
    server.sql(url, &copy);
    names
        .into_iter()
        .map(|name| (name.clone(), of(&name).0))
        .collect()
}

/// A definition of rides at a server, which asks all that is exact of every column.
fn document_of(columns: &[(String, &'static str)], server: &str, storage: &str) -> String {
    let mut text = format!(
        "apiVersion: v3.1.0\nkind: DataContract\nid: taxi\nversion: 1.0.0\nstatus: active\n\
         servers:\n  - server: here\n{server}schema:\n  - name: taxi\n    properties:\n"
    );
    for (at, (name, of)) in columns.iter().enumerate() {
        let mut metrics = vec!["nullCount", "distinctCount", "duplicateCount"];
        if *of != "timestamp" {
            metrics.extend(["min", "max", "sum", "mean", "stddev"]);
        }
        let _ = writeln!(
            text,
            "      - name: {name}\n        logicalType: {of}\n        quality:"
        );
        for metric in metrics {
            let _ = writeln!(
                text,
                "          - {{ id: {metric}-{at}, type: custom, engine: assay, implementation: {{ metric: {metric}, mustBe: 1 }} }}"
            );
        }
    }
    let _ = write!(
        text,
        "    quality:\n      - {{ id: rows, metric: rowCount, mustBeGreaterThan: 1000 }}\ncustomProperties:\n\
         \x20 - {{ property: assayPartitions, value: {{ layout: single, sealing: immediately }} }}\n\
         \x20 - {{ property: assayProfile, value: {{ columns: none }} }}\n\
         \x20 - {{ property: assayLimits, value: {{ learned: false }} }}\n{storage}"
    );
    text
}

#[test]
fn a_month_of_taxi_rides_gives_the_same_verdicts_wherever_it_lies() {
    let place = Place::new();
    let name = "yellow_tripdata_sample_2019-01.csv";
    let from = std::fs::read(shared().join("taxi_yellow_samples").join(name)).unwrap();
    place.write("rides/january.csv", from);
    let folder = place.path("rides");
    let bucket = TestBucket::create(ministack::shared().port(), "cli-ingest-month");
    bucket.put_folder(&folder, "in/");
    let url = postgres::shared().create_database();
    // Numbers and times by their types: a table has no column that is read as it comes.
    let database = url.rsplit('/').next().unwrap().split('?').next().unwrap();
    let columns = rides(&url, &folder.join("january.csv"));
    let files = format!(
        "    type: local\n    path: {}/*.csv\n    format: csv\n",
        folder.display()
    );
    let lake = "    type: s3\n    location: s3://cli-ingest-month/in/*.csv\n    format: csv\n    \
        customProperties:\n      - { property: credentialRef, value: 'env:LAKE_KEY' }\n";
    let table = format!(
        "    type: postgres\n    host: 127.0.0.1\n    port: {}\n    database: {database}\n    \
         schema: public\n    customProperties:\n      \
         - {{ property: credentialRef, value: 'env:PG_LOGIN' }}\n",
        postgres::shared().port()
    );
    let mut expected = None;
    for (server, storage) in [
        (files.as_str(), ""),
        (&files, INGEST),
        (lake, ""),
        (lake, INGEST),
        (&table, ""),
        (&table, INGEST),
    ] {
        let ((items, _), _) = verdicts(&place, &document_of(&columns, server, storage));
        let mut found = items.as_array().unwrap().clone();
        // What the types of columns are called differs.
        found.retain(|item| item["origin"] == "declared");
        assert!(
            found.iter().all(|item| item["outcome"] != "error"),
            "{found:#?}"
        );
        let expected = expected.get_or_insert_with(|| found.clone());
        assert_eq!(&found, expected, "{server}{storage}");
    }
}

#[test]
fn a_dataset_that_is_ingested_without_a_place_for_it_is_told_what_to_do() {
    let place = Place::new();
    place.write("in/a.csv", "id\n1\n");
    let files = format!(
        "    type: local\n    path: {}/in/*.csv\n    format: csv\n",
        place.path("").display()
    );
    let text = document(&files, INGEST);
    let text = format!("{}{}", text.split("schema:").next().unwrap(), {
        let (_, custom) = text.split_once("customProperties:").unwrap();
        format!(
            "schema:\n  - name: flights\n    quality:\n      - {{ id: rows, metric: rowCount, mustBeGreaterThan: 0 }}\ncustomProperties:{custom}"
        )
    });
    place.write("d.yaml", &text);
    place.assay(&["check", "d.yaml"]).ended(4).kind(&[
        "mode: ingest",
        "ASSAY_INGEST__URL",
        "mode: in-place",
    ]);
    let mut command = place.command(&["check", "d.yaml"]);
    command.env("ASSAY_INGEST__URL", "postgres://u:canary@h/d");
    let said = Said::of(&command.output().unwrap()).kind(&["holds no password", "env:NAME"]);
    assert!(!said.all().contains("canary"), "{}", said.all());
    // One row too much for its column in the copy is an error of the partition that names it.
    place.write("in/a.csv", b"id\n1\n\0\n");
    let url = postgres::shared().create_database();
    assay(&place, &["check", "d.yaml"], &url)
        .ended(4)
        .kind(&["row 2", "\"id\"", "NUL", "in-place"]);
}

#[test]
fn a_check_that_keeps_nothing_stores_no_copy_and_needs_no_place_for_one() {
    let place = Place::new();
    place.write(
        "in/a.csv",
        "dep_delay,arr_delay,tailnum,carrier\n1,2,N1,AA\n",
    );
    let files = format!(
        "    type: local\n    path: {}/in/*.csv\n    format: csv\n",
        place.path("").display()
    );
    place.write("d.yaml", document(&files, INGEST));
    let args = ["check", "d.yaml", "--ephemeral", "-o", "json"];
    let url = postgres::shared().create_database();
    let said = assay(&place, &args, &url).json();
    let without = place.assay(&args).json();
    assert_eq!(said["items"], without["items"]);
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'assay%'";
    assert_eq!(postgres::shared().sql(&url, schemas).trim(), "0");
}

const DAYS: u32 = 4;
const KILLS: u32 = 20;

/// Rows of a version of a day.
fn rows(day: u32, version: u32) -> u32 {
    3000 + 100 * version + day
}

fn put(place: &Place, day: u32, version: u32) {
    let mut text = String::from("version,n,padding\n");
    for n in 0..rows(day, version) {
        let _ = writeln!(text, "{version},{n},{n:060}");
    }
    // Nobody may list a file that is half written.
    let written = place.write("in/next", text);
    let day = place.path(&format!("in/day=2024-01-0{day}.csv"));
    std::fs::rename(written, day).unwrap();
}

/// What readers see: of each day the least and the greatest version, rows, and different rows.
fn seen(server: &Postgres, url: &str) -> BTreeMap<u32, [u32; 4]> {
    let told = server.sql(
        url,
        "SELECT right(_assay_partition, 1), min(version::int), max(version::int), count(*), \
         count(DISTINCT n) FROM assay_data.orders GROUP BY 1",
    );
    let day = |line: &str| {
        let numbers: Vec<u32> = line.split('|').map(|n| n.parse().unwrap()).collect();
        (numbers[0], [numbers[1], numbers[2], numbers[3], numbers[4]])
    };
    told.lines().map(day).collect()
}

fn assert_whole(seen: &BTreeMap<u32, [u32; 4]>) {
    for (day, [least, most, count, different]) in seen {
        assert_eq!(least, most, "two versions of day {day}: {seen:?}");
        assert_eq!(*count, rows(*day, *least), "a part of day {day}: {seen:?}");
        assert_eq!(count, different, "rows of day {day} twice: {seen:?}");
    }
}

/// Ends the reader however the test ends.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Numbers that look random and are the same in every run.
fn random(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

#[test]
fn killed_at_twenty_moments_an_ingest_leaves_nothing_twice_nothing_out_and_nothing_half() {
    let place = Place::new();
    let server = postgres::shared();
    let url = server.create_database();
    let mut versions = BTreeMap::new();
    for day in 1..=DAYS {
        put(&place, day, 0);
        versions.insert(day, 0);
    }
    place.write("orders.yaml", format!(
        "apiVersion: v3.1.0\nkind: DataContract\nid: orders\nversion: 1.0.0\nstatus: active\n\
         servers:\n  - {{ server: here, type: local, path: {}/in, format: csv }}\n\
         schema:\n  - name: orders\n    quality:\n      - {{ id: rows, metric: rowCount, mustBeGreaterThan: 0 }}\n\
         customProperties:\n\
         \x20 - {{ property: assayPartitions, value: {{ template: 'day={{day}}.csv', sealing: immediately }} }}\n\
         \x20 - {{ property: assayScan, value: {{ targetBytes: 65536 }} }}\n\
         \x20 - {{ property: assayLimits, value: {{ learned: false }} }}\n{INGEST}",
        place.path("").display()
    ));
    let begun = Instant::now();
    let args = &["check", "orders.yaml"][..];
    assay(&place, args, &url).ended(0);
    let whole = begun.elapsed();
    let first = seen(server, &url);
    assert_eq!(first.len(), DAYS as usize);
    assert_whole(&first);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _over = Over(&over);
        let reader = scope.spawn(|| {
            let mut looks = 0;
            while !over.load(Ordering::Relaxed) {
                let seen = seen(server, &url);
                assert_eq!(seen.len(), DAYS as usize, "{seen:?}");
                assert_whole(&seen);
                looks += 1;
            }
            looks
        });
        let mut state = 11;
        for version in 1..=KILLS {
            for day in (1..=DAYS).filter(|day| (day + version) % 2 == 0) {
                put(&place, day, version);
                versions.insert(day, version);
            }
            let mut command = place.command(args);
            command
                .env("ASSAY_INGEST__URL", "env:COPIES")
                .env("COPIES", &url);
            let mut child = command
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let after = random(&mut state) % (whole.as_millis() as u64 + 1);
            std::thread::sleep(Duration::from_millis(after));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        // What was cut off is ended first; what it had listed may be replaced since, and is told so.
        assay(&place, args, &url);
        assay(&place, args, &url).ended(0);
        over.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 5);
    });
    let last = seen(server, &url);
    assert_whole(&last);
    let least: BTreeMap<u32, u32> = last.iter().map(|(day, seen)| (*day, seen[0])).collect();
    assert_eq!(least, versions);
    // What was cut off has left no table, and no row that tells of one.
    let tables = server.sql(
        &url,
        "SELECT (SELECT count(*) FROM pg_class WHERE relnamespace = 'assay_ingest'::regnamespace \
         AND relname ~ '^b[0-9]+$'), (SELECT count(*) FROM assay_ingest.batch), \
         (SELECT count(*) FROM pg_inherits WHERE inhparent = 'assay_data.orders'::regclass)",
    );
    let counts: Vec<&str> = tables.trim().split('|').collect();
    assert!(counts[0] == counts[1] && counts[1] == counts[2], "{tables}");
}
