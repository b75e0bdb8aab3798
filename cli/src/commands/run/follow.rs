//! Follows a run to its end.
//!
//! Comes in: the cluster's stream of events. Goes out, on standard error: a bar on a terminal, one
//! line per change of state elsewhere. A stream that breaks is opened again where it broke: a run
//! outlives its manager and any gateway, and so does the wish to see its end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use assay_model::ids::RunId;
use assay_model::run::RunState;
use assay_proto::v1;
use assay_proto::v1::run_event::Kind;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

use crate::client::port::{Answer, Cluster, Why};
use crate::context::Context;
use crate::show::{Screen, text};

/// How long nothing may be heard of a run before its watch is given up: longer than an election takes.
const SILENT_MAX: Duration = Duration::from_secs(60);
/// The pause before the next.
const PAUSE: Duration = Duration::from_secs(1);

/// How the watch of a run ended.
pub enum Ended {
    /// The run has ended.
    Yes,
    /// The longest wait is over.
    TimedOut,
    /// Someone pressed Ctrl-C.
    Interrupted,
}

/// Follows `run` to its end, or until `deadline`; shows how it goes when `show`.
pub async fn follow(
    cluster: &Arc<dyn Cluster>,
    run: RunId,
    show: bool,
    deadline: Option<Instant>,
    cx: &Context,
) -> Result<Ended> {
    let mut teller = Teller::new(run, show, cx.screen);
    let ended = async {
        let mut cluster = Arc::clone(cluster);
        let mut mark = None;
        loop {
            let mut pause = PAUSE;
            match stream(cluster.as_ref(), run, &mut mark, &mut teller).await {
                Ok(true) => return Ok(Ended::Yes),
                // A stream that ends without an end of the run is one that broke.
                Ok(false) => {}
                Err(refusal) => {
                    let patient = teller.heard.elapsed() < SILENT_MAX;
                    if refusal.why != Why::Passing || !patient {
                        return Err(refusal.into());
                    }
                    pause = pause.max(refusal.after.unwrap_or_default()).min(SILENT_MAX);
                }
            }
            teller.away(cluster.address(), cluster.search());
            tokio::time::sleep(pause).await;
            // Another one may answer since; while none does, the one that did is asked again.
            if let Ok(found) = cluster.again().await {
                cluster = found;
            }
        }
    };
    let ended = match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline, ended)
            .await
            .unwrap_or(Ok(Ended::TimedOut)),
        None => ended.await,
    };
    teller.finish();
    ended
}

/// Reads one stream from `mark` on; says whether the run has ended.
async fn stream(
    cluster: &dyn Cluster,
    run: RunId,
    mark: &mut Option<String>,
    teller: &mut Teller,
) -> Answer<bool> {
    let mut events = cluster.watch(run, mark.as_deref()).await?;
    while let Some(heard) = events.next().await? {
        teller.hear();
        if heard.mark.is_some() {
            *mark = heard.mark;
        }
        match heard.event.and_then(|event| event.kind) {
            Some(Kind::Run(moved)) => {
                let ended = moved
                    .state
                    .parse::<RunState>()
                    .is_ok_and(RunState::is_terminal);
                teller.run_moved(&moved);
                if ended {
                    return Ok(true);
                }
            }
            Some(Kind::Task(moved)) => teller.task_moved(&moved),
            Some(Kind::Progress(progress)) => teller.progress(&progress),
            None => {}
        }
    }
    Ok(false)
}

/// Tells people how it goes.
struct Teller {
    run: RunId,
    show: bool,
    screen: Screen,
    bar: Option<ProgressBar>,
    state: String,
    failed: u32,
    /// When something was heard last.
    heard: Instant,
    /// It is said that nothing is heard.
    away: bool,
    /// What was told of each task last: a thread that is taken up again tells some of it twice.
    told: BTreeMap<u32, (String, u32)>,
}

impl Teller {
    fn new(run: RunId, show: bool, screen: Screen) -> Self {
        let bar = (show && screen.live).then(|| {
            let bar = ProgressBar::new(1);
            let template = "{prefix} {bar:28} {percent:>3} %  {pos}/{len} tasks  {elapsed}  {msg}";
            // The template is a constant; without it the bar is plain.
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("█▌·"));
            }
            let id = run.to_string();
            bar.set_prefix(id.get(..16).unwrap_or(&id).to_owned());
            bar.enable_steady_tick(Duration::from_millis(250));
            bar
        });
        Self {
            run,
            show,
            screen,
            bar,
            state: String::new(),
            failed: 0,
            heard: Instant::now(),
            away: false,
            told: BTreeMap::new(),
        }
    }

    fn hear(&mut self) {
        self.heard = Instant::now();
        self.away = false;
    }

    /// The stream from `address` broke.
    fn away(&mut self, address: &str, search: &str) {
        if !std::mem::replace(&mut self.away, true) {
            self.line(&format!("  {address} does not answer any more; {search}"));
        }
    }

    fn line(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None if self.show => self.screen.note(line),
            None => {}
        }
    }

    fn run_moved(&mut self, moved: &v1::RunMoved) {
        if moved.state == self.state {
            return;
        }
        self.state.clone_from(&moved.state);
        if let Some(bar) = &self.bar {
            bar.set_message(moved.state.clone());
            return;
        }
        let mut line = format!("{}  {}", self.run, moved.state);
        if moved.planned_tasks > 0 {
            line.push_str(&format!("  {} tasks", moved.planned_tasks));
        }
        if !moved.reason.is_empty() {
            line.push_str(&format!("  {}", moved.reason));
        }
        self.line(&line);
    }

    fn task_moved(&mut self, moved: &v1::TaskMoved) {
        let is = (moved.state.clone(), moved.attempt);
        let known = self.told.insert(moved.no, is.clone());
        // First attempts are the rule, and the bar shows them; a repeat is worth a line.
        if moved.attempt > 1 && known != Some(is) {
            self.line(&format!(
                "  task {} {}  {}  attempt {} on {}",
                moved.no, moved.kind, moved.state, moved.attempt, moved.node
            ));
        }
    }

    fn progress(&mut self, progress: &v1::RunProgress) {
        if progress.failed > self.failed {
            self.failed = progress.failed;
            self.line(&format!(
                "  {} of {} tasks have failed",
                progress.failed, progress.planned
            ));
        }
        let Some(bar) = &self.bar else { return };
        bar.set_length(u64::from(progress.planned.max(1)));
        bar.set_position(u64::from(progress.succeeded + progress.failed));
        let mut message = format!(
            "{}  {} at work, {} waiting",
            self.state, progress.running, progress.ready
        );
        if progress.bytes > 0 {
            message.push_str(&format!(
                ", {} rows, {}",
                text::count(progress.rows),
                text::bytes(progress.bytes)
            ));
        }
        bar.set_message(message);
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
