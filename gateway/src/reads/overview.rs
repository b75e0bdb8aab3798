//! Everything in one look.

use assay_answers::Reader;
use assay_answers::facts::{Answer, IncidentsQuery};
use assay_answers::overview::{
    HealthCounts, IncidentCounts, NextSlot, Overview, RunSquare, Version,
};
use assay_answers::{Problem, Told};
use assay_model::check::Severity;
use assay_model::incident::IncidentStatus;
use assay_model::node::NodeState;
use assay_model::outcome::Health;
use assay_store::port::RunFilter;
use jiff::SignedDuration;

use super::cut::MOST;
use crate::api::Api;
use crate::rights::Action;

/// Squares of runs.
const RUNS: u32 = 500;
/// Slots that are told.
const NEXT: usize = 10;
/// Runs that are squares.
const LATELY: SignedDuration = SignedDuration::from_hours(24);

impl Api {
    /// Which build answers.
    pub(crate) fn version_of_build(&self) -> Told<Version> {
        let version = Version {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            api: "v1".to_owned(),
            mode: self.parts.mode.as_str().to_owned(),
        };
        Told::fresh(version, (self.parts.now)())
    }

    /// How everything stands.
    pub(crate) async fn overview_of(&self, who: &Reader) -> Answer<Overview> {
        let ((rows, stale), runs) = tokio::try_join!(self.rows(who), self.squares(who))?;
        let mut datasets = HealthCounts::default();
        for row in &rows {
            let count = match row.health {
                Health::Healthy => &mut datasets.healthy,
                Health::Warning => &mut datasets.warning,
                Health::Failing => &mut datasets.failing,
                Health::NotEvaluated => &mut datasets.not_evaluated,
                Health::Learning => &mut datasets.learning,
            };
            *count += 1;
        }
        let incidents = self.open_counts(who).await?;
        let mut next: Vec<NextSlot> = rows
            .iter()
            .filter_map(|row| {
                Some(NextSlot {
                    dataset: row.id.clone(),
                    at: row.next_run?,
                })
            })
            .collect();
        next.sort_by(|a, b| (a.at, &a.dataset).cmp(&(b.at, &b.dataset)));
        next.truncate(NEXT);
        let known = self.known().await?;
        let mut overview = Overview {
            line: String::new(),
            datasets,
            invalid_documents: known.it.invalid.len() as u64,
            incidents,
            runs: runs.0,
            more_runs: runs.1,
            nodes_live: 0,
            nodes_lost: 0,
            tasks_ready: 0,
            tasks_waiting: 0,
            tasks_running: 0,
            leader: None,
            next,
            unknown: known.it.unknown.clone(),
        };
        self.add_cluster(who, &mut overview).await;
        overview.line = line(&overview, rows.len());
        Ok(Told {
            it: overview,
            as_of: (self.parts.now)(),
            stale_s: stale.max(runs.2).max(known.stale_s),
        })
    }

    /// What the leader says; that it does not is no error of the rest.
    async fn add_cluster(&self, who: &Reader, overview: &mut Overview) {
        if self.may_cluster(who, Action::Look).is_err() {
            return;
        }
        match self.standing_of_cluster().await {
            Ok(found) => {
                let cluster = &found.it;
                let live = cluster.nodes.iter();
                let live = live.filter(|n| n.state == NodeState::Live.as_str()).count();
                let lost = cluster.departed.iter().chain(&cluster.nodes);
                let lost = lost.filter(|n| n.state == NodeState::Dead.as_str()).count();
                overview.nodes_live = u32::try_from(live).unwrap_or(u32::MAX);
                overview.nodes_lost = u32::try_from(lost).unwrap_or(u32::MAX);
                overview.tasks_ready = cluster.tasks_ready;
                overview.tasks_waiting = cluster.tasks_waiting;
                overview.tasks_running = cluster.tasks_running;
                overview.leader = Some(cluster.leader.clone());
                overview.unknown.extend(cluster.unknown.iter().cloned());
                if let Some(seconds) = found.stale_s {
                    let what = "nodes and tasks are those of the leader's last word";
                    overview.unknown.push(format!("{what}, {seconds} s ago"));
                }
            }
            Err(problem) => {
                let what = "nodes and tasks are not known";
                overview.unknown.push(format!("{what}: {}", problem.detail));
            }
        }
    }

    async fn squares(&self, who: &Reader) -> Result<(Vec<RunSquare>, bool, Option<u64>), Problem> {
        let filter = RunFilter {
            limit: RUNS,
            ..RunFilter::default()
        };
        let found = self.run_rows(&filter).await?;
        let since = (self.parts.now)().checked_sub(LATELY).ok();
        let mut squares = Vec::new();
        for run in found.it.iter() {
            let lately = since.is_none_or(|since| run.created_at >= since);
            if lately && self.reads(who, &run.dataset).await? {
                squares.push(RunSquare {
                    id: run.id.clone(),
                    dataset: run.dataset.clone(),
                    state: run.state,
                    counts: run.counts,
                    created_at: run.created_at,
                });
            }
        }
        let last = found.it.last().map(|run| run.created_at);
        let more = found.it.len() == RUNS as usize && last >= since;
        Ok((squares, more, found.stale_s))
    }

    async fn open_counts(&self, who: &Reader) -> Result<IncidentCounts, Problem> {
        let mut counts = IncidentCounts::default();
        let mut query = IncidentsQuery::default();
        query.cut.limit = Some(MOST);
        let list = self.incident_list(who, &query).await?;
        counts.more = list.it.next_cursor.is_some();
        for incident in &list.it.items {
            if incident.status == IncidentStatus::Resolved {
                // Open ones come first.
                counts.more = false;
                break;
            }
            match incident.severity {
                Severity::Error => counts.error += 1,
                Severity::Warning => counts.warning += 1,
                Severity::Info => counts.info += 1,
            }
        }
        Ok(counts)
    }
}

/// `dataset` or `datasets`.
fn word(count: u64, one: &str) -> String {
    match count {
        1 => one.to_owned(),
        _ => format!("{one}s"),
    }
}

/// Everything in one line.
fn line(of: &Overview, datasets: usize) -> String {
    let open = of.incidents.error + of.incidents.warning + of.incidents.info;
    let more = if of.incidents.more { "at least " } else { "" };
    let leader = match &of.leader {
        Some(leader) => format!("{leader} leads"),
        None => "no leader is known".to_owned(),
    };
    let health = [
        (of.datasets.failing, "failing"),
        (of.datasets.warning, "warning"),
        (of.datasets.not_evaluated, "not evaluated"),
        (of.datasets.learning, "learning"),
        (of.datasets.healthy, "healthy"),
    ];
    // A zero of each kind would hide what there is.
    let health = health.iter().filter(|(count, _)| *count > 0);
    let health: Vec<String> = health
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let health = match health.is_empty() {
        true => String::new(),
        false => format!(": {}", health.join(", ")),
    };
    format!(
        "{datasets} {}{health}; {more}{open} open {}; {} {} live, {leader}",
        word(datasets as u64, "dataset"),
        word(open, "incident"),
        of.nodes_live,
        word(u64::from(of.nodes_live), "node"),
    )
}
