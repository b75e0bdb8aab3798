//! What the world answers to reads.

use std::sync::atomic::Ordering;

use assay_answers::check::{CheckResult, CheckRow};
use assay_answers::cluster::{Cluster, Manager, Ticked};
use assay_answers::dataset::{DatasetDetail, DatasetList, InvalidDocument, PartitionRow};
use assay_answers::definition::{Definition, Diff, DiffLine, LineKind, VersionRow};
use assay_answers::facts::{
    Answer, Cut, DatasetsQuery, IncidentsQuery, PointsQuery, ResultsQuery, RunsQuery,
};
use assay_answers::fleet::FleetHistory;
use assay_answers::incident::{Incident, IncidentDetail};
use assay_answers::metric::{MetricRow, Points};
use assay_answers::node::{Held, NodeDetail, NodeList};
use assay_answers::overview::{
    HealthCounts, IncidentCounts, NextSlot, Overview, RunSquare, Version,
};
use assay_answers::run::{Bar, Progress, Run, RunDetail, Segments, Waiting};
use assay_answers::task::Task;
use assay_answers::usage::Usage;
use assay_answers::{Facts, List, Reader};
use assay_model::dataset::DatasetStatus;
use assay_model::ledger::LedgerState;
use assay_model::run::RunState;
use async_trait::async_trait;

use super::now;
use super::state::{TASKS, World, missing};
use super::wishes::diagnostic;
use super::world::{DAYS, INCIDENT, LIVE_RUN, counts, hours_ago};

#[async_trait]
impl Facts for World {
    fn store_is_away(&self) -> bool {
        self.away.load(Ordering::SeqCst)
    }

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
            self.names.grouped(&key)
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
            decoded: None,
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
            progress: Progress {
                bytes_done: done << 20,
                bytes_planned: TASKS << 20,
                bytes_per_s: Some(350_000.0),
                left_ms: (!ended).then_some(left * 3000),
            },
            log: self.log(&run, &tasks),
            log_left_out: 0,
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

    async fn incident(&self, _: &Reader, incident: &str) -> Answer<IncidentDetail> {
        if incident == INCIDENT {
            self.told(self.names.incident_detail())
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
            history: super::fleet::steps(self),
        })
    }

    async fn fleet(&self, _: &Reader) -> Answer<FleetHistory> {
        self.told(super::fleet::history(self))
    }

    async fn usage(&self, _: &Reader) -> Answer<Usage> {
        self.told(super::fleet::usage(self))
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
