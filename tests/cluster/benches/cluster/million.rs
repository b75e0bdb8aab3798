//! One run of a million tasks: how long its plan takes, what its leader holds, how fast it goes, and how
//! soon another leader goes on with it.

use std::time::{Duration, Instant};

use crate::stage::{Ground, Stage};
use crate::{cost, noop};

/// Slots of the one node.
const SLOTS: u32 = 64;
/// How long the rate is measured.
const WINDOW: Duration = Duration::from_secs(20);
/// How long a step of all of it may take.
const LONG: Duration = Duration::from_secs(900);

/// Measures a run of `ASSAY_BENCH_TASKS` tasks; to its end, if `ASSAY_BENCH_WHOLE` is set.
pub async fn measure(ground: &mut Ground) {
    let tasks = std::env::var("ASSAY_BENCH_TASKS").ok();
    let tasks: usize = tasks.map_or(1_000_000, |n| n.parse().expect("a number"));
    let mut stage = Stage::begin(ground, 2, SLOTS).await;
    stage.nodes_inside(1).await;
    let (first, epoch) = stage.leader().await;
    let begun = Instant::now();
    let run = stage.submit(&noop::dataset("million", tasks, 0)).await;
    let discovered = "SELECT 'x' FROM task WHERE no = 0 AND state = 'succeeded'";
    wait(&stage, discovered).await;
    let listed = begun.elapsed();
    wait(&stage, "SELECT 'x' FROM run WHERE planned_at IS NOT NULL").await;
    let planned = begun.elapsed();
    println!(
        "million: {tasks} tasks in one run: its discovery is committed after {:.1} s, its plan is \
         written after {:.1} s; peak memory of the leader {} MiB; load {}",
        listed.as_secs_f64(),
        planned.as_secs_f64(),
        peak(&stage, first),
        cost::load()
    );
    let (before, begun) = (succeeded(&stage).await, Instant::now());
    tokio::time::sleep(WINDOW).await;
    let (after, took) = (succeeded(&stage).await, begun.elapsed());
    #[expect(clippy::cast_precision_loss, reason = "a count of tasks")]
    let rate = (after - before) as f64 / took.as_secs_f64();
    println!(
        "million: {rate:.0} tasks/s after the first {before}; peak memory of the leader {} MiB; load {}",
        peak(&stage, first),
        cost::load()
    );
    stage.managers[first].signal(rustix::process::Signal::KILL);
    stage.managers[first].kill();
    let next = format!(
        "SELECT (extract(epoch FROM min(e.at) - l.minted_at) * 1000)::text FROM leader_epoch l \
         JOIN event e ON e.epoch = l.epoch AND e.kind = 'task_assigned' \
         WHERE l.epoch > {epoch} GROUP BY l.minted_at"
    );
    let ms = wait(&stage, &next).await;
    let (second, _) = stage.leader().await;
    let left = tasks - succeeded(&stage).await;
    println!(
        "million: another leader takes over {left} unfinished tasks: from its epoch to its first \
         assignment {ms} ms; its peak memory {} MiB; load {}",
        peak(&stage, second),
        cost::load()
    );
    if std::env::var("ASSAY_BENCH_WHOLE").is_ok() {
        let ended = format!(
            "SELECT state FROM run WHERE finished_at IS NOT NULL AND run_word(id) = '{run}'"
        );
        let state = wait(&stage, &ended).await;
        println!(
            "million: the run is {state} after {:.0} s; peak memory of its leader {} MiB",
            begun.elapsed().as_secs_f64() + planned.as_secs_f64(),
            peak(&stage, second)
        );
    }
    stage.end().await;
}

fn peak(stage: &Stage<'_>, manager: usize) -> u64 {
    let pid = stage.managers[manager].id();
    pid.map_or(0, |pid| cost::memory_mib(pid, "VmHWM"))
}

async fn succeeded(stage: &Stage<'_>) -> usize {
    let query = "SELECT count(*)::text FROM task WHERE state = 'succeeded' AND no > 0";
    let text = stage.database.text(query).await.expect("the store answers");
    text.parse().expect("a number")
}

/// Waits for a row without asking so often that it is felt.
async fn wait(stage: &Stage<'_>, query: &str) -> String {
    let until = Instant::now() + LONG;
    loop {
        let all = stage.database.texts(query).await;
        if let Ok(Some(found)) = all.as_ref().map(|all| all.first()) {
            return found.clone();
        }
        assert!(
            Instant::now() < until,
            "no row within {LONG:?} of {query}: {all:?}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
