//! The list of datasets.

use std::collections::BTreeMap;
use std::sync::Arc;

use assay_answers::dataset::{DatasetList, DatasetRow, InvalidDocument, LastRun, Rows};
use assay_answers::facts::{Answer, DatasetsQuery};
use assay_answers::value::Counts;
use assay_answers::{Problem, Reader, Told};
use assay_model::check::Severity;
use assay_model::dataset::Dataset;
use assay_model::ids::DatasetId;
use assay_model::ledger::LedgerEntry;
use assay_model::metric::{Metric, MetricKey};
use assay_model::outcome::{Health, OutcomeCounts};
use assay_model::partition::PartitionKey;
use assay_model::run::{RunState, Trigger};
use assay_store::notices::OpenCauses;
use assay_store::port::{HistoryPoint, Verdict};
use assay_store::standing::put_right;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::{BRIEF, Known, page};
use crate::api::Api;
use crate::convert;
use crate::memory::{Found, Good, Key, Source};
use crate::problem::{BAD_PARAMETER, Miss};
use crate::rights::Action;

/// Squares of a strip.
const STRIP: usize = 14;
/// Partitions that the newest of each series is looked for among.
const LOOKED_AT: u32 = 400;
/// Datasets that are read at the same time.
const AT_ONCE: usize = 8;

/// What verdicts say of a dataset in a list.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// The outcomes of the newest partition of each series.
    pub(crate) counts: OutcomeCounts,
    /// The last partitions, oldest first.
    pub(crate) last: Vec<Verdict>,
    /// The rows of the same.
    pub(crate) rows: Vec<Rows>,
}

impl Standing {
    /// What the last verdicts say. One whose partition was cleared away, or whose name was put right,
    /// says nothing any more, as in the findings of the dataset.
    fn of(
        mut verdicts: Vec<Verdict>,
        ledger: Vec<LedgerEntry>,
        history: &[(MetricKey, Vec<HistoryPoint>)],
    ) -> Self {
        let put_right = put_right(ledger);
        verdicts.retain(|verdict| !put_right.contains(&verdict.partition.key));
        let mut newest: BTreeMap<&str, &Verdict> = BTreeMap::new();
        for verdict in &verdicts {
            newest.insert(&verdict.partition.series, verdict);
        }
        let mut counts = OutcomeCounts::default();
        for verdict in newest.values() {
            counts.merge(&verdict.counts);
        }
        let wanted = MetricKey::table(Metric::RowCount);
        let points = history.iter().find(|(key, _)| *key == wanted);
        let measured: BTreeMap<&str, String> = points
            .map(|(_, points)| points.as_slice())
            .unwrap_or_default()
            .iter()
            .filter(|point| point.value.as_f64().is_some())
            .map(|point| (point.partition.key.as_str(), point.value.to_string()))
            .collect();
        let skip = verdicts.len().saturating_sub(STRIP);
        let last: Vec<Verdict> = verdicts.iter().skip(skip).cloned().collect();
        let rows = last.iter().map(|verdict| {
            let key = verdict.partition.key.as_str();
            Rows {
                partition: key.to_owned(),
                rows: measured.get(key).cloned(),
            }
        });
        let rows = rows.collect();
        Self { counts, last, rows }
    }
}

/// The newest runs by dataset, and what is open.
#[derive(Debug, Default)]
pub(crate) struct Lately {
    runs: BTreeMap<DatasetId, LastRun>,
    incidents: BTreeMap<DatasetId, Open>,
}

/// The open incidents of a dataset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Open {
    count: u64,
    /// The worst that they say of it; `None` where they are there to be known only.
    worst: Option<Health>,
}

impl Open {
    fn add(&mut self, open: &OpenCauses) {
        self.count += open.count;
        let says = match open.severity {
            Severity::Info => None,
            // Nothing is known of the data.
            Severity::Error | Severity::Warning if open.of_operators => Some(Health::NotEvaluated),
            Severity::Error => Some(Health::Failing),
            Severity::Warning => Some(Health::Warning),
        };
        self.worst = says
            .into_iter()
            .chain(self.worst)
            .min_by_key(|h| gravity(*h));
    }
}

impl Api {
    /// What verdicts say of a dataset.
    pub(crate) async fn standing(&self, id: &DatasetId) -> Result<Found<Standing>, Problem> {
        let store = Arc::clone(&self.parts.store);
        let dataset = id.clone();
        let load = async move {
            let verdicts = store.verdicts(&dataset, None, LOOKED_AT).await?;
            let keys = verdicts.iter().map(|verdict| verdict.partition.key.clone());
            let keys: Vec<PartitionKey> = keys.collect();
            let ledger = store.ledger_of(&dataset, &keys).await?;
            let history = store.history(&dataset, None, STRIP as u32).await?;
            Ok(Standing::of(verdicts, ledger, &history))
        };
        self.memory
            .value(
                Source::Store,
                Key::of(id, "standing"),
                Good::UntilTold,
                |standing: &Standing| standing.last.len() * 512,
                load,
            )
            .await
    }

    /// The newest run of each dataset, and its open incidents.
    pub(crate) async fn lately(&self) -> Result<Found<Lately>, Problem> {
        let store = Arc::clone(&self.parts.store);
        let notices = Arc::clone(&self.parts.notices);
        let load = async move {
            let newest = store.newest_runs().await?;
            let ids: Vec<_> = newest.iter().map(|run| run.id).collect();
            let sums = store.run_sums(&ids).await?;
            let runs = newest.into_iter().map(|run| {
                let counts = sums.get(&run.id).map(|sum| sum.counts);
                let last = LastRun {
                    id: run.id.to_string(),
                    state: run.state,
                    trigger: run.trigger,
                    counts: Counts::from(counts.unwrap_or_default()),
                    created_at: run.created_at,
                    finished_at: run.finished_at,
                };
                (run.dataset, last)
            });
            let mut lately = Lately {
                runs: runs.collect(),
                incidents: BTreeMap::new(),
            };
            for open in notices.open_causes().await? {
                let dataset = open.dataset.clone();
                lately.incidents.entry(dataset).or_default().add(&open);
            }
            Ok::<_, Miss>(lately)
        };
        let key = Key::about_all("lately");
        self.memory
            .value(
                Source::Store,
                key,
                Good::For(BRIEF),
                |lately: &Lately| (lately.runs.len() + lately.incidents.len()) * 400,
                load,
            )
            .await
    }

    /// A dataset of the list.
    pub(crate) async fn row(&self, known: &Known) -> Result<(DatasetRow, Option<u64>), Problem> {
        let id = &known.dataset.id;
        let (standing, lately) = tokio::join!(self.standing(id), self.lately());
        let (standing, lately) = (standing?, lately?);
        let stale_s = standing.stale_s.max(lately.stale_s);
        Ok((self.row_of(known, &standing.it, &lately.it), stale_s))
    }

    /// The same of what is known of it.
    pub(super) fn row_of(&self, known: &Known, standing: &Standing, lately: &Lately) -> DatasetRow {
        let dataset = &known.dataset;
        let last_run = lately.runs.get(&dataset.id).cloned();
        let open = lately.incidents.get(&dataset.id).copied();
        let open = open.unwrap_or_default();
        let health = health(standing, last_run.as_ref(), open);
        let definition = known.definition.as_deref();
        let now = (self.parts.now)();
        DatasetRow {
            id: dataset.id.to_string(),
            name: dataset.name.clone(),
            version: dataset.version.clone(),
            status: dataset.status,
            owner: dataset.owner.clone(),
            tags: dataset.tags.clone(),
            checks: dataset.checks.len() as u64,
            schedule: dataset.run.schedule.clone(),
            next_run: next_slot(dataset, now),
            file: definition.map_or_else(|| "the store".to_owned(), |d| d.origin.clone()),
            digest: definition.map_or_else(|| known.digest.to_string(), |d| d.digest.clone()),
            definition: known.digest.to_string(),
            kept: definition.is_some_and(|d| d.kept),
            health,
            counts: Counts::from(standing.counts),
            last_run,
            strip: standing.last.iter().map(convert::square).collect(),
            rows: standing.rows.clone(),
            open_incidents: open.count,
        }
    }

    /// The rows of all datasets that `who` may read.
    pub(crate) async fn rows(
        &self,
        who: &Reader,
    ) -> Result<(Vec<DatasetRow>, Option<u64>), Problem> {
        let all = self.known().await?;
        let seen = all.it.datasets.values();
        let seen: Vec<Known> = seen
            .filter(|known| self.may(who, Action::Read, &known.dataset))
            .cloned()
            .collect();
        let rows: Vec<(DatasetRow, Option<u64>)> = stream::iter(seen)
            .map(|known| {
                let api = self.clone();
                async move { api.row(&known).await }
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        let stale_s = rows.iter().map(|(_, stale)| *stale).max().flatten();
        let stale_s = stale_s.max(all.stale_s);
        Ok((rows.into_iter().map(|(row, _)| row).collect(), stale_s))
    }

    /// The list of datasets.
    pub(crate) async fn dataset_list(
        &self,
        who: &Reader,
        query: &DatasetsQuery,
    ) -> Answer<DatasetList> {
        let (mut rows, stale_s) = self.rows(who).await?;
        let health: Option<Health> = match query.health.as_deref() {
            None => None,
            Some(word) => Some(word.parse().map_err(|_| {
                let known: Vec<&str> = Health::ALL.iter().map(|h| h.as_str()).collect();
                BAD_PARAMETER.because(format!("`health`: use one of {}", known.join(", ")))
            })?),
        };
        rows.retain(|row| is_wanted(row, query) && health.is_none_or(|h| row.health == h));
        match query.sort.as_deref() {
            None | Some("id") => {}
            Some("health") => rows.sort_by_key(|row| gravity(row.health)),
            Some("last_run") => rows.sort_by_key(|row| {
                std::cmp::Reverse(row.last_run.as_ref().map(|run| run.created_at))
            }),
            Some(_) => return Err(BAD_PARAMETER.because("`sort`: use id, health or last_run")),
        }
        let part = page(rows, &query.cut, |row| row.id.clone())?;
        let all = self.known().await?;
        // What defines nothing has no owner: it is for those who run the cluster.
        let sees_all = self.parts.rights.may(who, Action::Define, None);
        let invalid = all.it.invalid.iter().filter(|_| sees_all);
        let invalid = invalid.map(|file| InvalidDocument {
            file: file.origin.clone(),
            valid: file.is_only_unsupported(),
            diagnostics: file.diagnostics.iter().map(convert::diagnostic).collect(),
        });
        let list = DatasetList {
            items: part.items,
            next_cursor: part.next_cursor,
            total: part.total,
            invalid: invalid.collect(),
        };
        Ok(Told {
            it: list,
            as_of: (self.parts.now)(),
            stale_s,
        })
    }
}

/// The next slot of a dataset's schedule.
pub(crate) fn next_slot(dataset: &Dataset, now: jiff::Timestamp) -> Option<jiff::Timestamp> {
    if dataset.run.paused {
        return None;
    }
    assay_scheduler::due(dataset, Some(now), now).next
}

/// A dataset's health: never better than its gravest open incident, which may be of an earlier
/// partition than the newest. A run that ended without an evaluation since the newest verdict means
/// that the verdict says nothing of today, and one that evaluated a part that not all of today is in it.
fn health(standing: &Standing, last_run: Option<&LastRun>, open: Open) -> Health {
    let judged = standing.counts.health();
    let health = open.worst.into_iter().chain([judged]);
    let health = health.min_by_key(|h| gravity(*h)).unwrap_or(judged);
    let judged_at = standing.last.iter().map(|verdict| verdict.judged_at).max();
    let unevaluated = last_run.is_some_and(|run| {
        let in_vain = judged_at.is_none_or(|at| at < run.created_at);
        match run.state {
            RunState::Partial => true,
            RunState::Failed | RunState::SkippedStale => in_vain,
            // What somebody began by hand and stopped leaves things as they were.
            RunState::Cancelled => in_vain && comes_by_itself(run.trigger),
            RunState::Queued
            | RunState::Planning
            | RunState::Running
            | RunState::Finalising
            | RunState::Succeeded => false,
        }
    });
    if unevaluated && health != Health::Failing {
        return Health::NotEvaluated;
    }
    health
}

/// Whether nobody had to ask for a run by hand.
const fn comes_by_itself(trigger: Trigger) -> bool {
    matches!(trigger, Trigger::Schedule | Trigger::Arrival)
}

/// The order of a list that begins with what is worst.
const fn gravity(health: Health) -> u8 {
    match health {
        Health::Failing => 0,
        Health::NotEvaluated => 1,
        Health::Warning => 2,
        Health::Learning => 3,
        Health::Healthy => 4,
    }
}

fn is_wanted(row: &DatasetRow, query: &DatasetsQuery) -> bool {
    let found = |wanted: &String| {
        let wanted = wanted.to_lowercase();
        let texts = [Some(&row.id), row.name.as_ref(), row.owner.as_ref()];
        let mut texts = texts.into_iter().flatten();
        texts.any(|text| text.to_lowercase().contains(&wanted))
    };
    query.search.as_ref().is_none_or(found)
        && query.tag.as_ref().is_none_or(|tag| row.tags.contains(tag))
        && query
            .owner
            .as_ref()
            .is_none_or(|owner| row.owner.as_ref() == Some(owner))
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_model::ledger::LedgerState;
    use assay_model::outcome::Outcome;
    use assay_model::partition::{Partition, PartitionVersion};

    /// One open incident each.
    fn open(incidents: &[(bool, Severity)]) -> Open {
        let mut open = Open::default();
        for (of_operators, severity) in incidents {
            open.add(&OpenCauses {
                dataset: DatasetId::new("orders").unwrap(),
                severity: *severity,
                of_operators: *of_operators,
                count: 1,
            });
        }
        open
    }

    #[test]
    fn a_dataset_is_not_healthy_beside_an_open_incident() {
        let mut passed = Standing::default();
        passed.counts.add(Outcome::Pass, 14);
        let of = |incidents: &[(bool, Severity)]| health(&passed, None, open(incidents));
        assert_eq!(of(&[]), Health::Healthy);
        assert_eq!(of(&[(false, Severity::Info)]), Health::Healthy);
        assert_eq!(of(&[(false, Severity::Warning)]), Health::Warning);
        assert_eq!(of(&[(true, Severity::Error)]), Health::NotEvaluated);
        let both = [(true, Severity::Error), (false, Severity::Error)];
        assert_eq!(of(&both), Health::Failing);
        assert_eq!(open(&both).count, 2);
        // What is open makes nothing better.
        let mut failed = Standing::default();
        failed.counts.add(Outcome::Fail, 1);
        let warned = open(&[(false, Severity::Warning)]);
        assert_eq!(health(&failed, None, warned), Health::Failing);
    }

    /// A verdict on a day, of the 20th at noon.
    fn verdict(day: &str, outcome: Outcome) -> Verdict {
        let mut counts = OutcomeCounts::default();
        counts.add(outcome, 14);
        Verdict {
            run: assay_model::ids::RunId(uuid::Uuid::from_u128(1)),
            definition: String::new(),
            partition: Partition {
                order: day.to_owned(),
                key: PartitionKey(day.to_owned()),
                ..Partition::all()
            },
            version: PartitionVersion("v1".to_owned()),
            revision: 1,
            sealed: true,
            counts,
            superseded: false,
            judged_at: "2026-11-20T12:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn a_partition_whose_name_was_put_right_says_nothing_any_more() {
        let verdicts = [
            verdict("2026-11-20", Outcome::Pass),
            verdict("2062-11-20", Outcome::Fail),
        ];
        let of = |state, version: &str| {
            let misnamed = LedgerEntry {
                partition: verdicts[1].partition.clone(),
                state,
                version: PartitionVersion(version.to_owned()),
                judged: Some(PartitionVersion("v1".to_owned())),
                revision: 1,
                objects: 0,
                bytes: 0,
                first_seen: verdicts[1].judged_at,
                last_modified: None,
                verdict: Some(verdicts[1].counts),
            };
            let told = Standing::of(verdicts.to_vec(), vec![misnamed], &[]);
            (told.counts.health(), told.last.len())
        };
        assert_eq!(of(LedgerState::Scanned, "v1"), (Health::Failing, 2));
        assert_eq!(of(LedgerState::Gone, "v1"), (Health::Healthy, 1));
        // That data was taken away is a finding of its own.
        assert_eq!(of(LedgerState::Gone, "gone:v1"), (Health::Failing, 2));
    }

    /// What passed, judged on the 20th at noon, and a run of later.
    fn later(state: RunState, trigger: Trigger) -> Health {
        let passed = verdict("2026-11-19", Outcome::Pass);
        let passed = Standing::of(vec![passed], Vec::new(), &[]);
        let run = LastRun {
            id: "run_2".to_owned(),
            state,
            trigger,
            counts: Counts::from(OutcomeCounts::default()),
            created_at: "2026-11-20T13:00:00Z".parse().unwrap(),
            finished_at: None,
        };
        health(&passed, Some(&run), Open::default())
    }

    #[test]
    fn a_dataset_is_not_healthy_when_its_newest_run_left_something_unjudged() {
        use RunState::{Cancelled, Failed, Partial, Running, SkippedStale, Succeeded};
        for state in [Failed, Partial, SkippedStale, Cancelled] {
            let told = later(state, Trigger::Schedule);
            assert_eq!(told, Health::NotEvaluated, "{state}");
        }
        for state in [Running, Succeeded] {
            assert_eq!(later(state, Trigger::Schedule), Health::Healthy, "{state}");
        }
        assert_eq!(later(Cancelled, Trigger::Manual), Health::Healthy);
    }
}
