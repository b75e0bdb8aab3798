//! A world to show: five datasets in five states of health, ninety days, a live run, lost nodes.
//!
//! Numbers follow from the place of a partition alone, so that two pages never differ. The names that
//! people choose come from [`Names`]: a world may have hostile ones.

use std::collections::BTreeMap;

use assay_answers::check::{CheckResult, CheckRow, OutcomeSquare};
use assay_answers::dataset::{
    Channel, Column, DatasetDetail, DatasetRow, LastRun, Partition, Rows, Square,
};
use assay_answers::incident::IncidentWindow;
use assay_answers::metric::{DefinitionChange, Point, Points};
use assay_answers::value::{Counts, Limits, MetricName, Span, Value};
use assay_model::check::{CheckOrigin, Severity};
use assay_model::dataset::DatasetStatus;
use assay_model::incident::IncidentStatus;
use assay_model::metric::Metric;
use assay_model::outcome::{Health, Outcome};
use assay_model::run::{RunState, Trigger};
use jiff::Timestamp;
use jiff::civil::date;

use super::now;

/// Names that people choose.
#[derive(Debug, Clone)]
pub struct Names {
    pub dataset: String,
    pub column: String,
    pub check: String,
    pub owner: String,
    /// What every key of a partition ends in.
    pub key: String,
    pub message: String,
}

impl Names {
    pub fn usual() -> Self {
        Self {
            dataset: "orders".to_owned(),
            column: "customer_email".to_owned(),
            check: "email_format".to_owned(),
            owner: "orders-team".to_owned(),
            key: String::new(),
            message: "412 rows of customer_email do not match the pattern of an address".to_owned(),
        }
    }

    /// The same hostile text wherever people choose one.
    pub fn all(text: &str) -> Self {
        let own = || text.to_owned();
        Self {
            dataset: own(),
            column: own(),
            check: own(),
            owner: own(),
            key: own(),
            message: own(),
        }
    }
}

pub const DAYS: usize = 90;
pub const LIVE_RUN: &str = "run_01980000000070008000000000000001";
pub const RUN: &str = "run_01980000000070008000000000000002";
pub const INCIDENT: &str = "inc_0198000000007000800000000000000a";
const OLD: &str = "b1946ac92492d2347c6235b4d2611184";
const NEW: &str = "591785b794601e212b260e25925636fd";

pub fn hours_ago(hours: i64) -> Timestamp {
    now() - jiff::SignedDuration::from_hours(hours)
}

pub fn counts(pass: u64, warn: u64, fail: u64, error: u64, missing: u64, learning: u64) -> Counts {
    Counts {
        planned: pass + warn + fail + error + missing + learning,
        pass,
        warn,
        fail,
        error,
        missing,
        learning,
        ..Counts::default()
    }
}

impl Names {
    /// The key of the partition of a day.
    pub fn key(&self, day: usize) -> String {
        let first = date(2026, 8, 23);
        let at = first
            .checked_add(jiff::ToSpan::days(i64::try_from(day).unwrap()))
            .unwrap();
        format!("{at}{}", self.key)
    }

    pub fn row_count(&self) -> MetricName {
        metric(Metric::RowCount, "")
    }

    pub fn invalid(&self) -> MetricName {
        metric(Metric::InvalidCount, &self.column)
    }

    /// A dataset of the list.
    pub fn row(&self, id: &str, health: Health, counts: Counts) -> DatasetRow {
        let strip: Vec<Square> = (DAYS - 14..DAYS)
            .map(|day| Square {
                partition: self.key(day),
                health: if (80..84).contains(&day) {
                    health
                } else {
                    Health::Healthy
                },
                counts: if (80..84).contains(&day) {
                    counts
                } else {
                    self::counts(counts.planned, 0, 0, 0, 0, 0)
                },
                run_id: RUN.to_owned(),
                judged_at: hours_ago(24),
            })
            .collect();
        let rows = (DAYS - 14..DAYS)
            .map(|day| Rows {
                partition: self.key(day),
                rows: rows(day).map(|n| n.to_string()),
            })
            .collect();
        let seen = counts.planned > 0;
        DatasetRow {
            id: id.to_owned(),
            name: Some("One row per order, hourly".to_owned()),
            version: "1.2.0".to_owned(),
            status: DatasetStatus::Active,
            owner: Some(self.owner.clone()),
            tags: vec!["gold".to_owned(), "pii".to_owned()],
            checks: 7,
            schedule: (id != "events").then(|| "15 * * * *".to_owned()),
            next_run: (id != "events").then(|| now() + jiff::SignedDuration::from_mins(15)),
            file: "datasets/orders.odcs.yaml".to_owned(),
            digest: NEW.to_owned(),
            definition: "d1".to_owned(),
            kept: false,
            health,
            counts,
            last_run: seen.then(|| LastRun {
                id: RUN.to_owned(),
                state: RunState::Succeeded,
                trigger: Trigger::Schedule,
                counts,
                created_at: hours_ago(1),
                finished_at: Some(hours_ago(1)),
            }),
            strip: if seen { strip } else { Vec::new() },
            rows: if seen { rows } else { Vec::new() },
            open_incidents: u64::from(counts.fail > 0),
        }
    }

    pub fn rows(&self) -> Vec<DatasetRow> {
        vec![
            self.row(&self.dataset, Health::Failing, counts(4, 1, 1, 0, 0, 1)),
            self.row("shipments", Health::Warning, counts(11, 2, 0, 0, 0, 0)),
            self.row("events", Health::NotEvaluated, counts(0, 0, 0, 0, 0, 0)),
            self.row("payments", Health::Learning, counts(2, 0, 0, 0, 0, 6)),
            self.row("trips", Health::Healthy, counts(9, 0, 0, 0, 0, 0)),
        ]
    }

    pub fn partition(&self, day: usize) -> Partition {
        Partition {
            key: self.key(day),
            series: String::new(),
            date: None,
            start: None,
            end: None,
        }
    }

    pub fn detail(&self, row: DatasetRow) -> DatasetDetail {
        let judged = row.counts.planned > 0;
        DatasetDetail {
            words: match row.health {
                Health::Failing => {
                    "1 check of the newest partition fails, 1 warns; failing for 4 partitions"
                        .to_owned()
                }
                Health::NotEvaluated => "Nothing has been judged yet".to_owned(),
                _ => "As expected".to_owned(),
            },
            source: "postgres://localhost:5432/shop.orders".to_owned(),
            time_zone: "Europe/Berlin".to_owned(),
            channels: vec![Channel {
                channel: "#orders-quality".to_owned(),
                tool: "slack".to_owned(),
            }],
            columns: [self.column.as_str(), "amount", "status"]
                .map(|name| Column {
                    name: name.to_owned(),
                    logical_type: Some("string".to_owned()),
                    required: false,
                    unique: false,
                    masked: false,
                })
                .to_vec(),
            check_rows: if judged { self.checks() } else { Vec::new() },
            checks_left_out: 0,
            findings: Vec::new(),
            findings_left_out: 0,
            newest_partition: judged.then(|| self.partition(DAYS - 1)),
            data_changed_at: Some(hours_ago(2)),
            partitions: 90,
            missing_partitions: 1,
            incidents: if row.counts.fail > 0 {
                vec![self.incident()]
            } else {
                Vec::new()
            },
            row,
        }
    }

    fn check(
        &self,
        id: &str,
        of: MetricName,
        rule: &str,
        outcome: Outcome,
        actual: Value,
    ) -> CheckRow {
        let limits = (outcome != Outcome::Learning).then(|| limits(Some(0.0), Some(400.0)));
        let result = self.result(DAYS - 1, id, of.clone(), outcome, actual, limits);
        let strip = (DAYS - 30..DAYS)
            .map(|day| OutcomeSquare {
                partition: self.key(day),
                outcome: if day >= 80 && outcome.needs_a_look() {
                    outcome
                } else {
                    outcome_of(day, outcome)
                },
            })
            .collect();
        CheckRow {
            id: id.to_owned(),
            severity: if outcome == Outcome::Warn {
                Severity::Warning
            } else {
                Severity::Error
            },
            origin: CheckOrigin::Declared,
            rule: rule.to_owned(),
            dimension: Some("conformity".to_owned()),
            description: Some("Orders without an address cannot be confirmed".to_owned()),
            line: Some(33),
            tags: Vec::new(),
            newest: Some(result),
            strip,
            in_force: true,
            of,
        }
    }

    pub fn checks(&self) -> Vec<CheckRow> {
        let exact = |digits: &str| Value::Exact(digits.to_owned());
        vec![
            self.check(
                &self.check,
                self.invalid(),
                "= 0",
                Outcome::Fail,
                exact("412"),
            ),
            self.check(
                "email_missing",
                metric(Metric::MissingPercent, &self.column),
                "< 1",
                Outcome::Warn,
                Value::Float(1.42),
            ),
            self.check(
                "row_count",
                self.row_count(),
                ">= 1000",
                Outcome::Pass,
                exact("1204311"),
            ),
            self.check(
                "amount_sum",
                metric(Metric::Sum, "amount"),
                "within learned limits",
                Outcome::Pass,
                exact("170141183460469231731687303715884105727.25"),
            ),
            self.check(
                "amount_mean_band",
                metric(Metric::Mean, "amount"),
                "within learned limits",
                Outcome::Learning,
                Value::Float(63.1),
            ),
            self.check(
                "status_known",
                metric(Metric::InvalidCount, "status"),
                "= 0",
                Outcome::Pass,
                exact("0"),
            ),
            self.check(
                "no_negative_amounts",
                metric(Metric::Query, ""),
                "= 0",
                Outcome::Error,
                Value::Null,
            ),
            self.check(
                "fresh",
                metric(Metric::Latency, "updated_at"),
                "< 2 h",
                Outcome::Missing,
                Value::Null,
            ),
            self.check(
                "schema",
                metric(Metric::Schema, ""),
                "same schema",
                Outcome::Skipped,
                Value::Null,
            ),
            self.check(
                "amount_total",
                metric(Metric::Sum, "total"),
                "within learned limits",
                Outcome::Overflow,
                Value::Null,
            ),
        ]
    }

    pub fn result(
        &self,
        day: usize,
        check: &str,
        of: MetricName,
        outcome: Outcome,
        actual: Value,
        limits: Option<Limits>,
    ) -> CheckResult {
        CheckResult {
            partition: self.key(day),
            series: String::new(),
            version: format!("{day:032x}"),
            run_id: RUN.to_owned(),
            judged_at: hours_ago(i64::try_from((DAYS - day) * 24).unwrap()),
            check: check.to_owned(),
            metric: of.metric.as_str().to_owned(),
            column: of.column.clone(),
            of,
            outcome,
            severity: Severity::Error,
            origin: CheckOrigin::Declared,
            actual,
            error_bound: day.is_multiple_of(7).then_some(0.0081),
            expected: "= 0".to_owned(),
            limits,
            reason: outcome.needs_a_look().then(|| self.message.clone()),
            note: None,
            samples: if day == DAYS - 1 {
                vec![serde_json::json!({ self.column.as_str(): "not an address", "order_id": 7 })]
            } else {
                Vec::new()
            },
        }
    }

    /// The results of a check, newest first.
    pub fn results(&self, check: &CheckRow) -> Vec<CheckResult> {
        (0..DAYS)
            .rev()
            .filter(|day| *day != 40)
            .map(|day| {
                let p = self.point(&check.of, day);
                let limits = p.lower.or(p.upper).map(|_| limits(p.lower, p.upper));
                self.result(
                    day,
                    &check.id,
                    check.of.clone(),
                    p.outcome.unwrap_or(Outcome::Learning),
                    p.value,
                    limits,
                )
            })
            .collect()
    }

    /// A point of any metric: like the row count, scaled.
    pub fn point(&self, of: &MetricName, day: usize) -> Point {
        let scale = if of.metric == Metric::RowCount {
            1.0
        } else {
            1.0 / 3000.0
        };
        let known = rows(day);
        let value =
            known.map(|n| n as f64 * scale * if (80..84).contains(&day) { 0.62 } else { 1.0 });
        let learned = day >= 8;
        let middle = 1_200_000.0 * scale;
        let outcome = match day {
            40 => Outcome::Missing,
            60 => Outcome::Error,
            80..84 => Outcome::Fail,
            70 => Outcome::Warn,
            0..8 => Outcome::Learning,
            _ => Outcome::Pass,
        };
        let width = if day < 50 { 0.16 } else { 0.11 };
        Point {
            partition: self.key(day),
            t: None,
            series: String::new(),
            status: match day {
                40 => "missing",
                60 => "error",
                _ => "computed",
            }
            .to_owned(),
            value: match value {
                Some(v) if scale >= 1.0 => Value::Exact(format!("{}", v as u64)),
                Some(v) => Value::Float(v),
                None => Value::Null,
            },
            lower: learned.then_some(middle * (1.0 - width)),
            expected: learned.then_some(middle),
            upper: learned.then_some(middle * (1.0 + width)),
            model: learned.then(|| "weekday-median+t5".to_owned()),
            outcome: Some(outcome),
            check: Some("row_count".to_owned()),
            also_expected: Vec::new(),
            error_bound: None,
            version: format!("{day:032x}"),
            run_id: (day != 40).then(|| RUN.to_owned()),
            judged_at: Some(hours_ago(24)),
            definition: Some(if day < 50 { OLD } else { NEW }.to_owned()),
        }
    }

    pub fn points(&self, of: MetricName) -> Points {
        Points {
            dataset: self.dataset.clone(),
            points: (0..DAYS).map(|day| self.point(&of, day)).collect(),
            total: DAYS as u64,
            older: false,
            changes: vec![
                DefinitionChange {
                    partition: self.key(0),
                    definition: OLD.to_owned(),
                    version: Some("1.1.0".to_owned()),
                },
                DefinitionChange {
                    partition: self.key(50),
                    definition: NEW.to_owned(),
                    version: Some("1.2.0".to_owned()),
                },
            ],
            incidents: vec![IncidentWindow {
                id: INCIDENT.to_owned(),
                check: self.check.clone(),
                severity: Severity::Error,
                status: IncidentStatus::Open,
                first_partition: self.key(80),
                last_partition: self.key(83),
            }],
            key: of,
        }
    }

    /// Points of two series.
    pub fn grouped(&self, of: &MetricName) -> Points {
        let mut points = self.points(of.clone());
        points.points = (0..DAYS)
            .flat_map(|day| ["region=eu", "region=us"].map(|series| (day, series)))
            .map(|(day, series)| {
                let mut p = self.point(of, day);
                p.partition = format!("{series}/{}", p.partition);
                p.series = series.to_owned();
                if series == "region=us" {
                    p.value = p
                        .value
                        .as_f64()
                        .map_or(Value::Null, |v| Value::Float(v * 0.7));
                }
                p
            })
            .collect();
        points
    }

    /// Every metric that the world measures.
    pub fn metrics(&self) -> Vec<MetricName> {
        let mut all = vec![
            self.row_count(),
            metric(Metric::ByteCount, ""),
            metric(Metric::FileCount, ""),
        ];
        for column in [self.column.as_str(), "amount", "status"] {
            all.extend(
                [
                    Metric::NullPercent,
                    Metric::DistinctCount,
                    Metric::Sum,
                    Metric::InvalidCount,
                ]
                .map(|m| metric(m, column)),
            );
        }
        all.push(MetricName {
            args: "{\"q\":0.5}".to_owned(),
            name: "quantile(amount){\"q\":0.5}".to_owned(),
            ..metric(Metric::Quantile, "amount")
        });
        all
    }
}

fn outcome_of(day: usize, outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Learning | Outcome::Skipped => outcome,
        _ if day == 70 => Outcome::Warn,
        _ => Outcome::Pass,
    }
}

/// Rows of a day; nothing came on one, and one could not be read.
fn rows(day: usize) -> Option<u64> {
    if day == 40 || day == 60 {
        return None;
    }
    let week = [0, 9, 14, 11, 6, -31, -38][day % 7];
    let noise = i64::try_from(day * 7919 % 41).unwrap() - 20;
    u64::try_from(1_200_000 + week * 2600 + noise * 900).ok()
}

pub fn limits(lower: Option<f64>, upper: Option<f64>) -> Limits {
    Limits {
        lower,
        expected: lower.zip(upper).map(|(a, b)| f64::midpoint(a, b)),
        upper,
        model: "weekday-median+t5".to_owned(),
        model_version: 1,
        learned_from: vec![Span {
            first: "2026-08-23".to_owned(),
            last: "2026-11-10".to_owned(),
            partitions: 79,
        }],
        provisional: true,
        held_back: Vec::new(),
    }
}

pub fn metric(metric: Metric, column: &str) -> MetricName {
    let name = if column.is_empty() {
        metric.as_str().to_owned()
    } else {
        format!("{metric}({column})")
    };
    MetricName {
        metric,
        column: column.to_owned(),
        args: String::new(),
        filter: String::new(),
        name,
    }
}

/// Empty states of tasks.
pub fn task_states(
    pairs: &[(assay_model::task::TaskState, u64)],
) -> BTreeMap<assay_model::task::TaskState, u64> {
    pairs.iter().copied().collect()
}
