//! Tests of the adapter that look behind the ports: parameters, plans, places, speed.

use super::*;
use crate::port::JobStore;

/// The texts of several statements, as they stand in the sources.
fn scripts() -> Vec<String> {
    let sources = [
        include_str!("changes.rs"),
        include_str!("attempts.rs"),
        include_str!("copies.rs"),
        include_str!("outputs.rs"),
        include_str!("evaluated.rs"),
        include_str!("jobs.rs"),
        include_str!("retry.rs"),
    ];
    let consts = sources
        .iter()
        .flat_map(|text| text.split("\nconst ").skip(1));
    consts
        .filter_map(|text| text.split("\";\n").next())
        .filter(|text| text.contains(": &str") && text.contains("; \\"))
        .map(str::to_owned)
        .collect()
}

/// The numbers of parameters that a statement leaves out below its greatest.
fn left_out(statement: &str) -> usize {
    let numbers: std::collections::BTreeSet<usize> = statement
        .split('?')
        .skip(1)
        .filter_map(|rest| {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().ok()
        })
        .collect();
    numbers.last().map_or(0, |last| last - numbers.len())
}

#[test]
fn no_parameter_of_a_text_of_several_statements_is_left_unbound() {
    let scripts = scripts();
    assert!(scripts.len() >= 15, "{} texts found", scripts.len());
    for text in scripts {
        let sum: usize = text.split("; ").map(left_out).sum();
        assert!(sum <= writer::PADDING, "{sum} left out: {text}");
    }
}

/// Tables that grow with use; their full scan would grow with it.
const BIG: [&str; 12] = [
    "run",
    "task",
    "task_spec",
    "task_attempt",
    "task_output",
    "event",
    "ledger",
    "verdict",
    "metric",
    "metric_page",
    "check_result",
    "metric_state",
];

#[tokio::test]
async fn every_read_uses_an_index() {
    let store = SqliteStore::in_memory().await.unwrap();
    let mut reader = store.reader().await.unwrap();
    for (name, text) in sql::ALL {
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}")))
                .fetch_all(&mut *reader)
                .await
                .unwrap();
        assert!(!plan.is_empty(), "{name}");
        for (_, _, _, step) in &plan {
            let alias = step.strip_prefix("SCAN ").unwrap_or_default();
            let (table, how) = alias.split_once(' ').unwrap_or((alias, ""));
            let table = match table {
                "r" => "run",
                "t" => "task",
                "v" => "verdict",
                "l" => "ledger",
                "c" => "check_result",
                "a" => "task_attempt",
                "incident" => "task",
                other => other,
            };
            let bounded = how.contains("USING") && how.contains("INDEX");
            assert!(
                !BIG.contains(&table) || bounded,
                "{name}: {step}\n{plan:#?}"
            );
        }
        let bounded = text.contains("LIMIT");
        let sorts = plan
            .iter()
            .any(|(.., step)| step.contains("USE TEMP B-TREE FOR ORDER BY"));
        assert!(
            !(bounded && sorts),
            "{name} sorts all to give some: {plan:#?}"
        );
    }
}

#[tokio::test]
async fn the_first_start_of_a_node_is_found_among_its_own() {
    let store = SqliteStore::in_memory().await.unwrap();
    let mut reader = store.reader().await.unwrap();
    let text = format!("EXPLAIN QUERY PLAN {}", fleet::FIRST_START);
    let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(sqlx::AssertSqlSafe(text))
        .fetch_all(&mut *reader)
        .await
        .unwrap();
    let [(.., step)] = plan.as_slice() else {
        panic!("{plan:#?}");
    };
    let found = step.contains("event_of_starts (node=? AND incarnation=? AND seq>?)");
    assert!(found, "{step}");
}

#[tokio::test]
async fn what_cannot_be_opened_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let detail =
        async |path: &std::path::Path, options: OpenOptions| match SqliteStore::open(path, options)
            .await
        {
            Err(StoreError::Open { place, detail }) => {
                assert_eq!(place, path.display().to_string());
                detail
            }
            other => panic!("{other:?}"),
        };
    let plain = OpenOptions::default;
    let text = folder.path().join("notes.txt");
    std::fs::write(
        &text,
        "these are notes of mine, and no database at all\n".repeat(40),
    )
    .unwrap();
    assert!(
        detail(&text, plain())
            .await
            .contains("not a SQLite database")
    );
    let read = std::fs::read_to_string(&text).unwrap();
    assert!(read.starts_with("these are notes"), "it is left as it was");
    let none = folder.path().join("none").join("assay.db");
    assert!(
        detail(&none, plain())
            .await
            .contains("does not exist; create it")
    );
    assert!(
        detail(folder.path(), plain())
            .await
            .contains("it is a folder")
    );
    let read_only = OpenOptions {
        read_only: true,
        ..plain()
    };
    let absent = folder.path().join("absent.db");
    assert!(!detail(&absent, read_only).await.is_empty());
    assert!(!absent.exists());
}

#[tokio::test]
async fn the_database_of_another_program_is_left_alone() {
    use sqlx::Connection;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("theirs.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true);
    let mut theirs = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query("CREATE TABLE customers (id INTEGER)")
        .execute(&mut theirs)
        .await
        .unwrap();
    theirs.close().await.unwrap();
    let before = std::fs::read(&path).unwrap();
    let refused = SqliteStore::open(&path, OpenOptions::default()).await;
    assert!(refused.unwrap_err().to_string().contains("another program"));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_an_equal_one_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("assay.db");
    let store = SqliteStore::open(&path, OpenOptions::default())
        .await
        .unwrap();
    store.mint_epoch("me").await.unwrap();
    store.close().await;
    let read_only = OpenOptions {
        read_only: true,
        ..OpenOptions::default()
    };
    let store = SqliteStore::open(&path, read_only.clone()).await.unwrap();
    let refused = store.mint_epoch("me").await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
    store.close().await;
    let store = SqliteStore::open(&path, OpenOptions::default())
        .await
        .unwrap();
    assert_eq!(
        store.mint_epoch("me").await.unwrap().0,
        2,
        "what was written is there"
    );
    store
        .corrupt(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
             execution_time) VALUES (9999, 'of tomorrow', true, x'', 0)",
        )
        .await;
    store.close().await;
    for options in [read_only, OpenOptions::default()] {
        let refused = SqliteStore::open(&path, options).await.unwrap_err();
        assert!(
            refused.to_string().contains("upgrade this program"),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn a_full_store_says_so_and_goes_on_when_there_is_room() {
    use crate::conformance::fixtures::{Bench, evaluation, live, ok};
    use assay_model::outcome::Outcome;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("assay.db");
    let small = OpenOptions {
        max_pages: Some(140),
        ..OpenOptions::default()
    };
    let store = SqliteStore::open(&path, small).await.unwrap();
    let bench = Bench::new(Arc::new(store.clone())).await;
    bench
        .judged("a", evaluation("2026-11-20", "v1", 1, Outcome::Pass))
        .await;
    let mut refused = None;
    for n in 0..2000 {
        let run = bench.run_of(&format!("run {n}"), n);
        if let Err(error) = store.commit(bench.epoch, &[bench.submission(&run)]).await {
            refused = Some(error);
            break;
        }
    }
    let refused = refused.expect("560 KiB do not hold 2000 runs");
    assert!(matches!(refused, StoreError::Full { .. }), "{refused:?}");
    assert!(refused.to_string().contains("free some space"));
    assert!(refused.is_certainly_not_applied() && refused.is_retryable());
    store.close().await;
    let store = SqliteStore::open(&path, OpenOptions::default())
        .await
        .unwrap();
    ok(store.register(bench.epoch, &live(&bench.node)).await);
    assert_eq!(
        crate::invariants::check_invariants(&store).await.unwrap(),
        []
    );
}

#[tokio::test]
async fn a_failing_request_does_not_take_its_neighbours_with_it() {
    use crate::conformance::fixtures::{ALL, Bench};
    let bench = Bench::new(Arc::new(SqliteStore::in_memory().await.unwrap())).await;
    // All are handed in before the writer's turn comes, so they share a transaction.
    let answers = futures::future::join_all((0..40).map(|n| {
        let bench = &bench;
        async move {
            let mut run = bench.run_of(&format!("run {n}"), n);
            if n % 10 == 3 {
                run.definition = "unknown".to_owned();
            }
            bench
                .store
                .commit(bench.epoch, &[bench.submission(&run)])
                .await
                .is_ok()
        }
    }))
    .await;
    for (n, done) in answers.into_iter().enumerate() {
        assert_eq!(done, n % 10 != 3, "{n}");
    }
    assert_eq!(
        bench.store.load(bench.epoch, ALL).await.unwrap().runs.len(),
        36
    );
}

#[test]
fn the_database_knows_the_words_of_the_model_and_no_others() {
    use assay_model::check::{CheckOrigin, Severity};
    use assay_model::incident::IncidentStatus;
    use assay_model::ledger::LedgerState;
    use assay_model::metric::MetricStatus;
    use assay_model::node::NodeState;
    use assay_model::outcome::Outcome;
    use assay_model::run::{Priority, RunState, Trigger};
    use assay_model::task::{AttemptOutcome, TaskKind, TaskState, WaitReason};
    let schema = [
        include_str!("../../../../migrations/sqlite/0001_state_of_record.sql"),
        include_str!("../../../../migrations/sqlite/0002_measurements.sql"),
        include_str!("../../../../migrations/sqlite/0004_error_bounds.sql"),
    ];
    let twin = [
        include_str!("../../../../migrations/postgres/0001_state_of_record.sql"),
        include_str!("../../../../migrations/postgres/0002_measurements.sql"),
        include_str!("../../../../migrations/postgres/0004_error_bounds.sql"),
    ];
    let [schema, twin] = [schema, twin].map(|files| {
        let words: Vec<&str> = files.iter().flat_map(|f| f.split_whitespace()).collect();
        words.join(" ")
    });
    macro_rules! same {
        ($($column:literal $word:ty),+ $(,)?) => {$(
            let words: Vec<_> = <$word>::ALL.iter().map(|w| format!("'{w}'")).collect();
            let check = format!("{} IN ({})", $column, words.join(", "));
            assert!(schema.contains(&check), "{check}");
            assert!(twin.contains(&check), "Postgres: {check}");
        )+};
    }
    same!(
        "trigger_word" Trigger, "priority" Priority, "state" RunState, "state" NodeState,
        "kind" TaskKind, "state" TaskState, "wait" WaitReason, "outcome" AttemptOutcome,
        "state" LedgerState, "status" MetricStatus, "severity" Severity, "origin" CheckOrigin,
        "outcome" Outcome, "status" IncidentStatus,
    );
}

/// A verdict with all that points to it, as the schema before verdicts of several attempts had it.
const JUDGED_BEFORE: &str = "INSERT INTO definition VALUES ('d', 'orders', '1', NULL, '{}', 1); \
     INSERT INTO run (id, dataset_id, definition, trigger_word, priority, selection, retries, \
     task_timeout_ms, state, created_at, finished_at, deadline_at) VALUES ('r', 'orders', 'd', \
     'manual', 'live', '{}', 2, 1, 'succeeded', 1, 2, 3); \
     INSERT INTO task (id, run_id, no, kind, state, attempt, charged, crashes) \
     VALUES (1, 'r', 0, 'evaluate', 'succeeded', 1, 0, 0); \
     INSERT INTO ledger (dataset_id, partition, ord, state, version, judged, revision, objects, \
     bytes, first_seen) VALUES ('orders', 'p', 'p', 'scanned', 'v', 'v', 1, 1, 1, 1); \
     INSERT INTO verdict VALUES (7, 'orders', 'p', 'p', 'v', 1, 1, 0, 'r', 1, 1, 5, 1, 1, 1, 0, 0, \
     0, 0, 0, 0, 0); \
     INSERT INTO metric_series VALUES (1, 'orders', 'rowCount', '', '', '', 1); \
     INSERT INTO metric VALUES (7, 1, 'computed', 'exact', '10', 10.0, NULL, NULL); \
     INSERT INTO metric_page VALUES (7, 'page'); \
     INSERT INTO check_result VALUES (7, 'c', 0, 1, 'error', 'declared', 'pass', 'exact', '10', \
     10.0, '> 0', NULL, NULL);";

#[tokio::test]
async fn verdicts_of_an_earlier_schema_stay_with_all_that_points_to_them() {
    use sqlx::Connection;
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .foreign_keys(true)
        .in_memory(true);
    let mut connection = sqlx::SqliteConnection::connect_with(&options)
        .await
        .unwrap();
    let all = sqlx::migrate!("../../migrations/sqlite");
    let earlier = all.iter().filter(|m| m.version < 6).cloned().collect();
    let before = sqlx::migrate::Migrator {
        migrations: std::borrow::Cow::Owned(earlier),
        ..sqlx::migrate::Migrator::DEFAULT
    };
    before.run(&mut connection).await.unwrap();
    sqlx::raw_sql(JUDGED_BEFORE)
        .execute(&mut connection)
        .await
        .unwrap();
    all.run(&mut connection).await.unwrap();
    let found: (i64, String, i64, String) = sqlx::query_as(
        "SELECT v.attempt, m.value, c.place, p.page FROM verdict v \
         JOIN metric m ON m.verdict_id = v.id JOIN check_result c ON c.verdict_id = v.id \
         JOIN metric_page p ON p.verdict_id = v.id WHERE v.id = 7 AND v.superseded = 0",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(found, (1, "10".to_owned(), 0, "page".to_owned()));
    let dangling: i64 = sqlx::query_scalar("SELECT count(*) FROM pragma_foreign_key_check")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(dangling, 0);
    let orphan = sqlx::query("DELETE FROM verdict")
        .execute(&mut connection)
        .await;
    assert!(orphan.is_err(), "what points to it is checked");
}
