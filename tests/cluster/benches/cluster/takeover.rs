//! A leader that takes over many unfinished tasks: how soon it assigns again, and its memory.

use std::time::Duration;

use crate::stage::{Ground, PATIENCE, Stage};
use crate::{cost, figures, noop};

/// Unfinished tasks, in runs of ten datasets.
const TASKS: usize = 100_000;
const RUNS: usize = 10;
/// Take-overs.
const TRIALS: usize = 5;

/// Kills leaders over a backlog, and prints when each successor assigned first.
pub async fn measure(ground: &mut Ground) {
    let mut stage = Stage::begin(ground, 2, 2).await;
    stage.nodes_inside(2).await;
    for run in 0..RUNS {
        let dataset = noop::dataset(&format!("backlog-{run}"), TASKS / RUNS, 200);
        stage.submit(&dataset).await;
    }
    let planned = format!("SELECT 'x' FROM task HAVING count(*) = {}", TASKS + RUNS);
    stage.until("plan of all runs", &planned).await;
    let (mut elected, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..TRIALS {
        let (place, epoch) = stage.leader().await;
        stage.managers[place].signal(rustix::process::Signal::KILL);
        stage.managers[place].kill();
        // From the new epoch to the first assignment that is committed under it, as rows say.
        let first = format!(
            "SELECT (extract(epoch FROM min(e.at) - l.minted_at) * 1000)::text FROM leader_epoch l \
             JOIN event e ON e.epoch = l.epoch AND e.kind = 'task_assigned' \
             WHERE l.epoch > {epoch} GROUP BY l.minted_at"
        );
        let ms: f64 = stage
            .until("assignment", &first)
            .await
            .parse()
            .expect("a number");
        elected.push(ms);
        let (place, _) = stage.leader().await;
        let pid = stage.managers[place].id().expect("the leader runs");
        #[expect(clippy::cast_precision_loss, reason = "few MiB")]
        memory.push(cost::memory_mib(pid, "VmHWM") as f64);
        let other = 1 - place;
        stage.managers[other].start();
        stage
            .client
            .leader(PATIENCE)
            .await
            .expect("a manager leads");
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    let left = "SELECT count(*)::text FROM task WHERE state NOT IN ('succeeded', 'failed')";
    let left = stage.database.text(left).await.expect("the store answers");
    println!(
        "takeover: {left} unfinished tasks left, from the new epoch to its first assignment: {}; \
         peak memory of the new leader: {:.0} MiB; load {}",
        figures::spread(&elected),
        figures::quantile(&memory, 1.0),
        cost::load()
    );
    stage.end().await;
}
