//! Data in a table of MariaDB, as an owner meets it: a first definition, verdicts in place and of a
//! copy, queries, what the doctor finds, and a password that is nowhere to be found afterwards.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;

use assay_test_servers::mariadb::MariaDb;
use assay_test_servers::postgres;
use common::{Place, Said};
use serde_json::Value;

/// The passwords: the right one, and one that is refused.
const MARKS: [&str; 2] = ["canary-3b9e-right", "canary-3b9e-wrong"];

/// A server that asks for the password of `reader`, with the table `orders`.
struct Shop {
    server: MariaDb,
    database: String,
}

impl Shop {
    fn open() -> Self {
        let server = MariaDb::start(&[]);
        let database = server.create_database();
        let this = Self { server, database };
        this.sql(&format!(
            "CREATE TABLE orders (id int PRIMARY KEY, created date NOT NULL, price decimal(10,2), \
               note varchar(20)); CREATE TABLE hidden (id int); \
             INSERT INTO orders SELECT seq, '2024-01-01' + INTERVAL seq % 3 DAY, seq / 4, \
               IF(seq % 50 = 0, NULL, CONCAT('n', seq)) FROM seq_1_to_600; \
             CREATE USER reader IDENTIFIED BY '{}'; GRANT SELECT ON {}.orders TO reader",
            MARKS[0], this.database
        ));
        this
    }

    fn sql(&self, statements: &str) -> String {
        self.server.sql(&self.database, statements)
    }

    fn address(&self, table: &str) -> String {
        let (port, database) = (self.server.port(), &self.database);
        format!("mysql://127.0.0.1:{port}/{database}/{table}")
    }
}

/// Runs the program, which must show no password, whatever it says.
fn assay(place: &Place, args: &[&str], copies: &str) -> Said {
    let mut command = place.command(args);
    for (name, mark) in ["SHOP_LOGIN", "SHOP_WRONG"].iter().zip(MARKS) {
        command.env(name, format!("reader:{mark}"));
    }
    if !copies.is_empty() {
        command.env("COPIES", copies);
        command.env("ASSAY_INGEST__URL", "env:COPIES");
    }
    let said = Said::of(&command.output().unwrap());
    assert!(!said.all().contains("canary"), "{}", said.all());
    said
}

fn init(place: &Place, shop: &Shop, table: &str, credential: &str, file: &str) -> Said {
    let address = shop.address(table);
    let args = [
        "dataset",
        "init",
        &address,
        "--credential",
        credential,
        "-f",
        file,
    ];
    assay(place, &args, "")
}

/// Files below a folder that hold one of the passwords, in whatever way they are written.
fn telling(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            telling(&path, found);
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let holds = |mark: &str| {
            bytes
                .windows(mark.len())
                .any(|part| part == mark.as_bytes())
        };
        if MARKS.iter().any(|mark| holds(mark)) {
            found.push(path.display().to_string());
        }
    }
}

#[test]
fn a_first_definition_is_of_days_and_the_doctor_looks_whether_the_table_may_be_read() {
    let (place, shop) = (Place::new(), Shop::open());
    assert_ne!(
        init(&place, &shop, "orders", "env:SHOP_WRONG", "wrong.yaml").code,
        0
    );
    place.write("assay.toml", "[registry]\ndir = \"registry\"\n");
    std::fs::create_dir(place.path("registry")).unwrap();
    let file = "registry/orders.yaml";
    init(&place, &shop, "orders", "env:SHOP_LOGIN", file).ended(0);
    let text = std::fs::read_to_string(place.path(file)).unwrap();
    for part in ["type: mysql", "column: created", "value: checksum"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let good = assay(&place, &["doctor"], "");
    assert!(good.all().contains("1 of 1 are there"), "{}", good.all());
    for (from, to, told) in [
        ("env:SHOP_LOGIN", "env:SHOP_WRONG", "1045"),
        ("env:SHOP_LOGIN", "env:SHOP_UNSET", "SHOP_UNSET is not set"),
        ("name: orders", "name: nowhere", "there is no table"),
        ("name: orders", "name: hidden", "the user may not see it"),
    ] {
        place.write(file, text.replace(from, to));
        let said = assay(&place, &["doctor"], "");
        assert!(said.all().contains(told), "{to}: {}", said.all());
    }
}

const CHECKS: &str = "schema:
  - name: orders
    properties:
      - name: price
        quality:
          - { id: turnover, type: custom, engine: assay, implementation: { metric: sum, mustBe: 45075.00 } }
          - { id: even, type: custom, engine: assay, implementation: { metric: sum, column: price, filter: 'id % 2 = 0', mustBe: 22575.00 } }
      - name: note
        quality:
          - { id: noted, metric: nullValues, mustBe: 12 }
          - { id: words, metric: invalidValues, arguments: { pattern: '^n[0-9]+$' }, mustBe: 0 }
    quality:
      - { id: rows, metric: rowCount, mustBe: 600 }
      - { id: dear, type: sql, query: 'SELECT COUNT(*) FROM {object} WHERE price > 100', mustBe: 200 }
      - id: without
        type: custom
        engine: assay
        implementation: { metric: failedRows, query: 'SELECT id FROM {object} WHERE note IS NULL AND id < 60', mustBe: 1 }
";

fn verdicts(place: &Place, shop: &Shop, storage: &str, copies: &str) -> Value {
    let text = format!(
        "apiVersion: v3.1.0\nkind: DataContract\nid: orders\nversion: 1.0.0\nstatus: active\n\
         servers:\n  - server: here\n    type: mysql\n    host: 127.0.0.1\n    port: {}\n    \
         database: {}\n    customProperties:\n      \
         - {{ property: credentialRef, value: 'env:SHOP_LOGIN' }}\n{CHECKS}customProperties:\n\
         \x20 - {{ property: assayPartitions, value: {{ layout: single, sealing: immediately }} }}\n\
         \x20 - {{ property: assayLimits, value: {{ learned: false }} }}\n{storage}",
        shop.server.port(),
        shop.database
    );
    place.write("d.yaml", text);
    let mut args = vec!["check", "d.yaml", "-o", "json"];
    // A check that keeps nothing stores no copies, either.
    if storage.is_empty() {
        args.push("--ephemeral");
    }
    let said = assay(place, &args, copies);
    let json = said.json();
    assert!(
        json["items"].as_array().unwrap().len() >= 7,
        "{}",
        said.all()
    );
    said.ended(0);
    json["items"].clone()
}

#[test]
fn checks_filters_and_queries_pass_in_place_and_on_a_copy() {
    let (place, shop) = (Place::new(), Shop::open());
    let in_place = verdicts(&place, &shop, "", "");
    let copies = postgres::shared().create_database();
    let ingest = "  - { property: assayStorage, value: { mode: ingest } }\n";
    assert_eq!(verdicts(&place, &shop, ingest, &copies), in_place);
    let rows = "SELECT count(*) || ' ' || sum(price) FROM assay_data.orders";
    assert_eq!(postgres::shared().sql(&copies, rows), "600 45075.00");
}

#[test]
fn a_password_is_nowhere_after_runs_that_succeed_and_that_fail() {
    let (place, shop) = (Place::new(), Shop::open());
    let secrets = tempfile::tempdir().unwrap();
    let file = secrets.path().join("login");
    std::fs::write(&file, format!("reader:{}", MARKS[0])).unwrap();
    let by_file = format!("file:{}", file.display());
    for (credential, name) in [("env:SHOP_LOGIN", "a.yaml"), (&by_file, "b.yaml")] {
        init(&place, &shop, "orders", credential, name).ended(0);
        for output in ["text", "json"] {
            assay(&place, &["check", name, "-o", output], "").ended(0);
        }
    }
    let text = std::fs::read_to_string(place.path("a.yaml")).unwrap();
    for (name, text) in [
        ("c.yaml", text.replace("env:SHOP_LOGIN", "env:SHOP_WRONG")),
        ("d.yaml", text.replace("name: orders", "name: hidden")),
    ] {
        place.write(name, text);
        for output in ["text", "json"] {
            let said = assay(&place, &["check", name, "-o", output], "");
            assert_ne!(said.code, 0, "{}", said.all());
        }
    }
    // A secret in the place of its name is not repeated either.
    place.write("e.yaml", text.replace("env:SHOP_LOGIN", MARKS[0]));
    let said = assay(&place, &["dataset", "validate", "e.yaml"], "");
    assert_ne!(said.code, 0, "{}", said.all());
    std::fs::remove_file(place.path("e.yaml")).unwrap();
    let mut found = Vec::new();
    telling(&place.path("."), &mut found);
    assert!(found.is_empty(), "{found:?}");
    assert!(place.path(".assay/assay.sqlite").exists());
}
