//! What is served: datasets with a past, in a real Postgres.
//!
//! Comes in: how many of everything. Goes out: a migrated database with runs, verdicts, metrics and
//! results as nodes commit them, a folder of definitions, and a file of tokens. It must never write
//! to a table but by the ports of the store.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use assay_guard::principal::Scope;
use assay_guard::tokens::{TokenFile, mint};
use assay_model::change::{Answer, Change};
use assay_model::dataset::Dataset;
use assay_model::metric::{MetricPoint, MetricValue};
use assay_model::outcome::{CheckResult, Limits, Outcome, OutcomeCounts};
use assay_model::output::{Evaluation, TaskOutput};
use assay_model::partition::PartitionKey;
use assay_model::run::RunState;
use assay_store::conformance::Store;
use assay_store::conformance::fixtures::{
    Bench, at, day, discovery, evaluation, live, measured, tasks,
};
use assay_store::{JobStore as _, PostgresOptions, PostgresStore};
use assay_test_servers::postgres::{Options, Postgres};
use jiff::civil::Date;

use crate::far;
use crate::figures::told;

/// Metrics of each column.
const METRICS: [&str; 3] = ["nullPercent", "mean", "max"];
/// Changes that are committed at once.
const TOGETHER: usize = 60;

/// Everything that a gateway stands before.
pub struct World {
    pub postgres: Postgres,
    pub folder: tempfile::TempDir,
    pub url: String,
    pub store: PostgresStore,
    /// One for each dataset, and its definition.
    pub benches: Vec<Bench>,
    pub partitions: u64,
    pub columns: u64,
    /// Of the owner of the first dataset, and of a subscriber of all.
    pub owner: String,
    pub subscriber: String,
}

impl World {
    /// Postgres as it ships: commits wait for the disk. While the past is written they do not.
    pub async fn new() -> Self {
        let (datasets, partitions, metrics) = (
            told("ASSAY_BENCH_DATASETS", 50),
            told("ASSAY_BENCH_PARTITIONS", 90),
            told("ASSAY_BENCH_METRICS", 30),
        );
        let columns = metrics.div_ceil(METRICS.len() as u64);
        let settings = [("shared_buffers", "128MB"), ("max_wal_size", "1GB")];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let postgres = Postgres::start(Options {
            fsync: true,
            settings: settings.into(),
            ..Options::default()
        });
        let url = postgres.create_database();
        let store = PostgresStore::connect(PostgresOptions::new(&url))
            .await
            .expect("the schema is made");
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("datasets")).expect("a folder can be made");
        let [owner, subscriber] = tokens(&folder.path().join("tokens.toml"));
        let mut world = Self {
            postgres,
            folder,
            url,
            store,
            benches: Vec::new(),
            partitions,
            columns,
            owner,
            subscriber,
        };
        world.write(datasets).await;
        world
    }

    async fn write(&mut self, datasets: u64) {
        let began = std::time::Instant::now();
        self.set("ALTER SYSTEM SET synchronous_commit = off");
        let store: Arc<dyn Store> = Arc::new(self.store.clone());
        let epoch = self.store.mint_epoch("manager-1").await.expect("an epoch");
        for n in 0..datasets {
            let dataset = self.define(n);
            self.store
                .put_definition(&dataset)
                .await
                .expect("a definition is kept");
            let node = assay_model::ids::NodeId::new(format!("node-{n}"));
            let incarnation = self.store.register(epoch, &live(&node)).await;
            let bench = Bench {
                store: Arc::clone(&store),
                epoch,
                dataset,
                node,
                incarnation: incarnation.expect("a node registers"),
            };
            self.past(&bench).await;
            self.benches.push(bench);
        }
        self.set("ALTER SYSTEM RESET synchronous_commit");
        self.postgres.sql(&self.url, "VACUUM ANALYZE");
        println!(
            "{datasets} datasets of {} partitions and {} metrics, written in {:.0} s",
            self.partitions,
            self.columns * METRICS.len() as u64,
            began.elapsed().as_secs_f64()
        );
    }

    fn set(&self, statement: &str) {
        let url = self.postgres.url();
        self.postgres.sql(&url, statement);
        self.postgres.sql(&url, "SELECT pg_reload_conf()");
    }

    /// Writes a definition into the folder, and gives what it says.
    fn define(&self, n: u64) -> Dataset {
        let text = document(n, self.columns);
        let file = format!("datasets/{}.odcs.yaml", id(n));
        std::fs::write(self.folder.path().join(file), &text).expect("a file can be written");
        let parsed = assay_contract::parse_document("definition", &text);
        let diagnostics = parsed.diagnostics;
        parsed
            .dataset
            .unwrap_or_else(|| panic!("a definition that holds: {diagnostics:?}"))
    }

    /// A run that measures and judges all partitions of a dataset.
    async fn past(&self, bench: &Bench) {
        let days: Vec<String> = (0..self.partitions).map(date).collect();
        let days: Vec<(&str, &str)> = days.iter().map(|day| (day.as_str(), "v1")).collect();
        let plan = discovery(&days);
        let run = bench.planned_as("past", plan.clone()).await;
        let all = tasks(run, &plan);
        // Nothing is evaluated before it is measured.
        let (measures, evaluations) = all.split_at(plan.measures.len());
        let (measures, evaluations) = (measures.chunks(TOGETHER), evaluations.chunks(TOGETHER));
        for some in measures.chain(evaluations) {
            let given = some.iter().map(|task| bench.assignment(run, task.id.no, 1));
            let (tokens, changes): (Vec<_>, Vec<Change>) = given.unzip();
            let answers = bench.commit(&changes).await;
            assert!(
                answers.iter().all(|answer| *answer == Answer::Ok),
                "{answers:?}"
            );
            for token in &tokens {
                let at_once = bench.store.start(token, at(2)).await;
                assert!(at_once.expect("it starts").is_some());
                let place = u64::from(token.task.no) - 1;
                let output = if place < self.partitions {
                    measured(&date(place), b"state")
                } else {
                    let judged = judged(&bench.dataset, place - self.partitions, "v1");
                    TaskOutput::Evaluated(Box::new(judged))
                };
                bench.complete(token, &output).await;
            }
        }
        let state = RunState::Succeeded;
        bench
            .change(Change::MoveRun {
                run,
                state,
                reason: None,
                at: at(4),
            })
            .await;
    }

    /// Where the gateway finds the store: so many milliseconds away (`ASSAY_BENCH_FAR_MS`).
    pub fn store_url(&self) -> String {
        match told("ASSAY_BENCH_FAR_MS", 0) {
            0 => self.url.clone(),
            ms => {
                let port = self.postgres.port();
                let here = SocketAddr::from(([127, 0, 0, 1], port));
                let wire = far::wire(here, Duration::from_millis(ms));
                self.url.replace(&here.to_string(), &wire.to_string())
            }
        }
    }

    /// Where the gateway finds definitions.
    pub fn definitions(&self) -> PathBuf {
        self.folder.path().join("datasets")
    }

    /// The points of a metric of a dataset, by numbers of any size.
    pub fn points(&self, dataset: u64, metric: u64) -> String {
        let metric = metric % (self.columns * METRICS.len() as u64);
        let word = METRICS[usize::try_from(metric).unwrap_or(0) % METRICS.len()];
        let column = metric / METRICS.len() as u64;
        let dataset = id(dataset % self.benches.len() as u64);
        format!("/api/v1/datasets/{dataset}/metrics/{word}/points?column=c{column}")
    }
}

/// The id of a dataset.
pub fn id(n: u64) -> String {
    format!("orders_{n:03}")
}

/// The key of a partition.
pub fn date(n: u64) -> String {
    let first: Date = jiff::civil::date(2026, 1, 1);
    let days = jiff::Span::new().days(i64::try_from(n).unwrap_or(0));
    first.checked_add(days).unwrap_or(first).to_string()
}

/// A dataset file of so many columns, with learned limits on three metrics of each.
fn document(n: u64, columns: u64) -> String {
    let mut text = format!(
        "apiVersion: v3.1.0\nkind: DataContract\nid: {}\nversion: 1.0.0\nstatus: active\n\
         team: {{ name: team-{n} }}\n\
         servers:\n  - {{ server: here, type: local, path: /data/{n}, format: parquet }}\n\
         schema:\n  - name: orders\n    properties:\n",
        id(n)
    );
    for column in 0..columns {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "      - name: c{column}\n        logicalType: number\n        quality:"
        );
        for metric in METRICS {
            let _ = writeln!(
                text,
                "          - {{ id: {metric}_c{column}, type: custom, engine: assay, implementation: \
                 {{ metric: {metric}, learned: true }} }}"
            );
        }
    }
    text
}

/// A verdict: each declared check held against learned limits.
pub fn judged(dataset: &Dataset, n: u64, version: &str) -> Evaluation {
    let results: Vec<CheckResult> = (0_u32..)
        .zip(&dataset.checks)
        .map(|(place, check)| {
            #[expect(clippy::cast_precision_loss, reason = "some hundred days")]
            let value = f64::from(place) + (n as f64 * 0.7).sin();
            let expected = f64::from(place);
            CheckResult {
                check: check.id.clone(),
                metric: check.metric.clone(),
                severity: check.severity,
                origin: check.origin,
                outcome: Outcome::Pass,
                actual: MetricValue::Float(value),
                error_bound: None,
                note: None,
                expected: format!("between {} and {}", expected - 3.0, expected + 3.0),
                limits: Some(Limits {
                    lower: Some(expected - 3.0),
                    expected: Some(expected),
                    upper: Some(expected + 3.0),
                    model: "median+t5".to_owned(),
                    model_version: 1,
                    ..Limits::default()
                }),
                reason: None,
            }
        })
        .collect();
    let metrics = results
        .iter()
        .map(|result| MetricPoint::computed(result.metric.clone(), result.actual.clone()));
    Evaluation {
        metrics: metrics.collect(),
        counts: OutcomeCounts::of(&results),
        results,
        ..evaluation(&date(n), version, 10, Outcome::Pass)
    }
}

/// Has one more partition judged; the answer is when its commit was answered.
pub async fn one_more(bench: &Bench, n: u64) -> std::time::Instant {
    let (key, version) = (date(n), format!("v{n}"));
    let mut plan = discovery(&[(key.as_str(), version.as_str())]);
    plan.sightings[0].partition = day(&key);
    let run = bench.planned_as(&format!("more {n}"), plan).await;
    bench.finish(run, 1, &measured(&key, b"state")).await;
    let token = bench.assign(run, 2, 1).await;
    assert!(
        bench
            .store
            .start(&token, at(2))
            .await
            .expect("it starts")
            .is_some()
    );
    let judged = judged(&bench.dataset, n, &version);
    assert_eq!(judged.partition.key, PartitionKey(key));
    let output = TaskOutput::Evaluated(Box::new(judged));
    bench.complete(&token, &output).await;
    let committed = std::time::Instant::now();
    let state = RunState::Succeeded;
    let end = Change::MoveRun {
        run,
        state,
        reason: None,
        at: at(4),
    };
    bench.change(end).await;
    committed
}

/// A file with the tokens of an owner and of a subscriber.
fn tokens(path: &std::path::Path) -> [String; 2] {
    let now = jiff::Timestamp::now();
    let later = now + jiff::SignedDuration::from_hours(24);
    let mut file = TokenFile::default();
    let texts = ["owner:team-0", "subscriber:*"].map(|role| {
        let role = role.parse().expect("a role");
        let minted = mint("load", vec![role], Scope::Read, now, later);
        let (text, token) = minted.expect("random numbers");
        file.token.push(token);
        text
    });
    file.write(path).expect("a file can be written");
    texts
}
