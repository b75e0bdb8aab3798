//! `assay schedule`: what is due, what would run next, and why something did not.
//!
//! Comes in: a command, the definitions, and what was emitted. Goes out: runs that are asked for, or
//! how datasets stand. It must never decide itself what is due: that is the scheduler's.

mod function;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use assay_model::ids::DatasetId;
use assay_registry::{Agenda, Entry, Registry};
use assay_scheduler::{Budget, Explanation, Listed, TickReport, explain, list, tick};
use assay_store::MetricStore;
use clap::Subcommand;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::by_prefix;
use crate::client::{Client, coded, is_elsewhere};
use crate::context::Context;
use crate::dev::{open_reader, open_registry};
use crate::exit::Exit;
use crate::schedule::StoreAgenda;
use crate::show::{table, text};

/// How long a tick by hand may take.
const LONGEST: Duration = Duration::from_secs(300);

/// `assay schedule …`
#[derive(Debug, Subcommand)]
pub enum ScheduleCommand {
    /// Ask for every run that is due, as the schedule does by itself
    Tick,
    /// Every dataset with when it runs next, and what is wrong with it
    List,
    /// What would run next of a dataset, and why something did not
    Explain {
        /// The dataset, by id or unique beginning.
        dataset: String,
    },
}

/// Runs the command: by the scheduled function, where the settings name one.
pub async fn run(command: ScheduleCommand, cx: &Context) -> Result<Exit> {
    if let Some(function) = cx.settings.text("schedule.function") {
        return remote(command, function, cx).await;
    }
    let ticks = matches!(command, ScheduleCommand::Tick);
    if !ticks && is_elsewhere(cx) && cx.settings.text("registry.url").is_none() {
        let why = "schedules are read from a registry or asked of the scheduled function, and the settings \
                   name a cluster only\n  \
                   name its registry (registry.url) or its function (schedule.function), or leave \
                   --server out for the datasets of this folder";
        return Err(coded(Exit::Usage, why.to_owned()));
    }
    let here = Here::open(cx).await?;
    match command {
        ScheduleCommand::Tick => {
            let client = Client::connect(cx).await?;
            let (managers, budget) = (client.managers(), Budget::of(LONGEST));
            let report = tick(here.agenda(), &managers, Timestamp::now(), budget).await?;
            ticked(&report, cx)
        }
        ScheduleCommand::List => listed(&list(here.agenda(), Timestamp::now()).await?, cx),
        ScheduleCommand::Explain { dataset } => {
            let entry = here.named(&dataset).await?;
            let policy = here.agenda().policy_of(&entry.owners()).await?;
            explained(&explain(&entry, &policy, Timestamp::now()), cx)
        }
    }
}

/// The same, as the function of a cluster answers it.
async fn remote(command: ScheduleCommand, function: &str, cx: &Context) -> Result<Exit> {
    let event = match &command {
        ScheduleCommand::Tick => json!({"kind": "tick"}),
        ScheduleCommand::List => json!({"kind": "list"}),
        ScheduleCommand::Explain { dataset } => json!({"kind": "explain", "dataset": dataset}),
    };
    let mut said = function::invoke(function, &event).await?;
    let unreadable = || format!("the function {function} is of another version: its answer");
    match command {
        ScheduleCommand::Tick => {
            let report: TickReport = serde_json::from_value(said).with_context(unreadable)?;
            ticked(&report, cx)
        }
        ScheduleCommand::List => {
            let all: Listed = serde_json::from_value(said).with_context(unreadable)?;
            listed(&all, cx)
        }
        ScheduleCommand::Explain { dataset } => match said["explanation"].take() {
            Value::Null => Err(coded(
                Exit::Usage,
                format!("there is no dataset `{dataset}`; see: assay schedule list"),
            )),
            told => {
                let told: Explanation = serde_json::from_value(told).with_context(unreadable)?;
                explained(&told, cx)
            }
        },
    }
}

/// The definitions, with what was emitted of each.
enum Here {
    /// Those of the folder, with what the store of the data folder says.
    Folder(StoreAgenda),
    /// Those of the table that a cluster shares, which says so itself.
    #[cfg(feature = "cloud")]
    Table(crate::cloud::Shared),
}

impl Here {
    async fn open(cx: &Context) -> Result<Self> {
        if let Some(url) = cx.settings.text("registry.url") {
            return Self::shared(url).await;
        }
        let folder = cx.registry_dir();
        let base = std::path::absolute(&folder)?;
        let registry = open_registry(&folder, &base)?;
        let store: Option<Arc<dyn MetricStore>> = open_reader(&cx.data_dir()).await?;
        Ok(Self::Folder(StoreAgenda::new(registry, store)))
    }

    #[cfg(feature = "cloud")]
    async fn shared(url: &str) -> Result<Self> {
        Ok(Self::Table(crate::cloud::open(url).await?))
    }

    #[cfg(not(feature = "cloud"))]
    #[expect(clippy::unused_async, reason = "as with the feature `cloud`")]
    async fn shared(url: &str) -> Result<Self> {
        Err(crate::cloud::missing(url))
    }

    fn agenda(&self) -> &dyn Agenda {
        match self {
            Self::Folder(agenda) => agenda,
            #[cfg(feature = "cloud")]
            Self::Table(table) => table,
        }
    }

    fn registry(&self) -> &dyn Registry {
        match self {
            Self::Folder(agenda) => agenda.registry.as_ref(),
            #[cfg(feature = "cloud")]
            Self::Table(table) => table,
        }
    }

    /// The entry of a dataset, by its id or the unique beginning of one.
    async fn named(&self, wanted: &str) -> Result<Entry> {
        // A whole id needs no list, which may take reading a whole table; and what is wrong with an
        // entry that defines nothing is told.
        if let Ok(id) = DatasetId::new(wanted)
            && let Some(entry) = self.agenda().entry(&id).await?
        {
            return Ok(entry);
        }
        let listing = self.registry().list().await?;
        let ids = listing.definitions.iter().map(|d| d.dataset.id.to_string());
        let name = by_prefix("dataset", wanted, &ids.collect::<Vec<_>>())?;
        let entry = match DatasetId::new(name.as_str()) {
            Ok(id) => self.agenda().entry(&id).await?,
            Err(_) => None,
        };
        entry.ok_or_else(|| coded(Exit::Usage, format!("there is no dataset `{name}`")))
    }
}

/// Shows what a tick did.
fn ticked(report: &TickReport, cx: &Context) -> Result<Exit> {
    let mut out = format!("{report}\n");
    if !report.details.is_empty() {
        let mut rows = table::table(&["DATASET", "WHAT", "SLOT", "WHY"]);
        for detail in &report.details {
            let slot = detail
                .slot
                .map_or_else(|| "-".to_owned(), |s| s.to_string());
            rows.add_row([&detail.dataset, &detail.what, &slot, &detail.why]);
        }
        out.push('\n');
        out.push_str(&table::print(&rows));
    }
    cx.screen.text(&out)?;
    let exit = if report.outcome() == "ok" {
        Exit::Ok
    } else {
        Exit::NotEvaluated
    };
    cx.screen.items(
        "ScheduleTick",
        &[report],
        &json!({"outcome": report.outcome()}),
        exit,
    )?;
    Ok(exit)
}

/// Shows how all datasets stand.
fn listed(all: &Listed, cx: &Context) -> Result<Exit> {
    let now = Timestamp::now();
    let mut rows = table::table(&["DATASET", "SCHEDULE", "NEXT", "STANDS"]);
    for one in &all.datasets {
        let next = one.coming.first().or(one.due_at.as_ref());
        let next = next.map_or_else(|| "-".to_owned(), |next| coming(*next, now, cx));
        rows.add_row([
            one.dataset.clone(),
            schedule_of(one),
            next,
            one.words.clone(),
        ]);
    }
    if all.datasets.is_empty() {
        cx.screen
            .note("nothing is ever due: no definition is active and valid");
    } else {
        cx.screen.text(&table::print(&rows))?;
    }
    let summary = json!({"datasets": all.datasets.len(), "more": all.more});
    cx.screen
        .items("ScheduleList", &all.datasets, &summary, Exit::Ok)?;
    Ok(Exit::Ok)
}

fn schedule_of(one: &Explanation) -> String {
    match (&one.schedule, &one.time_zone, one.poll_s) {
        (Some(cron), Some(zone), _) => format!("{cron} {zone}"),
        (_, _, Some(seconds)) => format!("every {}", seconds_of(seconds)),
        _ => "-".to_owned(),
    }
}

fn seconds_of(seconds: i64) -> String {
    text::span(seconds.unsigned_abs().saturating_mul(1000))
}

/// An instant that is still to come.
fn coming(next: Timestamp, now: Timestamp, cx: &Context) -> String {
    if cx.global.time_format == crate::args::TimeFormat::Iso {
        return next.to_string();
    }
    let wait = next.duration_since(now).as_millis();
    match u64::try_from(wait) {
        Ok(wait) => format!("in {}", text::span(wait)),
        Err(_) => "at the next tick".to_owned(),
    }
}

/// Shows how one dataset stands.
fn explained(told: &Explanation, cx: &Context) -> Result<Exit> {
    let now = told.at;
    let when = |at: Option<Timestamp>| {
        at.map_or_else(|| "-".to_owned(), |at| text::when(at, now, cx.screen.times))
    };
    let mut out = format!("{}  {}\n\n", told.dataset, told.words);
    let mut row = |name: &str, value: &str| out.push_str(&format!("{name:<10} {value}\n"));
    row("schedule", &schedule_of(told));
    if let Some(policy) = &told.catch_up {
        row("catch up", policy);
    }
    row("status", told.status.as_deref().unwrap_or("-"));
    let registered = if told.registered {
        "asked for"
    } else {
        "not asked for yet"
    };
    row("past", registered);
    row(
        "emitted",
        &format!("through {}", when(told.emitted_through)),
    );
    if let Some(note) = &told.note {
        row("last tick", note);
    }
    for run in &told.would_run {
        let slot = run.slot.map(|s| format!(" for {s}")).unwrap_or_default();
        row("due now", &format!("{} {}{slot}", run.trigger, run.run));
    }
    for skipped in &told.skipped {
        let slot = skipped.slot.map(|s| format!("{s}: ")).unwrap_or_default();
        row("not run", &format!("{slot}{}", skipped.why));
    }
    let more = told.skipped_count.saturating_sub(told.skipped.len());
    if more > 0 {
        row("not run", &format!("and {more} slots before them"));
    }
    for slot in &told.coming {
        row("next", &format!("{slot}, {}", coming(*slot, now, cx)));
    }
    cx.screen.text(&out)?;
    cx.screen
        .items("ScheduleExplanation", &[told], &json!({}), Exit::Ok)?;
    Ok(Exit::Ok)
}
