//! SQL over tables of a real Postgres: the same answers as over files, from the rows that were
//! listed and from no others.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;

use assay_datanode::runner::child::ChildWork;
use assay_metrics::{AnswerValue, TableState};
use assay_model::check::{Bound, Check, CheckOrigin, Expectation, Severity};
use assay_model::dataset::{
    Cadence, Credential, Dataset, Format, FormatKind, Layout, Location, Source,
};
use assay_model::ids::CheckId;
use assay_model::metric::{Metric, MetricKey};
use assay_model::output::{Discovery, TaskOutput};
use assay_model::run::Selection;
use assay_model::source::{Database, DatabaseKind, VersionBy};
use assay_model::task::{AttemptOutcome, MeasureSpec, TaskFailure};
use assay_scan::ScanContext;
use assay_scan::discover::discover;
use assay_scan::reach::{Access, Secret};
use assay_test_servers::postgres;
use std::borrow::Cow;

struct Home {
    url: String,
    database: Database,
}

impl Home {
    fn new(statements: &str) -> Self {
        let server = postgres::shared();
        let url = server.create_database();
        let (_, place) = url.rsplit_once('@').unwrap();
        let (machine, database) = place.split_once('/').unwrap();
        let (host, port) = machine.rsplit_once(':').unwrap();
        let database = Database {
            kind: DatabaseKind::Postgres,
            host: host.to_owned(),
            port: port.parse().unwrap(),
            database: database.split('?').next().unwrap().to_owned(),
            schema: "public".to_owned(),
            table: "orders".to_owned(),
            version: VersionBy::Checksum,
        };
        let home = Self { url, database };
        home.sql(statements);
        home
    }

    fn sql(&self, statements: &str) -> String {
        postgres::shared().sql(&self.url, statements)
    }

    fn source(&self, table: &str) -> Source {
        Source {
            server: table.to_owned(),
            location: Location::Database(Database {
                table: table.to_owned(),
                ..self.database.clone()
            }),
            format: Format::of(FormatKind::Table),
            credential: Some(Credential::Env("ASSAY_SOURCE_T".to_owned())),
        }
    }

    fn dataset(&self, asked: &[MetricKey]) -> Dataset {
        let folder = std::path::Path::new("unused");
        let mut dataset = common::dataset(folder, FormatKind::Table, &[]);
        dataset.source = self.source("orders");
        dataset.others = vec![self.source("customers")];
        dataset.partitions.layout = Layout::Column {
            column: "day".to_owned(),
            granularity: Some(Cadence::Daily),
        };
        dataset.checks = asked.iter().cloned().map(check).collect();
        dataset
    }
}

fn check(metric: MetricKey) -> Check {
    Check {
        id: CheckId::new(metric.to_string()),
        metric,
        expect: Expectation::MustBe(Bound::from(0)),
        severity: Severity::Error,
        origin: CheckOrigin::Declared,
        dimension: None,
        description: None,
        line: None,
        tags: Vec::new(),
    }
}

fn context() -> ScanContext {
    let mut access = Access::default();
    let name = "env:ASSAY_SOURCE_T".to_owned();
    access.secrets.insert(name, Secret::new("postgres:unused"));
    ScanContext {
        reach: Some(assay_sources::reach(access)),
        ..ScanContext::new(64 << 20)
    }
}

fn list(dataset: &Dataset) -> Discovery {
    let now = "2030-01-01T00:00:00Z".parse().unwrap();
    discover(dataset, &[], &Selection::default(), now, &context()).unwrap()
}

fn answered(dataset: &Dataset, spec: &MeasureSpec) -> Result<TableState, TaskFailure> {
    let work = ChildWork::Measure {
        dataset: Cow::Borrowed(dataset),
        spec: Cow::Borrowed(spec),
    };
    match assay_query::serve::work(&work, &context())? {
        TaskOutput::Measured(measured) => Ok(TableState::decode(&measured[0].state).unwrap()),
        other => panic!("{other:?}"),
    }
}

/// The answers for each partition.
fn answers(dataset: &Dataset) -> BTreeMap<String, TableState> {
    let plan = list(dataset);
    let asking = plan.measures.iter().filter(|spec| spec.queries);
    asking
        .map(|spec| {
            let key = spec.partitions[0].key.0.clone();
            (key, answered(dataset, spec).unwrap())
        })
        .collect()
}

fn query(sql: &str) -> MetricKey {
    MetricKey::query(Metric::Query, "", sql)
}

const ORDERS: &str = "CREATE TABLE orders (id int, day date, amount numeric, price numeric(8,2), \
     at timestamptz, note text, ok boolean);
     INSERT INTO orders VALUES
     (1, '2026-01-01', 10.25, 1.10, '2026-01-01T10:00:00Z', 'a', true),
     (2, '2026-01-01', NULL, 2.20, '2026-01-01T11:00:00Z', NULL, false),
     (3, '2026-01-01', 99999999999999999999.75, -3.30, NULL, 'c', NULL),
     (4, '2026-01-02', 1, 4.40, '2026-01-02T10:00:00Z', 'd', true);
     CREATE TABLE customers (id int, name text);
     INSERT INTO customers VALUES (1, 'x'), (2, 'y')";

#[test]
fn a_table_answers_partition_by_partition_with_exact_numbers() {
    let home = Home::new(ORDERS);
    let sum = query("SELECT SUM(amount) FROM {object}");
    let below = query("SELECT COUNT(*) FROM {object} WHERE price < 0 OR ok IS NULL");
    let all = query("SELECT COUNT(*) FROM {object}");
    let strangers = query(
        "SELECT COUNT(*) FROM {object} AS o LEFT JOIN customers AS c ON o.id = c.id WHERE c.id IS NULL",
    );
    let late = query(
        "SELECT COUNT(*) FROM {object} WHERE at >= TIMESTAMP '2026-01-01T11:00:00' AND day = {partition}",
    );
    let rows = MetricKey::query(
        Metric::FailedRows,
        "",
        "SELECT id, note FROM {object} WHERE note IS NULL",
    );
    let kept = MetricKey {
        filter: "id < 3".to_owned(),
        ..MetricKey::column(Metric::Sum, "price")
    };
    let asked = [sum, below, all, strangers, late, rows, kept];
    let answers = answers(&home.dataset(&asked));
    let value = |day: &str, of: usize| answers[day].answers[&asked[of].asked()].value.clone();
    let exact = |digits: &str| Ok(AnswerValue::Exact(digits.to_owned()));
    assert_eq!(value("2026-01-01", 0), exact("100000000000000000010.00"));
    assert_eq!(value("2026-01-01", 1), exact("1"));
    assert_eq!(value("2026-01-01", 2), exact("3"));
    assert_eq!(value("2026-01-02", 2), exact("1"));
    assert_eq!(value("2026-01-01", 3), exact("1"));
    assert_eq!(value("2026-01-02", 3), exact("1"));
    assert_eq!(value("2026-01-01", 4), exact("1"));
    let samples = &answers["2026-01-01"].answers[&asked[5].asked()].samples;
    assert_eq!(samples, &[r#"{"id":2,"note":null}"#]);
    let kept = &answers["2026-01-01"].filtered["id < 3"];
    assert_eq!(kept.rows, 2);
    let sum = kept.columns["price"].sum().unwrap().unwrap();
    assert!(format!("{sum:?}").contains("3.30"), "{sum:?}");
}

#[test]
fn rows_that_changed_since_they_were_listed_are_not_answered_from() {
    let home = Home::new(ORDERS);
    let dataset = home.dataset(&[query("SELECT COUNT(*) FROM {object}")]);
    let plan = list(&dataset);
    let spec = plan.measures.iter().find(|spec| spec.queries).unwrap();
    answered(&dataset, spec).unwrap();
    home.sql("UPDATE orders SET price = 9 WHERE id = 1");
    let failed = answered(&dataset, spec).unwrap_err();
    assert_eq!(failed.outcome, AttemptOutcome::Retryable, "{failed:?}");
}

#[test]
fn a_value_that_a_batch_cannot_hold_is_an_error_of_who_asks_for_it() {
    let home = Home::new(ORDERS);
    home.sql("UPDATE orders SET price = 'NaN' WHERE id = 2");
    let of_price = query("SELECT COUNT(*) FROM {object} WHERE price IS NULL");
    let of_others = query("SELECT COUNT(*) FROM {object} WHERE note IS NULL");
    let asked = [of_price, of_others];
    let answers = answers(&home.dataset(&asked));
    let answers = &answers["2026-01-01"].answers;
    let told = answers[&asked[0].asked()].value.clone().unwrap_err();
    assert!(told.contains("NaN") && told.contains("price"), "{told}");
    let other = answers[&asked[1].asked()].value.clone();
    assert_eq!(other, Ok(AnswerValue::Exact("1".to_owned())));
}

#[test]
fn a_query_leaves_nothing_behind_in_the_database() {
    let home = Home::new(ORDERS);
    let asked = [
        query("DELETE FROM orders"),
        query("SELECT pg_sleep(100)"),
        query("SELECT COUNT(*) FROM pg_class"),
        query("SELECT id FROM {object} LIMIT 1"),
        query("SELECT COUNT(*) FROM {object} AS a, {object} AS b"),
    ];
    let answers = answers(&home.dataset(&asked));
    let values = &answers["2026-01-01"].answers;
    for refused in &asked[..3] {
        let told = values[&refused.asked()].value.clone();
        assert!(told.is_err(), "{refused}: {told:?}");
    }
    assert!(values[&asked[3].asked()].value.is_ok());
    let nine = Ok(AnswerValue::Exact("9".to_owned()));
    assert_eq!(values[&asked[4].asked()].value, nine);
    assert_eq!(home.sql("SELECT count(*) FROM orders").trim(), "4");
    let busy = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                AND pid <> pg_backend_pid() AND state <> 'idle'";
    let begun = std::time::Instant::now();
    while home.sql(busy).trim() != "0" {
        assert!(begun.elapsed().as_secs() < 30, "a session stays");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
