//! How far a run has come, live on a terminal.
//!
//! Comes in: the manager's view of a run. Goes out: one bar on standard error, redrawn ten times a
//! second; nothing when standard error is no terminal. It must never delay the run.

use std::time::Duration;

use anyhow::Result;
use assay_manager::ManagerHandle;
use assay_model::ids::RunId;
use assay_model::run::Run;
use assay_model::task::TaskState;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::show::{Screen, text};

/// Waits for the end of `run`, showing how far it has come under `title`.
pub async fn follow(
    manager: &ManagerHandle,
    run: RunId,
    title: &str,
    screen: &Screen,
) -> Result<Run> {
    let bar = bar(title, screen);
    let ended = manager.wait(run);
    tokio::pin!(ended);
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    loop {
        tokio::select! {
            run = &mut ended => {
                bar.finish_and_clear();
                return Ok(run?);
            }
            _ = tick.tick(), if screen.live => draw(&bar, manager, run).await,
        }
    }
}

fn bar(title: &str, screen: &Screen) -> ProgressBar {
    let target = if screen.live {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(1), target);
    // The template is a constant that indicatif's own tests would accept; a plain bar otherwise.
    if let Ok(style) =
        ProgressStyle::with_template("{prefix:<18} {bar:32} {pos}/{len} tasks  {msg}")
    {
        bar.set_style(style.progress_chars("█▌·"));
    }
    bar.set_prefix(title.to_owned());
    bar
}

async fn draw(bar: &ProgressBar, manager: &ManagerHandle, run: RunId) {
    let Ok(view) = manager.view().await else {
        return;
    };
    let Some(row) = view.runs.iter().find(|row| row.run == run) else {
        return;
    };
    let total: u32 = row.tasks.values().sum();
    let ended: u32 = row
        .tasks
        .iter()
        .filter(|(state, _)| state.is_terminal())
        .map(|(_, n)| n)
        .sum();
    let failed = row.tasks.get(&TaskState::Failed).copied().unwrap_or(0);
    let at_work = view.running.iter().filter(|a| a.task.run == run);
    let (mut busy, mut bytes) = (0, 0);
    for attempt in at_work {
        busy += 1;
        bytes += attempt.bytes;
    }
    bar.set_length(u64::from(total.max(1)));
    bar.set_position(u64::from(ended));
    let mut message = format!(
        "{} on {} nodes, {busy} at work",
        row.state,
        view.nodes.len()
    );
    if bytes > 0 {
        message.push_str(&format!(", {} read", text::bytes(bytes)));
    }
    if failed > 0 {
        message.push_str(&format!(", {failed} failed"));
    }
    bar.set_message(message);
}
