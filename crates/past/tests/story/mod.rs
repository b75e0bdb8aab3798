//! A dataset with a past: one partition a day, some metrics, alarms where a test wants them.
#![allow(dead_code, reason = "each test file uses some of it")]

use std::sync::Arc;

use assay_model::check::{Check, CheckOrigin, Expectation, Severity};
use assay_model::dataset::{
    Dataset, DatasetStatus, Format, FormatKind, LimitPolicy, Location, Partitioning, Profile,
    RunPolicy, ScanPolicy, Source, StoragePolicy,
};
use assay_model::feedback::{Answered, FeedbackId, FeedbackKind, FeedbackScope, Withdrawal};
use assay_model::history::{Breach, HistoryPoint, Verdict};
use assay_model::ids::{CheckId, DatasetId, RunId};
use assay_model::incident::{Incident, IncidentStatus};
use assay_model::metric::{Metric, MetricKey, MetricStatus, MetricValue};
use assay_model::outcome::OutcomeCounts;
use assay_model::partition::{Partition, PartitionKey, PartitionVersion};
use assay_past::line::points_of;
use assay_past::{Known, Line, Teaches, checks};
use jiff::Timestamp;
use jiff::civil::date;
use uuid::Uuid;

/// The instant, so many seconds after the beginning.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

/// Every verdict is older than every answer, unless a test says otherwise.
const JUDGED: i64 = 100;
const ANSWERED: i64 = 1000;

/// The partition of a day.
pub fn day(at: usize) -> Partition {
    let days = i64::try_from(at).unwrap();
    let day = date(2026, 1, 5) + jiff::Span::new().days(days);
    Partition {
        order: day.to_string(),
        key: PartitionKey(day.to_string()),
        date: Some(day),
        start: None,
        end: None,
        series: String::new(),
    }
}

fn dataset() -> Dataset {
    Dataset {
        others: Vec::new(),
        storage: StoragePolicy::default(),
        id: DatasetId::new("orders").unwrap(),
        version: "1".to_owned(),
        status: DatasetStatus::Active,
        name: None,
        tenant: None,
        owner: None,
        subscribers: Vec::new(),
        tags: Vec::new(),
        source: Source {
            credential: None,
            server: "s".to_owned(),
            location: Location::Local {
                path: ".".to_owned(),
            },
            format: Format::of(FormatKind::Parquet),
        },
        partitions: Partitioning::default(),
        columns: Vec::new(),
        checks: vec![Check {
            id: CheckId::new("rule"),
            metric: MetricKey::column(Metric::Sum, "amount"),
            expect: Expectation::MustBeGreaterThan(0.into()),
            severity: Severity::Error,
            origin: CheckOrigin::Declared,
            dimension: None,
            description: None,
            line: None,
            tags: Vec::new(),
        }],
        profile: Profile::default(),
        limits: LimitPolicy::default(),
        run: RunPolicy::default(),
        scan: ScanPolicy::default(),
    }
}

/// A dataset, and what is known of it.
pub struct Story {
    pub dataset: Dataset,
    pub known: Known,
    answers: u128,
}

impl Story {
    /// So many days of row counts, sums and shares of nulls, all in order.
    pub fn of(days: usize) -> Self {
        let mut known = Known::default();
        let keys = [
            MetricKey::table(Metric::RowCount),
            MetricKey::column(Metric::Sum, "amount"),
            MetricKey::column(Metric::NullPercent, "city"),
            MetricKey::column(Metric::Mean, "city"),
        ];
        for (number, key) in keys.into_iter().enumerate() {
            let points = (0..days).map(|at| {
                // Moves a little, and never in step with another metric.
                let wave = ((at * 7919 + number * 104_729) % 1009) as f64 / 1009.0;
                let level = 1000.0 * (number + 1) as f64;
                HistoryPoint {
                    at,
                    partition: Arc::new(day(at)),
                    version: Arc::new(PartitionVersion("v".to_owned())),
                    status: MetricStatus::Computed,
                    value: MetricValue::Float(level + 0.05 * level * wave),
                    error_bound: None,
                }
            });
            known.history.push((key, points.collect()));
        }
        known.history.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        for place in 0..days {
            known.partitions.push(Arc::new(day(place)));
            known.verdicts.push(Verdict {
                run: RunId(Uuid::nil()),
                definition: String::new(),
                partition: day(place),
                version: PartitionVersion("v".to_owned()),
                revision: 1,
                sealed: true,
                counts: OutcomeCounts::default(),
                superseded: false,
                judged_at: at(JUDGED),
            });
        }
        Self {
            dataset: dataset(),
            known,
            answers: 0,
        }
    }

    fn points(&mut self, key: &MetricKey) -> &mut Vec<HistoryPoint> {
        let found = self.known.history.iter_mut().find(|(k, _)| k == key);
        &mut found.unwrap().1
    }

    /// Gives a metric this value on a day.
    pub fn set(&mut self, key: &MetricKey, at: usize, value: f64) {
        self.points(key)[at].value = MetricValue::Float(value);
    }

    /// Lifts a metric threefold from a day on.
    pub fn jump(&mut self, key: &MetricKey, from: usize) {
        for point in &mut self.points(key)[from..] {
            let was = point.value.as_f64().unwrap();
            point.value = MetricValue::Float(3.0 * was);
        }
    }

    /// Lifts a metric tenfold on one day.
    pub fn outlier(&mut self, key: &MetricKey, at: usize) {
        let was = self.points(key)[at].value.as_f64().unwrap();
        self.set(key, at, 10.0 * was);
    }

    fn broken(&mut self, at: usize, check: &str, metric: &MetricKey) {
        self.known.verdicts[at].counts.fail += 1;
        self.known.breaches.push(Breach {
            partition: day(at).key,
            check: CheckId::new(check),
            metric: metric.clone(),
        });
    }

    /// The learned limits of a metric were left on a day.
    pub fn breach(&mut self, at: usize, metric: &MetricKey) {
        self.broken(at, &format!("profile:{metric}"), metric);
    }

    /// The partition of a day is an earlier one again.
    pub fn stale(&mut self, at: usize) {
        self.broken(at, "stale", &MetricKey::table(Metric::RowCount));
    }

    /// A rule that the owner wrote was broken on a day.
    pub fn break_rule(&mut self, at: usize, metric: &MetricKey) {
        self.broken(at, "rule", metric);
    }

    /// An incident is open since before anything was answered.
    pub fn incident(&mut self, first: usize, last: usize, metric: &MetricKey) {
        let check = CheckId::new(format!("profile:{metric}"));
        self.known.open.push(Incident {
            id: Uuid::nil(),
            dataset: self.dataset.id.clone(),
            check,
            column: metric.column.clone(),
            severity: Severity::Error,
            status: IncidentStatus::Open,
            series: String::new(),
            first_partition: day(first).key,
            last_partition: day(last).key,
            partitions: 1,
            message: String::new(),
            opened_at: at(JUDGED),
            updated_at: at(JUDGED),
            resolved_at: None,
        });
    }

    /// The partition of a day was judged again when all answers were there.
    pub fn judged_after_the_answers(&mut self, place: usize) {
        self.known.verdicts[place].judged_at = at(ANSWERED + 1);
    }

    /// An answer about the partition of a day; a window is of that day alone.
    pub fn answer(&mut self, kind: FeedbackKind, scope: FeedbackScope, from: usize) -> Answered {
        self.answers += 1;
        let to = (kind == FeedbackKind::ExcludeWindow).then(|| day(from).key);
        Answered {
            id: FeedbackId(Uuid::from_u128(self.answers)),
            dataset: self.dataset.id.clone(),
            kind,
            scope,
            series: Some(String::new()),
            from: day(from).key,
            to,
            by: "ada".to_owned(),
            at: at(ANSWERED),
            reason: "so it is".to_owned(),
            withdrawn: None,
        }
    }

    /// Takes an answer back.
    pub fn withdraw(&mut self, answer: &Answered) {
        let of = self.known.answered.iter_mut().find(|a| a.id == answer.id);
        of.unwrap().withdrawn = Some(Withdrawal {
            by: "ada".to_owned(),
            at: at(ANSWERED + 1),
            reason: "it is not".to_owned(),
        });
    }

    fn due(&self) -> Vec<Check> {
        let newest = self.known.partitions.last().unwrap();
        let points = points_of(&self.known.history, &newest.key);
        checks::due(&self.dataset, &points, &self.known.history)
    }

    /// Whether the value of a day teaches when `judged` is judged.
    pub fn teaches(&self, at: usize, judged: &Partition, key: &MetricKey) -> bool {
        let due = self.due();
        let teaches = Teaches::new(&self.dataset, &due, &self.known);
        teaches.of(&day(at), judged).teaches(key)
    }

    /// What the limits of a metric are learned from when the partition of a day is judged, and the
    /// limits.
    pub fn limits(&self, at: usize, key: &MetricKey) -> String {
        let due = self.due();
        let teaches = Teaches::new(&self.dataset, &due, &self.known);
        let judged = day(at);
        let line = Line::of(&self.known.history, &judged);
        let histories = line.histories(&teaches);
        let of = histories.iter().find(|history| history.key == *key);
        let of = of.unwrap();
        let input = assay_judge::SeriesInput {
            kind: assay_judge::SeriesKind::of_metric(key.metric),
            points: &of.points,
            date: judged.date,
        };
        let limits = assay_judge::judge_series(&input, &assay_judge::Policy::default());
        format!("{} points, {limits:?}", of.points.len())
    }
}
