//! `assay feedback`: mark as normal, train as new normal from here, exclude this window.
//!
//! Comes in: a command. Goes out: what the judge would have alerted on without and with the answer,
//! and the answer once it is kept. It must never keep an answer on a terminal whose backtest nobody
//! has seen, unless it is told to, or ask where nobody can answer.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use assay_model::feedback::{Answered, Backtest, FeedbackKind};
use assay_past::words;
use assay_proto::convert;
use assay_proto::link::Door;
use assay_proto::v1;
use assay_proto::v1::preview_feedback_request::What;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::by_prefix;
use crate::args::{Answering, FeedbackCommand, Keeping, NodeRange};
use crate::client::port::{Answer, Answers, Cluster};
use crate::client::{Client, connect, find};
use crate::context::Context;
use crate::dev::{Embedded, EmbeddedConfig, store_path};
use crate::exit::Exit;
use crate::lock::{DataLock, Lock, hold};
use crate::show::{table, text};

/// Answers that an id is looked for among.
const KNOWN_MAX: u32 = 10_000;

/// A way to a cluster: one that runs, or one of this process for as long as the command does.
struct Way {
    cluster: Arc<dyn Cluster>,
    embedded: Option<(Embedded, DataLock)>,
}

impl Way {
    /// To a cluster that runs.
    fn to(cluster: Arc<dyn Cluster>) -> Self {
        let embedded = None;
        Self { cluster, embedded }
    }

    async fn open(cx: &Context) -> Result<Self> {
        if let Some(cluster) = find(cx).await? {
            return Ok(Self::to(cluster));
        }
        let folder = cx.data_dir();
        if !store_path(&folder).exists() {
            // Says who could be asked instead.
            return Ok(Self::to(connect(cx).await?));
        }
        let lock = match hold(&folder, "feedback")? {
            Lock::Held(lock) => lock,
            Lock::Taken(_) => return Ok(Self::to(connect(cx).await?)),
        };
        let embedded = Embedded::start(EmbeddedConfig {
            data_dir: Some(folder),
            // Nothing is run, so that nobody is there to run it.
            nodes: NodeRange { min: 0, max: 1 },
            slots: 1,
            memory_bytes: cx.memory_bytes(None)?,
            storage: None,
            address: None,
        })
        .await?;
        let door = Door::Local(embedded.manager.doorway());
        let cluster = Client::local(&door, cx).await?;
        Ok(Self {
            cluster: Arc::new(cluster),
            embedded: Some((embedded, lock)),
        })
    }

    async fn close(self) {
        if let Some((embedded, _lock)) = self.embedded {
            embedded.shutdown(Duration::from_secs(5)).await;
        }
    }
}

/// Runs the command.
pub async fn run(command: FeedbackCommand, cx: &Context) -> Result<Exit> {
    let way = Way::open(cx).await?;
    let done = act(command, &*way.cluster, cx).await;
    way.close().await;
    done
}

async fn act(command: FeedbackCommand, cluster: &dyn Answers, cx: &Context) -> Result<Exit> {
    match command {
        FeedbackCommand::MarkAsNormal {
            dataset,
            partition,
            how,
        } => {
            let ends = (partition, None);
            answer(FeedbackKind::MarkAsNormal, dataset, ends, &how, cluster, cx).await
        }
        FeedbackCommand::TrainAsNewNormal { dataset, from, how } => {
            let kind = FeedbackKind::TrainAsNewNormal;
            answer(kind, dataset, (from, None), &how, cluster, cx).await
        }
        FeedbackCommand::ExcludeWindow {
            dataset,
            from,
            to,
            how,
        } => {
            let kind = FeedbackKind::ExcludeWindow;
            answer(kind, dataset, (from, to), &how, cluster, cx).await
        }
        FeedbackCommand::List { dataset, limit } => list(&dataset, limit, cluster, cx).await,
        FeedbackCommand::Withdraw { dataset, id, how } => {
            withdraw(&dataset, &id, &how, cluster, cx).await
        }
    }
}

/// What the leader says of an answer.
struct Told {
    answer: Answered,
    backtest: Backtest,
}

fn told(response: Answer<v1::FeedbackResponse>) -> Result<Told> {
    let response = response?;
    Ok(Told {
        answer: convert::feedback(response.feedback)?,
        backtest: convert::backtest(response.backtest)?,
    })
}

async fn preview(cluster: &dyn Answers, what: What, last: u32) -> Result<Told> {
    let what = Some(what);
    let asked = v1::PreviewFeedbackRequest { what, last };
    told(cluster.preview(asked).await)
}

async fn answer(
    kind: FeedbackKind,
    dataset: String,
    (from, to): (String, Option<String>),
    how: &Answering,
    cluster: &dyn Answers,
    cx: &Context,
) -> Result<Exit> {
    let keeping = &how.keeping;
    let draft = v1::FeedbackDraft {
        dataset,
        kind: kind.to_string(),
        metric: how.metric.clone().unwrap_or_default(),
        column: how.column.clone().unwrap_or_default(),
        from,
        to: to.unwrap_or_default(),
        reason: reason(keeping),
        by: cluster.who(keeping.by.as_deref())?,
    };
    if looks_first(keeping) {
        let looked = preview(cluster, What::Draft(draft.clone()), keeping.last).await?;
        if !keep_it(&looked, "kept", keeping, cx)? {
            return Ok(Exit::Ok);
        }
    }
    let wish = v1::KeepFeedbackRequest {
        // Chosen here, so that a repeat of the call is the same answer.
        id: assay_model::feedback::FeedbackId(Uuid::now_v7()).to_string(),
        draft: Some(draft),
        last: keeping.last,
    };
    let kept = told(cluster.keep(wish).await)?;
    done(&kept, "kept", looks_first(keeping), cx)
}

async fn withdraw(
    dataset: &str,
    id: &str,
    keeping: &Keeping,
    cluster: &dyn Answers,
    cx: &Context,
) -> Result<Exit> {
    let (known, _) = known(dataset, KNOWN_MAX, cluster).await?;
    let names: Vec<String> = known.iter().map(|answer| answer.id.to_string()).collect();
    let request = v1::WithdrawFeedbackRequest {
        dataset: dataset.to_owned(),
        id: by_prefix("feedback", id, &names)?,
        reason: reason(keeping),
        by: cluster.who(keeping.by.as_deref())?,
        last: keeping.last,
    };
    if looks_first(keeping) {
        let looked = preview(cluster, What::Withdrawal(request.clone()), keeping.last).await?;
        if !keep_it(&looked, "withdrawn", keeping, cx)? {
            return Ok(Exit::Ok);
        }
    }
    let withdrawn = told(cluster.withdraw(request).await)?;
    done(&withdrawn, "withdrawn", looks_first(keeping), cx)
}

fn reason(keeping: &Keeping) -> String {
    // A look needs none; the parser has seen to it that all else has one.
    let look = || "a look".to_owned();
    keeping.reason.clone().unwrap_or_else(look)
}

/// Whether the backtest is shown before anything is kept: where somebody is there to look at it.
fn looks_first(keeping: &Keeping) -> bool {
    keeping.preview || (!keeping.yes && std::io::stdin().is_terminal())
}

/// Shows what would change; asks whether to go on.
fn keep_it(looked: &Told, done: &str, keeping: &Keeping, cx: &Context) -> Result<bool> {
    if keeping.preview {
        show(looked, false, cx)?;
        cx.screen.note(&format!("nothing is {done}: a preview"));
        return Ok(false);
    }
    // To the one who decides, whatever the form of the results.
    cx.screen.note(&lines(looked));
    let mut err = std::io::stderr();
    write!(err, "shall it be {done}? [y/N] ")?;
    err.flush()?;
    let mut said = String::new();
    std::io::stdin()
        .read_line(&mut said)
        .context("no answer was read")?;
    let yes = matches!(said.trim(), "y" | "Y" | "yes");
    if !yes {
        cx.screen.note(&format!("nothing is {done}"));
    }
    Ok(yes)
}

/// Shows what was kept or withdrawn.
fn done(told: &Told, what: &str, shown: bool, cx: &Context) -> Result<Exit> {
    if !shown {
        cx.screen.text(&format!("{}\n", lines(told)))?;
    }
    cx.screen.text(&format!("{what}  {}\n", told.answer.id))?;
    cx.screen.note(
        "later verdicts follow it; the newest partition is judged again by the next run or check",
    );
    items(told, true, cx)?;
    Ok(Exit::Ok)
}

fn show(told: &Told, kept: bool, cx: &Context) -> Result<()> {
    cx.screen.text(&format!("{}\n", lines(told)))?;
    items(told, kept, cx)
}

fn lines(told: &Told) -> String {
    let mut lines = vec![format!("{}  {}", told.answer.dataset, told.answer)];
    lines.extend(
        words::lines(&told.backtest)
            .into_iter()
            .map(|l| format!("  {l}")),
    );
    lines.join("\n")
}

fn items(told: &Told, kept: bool, cx: &Context) -> Result<()> {
    let item = json!({
        "feedback": feedback_json(&told.answer),
        "backtest": told.backtest,
        "kept": kept,
    });
    let summary = json!({ "kept": kept });
    cx.screen.items("Feedback", &[item], &summary, Exit::Ok)
}

/// An answer for programs.
fn feedback_json(answer: &Answered) -> Value {
    json!({
        "id": answer.id,
        "dataset": answer.dataset,
        "kind": answer.kind,
        "phrase": answer.kind.phrase(),
        "scope": answer.scope,
        "series": answer.series,
        "from": answer.from,
        "to": answer.to,
        "by": answer.by,
        "at": answer.at,
        "reason": answer.reason,
        "inForce": answer.in_force(),
        "withdrawn": answer.withdrawn,
    })
}

async fn known(dataset: &str, limit: u32, cluster: &dyn Answers) -> Result<(Vec<Answered>, bool)> {
    let which = v1::ListFeedbackRequest {
        dataset: dataset.to_owned(),
        limit,
    };
    let listed = cluster.answers(which).await?;
    let read = |wire| convert::feedback(Some(wire));
    let answers: Result<Vec<Answered>, _> = listed.feedback.into_iter().map(read).collect();
    Ok((answers?, listed.more))
}

async fn list(dataset: &str, limit: u32, cluster: &dyn Answers, cx: &Context) -> Result<Exit> {
    let (answers, more) = known(dataset, limit, cluster).await?;
    if answers.is_empty() {
        cx.screen.text(&format!(
            "Nobody has answered back on {dataset}. See: assay feedback --help\n"
        ))?;
    } else {
        let mut table = table::table(&["ID", "ANSWER", "BY", "WHEN", "WHY", "WITHDRAWN"]);
        let now = Timestamp::now();
        for answer in &answers {
            let withdrawn = answer.withdrawn.as_ref().map(|how| {
                let when = text::when(how.at, now, cx.screen.times);
                format!("{when} by {}: {}", how.by, how.reason)
            });
            table.add_row([
                answer.id.to_string(),
                answer.to_string(),
                answer.by.clone(),
                text::when(answer.at, now, cx.screen.times),
                answer.reason.clone(),
                withdrawn.unwrap_or_else(|| "-".to_owned()),
            ]);
        }
        cx.screen.text(&table::print(&table))?;
    }
    if more {
        cx.screen.note(&format!(
            "there are more: --limit {}",
            limit.saturating_mul(2)
        ));
    }
    let items: Vec<Value> = answers.iter().map(feedback_json).collect();
    let summary = json!({ "feedback": items.len(), "more": more });
    cx.screen
        .items("FeedbackList", &items, &summary, Exit::Ok)?;
    Ok(Exit::Ok)
}
