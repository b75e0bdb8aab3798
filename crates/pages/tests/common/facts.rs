//! The world behind the ports that pages ask.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use assay_answers::check::{CheckResult, CheckRow};
use assay_answers::cluster::{Cluster, Manager, Scale, Ticked};
use assay_answers::dataset::{DatasetDetail, DatasetList, InvalidDocument, PartitionRow};
use assay_answers::definition::{
    Applied, Definition, Diff, DiffLine, LineKind, Validation, VersionRow,
};
use assay_answers::facts::{
    Answer, Cut, DatasetsQuery, IncidentsQuery, Match, PointsQuery, ResultsQuery, RunsQuery,
};
use assay_answers::incident::Incident;
use assay_answers::metric::{MetricRow, Points};
use assay_answers::node::{Held, Node, NodeDetail, NodeList};
use assay_answers::overview::{
    HealthCounts, IncidentCounts, NextSlot, Overview, RunSquare, Version,
};
use assay_answers::problem::Diagnostic;
use assay_answers::run::{
    Bar, Done, Run, RunDetail, Segments, Selection, StartRun, Started, Waiting,
};
use assay_answers::task::{Task, Try};
use assay_answers::{Deeds, Facts, List, Problem, Reader, Told};
use assay_model::dataset::DatasetStatus;
use assay_model::ledger::LedgerState;
use assay_model::run::{Priority, RunState, Trigger};
use assay_model::task::{TaskKind, TaskState};
use assay_pages::Pages;
use assay_pages::seams::{
    Answering, Backtest, Change, Incidents, Kept, Said, Saying, Seams, Setting, Settings,
    Subscription, Subscriptions,
};
use async_trait::async_trait;

use super::now;
use super::world::{DAYS, INCIDENT, LIVE_RUN, Names, RUN, counts, hours_ago, task_states};

/// The world: its names, how far its live run is, whether its store answers, what was wished.
pub struct World {
    pub names: Names,
    pub empty: bool,
    pub done: AtomicU64,
    pub away: AtomicBool,
    pub wishes: Mutex<Vec<String>>,
}

/// Tasks of the live run.
pub const TASKS: u64 = 12;

impl World {
    pub fn new(names: Names) -> Arc<Self> {
        Arc::new(Self {
            names,
            empty: false,
            done: AtomicU64::new(4),
            away: AtomicBool::new(false),
            wishes: Mutex::new(Vec::new()),
        })
    }

    /// A world in which nothing was ever done.
    pub fn empty() -> Arc<Self> {
        let mut world = Self::new(Names::usual());
        Arc::get_mut(&mut world).unwrap().empty = true;
        world
    }

    /// Pages over it, with everything that they can offer.
    pub fn pages(self: &Arc<Self>) -> Pages {
        let seams = Seams {
            answering: Some(self.clone()),
            incidents: Some(self.clone()),
            subscriptions: Some(self.clone()),
            settings: Some(self.clone()),
        };
        Pages::new(self.clone(), Some(self.clone()), seams)
    }

    fn told<T>(&self, it: T) -> Answer<T> {
        let away = self.away.load(Ordering::SeqCst);
        Ok(Told {
            it,
            as_of: now(),
            stale_s: away.then_some(190),
        })
    }

    fn all<T>(&self, items: Vec<T>) -> Answer<List<T>> {
        let items = if self.empty { Vec::new() } else { items };
        let total = Some(items.len() as u64);
        self.told(List {
            items,
            next_cursor: None,
            total,
        })
    }

    fn wish(&self, words: String) {
        self.wishes.lock().unwrap().push(words);
    }

    /// Whether the world has this dataset.
    fn known(&self, dataset: &str) -> Result<(), Problem> {
        let is = self.names.rows().iter().any(|row| row.id == dataset);
        if is && !self.empty {
            Ok(())
        } else {
            Err(missing())
        }
    }

    fn check_of(&self, check: &str) -> Result<CheckRow, Problem> {
        self.names
            .checks()
            .into_iter()
            .find(|c| c.id == check)
            .ok_or_else(missing)
    }

    fn runs_all(&self) -> Vec<Run> {
        let run = |id: &str, state: RunState, trigger: Trigger, ended: bool| Run {
            id: id.to_owned(),
            dataset: self.names.dataset.clone(),
            definition: "591785b794601e212b260e25925636fd".to_owned(),
            trigger,
            priority: Priority::Live,
            slot: (trigger == Trigger::Schedule).then(|| hours_ago(1)),
            state,
            reason: (state == RunState::Partial)
                .then(|| "1 task failed after 3 attempts".to_owned()),
            selection: Selection {
                last_days: (trigger == Trigger::Backfill).then_some(90),
                ..Selection::default()
            },
            created_at: hours_ago(1),
            started_at: Some(hours_ago(1)),
            finished_at: ended.then(|| hours_ago(1) + jiff::SignedDuration::from_secs(122)),
            deadline_at: now() + jiff::SignedDuration::from_mins(20),
            planned_tasks: 12,
            task_states: task_states(&[
                (TaskState::Succeeded, 7),
                (TaskState::Running, 2),
                (TaskState::Ready, 3),
            ]),
            task_count: TASKS,
            partitions: 3,
            counts: if ended {
                counts(4, 1, 1, 1, 0, 0)
            } else {
                counts(2, 0, 0, 0, 0, 0)
            },
        };
        vec![
            run(LIVE_RUN, RunState::Running, Trigger::Backfill, false),
            run(RUN, RunState::Partial, Trigger::Schedule, true),
            run(
                "run_01980000000070008000000000000003",
                RunState::Succeeded,
                Trigger::Manual,
                true,
            ),
            run(
                "run_01980000000070008000000000000004",
                RunState::Failed,
                Trigger::Arrival,
                true,
            ),
            run(
                "run_01980000000070008000000000000005",
                RunState::Cancelled,
                Trigger::Manual,
                true,
            ),
        ]
    }

    fn task_of(&self, no: u32) -> Task {
        let state = match no {
            0..5 => TaskState::Succeeded,
            5 | 6 => TaskState::Running,
            7 => TaskState::Failed,
            _ => TaskState::Ready,
        };
        let ended = state.is_terminal();
        let attempt = |attempt: u32, outcome: &str, reason: &str| Try {
            attempt,
            node: format!("node-{}", 1 + no % 3),
            assigned_at: Some(hours_ago(1)),
            started_at: Some(hours_ago(1) + jiff::SignedDuration::from_secs(i64::from(no))),
            ended_at: (!outcome.is_empty())
                .then(|| hours_ago(1) + jiff::SignedDuration::from_secs(30 + i64::from(no))),
            outcome: outcome.to_owned(),
            charged: outcome != "ok",
            reason: reason.to_owned(),
        };
        let tries = match state {
            TaskState::Ready => Vec::new(),
            TaskState::Failed => vec![
                attempt(1, "node_lost", "node-2 fell silent"),
                attempt(
                    2,
                    "error",
                    "cannot read s3://lake/orders/2026-11-19/part-3.parquet: the footer is cut short",
                ),
            ],
            TaskState::Running => vec![attempt(1, "", "")],
            _ => vec![attempt(1, "ok", "")],
        };
        Task {
            no,
            kind: if no == 0 {
                TaskKind::Discover
            } else if no % 4 == 0 {
                TaskKind::Evaluate
            } else {
                TaskKind::Measure
            },
            partition: if no == 0 {
                String::new()
            } else {
                self.names.key(80 + no as usize % 4)
            },
            batch: u32::from(no > 0),
            batches: 2 * u32::from(no > 0),
            depends_on: if no == 8 { vec![5, 6, 7] } else { Vec::new() },
            state,
            wait: if state == TaskState::Ready {
                ["no_capacity", "dependency"][no as usize % 2].to_owned()
            } else {
                String::new()
            },
            not_before: None,
            attempts: u32::try_from(tries.len()).unwrap(),
            node: if ended || tries.is_empty() {
                String::new()
            } else {
                "node-1".to_owned()
            },
            bytes: 84 << 20,
            reason: if state == TaskState::Failed {
                self.names.message.clone()
            } else {
                String::new()
            },
            assigned_at: None,
            started_at: None,
            tries,
        }
    }

    fn nodes_all(&self) -> Vec<Node> {
        let node = |id: &str, state: &str, used: u32, cpu: f64| Node {
            id: id.to_owned(),
            incarnation: 3,
            state: state.to_owned(),
            slots: 4,
            slots_used: used,
            cpu,
            memory_bytes: 4 << 30,
            memory_used_bytes: (u64::from(used) * 900) << 20,
            zone: "eu-central-1a".to_owned(),
            silent_ms: 840,
            reason: (state != "live").then(|| "asked for by an operator".to_owned()),
            since: Some(hours_ago(5)),
            version: Some("0.1.0".to_owned()),
        };
        vec![
            node("node-1", "live", 4, 0.97),
            node("node-2", "suspect", 1, 0.4),
            node("node-3", "draining", 2, 0.85),
            node("node-4", "live", 0, 0.02),
        ]
    }
}

pub fn missing() -> Problem {
    problem(
        404,
        "not-found",
        "Not found",
        "There is no such thing, or it is another owner's.",
    )
}

pub fn problem(status: u16, slug: &str, title: &str, detail: &str) -> Problem {
    serde_json::from_value(serde_json::json!({
        "type": format!("/problems/{slug}"), "title": title, "status": status, "detail": detail,
    }))
    .unwrap()
}

#[async_trait]
impl Facts for World {
    async fn version(&self, _: &Reader) -> Answer<Version> {
        self.told(Version {
            version: "0.1.0".to_owned(),
            api: "v1".to_owned(),
            mode: "embedded".to_owned(),
        })
    }

    async fn overview(&self, _: &Reader) -> Answer<Overview> {
        let runs = self.runs_all().into_iter().cycle().take(40);
        let squares = runs.map(|run| RunSquare {
            id: run.id,
            dataset: run.dataset,
            state: run.state,
            counts: run.counts,
            created_at: run.created_at,
        });
        let some = !self.empty;
        let n = |number: u64| if some { number } else { 0 };
        self.told(Overview {
            line: "5 datasets, 1 failing; 4 nodes; nothing waits for long".to_owned(),
            datasets: HealthCounts {
                healthy: n(1),
                warning: n(1),
                failing: n(1),
                not_evaluated: n(1),
                learning: n(1),
            },
            invalid_documents: n(1),
            incidents: IncidentCounts {
                error: n(1),
                warning: n(2),
                info: 0,
                more: false,
            },
            runs: if some { squares.collect() } else { Vec::new() },
            more_runs: false,
            nodes_live: 3,
            nodes_lost: u32::from(some),
            tasks_ready: 3,
            tasks_waiting: 1,
            tasks_running: 2,
            leader: Some("manager-a".to_owned()),
            next: if some {
                vec![NextSlot {
                    dataset: self.names.dataset.clone(),
                    at: now() + jiff::SignedDuration::from_mins(15),
                }]
            } else {
                Vec::new()
            },
            unknown: Vec::new(),
        })
    }

    async fn datasets(&self, _: &Reader, query: &DatasetsQuery) -> Answer<DatasetList> {
        let mut items = if self.empty {
            Vec::new()
        } else {
            self.names.rows()
        };
        items.retain(|row| {
            query
                .health
                .as_ref()
                .is_none_or(|health| row.health.as_str() == health)
        });
        items.retain(|row| {
            query
                .search
                .as_ref()
                .is_none_or(|text| row.id.contains(text))
        });
        items.retain(|row| query.owner.is_none() || row.owner == query.owner);
        items.retain(|row| query.tag.as_ref().is_none_or(|tag| row.tags.contains(tag)));
        let invalid = if self.empty {
            Vec::new()
        } else {
            vec![InvalidDocument {
                file: "datasets/refunds.odcs.yaml".to_owned(),
                valid: false,
                diagnostics: vec![diagnostic()],
            }]
        };
        let total = Some(items.len() as u64);
        self.told(DatasetList {
            items,
            next_cursor: None,
            total,
            invalid,
        })
    }

    async fn dataset(&self, _: &Reader, dataset: &str) -> Answer<DatasetDetail> {
        self.known(dataset)?;
        let row = self
            .names
            .rows()
            .into_iter()
            .find(|row| row.id == dataset)
            .ok_or_else(missing)?;
        self.told(self.names.detail(row))
    }

    async fn checks(&self, _: &Reader, dataset: &str) -> Answer<List<CheckRow>> {
        self.known(dataset)?;
        self.all(if dataset == "events" {
            Vec::new()
        } else {
            self.names.checks()
        })
    }

    async fn check(&self, _: &Reader, dataset: &str, check: &str) -> Answer<CheckRow> {
        self.known(dataset)?;
        self.told(self.check_of(check)?)
    }

    async fn results(
        &self,
        _: &Reader,
        dataset: &str,
        check: &str,
        query: &ResultsQuery,
    ) -> Answer<List<CheckResult>> {
        self.known(dataset)?;
        let mut results = self.names.results(&self.check_of(check)?);
        results.retain(|r| query.from.as_ref().is_none_or(|from| r.partition >= *from));
        results.retain(|r| query.to.as_ref().is_none_or(|to| r.partition <= *to));
        self.all(results)
    }

    async fn metrics(
        &self,
        _: &Reader,
        dataset: &str,
        column: Option<&str>,
        _: &Cut,
    ) -> Answer<List<MetricRow>> {
        self.known(dataset)?;
        if dataset == "events" {
            return self.all(Vec::new());
        }
        let names = self
            .names
            .metrics()
            .into_iter()
            .filter(|m| column.is_none_or(|c| m.column == c));
        let rows = names.map(|key| {
            let points: Vec<_> = (DAYS - 30..DAYS)
                .map(|day| self.names.point(&key, day))
                .collect();
            MetricRow {
                series: String::new(),
                points: 30,
                spark: points.iter().map(|p| p.value.as_f64()).collect(),
                newest: points.last().cloned(),
                key,
            }
        });
        self.all(rows.collect())
    }

    async fn points(
        &self,
        _: &Reader,
        dataset: &str,
        metric: &str,
        query: &PointsQuery,
    ) -> Answer<Points> {
        self.known(dataset)?;
        if dataset == "events" {
            return Err(missing());
        }
        let known = self
            .names
            .metrics()
            .into_iter()
            .chain(self.names.checks().into_iter().map(|c| c.of));
        let key = known
            .into_iter()
            .find(|m| m.name == metric)
            .ok_or_else(missing)?;
        let mut points = if key.metric == assay_model::metric::Metric::ByteCount {
            self.names.grouped(key)
        } else {
            self.names.points(key)
        };
        points
            .points
            .retain(|p| query.series.as_ref().is_none_or(|s| p.series == *s));
        points
            .points
            .retain(|p| query.from.as_ref().is_none_or(|from| p.partition >= *from));
        points
            .points
            .retain(|p| query.to.as_ref().is_none_or(|to| p.partition <= *to));
        self.told(points)
    }

    async fn partitions(&self, _: &Reader, dataset: &str, cut: &Cut) -> Answer<List<PartitionRow>> {
        self.known(dataset)?;
        let rows = (0..DAYS).rev().map(|day| PartitionRow {
            partition: self.names.partition(day),
            state: if day == 40 {
                LedgerState::Missing
            } else {
                LedgerState::Scanned
            },
            version: format!("{day:032x}"),
            judged: Some(format!("{day:032x}")),
            revision: 1,
            objects: 3,
            bytes: 84 << 20,
            first_seen: hours_ago(48),
            last_modified: Some(hours_ago(49)),
            counts: Some(counts(6, 0, 1, 0, 0, 0)),
        });
        let (skip, next) = if cut.cursor.is_some() {
            (50, None)
        } else {
            (0, Some("50".to_owned()))
        };
        let items = rows.skip(skip).take(50).collect();
        self.told(List {
            items,
            next_cursor: next,
            total: Some(DAYS as u64),
        })
    }

    async fn definition(&self, _: &Reader, dataset: &str) -> Answer<Definition> {
        self.known(dataset)?;
        self.told(Definition {
            id: dataset.to_owned(),
            version: "1.2.0".to_owned(),
            status: DatasetStatus::Active,
            text: include_str!("orders.odcs.yaml").to_owned(),
            digest: "591785b7".to_owned(),
            file: "datasets/orders.odcs.yaml".to_owned(),
            since: Some(hours_ago(960)),
            revision: Some(2),
            kept: false,
        })
    }

    async fn versions(&self, _: &Reader, dataset: &str) -> Answer<List<VersionRow>> {
        self.known(dataset)?;
        let version = |revision: u64| VersionRow {
            revision,
            version: Some(format!("1.{revision}.0")),
            status: Some("active".to_owned()),
            owner: Some(self.names.owner.clone()),
            digest: format!("{revision:032x}"),
            at: Some(hours_ago(2000 - 500 * i64::try_from(revision).unwrap())),
            by: Some("ada@acme.example".to_owned()),
            in_force: revision == 2,
        };
        self.all(vec![version(2), version(1)])
    }

    async fn version_of(&self, who: &Reader, dataset: &str, _: u64) -> Answer<Definition> {
        self.definition(who, dataset).await
    }

    async fn diff(&self, _: &Reader, dataset: &str, _: u64, _: Option<u64>) -> Answer<Diff> {
        self.known(dataset)?;
        let line = |kind, before, after, text: &str| DiffLine {
            kind,
            before,
            after,
            text: text.to_owned(),
        };
        self.told(Diff {
            before: Some("1".to_owned()),
            after: "2".to_owned(),
            checks_added: vec![self.names.check.clone()],
            checks_removed: Vec::new(),
            checks_changed: vec!["row_count".to_owned()],
            judges_differently: true,
            lines: vec![
                line(
                    LineKind::Same,
                    Some(40),
                    Some(40),
                    "      - metric: rowCount",
                ),
                line(
                    LineKind::Removed,
                    Some(41),
                    None,
                    "        mustBeGreaterThan: 500",
                ),
                line(
                    LineKind::Added,
                    None,
                    Some(41),
                    "        mustBeGreaterOrEqualTo: 1000",
                ),
            ],
        })
    }

    async fn runs(&self, _: &Reader, query: &RunsQuery) -> Answer<List<Run>> {
        let mut runs = self.runs_all();
        runs.retain(|run| {
            query
                .dataset
                .as_ref()
                .is_none_or(|dataset| run.dataset == *dataset)
        });
        runs.retain(|run| match query.state.as_deref() {
            None => true,
            Some("active") => !run.state.is_terminal(),
            Some(state) => run.state.as_str() == state,
        });
        self.all(runs)
    }

    async fn run(&self, _: &Reader, run: &str) -> Answer<RunDetail> {
        let mut run = self
            .runs_all()
            .into_iter()
            .find(|r| r.id == run)
            .ok_or_else(missing)?;
        let done = if run.state.is_terminal() {
            11
        } else {
            self.done.load(Ordering::SeqCst).min(TASKS)
        };
        if done == TASKS {
            run.state = RunState::Succeeded;
            run.finished_at = Some(now());
        }
        let left = TASKS - done;
        let tasks: Vec<Task> = (0..12).map(|no| self.task_of(no)).collect();
        let timeline = tasks
            .iter()
            .flat_map(|task| task.tries.iter().map(move |t| (task, t)))
            .map(|(task, t)| Bar {
                node: t.node.clone(),
                no: task.no,
                kind: task.kind,
                partition: task.partition.clone(),
                attempt: t.attempt,
                start: t.started_at.unwrap(),
                end: t.ended_at,
                outcome: Some(t.outcome.clone()).filter(|o| !o.is_empty()),
                reason: None,
            });
        let ended = run.state.is_terminal();
        self.told(RunDetail {
            segments: Segments {
                done,
                running: if ended { 0 } else { left.min(2) },
                retrying: 0,
                queued: if ended { 0 } else { left.saturating_sub(3) },
                unplaceable: if ended { 0 } else { u64::from(left > 2) },
                failed: if ended { left } else { 0 },
            },
            timeline: timeline.collect(),
            timeline_left_out: 0,
            waits: if ended {
                Vec::new()
            } else {
                vec![Waiting {
                    wait: "no_capacity".to_owned(),
                    tasks: 3,
                    reason: Some("all 16 slots of 4 nodes are taken".to_owned()),
                }]
            },
            findings: if ended {
                self.names
                    .checks()
                    .into_iter()
                    .filter_map(|c| c.newest)
                    .filter(|r| r.outcome.needs_a_look())
                    .collect()
            } else {
                Vec::new()
            },
            findings_left_out: 0,
            notices: vec!["1 partition that was expected has not come".to_owned()],
            ignored: vec!["lake/orders/_SUCCESS: a marker".to_owned()],
            ignored_count: 4,
            lost_nodes: if ended {
                vec!["node-2".to_owned()]
            } else {
                Vec::new()
            },
            tasks,
            tasks_left_out: 0,
            run,
        })
    }

    async fn tasks(&self, _: &Reader, run: &str, _: &Cut) -> Answer<List<Task>> {
        self.runs_all()
            .into_iter()
            .find(|r| r.id == run)
            .ok_or_else(missing)?;
        self.all((0..12).map(|no| self.task_of(no)).collect())
    }

    async fn task(&self, _: &Reader, run: &str, no: u32) -> Answer<Task> {
        self.runs_all()
            .into_iter()
            .find(|r| r.id == run)
            .ok_or_else(missing)?;
        if no < 12 {
            self.told(self.task_of(no))
        } else {
            Err(missing())
        }
    }

    async fn incidents(&self, _: &Reader, query: &IncidentsQuery) -> Answer<List<Incident>> {
        let mut items = vec![self.names.incident()];
        items.retain(|i| {
            query
                .status
                .as_ref()
                .is_none_or(|status| i.status.as_str() == status)
        });
        items.retain(|i| {
            query
                .severity
                .as_ref()
                .is_none_or(|severity| i.severity.as_str() == severity)
        });
        items.retain(|i| {
            query
                .dataset
                .as_ref()
                .is_none_or(|dataset| i.dataset == *dataset)
        });
        self.all(items)
    }

    async fn incident(&self, _: &Reader, incident: &str) -> Answer<Incident> {
        if incident == INCIDENT {
            self.told(self.names.incident())
        } else {
            Err(missing())
        }
    }

    async fn nodes(&self, _: &Reader) -> Answer<NodeList> {
        let mut gone = self.nodes_all().remove(1);
        gone.id = "node-0".to_owned();
        gone.state = "dead".to_owned();
        let items = if self.empty {
            Vec::new()
        } else {
            self.nodes_all()
        };
        self.told(NodeList {
            items,
            next_cursor: None,
            desired: 4,
            departed: if self.empty { Vec::new() } else { vec![gone] },
            departed_more: 0,
            unknown: Vec::new(),
        })
    }

    async fn node(&self, _: &Reader, node: &str) -> Answer<NodeDetail> {
        let node = self
            .nodes_all()
            .into_iter()
            .find(|n| n.id == node)
            .ok_or_else(missing)?;
        let held = Held {
            run_id: LIVE_RUN.to_owned(),
            dataset: self.names.dataset.clone(),
            no: 5,
            kind: "measure".to_owned(),
            partition: self.names.key(81),
            state: "running".to_owned(),
            assigned_at: Some(hours_ago(1)),
        };
        self.told(NodeDetail {
            node,
            holds: vec![held],
        })
    }

    async fn cluster(&self, _: &Reader) -> Answer<Cluster> {
        let manager = |name: &str, leads| Manager {
            name: name.to_owned(),
            address: "https://10.0.0.7:8081".to_owned(),
            leads,
        };
        self.told(Cluster {
            leader: "manager-a".to_owned(),
            epoch: 7,
            managers: vec![manager("manager-a", true), manager("manager-b", false)],
            nodes: self.nodes_all(),
            departed: Vec::new(),
            departed_more: 0,
            unknown: Vec::new(),
            nodes_desired: 5,
            nodes_desired_reason: "18 ready tasks, 4 slots a node, bounds 2 to 8".to_owned(),
            runs_unfinished: 1,
            tasks_ready: 3,
            tasks_waiting: 1,
            tasks_running: 2,
            store_away: None,
            store_away_since: None,
            schedule: Some(Ticked {
                at: Some(hours_ago(0)),
                outcome: "ok".to_owned(),
                words: "1 slot due, 1 run started".to_owned(),
            }),
        })
    }

    fn openapi(&self) -> serde_json::Value {
        serde_json::json!({
            "openapi": "3.1.0",
            "info": { "title": "Assay", "version": "v1", "description": "Everything that pages show, and more." },
            "paths": {
                "/api/v1/datasets": { "get": { "tags": ["datasets"], "summary": "Datasets", "description": "A list.",
                    "parameters": [{ "name": "search", "in": "query", "description": "Only those whose id, name or owner contains this." }],
                    "responses": { "200": { "description": "The list" }, "429": { "description": "Too many requests" } } } },
                "/api/v1/runs/{id}:cancel": { "post": { "tags": ["runs"], "summary": "Stops a run",
                    "parameters": [{ "name": "id", "in": "path", "required": true, "description": "The run." }],
                    "responses": { "202": { "description": "Taken" } } } }
            }
        })
    }
}

fn diagnostic() -> Diagnostic {
    Diagnostic {
        code: "ASY014".to_owned(),
        level: "error".to_owned(),
        file: "datasets/refunds.odcs.yaml".to_owned(),
        line: 4,
        column: 13,
        path: "schema[0].quality[1]".to_owned(),
        message: "unknown operator `mustBeLessThen`".to_owned(),
        hint: Some("did you mean `mustBeLessThan`?".to_owned()),
    }
}

#[async_trait]
impl Deeds for World {
    async fn validate(&self, _: &Reader, text: &str) -> Result<Validation, Problem> {
        let bad = text.contains("mustBeLessThen");
        let id = text
            .lines()
            .find_map(|line| line.strip_prefix("id: "))
            .map(str::to_owned);
        Ok(Validation {
            valid: !bad,
            id,
            version: Some("1.3.0".to_owned()),
            checks: 3,
            diagnostics: if bad { vec![diagnostic()] } else { Vec::new() },
        })
    }

    async fn apply(
        &self,
        _: &Reader,
        dataset: &str,
        text: &str,
        condition: &Match,
        dry_run: bool,
    ) -> Result<Applied, Problem> {
        let exists = self.known(dataset).is_ok();
        match condition {
            Match::Absent if exists => {
                return Err(problem(
                    412,
                    "precondition-failed",
                    "It is defined already",
                    "orders is defined.",
                ));
            }
            Match::Digest(digest) if digest != "591785b7" => {
                return Err(problem(
                    412,
                    "precondition-failed",
                    "It was changed",
                    "Somebody was faster.",
                ));
            }
            _ => {}
        }
        self.wish(format!(
            "apply {dataset} dry_run={dry_run} lines={}",
            text.lines().count()
        ));
        Ok(Applied {
            id: dataset.to_owned(),
            done: if exists { "changed" } else { "created" }.to_owned(),
            dry_run,
            digest: "x".to_owned(),
            diff: Diff {
                judges_differently: exists,
                lines: vec![DiffLine {
                    kind: LineKind::Added,
                    before: None,
                    after: Some(5),
                    text: "name: Orders".to_owned(),
                }],
                ..Diff::default()
            },
            warnings: Vec::new(),
        })
    }

    async fn retire(&self, _: &Reader, _: &str, _: &Match) -> Result<Applied, Problem> {
        Err(missing())
    }

    async fn start_run(
        &self,
        _: &Reader,
        dataset: &str,
        what: &StartRun,
        key: &str,
    ) -> Result<Started, Problem> {
        self.known(dataset)?;
        let words = format!(
            "start {dataset} days={:?} backfill={} key={key}",
            what.last_days, what.backfill
        );
        let existed = self.wishes.lock().unwrap().contains(&words);
        self.wish(words);
        Ok(Started {
            run_id: LIVE_RUN.to_owned(),
            existed,
        })
    }

    async fn cancel_run(&self, _: &Reader, run: &str, reason: &str) -> Result<Done, Problem> {
        self.wish(format!("cancel {run}: {reason}"));
        Ok(Done {
            id: run.to_owned(),
            done: "cancelled".to_owned(),
        })
    }

    async fn retry_run(&self, _: &Reader, run: &str) -> Result<Done, Problem> {
        self.wish(format!("retry {run}"));
        Ok(Done {
            id: run.to_owned(),
            done: "retried".to_owned(),
        })
    }

    async fn drain_node(&self, _: &Reader, node: &str, reason: &str) -> Result<Done, Problem> {
        self.wish(format!("drain {node}: {reason}"));
        Ok(Done {
            id: node.to_owned(),
            done: "draining".to_owned(),
        })
    }

    async fn uncordon_node(&self, _: &Reader, node: &str) -> Result<Done, Problem> {
        self.wish(format!("uncordon {node}"));
        Ok(Done {
            id: node.to_owned(),
            done: "live".to_owned(),
        })
    }

    async fn scale(&self, _: &Reader, bounds: Scale) -> Result<Scale, Problem> {
        self.wish(format!("scale {}..{}", bounds.min, bounds.max));
        Ok(bounds)
    }
}

#[async_trait]
impl Answering for World {
    async fn backtest(&self, _: &Reader, _: &Said) -> Result<Backtest, Problem> {
        Ok(Backtest {
            partitions: 90,
            before: (80..84).map(|day| self.names.key(day)).collect(),
            after: vec![self.names.key(70)],
            note: None,
        })
    }

    async fn keep(&self, _: &Reader, said: &Said, key: &str) -> Result<Kept, Problem> {
        self.wish(format!(
            "keep {} {}..{} key={key}",
            said.saying.as_str(),
            said.from,
            said.to
        ));
        Ok(self
            .kept(&Reader::of_this_machine(), "", "")
            .await?
            .remove(0))
    }

    async fn kept(&self, _: &Reader, _: &str, _: &str) -> Result<Vec<Kept>, Problem> {
        let said = Said {
            saying: Saying::ExcludeWindow,
            dataset: self.names.dataset.clone(),
            check: self.names.check.clone(),
            from: self.names.key(20),
            to: self.names.key(22),
            why: self.names.message.clone(),
        };
        Ok(vec![Kept {
            id: "fb_1".to_owned(),
            said,
            by: "ada@acme.example".to_owned(),
            at: hours_ago(700),
            withdrawn_at: None,
        }])
    }

    async fn withdraw(&self, _: &Reader, id: &str) -> Result<(), Problem> {
        self.wish(format!("withdraw {id}"));
        Ok(())
    }
}

#[async_trait]
impl Incidents for World {
    async fn change(&self, _: &Reader, incident: &str, change: &Change) -> Result<(), Problem> {
        self.wish(format!("incident {incident} {change:?}"));
        Ok(())
    }
}

#[async_trait]
impl Subscriptions for World {
    async fn list(&self, _: &Reader) -> Result<Vec<Subscription>, Problem> {
        let one = |id: &str, tool: &str, channel: &str, mine| Subscription {
            id: id.to_owned(),
            dataset: if mine {
                self.names.dataset.clone()
            } else {
                String::new()
            },
            tool: tool.to_owned(),
            channel: channel.to_owned(),
            filter: "errors of every column".to_owned(),
            declared: !mine,
            mine,
            paused: false,
            last: mine.then(|| (hours_ago(3), "delivered".to_owned())),
            dead: u64::from(!mine),
        };
        Ok(if self.empty {
            Vec::new()
        } else {
            vec![
                one("sub_2", "slack", "#orders-quality", false),
                one("sub_1", "webhook", &self.names.message, true),
            ]
        })
    }

    async fn test(&self, _: &Reader, id: &str) -> Result<String, Problem> {
        self.wish(format!("test {id}"));
        Ok("delivered".to_owned())
    }
}

impl Settings for World {
    fn settings(&self, _: &Reader) -> Vec<Setting> {
        let one = |name: &str, value: &str, source: &str| Setting {
            name: name.to_owned(),
            value: value.to_owned(),
            source: source.to_owned(),
        };
        vec![
            one("server.port", "8080", "built in"),
            one(
                "store.url",
                "postgres://db/assay (secret: env:ASSAY_STORE_PASSWORD)",
                "./assay.toml",
            ),
        ]
    }
}
