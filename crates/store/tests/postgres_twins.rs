//! The two adapters are twins: the same tables, the same findings after the same history, and the
//! same corruption found.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod pg;

use std::collections::BTreeMap;
use std::sync::Arc;

use assay_model::ids::CheckId;
use assay_model::incident::{Incident, IncidentStatus, OutboxEntry};
use assay_model::metric::{Metric, MetricKey, MetricPoint, MetricValue};
use assay_model::outcome::Outcome;
use assay_model::output::Evaluation;
use assay_store::conformance::Store;
use assay_store::conformance::fixtures::{Bench, at, evaluation, ok};
use assay_store::dump::dump_final;
use assay_store::examined::Examined;
use assay_store::invariants::{check_invariants, check_settled};
use assay_store::{MetricStore, SqliteStore};
use assay_test_servers::postgres::shared;

/// A verdict with all kinds of values, an incident and a message.
fn rich(bench: &Bench, key: &str) -> Evaluation {
    let mut verdict = evaluation(key, "v1", 10, Outcome::Fail);
    let values = [
        MetricValue::Null,
        MetricValue::Exact("-0.30".to_owned()),
        MetricValue::Exact("123456789012345678901234567890.5".to_owned()),
        MetricValue::Float(0.1 + 0.2),
        MetricValue::Float(f64::NEG_INFINITY),
        MetricValue::Float(-0.0),
        MetricValue::Text("line\nbreak \"quoted\" \u{1F600} nul \0 sign \u{FFFF} end".to_owned()),
    ];
    for (n, value) in values.into_iter().enumerate() {
        let key = MetricKey::column(Metric::Mean, format!("Größe {n}"));
        let mut point = MetricPoint::computed(key, value);
        point.error_bound = Some(0.1 / 3.0 * 10_f64.powi(i32::try_from(n).unwrap() - 9));
        verdict.metrics.push(point);
    }
    let check = CheckId::new("rows_exist");
    verdict.incidents.push(Incident {
        id: Incident::id_of(bench.id(), &check, &verdict.partition.key),
        dataset: bench.id().clone(),
        check,
        column: String::new(),
        severity: assay_model::check::Severity::Error,
        status: IncidentStatus::Open,
        series: String::new(),
        first_partition: verdict.partition.key.clone(),
        last_partition: verdict.partition.key.clone(),
        partitions: 1,
        message: "odd".to_owned(),
        opened_at: at(1),
        updated_at: at(1),
        resolved_at: None,
    });
    verdict.outbox.push(OutboxEntry {
        key: format!("told {key}"),
        event: "incident.opened".to_owned(),
        dataset: bench.id().clone(),
        body: serde_json::json!({ "nul": "\0" }),
        after: None,
    });
    verdict
}

/// Days judged, one of them again in another version, and one that is judged late.
async fn history(store: Arc<dyn Store>) -> Bench {
    let bench = Bench::new(store).await;
    for day in ["2026-11-20", "2026-11-21", "2026-11-19"] {
        bench.judged(day, rich(&bench, day)).await;
    }
    let again = evaluation("2026-11-20", "v2", 12, Outcome::Pass);
    bench.judged("again", again).await;
    bench
}

#[tokio::test]
async fn the_same_history_gives_the_same_dump() {
    let postgres = pg::store().await;
    let sqlite = SqliteStore::in_memory().await.unwrap();
    let bench = history(Arc::new(postgres.clone())).await;
    history(Arc::new(sqlite.clone())).await;
    let text = dump_final(&postgres).await.unwrap();
    assert_eq!(text, dump_final(&sqlite).await.unwrap());
    assert!(
        text.contains("0.30000000000000004") && text.contains("quoted"),
        "{text}"
    );
    assert_eq!(check_invariants(&postgres).await.unwrap(), []);
    assert_eq!(check_settled(&postgres).await.unwrap(), []);
    let both = (
        ok(postgres.history(bench.id(), None, 100).await),
        ok(sqlite.history(bench.id(), None, 100).await),
    );
    assert_eq!(format!("{:?}", both.0), format!("{:?}", both.1));
}

/// What a type is for: the same in both databases.
fn class(of: &str) -> &'static str {
    match of {
        "INTEGER" | "bigint" | "timestamp with time zone" | "boolean" => "integer",
        "TEXT" | "text" | "uuid" | "json" | "date" => "text",
        "REAL" | "double precision" => "real",
        "BLOB" | "bytea" => "bytes",
        _ => "another",
    }
}

/// `table column` → whether it may be empty, the class of its type, its place in the primary key.
type Columns = BTreeMap<String, (bool, &'static str, i64)>;

fn columns(rows: &[String]) -> Columns {
    let row = |text: &String| {
        let row: (String, String, bool, String, i64) = serde_json::from_str(text).unwrap();
        // A key is never empty, whether it says so or not.
        let optional = row.2 && row.4 == 0;
        (
            format!("{} {}", row.0, row.1),
            (optional, class(&row.3), row.4),
        )
    };
    rows.iter().map(row).collect()
}

#[tokio::test]
async fn both_databases_have_the_same_tables_and_columns() {
    // A hold of the outbox is for a database that was put back beside others that live: not for a
    // file of one process.
    let sqlite = SqliteStore::in_memory().await.unwrap();
    let ours = sqlite
        .texts(
            "SELECT json_array(t.name, c.name, json(iif(c.\"notnull\", 'false', 'true')), c.type, \
             c.pk) FROM sqlite_schema t JOIN pragma_table_xinfo(t.name) c WHERE t.type = 'table' \
             AND t.name NOT LIKE 'sqlite%' AND t.name NOT LIKE '\\_sqlx%' ESCAPE '\\'",
        )
        .await
        .unwrap();
    let postgres = pg::store().await;
    let theirs = postgres
        .texts(
            "SELECT json_build_array(c.table_name, c.column_name, c.is_nullable = 'YES', c.data_type, \
             coalesce(k.ordinal_position::int, 0))::text \
             FROM information_schema.columns c JOIN information_schema.tables t \
             ON t.table_schema = c.table_schema AND t.table_name = c.table_name \
             LEFT JOIN (information_schema.table_constraints p \
             JOIN information_schema.key_column_usage k ON k.constraint_name = p.constraint_name \
             AND k.constraint_schema = p.constraint_schema) ON p.constraint_type = 'PRIMARY KEY' \
             AND k.table_name = c.table_name AND k.column_name = c.column_name \
             WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' \
             AND c.table_name <> 'outbox_hold' AND c.table_name NOT LIKE '\\_sqlx%'",
        )
        .await
        .unwrap();
    let (ours, theirs) = (columns(&ours), columns(&theirs));
    assert!(ours.len() > 100, "{}", ours.len());
    assert!(
        ours.values().all(|(_, class, _)| *class != "another"),
        "{ours:?}"
    );
    for (column, kind) in &ours {
        assert_eq!(Some(kind), theirs.get(column), "{column}");
    }
    assert_eq!(ours.len(), theirs.len(), "columns that SQLite has not");
}

/// A statement that breaks each invariant, for the server's own superuser.
const CORRUPTIONS: &[(&str, &str)] = &[
    ("I1", "UPDATE task SET state = 'ready' WHERE no = 1"),
    ("I2", "UPDATE task_output SET attempt = 7"),
    ("I3", "DELETE FROM task_output WHERE plan IS NULL"),
    ("I4", "UPDATE metric_page SET page = page || 'x'"),
    ("I4", "UPDATE metric SET number = 4 WHERE kind = 'exact'"),
    ("I5", "UPDATE run SET planned_tasks = 9"),
    (
        "I5",
        "UPDATE run SET trigger_word = 'schedule', slot = created_at WHERE id IN (SELECT id FROM run LIMIT 1)",
    ),
    ("I6", "UPDATE run SET finished_at = NULL"),
    ("I7", "UPDATE task SET charged = 1 WHERE no = 2"),
    (
        "I9",
        "UPDATE event SET epoch = 5 WHERE kind = 'run_submitted'",
    ),
    ("I9", "UPDATE leader_epoch SET epoch = 9"),
    ("I10", "UPDATE task SET attempt = 3"),
    (
        "I11",
        "UPDATE event SET kind = 'node_moved', state = 'dead' WHERE kind = 'node_registered'",
    ),
    ("I13", "UPDATE task SET crashes = 1 WHERE no = 0"),
    (
        "I16",
        "UPDATE task_attempt SET ended_at = ended_at + interval '1 day'",
    ),
    (
        "I17",
        "UPDATE outbox SET sent_at = created_at - interval '1 day'",
    ),
    ("I18", "UPDATE verdict SET dataset_id = 'other'"),
    ("I19", "UPDATE node SET state = 'gone'"),
    ("I20", "DELETE FROM event WHERE kind = 'task_assigned'"),
    ("I20", "DELETE FROM event WHERE kind = 'task_succeeded'"),
    ("D2", "UPDATE ledger SET revision = revision + 1"),
    ("D2", "UPDATE verdict SET superseded = true"),
    ("D3", "UPDATE incident SET resolved_at = opened_at"),
];

#[tokio::test]
async fn each_corruption_is_found() {
    let url = pg::database().await;
    let store = pg::connect(&url).await;
    history(Arc::new(store.clone())).await;
    assert_eq!(check_invariants(&store).await.unwrap(), []);
    store.close().await;
    let name = url.rsplit('/').next().unwrap();
    pg::until_alone(shared(), name).await;
    for (id, statement) in CORRUPTIONS {
        let copy = shared().create_database_like(name);
        // Triggers and foreign keys stand aside.
        let all = format!("SET session_replication_role = replica; {statement}");
        shared().sql(&copy, &all);
        let broken = check_invariants(&pg::connect(&copy).await).await.unwrap();
        assert!(
            broken.iter().any(|v| v.id == *id),
            "{statement}: {broken:?}"
        );
    }
}

#[tokio::test]
async fn the_log_of_events_is_append_only() {
    let url = pg::database().await;
    let store = pg::connect(&url).await;
    history(Arc::new(store)).await;
    for statement in [
        "DELETE FROM event",
        "UPDATE event SET state = 'x'",
        "TRUNCATE event",
    ] {
        let refused = format!(
            "DO $$ BEGIN {statement}; RAISE 'done'; EXCEPTION WHEN raise_exception THEN \
             IF sqlerrm NOT LIKE '%append-only%' THEN RAISE 'not refused'; END IF; END $$"
        );
        shared().sql(&url, &refused);
    }
}
