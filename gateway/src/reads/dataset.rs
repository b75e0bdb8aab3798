//! One dataset in full.

use std::sync::Arc;

use assay_answers::Reader;
use assay_answers::dataset::{Channel, Column, DatasetDetail, DatasetRow, PartitionRow};
use assay_answers::facts::{Answer, Cut};
use assay_answers::incident::Incident;
use assay_answers::{List, Problem, Told};
use assay_model::dataset::Dataset;
use assay_model::ids::DatasetId;
use assay_model::ledger::{LedgerEntry, LedgerState};
use assay_model::outcome::Health;
use assay_store::notices::CauseFilter;
use assay_store::standing::{Look, Standing, Which, standing};

use super::page;
use crate::api::Api;
use crate::convert;
use crate::memory::{Found, Good, Key, Made, Source};
use crate::problem::Miss;
use crate::rights::Action;

/// Findings that are listed; all are counted.
const FINDINGS: u32 = 500;
/// Checks that are listed.
const CHECKS: usize = 500;
/// Open incidents that are listed.
const INCIDENTS: u32 = 200;

impl Api {
    /// The ledger of a dataset, in key order.
    pub(crate) async fn ledger(&self, id: &DatasetId) -> Result<Found<Vec<LedgerEntry>>, Problem> {
        let (store, dataset) = (Arc::clone(&self.parts.store), id.clone());
        let load = async move { Ok::<_, Miss>(store.ledger(&dataset).await?) };
        self.memory
            .value(
                Source::Store,
                Key::of(id, "ledger"),
                Good::UntilTold,
                |ledger: &Vec<LedgerEntry>| ledger.len() * 400,
                load,
            )
            .await
    }

    /// What needs a look in any partition.
    async fn findings(&self, id: &DatasetId) -> Result<Found<Standing>, Problem> {
        let (store, dataset) = (Arc::clone(&self.parts.store), id.clone());
        let load = async move {
            let look = Look {
                runs: &[],
                keys: &[],
                limit: FINDINGS,
                which: Which::All,
            };
            Ok::<_, Miss>(standing(store.as_ref(), &dataset, look).await?)
        };
        self.memory
            .value(
                Source::Store,
                Key::of(id, "findings"),
                Good::UntilTold,
                |found: &Standing| found.rows.len() * 800,
                load,
            )
            .await
    }

    /// The open incidents of a dataset.
    async fn open_incidents(&self, id: &DatasetId) -> Result<Found<Vec<Incident>>, Problem> {
        let notices = Arc::clone(&self.parts.notices);
        let filter = CauseFilter {
            dataset: Some(id.clone()),
            open: true,
            limit: INCIDENTS,
            ..CauseFilter::default()
        };
        let load = async move {
            let open = notices.causes(&filter).await?;
            Ok::<_, Miss>(open.iter().map(Incident::from).collect())
        };
        let key = Key::of(id, "open incidents");
        self.memory
            .value(
                Source::Store,
                key,
                Good::For(super::BRIEF),
                |open: &Vec<Incident>| open.len() * 600,
                load,
            )
            .await
    }

    /// One dataset: made of what is kept, once for the same readings.
    pub(crate) async fn dataset_detail(
        &self,
        who: &Reader,
        id: &str,
    ) -> Result<Found<DatasetDetail>, Problem> {
        let known = self.permitted(who, Action::Read, id).await?;
        let id = &known.dataset.id;
        let (standing, lately, checks, ledger, findings, incidents) = tokio::join!(
            self.standing(id),
            self.lately(),
            self.check_rows(who, id.as_str()),
            self.ledger(id),
            self.findings(id),
            self.open_incidents(id),
        );
        let (standing, lately, checks) = (standing?, lately?, checks?);
        let (ledger, findings, incidents) = (ledger?, findings?, incidents?);
        let of = vec![
            standing.stamp,
            lately.stamp,
            checks.stamp,
            ledger.stamp,
            findings.stamp,
            incidents.stamp,
        ];
        let ages = [
            standing.stale_s,
            lately.stale_s,
            checks.stale_s,
            ledger.stale_s,
            findings.stale_s,
            incidents.stale_s,
        ];
        let made = Made {
            of,
            as_of: findings.as_of.min(ledger.as_of),
            stale_s: ages.into_iter().max().flatten(),
        };
        // All that the answer says of its document.
        let document = known.definition.as_deref();
        let document = document.map(|d| (&d.digest, &d.origin, d.kept));
        let key = Key::of(id, format!("dataset {} {document:?}", known.digest));
        let now = (self.parts.now)();
        // Of all that it says only the next run moves with the clock.
        let holds = |detail: &DatasetDetail| detail.row.next_run.is_none_or(|next| next > now);
        self.memory.made(key, made, holds, || {
            let row = self.row_of(&known, &standing.it, &lately.it);
            let mut detail = detail(&known.dataset, row, &ledger.it, &findings.it);
            let checks = &checks.it.items;
            detail.checks_left_out = checks.len().saturating_sub(CHECKS) as u64;
            detail.check_rows = checks.iter().take(CHECKS).cloned().collect();
            detail.incidents = incidents.it.as_ref().clone();
            detail
        })
    }

    /// The partitions of a dataset, newest first.
    pub(crate) async fn partition_list(
        &self,
        who: &Reader,
        id: &str,
        cut: &Cut,
    ) -> Answer<List<PartitionRow>> {
        let known = self.permitted(who, Action::Read, id).await?;
        let found = self.ledger(&known.dataset.id).await?;
        let rows = found.it.iter().rev().map(convert::ledger_entry);
        Ok(Told {
            it: page(rows.collect(), cut, |row| row.partition.key.clone())?,
            as_of: found.as_of,
            stale_s: found.stale_s,
        })
    }
}

/// A dataset without its checks and incidents.
fn detail(
    dataset: &Dataset,
    row: DatasetRow,
    ledger: &[LedgerEntry],
    findings: &Standing,
) -> DatasetDetail {
    let newest = ledger.iter().rev();
    let newest = newest
        .filter(|entry| entry.version.is_content())
        .max_by_key(|entry| (&entry.partition.order, &entry.partition.key));
    let missing = ledger.iter();
    let missing = missing.filter(|entry| entry.state == LedgerState::Missing);
    let mut worth: Vec<_> = findings.rows.iter().collect();
    worth.retain(|row| row.result.outcome.needs_a_look());
    worth.sort_by_key(|row| row.result.outcome.gravity());
    let channels = dataset.subscribers.iter().map(|s| Channel {
        channel: s.channel.clone(),
        tool: s.tool.clone(),
    });
    let columns = dataset.columns.iter().map(|c| Column {
        name: c.name.clone(),
        logical_type: c.logical_type.map(|t| t.to_string()),
        required: c.required,
        unique: c.unique,
        masked: c.masked,
    });
    DatasetDetail {
        words: words(&row),
        source: dataset.source.location.address(),
        time_zone: dataset.run.time_zone.clone(),
        channels: channels.collect(),
        columns: columns.collect(),
        checks_left_out: 0,
        check_rows: Vec::new(),
        findings_left_out: bad(findings).saturating_sub(worth.len() as u64),
        findings: worth.into_iter().map(convert::result).collect(),
        newest_partition: newest.map(|entry| convert::partition(&entry.partition)),
        data_changed_at: newest.and_then(|entry| entry.last_modified),
        partitions: ledger.len() as u64,
        missing_partitions: missing.count() as u64,
        incidents: Vec::new(),
        row,
    }
}

/// Results that need a look, also those beyond the bound of the reading.
fn bad(findings: &Standing) -> u64 {
    let counts = findings.counts().by_outcome().into_iter();
    let bad = counts.filter(|(outcome, _)| outcome.needs_a_look());
    bad.map(|(_, n)| n).sum()
}

/// A dataset's health in a sentence.
fn words(row: &DatasetRow) -> String {
    let counts = &row.counts;
    let newest = row.strip.last().map(|square| square.partition.as_str());
    let Some(newest) = newest else {
        return "nothing has been judged yet".to_owned();
    };
    let bad = [
        (counts.fail, "failed", "failed"),
        (
            counts.missing,
            "has no partition to judge",
            "have no partition to judge",
        ),
        (
            counts.error,
            "could not be evaluated",
            "could not be evaluated",
        ),
        (
            counts.overflow,
            "is too large to be told",
            "are too large to be told",
        ),
        (counts.warn, "warns", "warn"),
        (counts.learning, "is still learning", "are still learning"),
        (counts.skipped, "was skipped", "were skipped"),
    ];
    let bad: Vec<String> = bad
        .iter()
        .filter(|(n, _, _)| *n > 0)
        .map(|(n, one, many)| format!("{n} {}", if *n == 1 { one } else { many }))
        .collect();
    let judged = format!(
        "{} of {} checks pass in {newest}",
        counts.pass, counts.planned
    );
    let judged = match bad.is_empty() {
        true => judged,
        false => format!("{judged}; {}", bad.join(", ")),
    };
    let newest_is_evaluated = counts.error + counts.overflow == 0 && counts.pass > 0;
    match (row.open_incidents, row.health) {
        (0, Health::NotEvaluated) if newest_is_evaluated => {
            format!("{judged}; not all that came since was evaluated: see the newest run")
        }
        (0, _) => judged,
        (1, _) => format!("{judged}; {}1 incident is open", besides(row)),
        (n, _) => format!("{judged}; {}{n} incidents are open", besides(row)),
    }
}

/// What the newest partition does not show, though the dataset's health does.
fn besides(row: &DatasetRow) -> &'static str {
    let counts = &row.counts;
    match row.health {
        Health::NotEvaluated if counts.error + counts.overflow == 0 => {
            "not all of it could be evaluated; "
        }
        Health::Failing if counts.fail + counts.missing == 0 => {
            "another partition fails, or has not come; "
        }
        Health::Warning if counts.warn == 0 => "another partition warns; ",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(health: &str, counts: &serde_json::Value, open: u64) -> DatasetRow {
        let mut all = serde_json::json!({
            "planned": 3, "pass": 0, "warn": 0, "fail": 0, "error": 0, "missing": 0,
            "learning": 0, "skipped": 0, "overflow": 0,
        });
        for (name, count) in counts.as_object().unwrap() {
            all[name] = count.clone();
        }
        let square = serde_json::json!({
            "partition": "2026-11-20", "health": "healthy", "counts": all, "runId": "run_1",
            "judgedAt": "2026-11-20T00:00:00Z",
        });
        serde_json::from_value(serde_json::json!({
            "id": "orders", "name": null, "version": "1.0.0", "status": "active", "owner": null,
            "tags": [], "checks": 3, "schedule": null, "nextRun": null, "file": "f", "digest": "d",
            "definition": "x", "kept": false, "health": health, "counts": all, "lastRun": null,
            "strip": [square], "rows": [], "openIncidents": open,
        }))
        .unwrap()
    }

    #[test]
    fn a_sentence_says_why_a_dataset_is_not_healthy_though_its_newest_partition_is() {
        let passed = serde_json::json!({ "pass": 3 });
        let told = |health: &str| words(&row(health, &passed, 2));
        assert_eq!(
            told("not_evaluated"),
            "3 of 3 checks pass in 2026-11-20; not all of it could be evaluated; \
             2 incidents are open"
        );
        assert!(told("failing").contains("; another partition fails, or has not come; "));
        assert!(told("warning").contains("; another partition warns; "));
        // What the newest partition says itself is not said twice.
        let failed = row("failing", &serde_json::json!({ "pass": 2, "fail": 1 }), 1);
        assert_eq!(
            words(&failed),
            "2 of 3 checks pass in 2026-11-20; 1 failed; 1 incident is open"
        );
    }
}
