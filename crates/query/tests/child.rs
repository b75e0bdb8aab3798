//! Queries through the program that serves them: what kills a process kills no task.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "hostile/generated.rs"]
#[allow(dead_code, reason = "the test in one process asks for more of it")]
mod generated;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use assay_datanode::runner::access::{KeyError, Keys, LocalKeys, Sources};
use assay_datanode::runner::child::Queries;
use assay_datanode::runner::{InProcess, TaskJob, TaskRunner, TaskWatch};
use assay_metrics::{AnswerValue, SumValue, TableState};
use assay_model::check::{Bound, Check, CheckOrigin, Expectation, Severity};
use assay_model::dataset::{Credential, Dataset, Format, FormatKind, Location, Source};
use assay_model::ids::{CheckId, RunId, TaskId};
use assay_model::metric::{Metric, MetricKey};
use assay_model::output::TaskOutput;
use assay_model::partition::{ObjectSlice, Part, Partition};
use assay_model::run::{Priority, Run, RunState, Selection, Trigger};
use assay_model::source::{Database, DatabaseKind, VersionBy};
use assay_model::task::{MeasureSpec, Task, TaskSpec};
use assay_scan::reach::Secret;
use assay_store::sqlite::SqliteStore;
use assay_test_servers::postgres;
use common::{dataset, file, objects};
use jiff::Timestamp;

const PROGRAM: &str = env!("CARGO_BIN_EXE_assay-query");

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

fn asking(folder: &Path, metrics: &[MetricKey]) -> Dataset {
    let mut dataset = dataset(folder, FormatKind::Csv, &[]);
    dataset.checks = metrics.iter().cloned().map(check).collect();
    dataset
}

fn job(dataset: &Dataset, folder: &Path) -> TaskJob {
    let now: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
    let id = RunId::of_key(&dataset.id, "test");
    let whole = |object| ObjectSlice {
        object,
        part: Part::Whole,
    };
    let spec = TaskSpec::Measure(MeasureSpec {
        partitions: vec![Partition::all()],
        batch: 1,
        batches: 1,
        slices: objects(folder).into_iter().map(whole).collect(),
        bytes: 0,
        queries: true,
        reading: None,
    });
    TaskJob {
        run: Run {
            id,
            dataset: dataset.id.clone(),
            definition: String::new(),
            trigger: Trigger::Manual,
            slot: None,
            priority: Priority::Live,
            selection: Selection::default(),
            retries: 2,
            task_timeout_ms: 40_000,
            state: RunState::Running,
            reason: None,
            created_at: now,
            started_at: None,
            finished_at: None,
            deadline_at: now,
            planned_tasks: 1,
        },
        task: Task::new(TaskId { run: id, no: 1 }, spec, Vec::new()),
        dataset: Arc::new(dataset.clone()),
        memory_bytes: 32 << 20,
        suspect: false,
        now,
    }
}

fn answers(program: &Path, dataset: &Dataset, folder: &Path) -> TableState {
    let everything = Sources {
        keys: Arc::new(LocalKeys::of_user()),
        allowed: None,
        make: assay_sources::reach,
        identities: None,
        external_id: None,
    };
    answers_of(program, dataset, folder, everything)
}

fn answers_of(program: &Path, dataset: &Dataset, folder: &Path, sources: Sources) -> TableState {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = SqliteStore::in_memory().await.unwrap();
        let runner = InProcess::new(Arc::new(store))
            .reaching(sources)
            .asking(Queries::at(program, 1, Vec::new()));
        let ended = runner.run(job(dataset, folder), TaskWatch::default()).await;
        let Ok(TaskOutput::Measured(measured)) = ended else {
            panic!("{ended:?}");
        };
        assert_eq!(measured.len(), 1);
        assert_eq!(measured[0].rows, 0);
        TableState::decode(&measured[0].state).unwrap()
    })
}

fn orders() -> tempfile::TempDir {
    file("a.csv", "Id,amount,email\n1,10,a@x\n2,,b@x\n3,-4,c@x\n")
}

fn query(sql: &str) -> MetricKey {
    MetricKey::query(Metric::Query, "", sql)
}

#[test]
fn queries_failed_rows_and_filters_are_answered_by_a_program_of_their_own() {
    let folder = orders();
    let count = query("SELECT COUNT(*) FROM {object} WHERE amount < 0");
    let rows = MetricKey::query(
        Metric::FailedRows,
        "",
        "SELECT Id, email FROM {object} WHERE amount IS NULL",
    );
    let wrong = query("SELECT nosuch FROM {object}");
    let kept = MetricKey {
        filter: "Id > 1".to_owned(),
        ..MetricKey::column(Metric::Sum, "amount")
    };
    let other = query("SELECT COUNT(*) FROM {object} JOIN customers ON \"Id\" = id");
    let asked = [
        count.clone(),
        rows.clone(),
        wrong.clone(),
        kept,
        other.clone(),
    ];
    let mut dataset = asking(folder.path(), &asked);
    dataset.columns = common::dataset(
        folder.path(),
        FormatKind::Csv,
        &[("email", assay_model::dataset::LogicalType::String)],
    )
    .columns;
    dataset.columns[0].masked = true;
    let customers = file("c.csv", "id\n1\n3\n9\n");
    dataset.others = vec![Source {
        server: "customers".to_owned(),
        location: Location::Local {
            path: customers.path().display().to_string(),
        },
        ..dataset.source.clone()
    }];
    let state = answers(Path::new(PROGRAM), &dataset, folder.path());
    let value = |key: &MetricKey| state.answers[&key.asked()].value.clone();
    assert_eq!(value(&count), Ok(AnswerValue::Exact("1".to_owned())));
    assert_eq!(value(&rows), Ok(AnswerValue::Exact("1".to_owned())));
    assert_eq!(
        state.answers[&rows.asked()].samples,
        [r#"{"Id":2,"email":"***"}"#]
    );
    assert!(value(&wrong).unwrap_err().contains("nosuch"));
    assert_eq!(value(&other), Ok(AnswerValue::Exact("2".to_owned())));
    let kept = &state.filtered["Id > 1"];
    assert_eq!(kept.rows, 2);
    let sum = kept.columns["amount"].sum().unwrap().unwrap();
    assert_eq!(sum.value, SumValue::Int("-4".to_owned()));
}

#[test]
fn a_query_that_kills_its_process_is_the_answer_of_its_check_alone() {
    let lines: String = (0..20_000)
        .map(|row| format!("{row},{row},a{row}@x\n"))
        .collect();
    let folder = file("a.csv", format!("Id,amount,email\n{lines}"));
    let many: String = (0..18).map(|i| format!(", orders AS o{i}")).collect();
    // Pairs of rows by the hundred million, of which none is kept.
    let endless = query(
        "SELECT COUNT(*) FROM orders AS a, orders AS b WHERE levenshtein(a.email, b.email) > 99",
    );
    let doubled = |n: usize| {
        let mut sql = "SELECT email || email AS e FROM orders".to_owned();
        for _ in 0..n {
            sql = format!("SELECT e || e AS e FROM ({sql}) AS q");
        }
        query(&format!("SELECT SUM(length(e)) FROM ({sql}) AS q"))
    };
    let huge = doubled(28);
    let sorted = query(&format!(
        "SELECT COUNT(*) FROM (SELECT DISTINCT concat(o1.\"Id\", '-', o2.\"Id\", o3.\"Id\", o4.\"Id\", o5.\"Id\", o6.\"Id\", o7.\"Id\", o8.\"Id\", o9.\"Id\", o10.\"Id\", o11.\"Id\", o12.\"Id\", o13.\"Id\") FROM orders{many}) AS q"
    ));
    let fine = query("SELECT COUNT(*) FROM {object}");
    let dataset = asking(
        folder.path(),
        &[endless.clone(), huge.clone(), sorted.clone(), fine.clone()],
    );
    let begun = Instant::now();
    let state = answers(Path::new(PROGRAM), &dataset, folder.path());
    assert!(
        begun.elapsed() < Duration::from_secs(300),
        "{:?}",
        begun.elapsed()
    );
    for killed in [&endless, &huge, &sorted] {
        let told = state.answers[&killed.asked()].value.clone().unwrap_err();
        assert!(told.len() > 20, "{told}");
    }
    let told = state.answers[&endless.asked()].value.clone().unwrap_err();
    assert!(told.contains("had not ended"), "{told}");
    let told = state.answers[&sorted.asked()].value.clone().unwrap_err();
    assert!(told.contains("MiB") || told.contains("memory"), "{told}");
    assert_eq!(
        state.answers[&fine.asked()].value,
        Ok(AnswerValue::Exact("20000".to_owned()))
    );
}

#[test]
fn another_server_is_reached_only_where_the_node_may_and_with_a_secret_of_its_own() {
    let folder = orders();
    let outside = file("c.csv", "id\n1\n");
    let here = query("SELECT COUNT(*) FROM {object}");
    let away = query("SELECT COUNT(*) FROM elsewhere");
    let locked = query("SELECT COUNT(*) FROM locked");
    let asked = [here.clone(), away.clone(), locked.clone()];
    let mut dataset = asking(folder.path(), &asked);
    let other = |server: &str, credential: Option<&str>| Source {
        server: server.to_owned(),
        location: Location::Local {
            path: outside.path().display().to_string(),
        },
        credential: credential.map(|text| text.parse().unwrap()),
        ..dataset.source.clone()
    };
    dataset.others = vec![
        other("elsewhere", None),
        other("locked", Some("env:ASSAY_SOURCE_NOT_SET")),
    ];
    let real = folder.path().canonicalize().unwrap();
    let sources = Sources {
        keys: Arc::new(LocalKeys::for_sources("ASSAY_SOURCE_", None)),
        allowed: Some(vec![format!("file://{}/", real.display())]),
        make: assay_sources::reach,
        identities: None,
        external_id: None,
    };
    let state = answers_of(Path::new(PROGRAM), &dataset, folder.path(), sources);
    let value = |key: &MetricKey| state.answers[&key.asked()].value.clone();
    assert_eq!(value(&here), Ok(AnswerValue::Exact("3".to_owned())));
    let told = value(&away).unwrap_err();
    assert!(told.contains("may read files below"), "{told}");
    let told = value(&locked).unwrap_err();
    assert!(told.contains("ASSAY_SOURCE_NOT_SET"), "{told}");
}

#[test]
fn without_the_program_each_query_is_told_how_to_get_it() {
    let folder = orders();
    let count = query("SELECT COUNT(*) FROM {object}");
    let dataset = asking(folder.path(), std::slice::from_ref(&count));
    let state = answers(Path::new("/nowhere/assay-query"), &dataset, folder.path());
    let told = state.answers[&count.asked()].value.clone().unwrap_err();
    assert!(
        told.contains("assay-query") && told.contains("ASSAY_QUERY_PROGRAM"),
        "{told}"
    );
}

#[test]
fn statements_by_dice_are_each_answered_and_end_no_process_but_their_own() {
    let folder = orders();
    let statements: std::collections::BTreeSet<String> = (0..60)
        .map(|number| generated::statement(7, number))
        .collect();
    let asked: Vec<MetricKey> = statements.iter().map(|sql| query(sql)).collect();
    let dataset = asking(folder.path(), &asked);
    let state = answers(Path::new(PROGRAM), &dataset, folder.path());
    for key in &asked {
        if let Err(why) = &state.answers[&key.asked()].value {
            assert!(why.len() > 10, "{key}: {why}");
        }
    }
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1);
}

/// A secret that was replaced since it was kept.
#[derive(Debug, Default)]
struct Replaced(AtomicBool);

#[async_trait::async_trait]
impl Keys for Replaced {
    async fn secret(&self, _: &Credential) -> Result<Secret, KeyError> {
        let is_known = self.0.load(Ordering::Relaxed);
        Ok(Secret::new(if is_known {
            "postgres:new"
        } else {
            "nobody:old"
        }))
    }

    async fn renewed(&self, of: &Credential, used: &Secret) -> Option<Secret> {
        self.0.store(true, Ordering::Relaxed);
        let secret = self.secret(of).await.ok();
        secret.filter(|secret| secret != used)
    }
}

#[test]
fn a_server_whose_secret_was_replaced_is_asked_once_more_with_the_new_one() {
    let folder = orders();
    let url = postgres::shared().create_database();
    postgres::shared().sql(
        &url,
        "CREATE TABLE ledger (id int); INSERT INTO ledger VALUES (1), (3)",
    );
    let (_, place) = url.rsplit_once('@').unwrap();
    let (machine, database) = place.split_once('/').unwrap();
    let (host, port) = machine.rsplit_once(':').unwrap();
    let key = query("SELECT COUNT(*) FROM {object} JOIN ledger ON \"Id\" = id");
    let mut dataset = asking(folder.path(), std::slice::from_ref(&key));
    dataset.others = vec![Source {
        server: "ledger".to_owned(),
        location: Location::Database(Database {
            kind: DatabaseKind::Postgres,
            host: host.to_owned(),
            port: port.parse().unwrap(),
            database: database.split('?').next().unwrap().to_owned(),
            schema: "public".to_owned(),
            table: "ledger".to_owned(),
            version: VersionBy::Checksum,
        }),
        format: Format::of(FormatKind::Table),
        credential: Some(Credential::Env("ASSAY_SOURCE_T".to_owned())),
    }];
    let sources = |keys: Arc<dyn Keys>| Sources {
        keys,
        allowed: None,
        make: assay_sources::reach,
        identities: None,
        external_id: None,
    };
    let ask = |keys| answers_of(Path::new(PROGRAM), &dataset, folder.path(), sources(keys));
    let state = ask(Arc::new(Replaced::default()));
    let answer = &state.answers[&key.asked()].value;
    assert_eq!(*answer, Ok(AnswerValue::Exact("2".to_owned())));
    // Where there is no other, the next run asks again.
    let state = ask(Arc::new(Fixed));
    let why = state.answers[&key.asked()].value.clone().unwrap_err();
    assert!(
        why.contains("28000") && why.contains("the next run asks again"),
        "{why}"
    );
}

/// A secret that is refused, and stays.
#[derive(Debug)]
struct Fixed;

#[async_trait::async_trait]
impl Keys for Fixed {
    async fn secret(&self, _: &Credential) -> Result<Secret, KeyError> {
        Ok(Secret::new("nobody:old"))
    }
}
