//! Lifecycles a second: submit, plan, assign over the stream, start, complete, end of the run.

use std::time::{Duration, Instant};

use assay_test_servers::postgres::Postgres;

use crate::stage::{Ground, Stage};
use crate::{cost, noop};

/// One case.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub nodes: usize,
    /// Slots of each.
    pub slots: u32,
    /// Runs at once, each of a dataset of its own.
    pub runs: usize,
    /// Tasks of each.
    pub tasks: usize,
}

/// CPU time by part.
struct Spent {
    manager: Duration,
    nodes: Duration,
    postgres: Duration,
}

impl Spent {
    fn so_far(stage: &Stage<'_>) -> Self {
        let postgres: Option<u32> = Postgres::id(&stage.ground.postgres);
        Self {
            manager: stage.managers[0].id().map_or(Duration::ZERO, cost::cpu),
            nodes: cost::cpu(std::process::id()),
            postgres: postgres.map_or(Duration::ZERO, cost::cpu_of_family),
        }
    }
}

/// Runs a case and prints its figures.
pub async fn measure(ground: &mut Ground, case: Case) {
    let mut stage = Stage::begin(ground, 1, case.slots).await;
    stage.nodes_inside(case.nodes).await;
    // Connections, plans of statements and pages are warm after it.
    let warm = noop::dataset("warm", 500, 0);
    stage.submit(&warm).await;
    ended(&stage, 1).await;
    let before = Spent::so_far(&stage);
    let begun = Instant::now();
    for run in 0..case.runs {
        let dataset = noop::dataset(&format!("noop-{run}"), case.tasks, 0);
        stage.submit(&dataset).await;
    }
    ended(&stage, case.runs + 1).await;
    let took = begun.elapsed();
    let after = Spent::so_far(&stage);
    let all = case.runs * (case.tasks + 1);
    let bad = "SELECT count(*)::text FROM task WHERE state <> 'succeeded' OR attempt <> 1";
    let bad = stage.database.text(bad).await.expect("the store answers");
    let load = cost::load();
    #[expect(clippy::cast_precision_loss, reason = "a count of tasks")]
    let per = |spent: Duration| spent.as_secs_f64() * 1e6 / all as f64;
    println!(
        "throughput: {} nodes x {} slots, {} runs x {} tasks: {:.0} tasks/s ({:.2} s); CPU µs/task: \
         manager {:.0}, nodes {:.0}, postgres {:.0}; not at first attempt: {bad}; manager {} MiB; load {load}",
        case.nodes,
        case.slots,
        case.runs,
        case.tasks,
        1e6 / per(took),
        took.as_secs_f64(),
        per(after.manager.saturating_sub(before.manager)),
        per(after.nodes.saturating_sub(before.nodes)),
        per(after.postgres.saturating_sub(before.postgres)),
        stage.managers[0]
            .id()
            .map_or(0, |pid| cost::memory_mib(pid, "VmHWM")),
    );
    if let Ok(query) = std::env::var("ASSAY_BENCH_QUERY") {
        println!("{}", stage.ground.postgres.sql(&stage.database.url, &query));
    }
    stage.end().await;
}

/// Waits until `runs` have ended.
async fn ended(stage: &Stage<'_>, runs: usize) {
    let query =
        format!("SELECT 'x' FROM run WHERE finished_at IS NOT NULL HAVING count(*) = {runs}");
    stage.until("end of all runs", &query).await;
}
