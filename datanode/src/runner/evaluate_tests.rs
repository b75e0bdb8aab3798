//! Judging by what bears on a partition says what judging by all there is would say.
//!
//! Two stores live through the same story of two series: files come in and out of order, are
//! rewritten, broken and taken away, people answer back, the definition changes. In the one each
//! partition is judged by itself with everything read that the store has; in the other by the runner,
//! in tasks of one and of many partitions. Every judgement, and in the end both stores, are the same.

use std::collections::BTreeMap;
use std::path::Path;

use assay_model::check::{Bound, CheckOrigin, Severity};
use assay_model::dataset::{Cadence, Dataset, FormatKind};
use assay_model::feedback::{Answered, FeedbackId, FeedbackKind, FeedbackScope};
use assay_model::metric::MetricKey;
use assay_model::output::Discovery;
use assay_model::partition::PartitionKey;
use assay_model::run::{Run, RunState, Selection};
use assay_model::task::{EvaluateManySpec, Task, TaskState};
use assay_past::known::{BREACHES_MAX, INCIDENTS_MAX, PAST_MAX};
use assay_past::line::{just_after, points_of};
use assay_store::conformance::fixtures::{Bench, at};
use assay_store::feedback::READ_MAX;
use assay_store::port::ResultFilter;
use assay_store::sqlite::SqliteStore;
use uuid::Uuid;

use super::*;
use crate::runner::{InProcess, TaskRunner as _, TaskWatch};

/// Days of the first run: more than a judgement looks back.
const DAYS: u32 = PAST_MAX + 30;

/// A generator of numbers that are always the same.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u32) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32 % below
    }
}

fn definition(folder: &Path, limit: i64) -> Dataset {
    let mut dataset: Dataset = serde_json::from_value(serde_json::json!({
        "id": "orders", "version": "1.0.0", "status": "active",
        "source": {
            "server": "here",
            "location": { "local": { "path": folder.to_str().unwrap() } },
            "format": { "kind": "csv" },
        },
        "partitions": { "layout": "auto", "sealing": "immediately" },
    }))
    .unwrap();
    assert_eq!(dataset.source.format.kind, FormatKind::Csv);
    dataset.profile.metrics = vec![Metric::NullCount, Metric::Sum];
    dataset.partitions.cadence = Some(Cadence::Daily);
    dataset.partitions.deadline_s = Some(3600);
    dataset.limits.exclude = vec![("2024-03-05".to_owned(), "2024-03-07".to_owned())];
    dataset.checks.push(Check {
        id: CheckId::new("few_rows"),
        metric: MetricKey::table(Metric::RowCount),
        expect: Expectation::MustBeLessThan(Bound::from(limit)),
        severity: Severity::Error,
        origin: CheckOrigin::Declared,
        dimension: None,
        description: None,
        line: None,
        tags: Vec::new(),
    });
    dataset
}

fn day(number: u32) -> String {
    let first: jiff::civil::Date = "2024-01-01".parse().unwrap();
    let day = first.checked_add(jiff::Span::new().days(number)).unwrap();
    day.to_string()
}

/// Writes a day of a region; a few days are far off, have a column less, or cannot be read.
fn write(folder: &Path, region: &str, number: u32, dice: &mut Dice) {
    let path = folder.join(format!("region={region}/day={}", day(number)));
    std::fs::create_dir_all(&path).unwrap();
    let kind = dice.roll(20);
    let rows = match kind {
        0 => 60 + dice.roll(20),
        _ => 5 + dice.roll(4),
    };
    let mut text = String::from(if kind == 1 { "id\n" } else { "id,amount\n" });
    for row in 0..rows {
        let amount = dice.roll(1000);
        match kind {
            1 => text.push_str(&format!("{row}\n")),
            2 if row == 3 => text.push_str("\"never closed"),
            3 => text.push_str(&format!("{row},\n")),
            _ => text.push_str(&format!("{row},{}.{}\n", amount / 10, amount % 10)),
        }
    }
    std::fs::write(path.join("part.csv"), text).unwrap();
}

/// How the evaluations of a plan are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// Each by itself, by all that the store has.
    AllRead,
    /// By the runner, in tasks of so many partitions at most.
    Together(u32),
}

/// A store with its story.
struct World {
    bench: Bench,
    metrics: Arc<dyn MetricStore>,
    sqlite: SqliteStore,
}

impl World {
    async fn new() -> Self {
        let sqlite = SqliteStore::in_memory().await.unwrap();
        Self {
            bench: Bench::new(Arc::new(sqlite.clone())).await,
            metrics: Arc::new(sqlite.clone()),
            sqlite,
        }
    }

    fn job(&self, run: &Run, task: Task) -> TaskJob {
        TaskJob {
            run: run.clone(),
            task,
            dataset: Arc::new(self.bench.dataset.clone()),
            memory_bytes: 1 << 28,
            suspect: false,
            now: run.created_at,
        }
    }

    async fn by_runner(&self, job: TaskJob) -> Result<TaskOutput, TaskFailure> {
        let runner = InProcess::new(Arc::clone(&self.metrics));
        runner.run(job, TaskWatch::default()).await
    }

    /// Lives through a run; answers its discovery and its judgements.
    async fn run(
        &mut self,
        dataset: &Dataset,
        key: &str,
        seconds: i64,
        how: How,
    ) -> (Discovery, Vec<Evaluation>) {
        self.bench.dataset = dataset.clone();
        let store = Arc::clone(&self.bench.store);
        store.put_definition(dataset).await.unwrap();
        let mut run = self.bench.run_of(key, seconds);
        run.selection = Selection::default();
        assert_eq!(
            self.bench.change(self.bench.submission(&run)).await,
            assay_model::change::Answer::Ok
        );
        let discover = self.bench.task(run.id, 0).await;
        let found = self.by_runner(self.job(&run, discover)).await.unwrap();
        let TaskOutput::Discovered(plan) = found.clone() else {
            panic!("{found:?}");
        };
        self.bench.finish(run.id, 0, &found).await;
        let tasks = tasks(&run, &plan, how);
        let change = assay_model::change::Change::PlanRun {
            run: run.id,
            tasks: tasks.clone(),
        };
        assert_eq!(
            self.bench.change(change).await,
            assay_model::change::Answer::Ok
        );
        let mut judged = Vec::new();
        for task in tasks {
            judged.extend(self.task(&run, task, how).await);
        }
        let end = assay_model::change::Change::MoveRun {
            run: run.id,
            state: RunState::Partial,
            reason: Some("a story".to_owned()),
            at: at(seconds + 1),
        };
        assert_eq!(
            self.bench.change(end).await,
            assay_model::change::Answer::Ok
        );
        (plan, judged)
    }

    /// Runs a task to its end.
    async fn task(&self, run: &Run, task: Task, how: How) -> Vec<Evaluation> {
        let no = task.id.no;
        let job = self.job(run, task);
        let output = match (&job.task.spec, how) {
            (TaskSpec::Evaluate(_), How::AllRead) => self.by_all(job).await,
            _ => self.by_runner(job).await,
        };
        match output {
            Ok(output) => {
                self.bench.finish(run.id, no, &output).await;
                match output {
                    TaskOutput::Evaluated(one) => vec![*one],
                    TaskOutput::EvaluatedMany(all) => all,
                    TaskOutput::Measured(_) | TaskOutput::Discovered(_) => Vec::new(),
                }
            }
            Err(failed) => {
                assert_eq!(
                    failed.outcome,
                    AttemptOutcome::Permanent,
                    "{}",
                    failed.message
                );
                let end = assay_model::change::Change::EndTask {
                    task: assay_model::ids::TaskId { run: run.id, no },
                    state: TaskState::Failed,
                    reason: failed.message,
                    at: at(2),
                };
                assert_eq!(
                    self.bench.change(end).await,
                    assay_model::change::Answer::Ok
                );
                Vec::new()
            }
        }
    }

    /// The slow twin: every judgement reads the whole ledger, all verdicts and all broken checks.
    async fn by_all(&self, job: TaskJob) -> Result<TaskOutput, TaskFailure> {
        let TaskSpec::Evaluate(spec) = job.task.spec.clone() else {
            panic!("not an evaluation");
        };
        let metrics = self.metrics.as_ref();
        let (id, partition) = (&job.dataset.id, &spec.partition);
        let series = partition.series.as_str();
        let states = states_of(metrics, &job, &spec).await?;
        let ledger = metrics.ledger(id).await.unwrap();
        let verdicts = metrics.verdicts(id, Some(series), u32::MAX).await.unwrap();
        let one = metrics
            .history(id, Some(&just_after(partition)), 1)
            .await
            .unwrap();
        let values = points_of(&one, &partition.key);
        let is_later = |entry: &&LedgerEntry| {
            let other = &entry.partition;
            other.series == series
                && other.order > partition.order
                && other.start.is_none_or(|start| start <= job.now)
        };
        let later = Later {
            any: ledger.iter().any(|entry| is_later(&entry)),
            data: ledger
                .iter()
                .filter(is_later)
                .any(|e| e.version.is_content()),
        };
        let known = Known {
            history: metrics
                .history(id, Some(partition), PAST_MAX)
                .await
                .unwrap(),
            breaches: metrics.breaches(id, series, BREACHES_MAX).await.unwrap(),
            open: metrics
                .incidents(Some(id), true, INCIDENTS_MAX)
                .await
                .unwrap(),
            answered: metrics.feedback(id, READ_MAX).await.unwrap(),
            partitions: ledger
                .iter()
                .map(|e| Arc::new(e.partition.clone()))
                .collect(),
            verdicts: verdicts.clone(),
        };
        let entry = ledger.iter().find(|e| e.partition.key == partition.key);
        let verdict = verdicts.iter().find(|v| v.partition.key == partition.key);
        let past = Past::new(&known, later, entry, verdict, &values, &spec.version);
        judge(&job, &spec, states, &past).map(|e| TaskOutput::Evaluated(Box::new(e)))
    }

    async fn answer(&self, kind: FeedbackKind, from: &str, to: Option<&str>, seconds: i64) {
        let answer = Answered {
            id: FeedbackId(Uuid::from_u128(seconds.unsigned_abs().into())),
            dataset: self.bench.id().clone(),
            kind,
            scope: FeedbackScope::Dataset,
            series: None,
            from: PartitionKey(from.to_owned()),
            to: to.map(|key| PartitionKey(key.to_owned())),
            by: "ada".to_owned(),
            at: at(seconds),
            reason: "so it is".to_owned(),
            withdrawn: None,
        };
        let store = &self.bench.store;
        store
            .keep_feedback(self.bench.epoch, &answer)
            .await
            .unwrap();
    }

    /// All that people can see of it, as text.
    async fn seen(&self) -> Vec<String> {
        let (metrics, id) = (&self.metrics, self.bench.id());
        let filter = ResultFilter {
            superseded: true,
            limit: 10_000_000,
            ..ResultFilter::default()
        };
        let mut outbox = metrics.outbox(1_000_000).await.unwrap();
        outbox.sort_by(|a, b| a.key.cmp(&b.key));
        let mut seen = vec![
            format!("{:#?}", metrics.ledger(id).await.unwrap()),
            format!("{:#?}", metrics.verdicts(id, None, 100_000).await.unwrap()),
            format!("{:#?}", metrics.history(id, None, 100_000).await.unwrap()),
            format!(
                "{:#?}",
                metrics.incidents(Some(id), false, 100_000).await.unwrap()
            ),
            format!("{outbox:#?}"),
        ];
        let results = metrics.results(id, &filter).await.unwrap();
        seen.extend(results.iter().map(|row| format!("{row:#?}")));
        seen
    }
}

/// The tasks of a plan: one for each partition, or several of a series together.
fn tasks(run: &Run, plan: &Discovery, how: How) -> Vec<Task> {
    let How::Together(most) = how else {
        let alone = Discovery {
            evaluations: Vec::new(),
            ..plan.clone()
        };
        let mut tasks: Vec<Task> = alone.tasks(run.id).collect();
        for evaluation in &plan.evaluations {
            let no = u32::try_from(tasks.len()).unwrap() + 1;
            let id = assay_model::ids::TaskId { run: run.id, no };
            tasks.push(Task::new(
                id,
                TaskSpec::Evaluate(evaluation.clone()),
                Vec::new(),
            ));
        }
        return tasks;
    };
    let mut dice = Dice(u64::from(most));
    let singles = tasks(run, plan, How::AllRead);
    let (measures, evaluations): (Vec<Task>, Vec<Task>) = singles
        .into_iter()
        .partition(|task| task.spec.evaluations().is_empty());
    let mut tasks = measures;
    let mut by_series: BTreeMap<String, Vec<EvaluateSpec>> = BTreeMap::new();
    for spec in evaluations.iter().flat_map(|task| task.spec.evaluations()) {
        let of = by_series.entry(spec.partition.series.clone()).or_default();
        of.push(spec.clone());
    }
    for mut of in by_series.into_values() {
        while !of.is_empty() {
            let size = (1 + dice.roll(most) as usize).min(of.len());
            let some: Vec<EvaluateSpec> = of.drain(..size).collect();
            let measured_by = some.iter().flat_map(|e| e.measured_by.clone()).collect();
            let no = u32::try_from(tasks.len()).unwrap() + 1;
            let id = assay_model::ids::TaskId { run: run.id, no };
            let spec = TaskSpec::EvaluateMany(EvaluateManySpec {
                of: some,
                measured_by,
            });
            tasks.push(Task::new(id, spec, Vec::new()));
        }
    }
    tasks
}

fn assert_same(what: &str, mut slow: Vec<Evaluation>, mut fast: Vec<Evaluation>) {
    let by_partition = |a: &Evaluation, b: &Evaluation| a.partition.cmp(&b.partition);
    slow.sort_by(by_partition);
    fast.sort_by(by_partition);
    assert_eq!(slow.len(), fast.len(), "{what}");
    for (slow, fast) in slow.iter().zip(&fast) {
        assert_eq!(slow, fast, "{what}: {}", slow.partition.key);
    }
}

/// What happens to the files before a run.
fn happen(folder: &Path, chapter: usize, dice: &mut Dice) {
    // The second series is short, so that a whole task fits into what is looked back on.
    for (region, days) in [("eu", DAYS), ("us", 90)] {
        match chapter {
            // Every eleventh day does not come.
            0 => (0..days)
                .filter(|number| number % 11 != 7)
                .for_each(|number| write(folder, region, number, dice)),
            // Some come late, some are rewritten, some are taken away, and there are new ones.
            1 => {
                for number in 0..days + 20 {
                    let path = folder.join(format!("region={region}/day={}", day(number)));
                    match dice.roll(24) {
                        0..=2 => write(folder, region, number, dice),
                        3 if number % 4 == 0 => drop(std::fs::remove_dir_all(path)),
                        _ if number >= days => write(folder, region, number, dice),
                        _ => {}
                    }
                }
            }
            _ => write(folder, region, days + 30, dice),
        }
    }
}

#[tokio::test]
async fn judging_by_what_bears_on_a_partition_is_judging_by_all_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut dice = Dice(7);
    let mut slow = World::new().await;
    let mut fast = World::new().await;
    let (mut broken, mut settled) = (0, 0);
    for (chapter, (most, limit)) in [(70, 50), (9, 50), (300, 65)].into_iter().enumerate() {
        happen(folder.path(), chapter, &mut dice);
        let dataset = definition(folder.path(), limit);
        let seconds = 100_000_000 + 1_000_000 * i64::try_from(chapter).unwrap();
        let key = format!("chapter {chapter}");
        let (plan, expected) = slow.run(&dataset, &key, seconds, How::AllRead).await;
        let (other, judged) = fast.run(&dataset, &key, seconds, How::Together(most)).await;
        assert_eq!(plan, other, "{key}");
        assert_eq!(expected.len(), plan.evaluations.len(), "{key}");
        let results = expected.iter().flat_map(|e| &e.results);
        broken += results.filter(|result| result.is_breach()).count();
        let incidents = expected.iter().flat_map(|e| &e.incidents);
        settled += incidents.filter(|i| i.resolved_at.is_some()).count();
        assert_same(&key, expected, judged);
        for world in [&slow, &fast] {
            let last = day(DAYS - 50);
            world
                .answer(FeedbackKind::TrainAsNewNormal, &last, None, seconds + 5)
                .await;
            let (from, to) = (day(DAYS - 30), day(DAYS - 25));
            world
                .answer(FeedbackKind::ExcludeWindow, &from, Some(&to), seconds + 6)
                .await;
        }
    }
    assert!(
        broken > 100 && settled > 20,
        "{broken} {settled}: too little happened"
    );
    let (slow_seen, fast_seen) = (slow.seen().await, fast.seen().await);
    assert_eq!(slow_seen.len(), fast_seen.len());
    for (slow, fast) in slow_seen.iter().zip(&fast_seen) {
        assert!(slow == fast, "{slow}\n---\n{fast}");
    }
    for world in [slow, fast] {
        let violations = assay_store::invariants::check_invariants(&world.sqlite)
            .await
            .unwrap();
        assert_eq!(violations, []);
    }
}
