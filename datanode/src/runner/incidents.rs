//! Incidents: opened, continued, resolved, from the open ones and a partition's results.
//!
//! Comes in: the incidents that are open, the results of one partition version, and the order of
//! partitions. Goes out: the incidents as they stand afterwards and what is to be told. Pure. It
//! must never open a second incident for what an open one covers, resolve one by a result that
//! was not evaluated, take a partition for evaluated because another one was, or tell the same thing
//! twice under different keys.

use std::collections::{BTreeMap, BTreeSet};

use assay_model::check::Severity;
use assay_model::ids::{CheckId, DatasetId};
use assay_model::incident::{Incident, IncidentStatus, OutboxEntry};
use assay_model::outcome::{CheckResult, Outcome};
use assay_model::partition::{Partition, PartitionKey, PartitionVersion};
use assay_model::task::EvaluateMode;
use jiff::Timestamp;
use serde_json::json;

use assay_past::checks::{FUTURE, GONE, MISSING, RESTATED, UNJUDGED};

/// What the incidents of a partition follow from.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    /// The dataset.
    pub dataset: &'a DatasetId,
    /// The partition.
    pub partition: &'a Partition,
    /// The version that was judged.
    pub version: &'a PartitionVersion,
    /// What the judgement is about: data that has come, or its lack.
    pub mode: EvaluateMode,
    /// Whether the partition is complete: of one that grows, only that it was complete and has
    /// changed is known.
    pub sealed: bool,
    /// Whether it was measured: only then do its results name every check that is due.
    pub measured: bool,
    /// Whether an earlier version of it was judged: it is then counted already.
    pub rejudged: bool,
    /// Whether people are told: not of the past that a backfill works through.
    pub told: bool,
    /// Its results.
    pub results: &'a [CheckResult],
    /// The incidents of the dataset that are open.
    pub open: &'a [Incident],
    /// The place of partitions in the order, by key: of those that incidents name, where they are known.
    pub order: &'a BTreeMap<&'a str, &'a str>,
    /// Partitions that incidents name and whose data is there no more.
    pub gone: &'a BTreeSet<&'a str>,
    /// The moment of judging.
    pub now: Timestamp,
}

/// The incidents after a judgement, and what is to be told.
#[must_use]
pub fn after(judged: &Judged<'_>) -> (Vec<Incident>, Vec<OutboxEntry>) {
    let mut desk = Desk {
        judged,
        incidents: Vec::new(),
        outbox: Vec::new(),
    };
    desk.missing();
    desk.gone();
    desk.future();
    if judged.mode.is_of_data() {
        let known = |r: &&CheckResult| judged.sealed || r.check.as_str() == RESTATED;
        for result in judged.results.iter().filter(known) {
            desk.result(result);
        }
    }
    if judged.sealed
        && matches!(
            judged.mode,
            EvaluateMode::Judge | EvaluateMode::Again | EvaluateMode::Refused
        )
    {
        desk.unjudged();
    }
    desk.never_to_be_judged();
    if judged.measured && judged.sealed && judged.mode.is_of_data() {
        desk.dropped();
    }
    (desk.incidents, desk.outbox)
}

/// What a result says about its check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Bad,
    Good,
    /// Not evaluated: says nothing.
    Silent,
}

fn sign(result: &CheckResult) -> Sign {
    match result.outcome {
        _ if result.is_breach() => Sign::Bad,
        Outcome::Pass => Sign::Good,
        // A partition that has come for the first time is as it came.
        Outcome::Skipped if result.check.as_str() == RESTATED => Sign::Good,
        // What is only informative never alarms.
        Outcome::Fail
        | Outcome::Warn
        | Outcome::Error
        | Outcome::Missing
        | Outcome::Learning
        | Outcome::Skipped
        | Outcome::Overflow => Sign::Silent,
    }
}

/// How grave a broken check is: what was a warning only does not open a grave incident.
fn gravity(result: &CheckResult) -> Severity {
    match result.outcome {
        Outcome::Warn => result.severity.min(Severity::Warning),
        _ => result.severity,
    }
}

/// Whether an incident is about a partition as such, and not about a value.
fn is_of_partition(check: &CheckId) -> bool {
    matches!(check.as_str(), MISSING | GONE | FUTURE)
}

struct Desk<'a> {
    judged: &'a Judged<'a>,
    incidents: Vec<Incident>,
    outbox: Vec<OutboxEntry>,
}

impl Desk<'_> {
    /// A partition that has not come has one incident of its own, until it comes.
    fn missing(&mut self) {
        let key = &self.judged.partition.key;
        let message = format!("partition {key} has not come by its deadline");
        let absent = self.judged.mode == EvaluateMode::Missing;
        let back = "the partition has come";
        self.absence(MISSING, absent, Severity::Error, message, back);
    }

    /// So has one whose data was taken away, until it is back: another loss is told, too.
    fn gone(&mut self) {
        let key = &self.judged.partition.key;
        let reasons = self.judged.results.iter();
        let reason = reasons.clone().find(|r| r.check.as_str() == GONE);
        let reason = reason.and_then(|r| r.reason.as_deref()).unwrap_or_default();
        let message = format!("the data of partition {key} was taken away: {reason}");
        let absent = self.judged.mode == EvaluateMode::Gone;
        let back = "the partition is back";
        self.absence(GONE, absent, Severity::Warning, message, back);
    }

    /// So has one whose data time has not begun, until it has or the data is taken away.
    fn future(&mut self) {
        let judged = self.judged;
        let told = judged.results.iter().find(|r| r.check.as_str() == FUTURE);
        let reason = told.and_then(|r| r.reason.as_deref()).unwrap_or_default();
        let key = &judged.partition.key;
        let message = format!("partition {key} is of the future: {reason}");
        let id = Incident::id_of(judged.dataset, &CheckId::new(FUTURE), key);
        let open = judged.open.iter().find(|i| i.id == id).cloned();
        match open {
            Some(incident) if told.is_none() => {
                self.resolve(incident, "the partition is of the future no more");
            }
            None if told.is_some() => {
                self.open(CheckId::new(FUTURE), "", Severity::Warning, message);
            }
            Some(_) | None => {}
        }
    }

    fn absence(
        &mut self,
        check: &str,
        absent: bool,
        severity: Severity,
        message: String,
        back: &str,
    ) {
        let judged = self.judged;
        let check = CheckId::new(check);
        let id = Incident::id_of(judged.dataset, &check, &judged.partition.key);
        let open = judged.open.iter().find(|i| i.id == id).cloned();
        let arrived = judged.mode.is_of_data();
        match open {
            Some(incident) if arrived => self.resolve(incident, back),
            None if absent => self.open(check, "", severity, message),
            Some(_) | None => {}
        }
    }

    fn open_of(&self, check: &CheckId) -> Option<Incident> {
        let series = &self.judged.partition.series;
        let mut open = self.judged.open.iter();
        open.find(|i| i.check == *check && i.series == *series)
            .cloned()
    }

    fn result(&mut self, result: &CheckResult) {
        if is_of_partition(&result.check) {
            return;
        }
        let key = &self.judged.partition.key;
        let open = self.open_of(&result.check);
        match (sign(result), open) {
            (Sign::Silent, _) | (Sign::Good, None) => {}
            (Sign::Bad, None) => self.open(
                result.check.clone(),
                &result.metric.column,
                gravity(result),
                sentence(result, key),
            ),
            (Sign::Bad, Some(incident)) => {
                self.go_on(incident, gravity(result), sentence(result, key));
            }
            (Sign::Good, Some(incident)) => {
                // An earlier partition that passes says nothing about a later one that does not.
                if self.is_at_or_after(&incident.last_partition) {
                    let why = format!("{} passes in partition {key}", result.check);
                    self.resolve(incident, &why);
                }
            }
        }
    }

    /// The open incidents about partitions of this series that could not be evaluated.
    fn unevaluated(&self) -> impl Iterator<Item = &Incident> {
        let judged = self.judged;
        let of = |i: &&Incident| i.check.as_str() == UNJUDGED;
        let open = judged.open.iter().filter(of);
        open.filter(|i| i.series == judged.partition.series)
    }

    /// Checks of a partition that could not be evaluated are one incident of its own, whatever their
    /// number, until it is evaluated itself: of its data another one says nothing.
    fn unjudged(&mut self) {
        let judged = self.judged;
        let key = &judged.partition.key;
        let failed = |r: &&CheckResult| {
            let failed = matches!(r.outcome, Outcome::Error | Outcome::Overflow);
            failed && r.severity != Severity::Info
        };
        let failed: Vec<&CheckResult> = judged.results.iter().filter(failed).collect();
        let open = self.unevaluated().find(|i| i.last_partition == *key);
        let open = open.cloned();
        let Some(first) = failed.first() else {
            if let Some(incident) = open {
                let why = format!("every check of partition {key} could be evaluated");
                self.resolve(incident, &why);
            }
            return;
        };
        let severity = failed.iter().map(|r| r.severity).max();
        let severity = severity.unwrap_or(first.severity);
        let message = format!(
            "{} of {} checks of partition {key} could not be evaluated; {}: {}",
            failed.len(),
            judged.results.len(),
            first.check,
            first.reason.as_deref().unwrap_or("no reason was given"),
        );
        match open {
            None => self.open(CheckId::new(UNJUDGED), "", severity, message),
            Some(incident) => self.go_on(incident, severity, message),
        }
    }

    /// What was taken or cleared away will never be evaluated: that it could not be ends with it.
    fn never_to_be_judged(&mut self) {
        let judged = self.judged;
        let own = &judged.partition.key;
        let lost = judged.mode == EvaluateMode::Gone;
        let is_gone = |key: &PartitionKey| match key == own {
            true => lost,
            false => judged.gone.contains(key.as_str()),
        };
        let ended = self.unevaluated().filter(|i| is_gone(&i.last_partition));
        let ended: Vec<Incident> = ended.cloned().collect();
        for incident in ended {
            let why = format!("the data of partition {} is gone", incident.last_partition);
            self.resolve(incident, &why);
        }
    }

    /// A check that is due no more, for the definition dropped it or accepted the loss of its
    /// column, will never pass: what it opened ends with it.
    fn dropped(&mut self) {
        let judged = self.judged;
        let due: BTreeSet<&CheckId> = judged.results.iter().map(|r| &r.check).collect();
        let open = judged.open.iter().filter(|i| {
            let own = i.series == judged.partition.series && !due.contains(&i.check);
            own && !is_of_partition(&i.check) && i.check.as_str() != UNJUDGED
        });
        let ended: Vec<&Incident> = open
            .filter(|i| self.is_at_or_after(&i.last_partition))
            .collect();
        for incident in ended {
            let key = &judged.partition.key;
            let why = format!(
                "{} is due no more: partition {key} was judged without it",
                incident.check
            );
            self.resolve(incident.clone(), &why);
        }
    }

    fn go_on(&mut self, mut incident: Incident, severity: Severity, message: String) {
        let judged = self.judged;
        let key = &judged.partition.key;
        let newer =
            *key != incident.last_partition && self.is_at_or_after(&incident.last_partition);
        if newer || !judged.rejudged {
            incident.partitions = incident.partitions.saturating_add(1);
        }
        if newer || *key == incident.last_partition {
            incident.last_partition = key.clone();
            incident.message = message;
        }
        incident.updated_at = judged.now;
        // It may have been opened where nobody was told, in a backfill.
        self.tell_opened(&incident);
        if severity > incident.severity {
            incident.severity = severity;
            self.tell("incident.escalated", &incident);
        }
        self.incidents.push(incident);
    }

    fn open(&mut self, check: CheckId, column: &str, severity: Severity, message: String) {
        let judged = self.judged;
        let key = &judged.partition.key;
        let incident = Incident {
            id: Incident::id_of(judged.dataset, &check, key),
            dataset: judged.dataset.clone(),
            check,
            column: column.to_owned(),
            severity,
            status: IncidentStatus::Open,
            series: judged.partition.series.clone(),
            first_partition: key.clone(),
            last_partition: key.clone(),
            partitions: 1,
            message,
            opened_at: judged.now,
            updated_at: judged.now,
            resolved_at: None,
        };
        self.tell_opened(&incident);
        self.incidents.push(incident);
    }

    fn resolve(&mut self, mut incident: Incident, why: &str) {
        incident.status = IncidentStatus::Resolved;
        incident.message = why.to_owned();
        incident.updated_at = self.judged.now;
        incident.resolved_at = Some(self.judged.now);
        let event = "incident.resolved";
        let opened = opened_key(&incident);
        self.tell_as(self.key(event, &incident), event, &incident, Some(opened));
        self.incidents.push(incident);
    }

    /// Whether the judged partition is `other` or comes after it.
    fn is_at_or_after(&self, other: &PartitionKey) -> bool {
        if *other == self.judged.partition.key {
            return true;
        }
        // A partition that the ledger has forgotten is of the past.
        let order = self.judged.order.get(other.as_str());
        order.is_none_or(|order| self.judged.partition.order.as_str() > *order)
    }

    /// That an incident is open is told once, by the first partition of it that is told of at all:
    /// the key is the same for each, and a message that is there already is the same message.
    fn tell_opened(&mut self, incident: &Incident) {
        self.tell_as(opened_key(incident), OPENED, incident, None);
    }

    fn tell(&mut self, event: &str, incident: &Incident) {
        self.tell_as(self.key(event, incident), event, incident, None);
    }

    fn key(&self, event: &str, incident: &Incident) -> String {
        let judged = self.judged;
        let key = &judged.partition.key;
        // The same version may be judged again: what changes then is told for itself.
        let again = match judged.mode {
            EvaluateMode::Again => format!(":{}", judged.now.as_microsecond()),
            _ => String::new(),
        };
        format!("{}:{event}:{key}:{}{again}", incident.id, judged.version)
    }

    fn tell_as(&mut self, key: String, event: &str, incident: &Incident, after: Option<String>) {
        let judged = self.judged;
        if !judged.told {
            return;
        }
        self.outbox.push(OutboxEntry {
            key,
            event: event.to_owned(),
            dataset: judged.dataset.clone(),
            body: json!({
                "incident": incident,
                "partition": judged.partition.key,
                "version": judged.version,
            }),
            after,
        });
    }
}

const OPENED: &str = "incident.opened";

/// The key of the message that an incident is open. One that comes back is opened at another
/// instant, and is told of anew.
fn opened_key(incident: &Incident) -> String {
    let since = incident.opened_at.as_microsecond();
    format!("{}:{OPENED}:{since}", incident.id)
}

/// What is wrong, in one sentence.
fn sentence(result: &CheckResult, partition: &PartitionKey) -> String {
    let mut text = format!(
        "{} is {} in partition {partition}, expected {}",
        result.metric, result.actual, result.expected
    );
    if let Some(reason) = &result.reason {
        text.push_str(": ");
        text.push_str(reason);
    }
    text
}

#[cfg(test)]
#[path = "incidents_tests.rs"]
mod tests;
