//! What a scan computes: what the checks and the profile ask of each column, and no more.
//!
//! In: a dataset's definition and the columns that a file has. Out: the plan of the metric states,
//! and the value rules in a form to test values with. Pure: the same definition and columns always
//! give the same plan, in whatever batch.

use std::collections::BTreeMap;

use assay_metrics::{ColumnPlan, KeyPlan, TablePlan, Wants};
use assay_model::dataset::{Dataset, LogicalType};
use assay_model::metric::{Metric, MetricKey};
use jiff::tz::TimeZone;

use crate::clock;
pub use crate::rules::ColumnRules;
use crate::rules::{Question, Rule};

/// Begins the flag of a column whose NULLs were taken from footers, in so many rows; the column's
/// name follows.
pub const STATED_NULLS: &str = "rows whose NULLs are as footers state in the column ";

/// What a scan computes of one file or more with the same columns.
#[derive(Debug, Clone, Default)]
pub struct ScanPlan {
    /// The metrics of each column, in the order of the file's columns, and the keys.
    pub table: TablePlan,
    /// Declared logical types by column: how fields of text formats are to be read.
    pub declared: BTreeMap<String, LogicalType>,
    /// The dataset's zone: that of times without one. Absent when its name is not known.
    pub zone: Option<TimeZone>,
    rules: BTreeMap<String, ColumnRules>,
}

impl ScanPlan {
    /// The rules of a column.
    #[must_use]
    pub fn rules(&self, column: &str) -> &ColumnRules {
        static NONE: ColumnRules = Vec::new();
        self.rules.get(column).unwrap_or(&NONE)
    }

    /// What is wanted of a column.
    #[must_use]
    pub fn wants(&self, column: &str) -> Wants {
        self.table
            .column(column)
            .map_or_else(Wants::default, |plan| plan.wants)
    }
}

/// The columns of a key: the file's column of that name, else the parts between commas.
#[must_use]
pub fn key_columns(column: &str, has: impl Fn(&str) -> bool) -> Vec<&str> {
    if has(column) || !column.contains(',') {
        return vec![column];
    }
    column.split(',').map(str::trim).collect()
}

/// The ids and parts of the keys of several columns that the checks ask for, where it is not known
/// which columns there are.
#[must_use]
pub fn composite_keys(dataset: &Dataset) -> Vec<(String, Vec<String>)> {
    let mut keys: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for check in &dataset.checks {
        let parts = key_columns(&check.metric.column, |_| false);
        let of_all = check.metric.filter.is_empty();
        if of_all && is_of_key(check.metric.metric) && parts.len() > 1 {
            let parts = parts.into_iter().map(str::to_owned).collect();
            keys.insert(&check.metric.column, parts);
        }
    }
    keys.into_iter()
        .map(|(id, parts)| (id.to_owned(), parts))
        .collect()
}

const fn is_of_key(metric: Metric) -> bool {
    matches!(metric, Metric::DuplicateCount | Metric::DuplicatePercent)
}

/// What is computed of a file with these columns.
#[must_use]
pub fn table_plan(dataset: &Dataset, columns: &[&str]) -> ScanPlan {
    let mut plan = ScanPlan {
        zone: clock::zone(&dataset.partitions.time_zone),
        ..ScanPlan::default()
    };
    plan.table.distinct_limit = u64::from(dataset.scan.distinct_limit);
    plan.table.uniqueness_limit = u64::from(dataset.scan.uniqueness_limit);
    let profiled = dataset
        .profile
        .metrics
        .iter()
        .fold(Wants::default(), |all, m| all.or(wants(*m)));
    for name in columns {
        let in_profile = dataset
            .profile
            .columns
            .as_ref()
            .is_none_or(|only| only.iter().any(|c| c == name));
        plan.table.columns.push(ColumnPlan {
            name: (*name).to_owned(),
            wants: if in_profile {
                profiled
            } else {
                Wants::default()
            },
            rules: Vec::new(),
        });
    }
    for column in &dataset.columns {
        if let Some(logical) = column.logical_type {
            plan.declared.insert(column.name.clone(), logical);
        }
    }
    // What is asked of filtered rows is measured of them alone.
    let unfiltered = dataset.checks.iter().filter(|c| c.metric.filter.is_empty());
    for check in unfiltered {
        add(&mut plan, &check.metric, columns);
    }
    plan
}

fn add(plan: &mut ScanPlan, key: &MetricKey, columns: &[&str]) {
    let has = |name: &str| columns.contains(&name);
    let parts = key_columns(&key.column, has);
    if is_of_key(key.metric) && parts.len() > 1 {
        let known = plan.table.keys.iter().any(|known| known.id == key.column);
        if !known && parts.iter().all(|part| has(part)) {
            plan.table.keys.push(KeyPlan {
                id: key.column.clone(),
                columns: parts.iter().map(|part| (*part).to_owned()).collect(),
            });
        }
        return;
    }
    let Some(column) = plan
        .table
        .columns
        .iter_mut()
        .find(|column| column.name == key.column)
    else {
        return;
    };
    column.wants = column.wants.or(wants(key.metric));
    let Some(question) = question(key) else {
        return;
    };
    let rules = plan.rules.entry(key.column.clone()).or_default();
    // A rule that does not compile is told with its metric, see `points`.
    if let Ok(rule) = Rule::compile(question, &key.args)
        && rules.iter().all(|known| known.id() != rule.id())
    {
        rules.push(rule);
    }
}

/// The definition by which the rows that `filter` keeps are measured: its checks, as of all rows,
/// and nothing that is profiled.
#[must_use]
pub fn of_filter(dataset: &Dataset, filter: &str) -> Dataset {
    let mut own = dataset.clone();
    own.profile.metrics.clear();
    own.checks.retain(|check| check.metric.filter == filter);
    for check in &mut own.checks {
        check.metric.filter.clear();
    }
    own
}

/// The question that a metric with value rules asks; `None` for every other metric.
#[must_use]
pub fn question(key: &MetricKey) -> Option<Question> {
    match key.metric {
        Metric::MissingCount | Metric::MissingPercent if !key.args.is_empty() => {
            Some(Question::Missing)
        }
        Metric::InvalidCount | Metric::InvalidPercent => Some(Question::Valid),
        _ => None,
    }
}

/// What a metric needs of its column beyond rows and NULLs.
#[must_use]
pub fn wants(metric: Metric) -> Wants {
    let none = Wants::default();
    match metric {
        Metric::RowCount
        | Metric::ByteCount
        | Metric::FileCount
        | Metric::ColumnCount
        | Metric::LastModifiedAge
        | Metric::Schema
        | Metric::Query
        | Metric::FailedRows
        | Metric::NullCount
        | Metric::NullPercent
        | Metric::MissingCount
        | Metric::MissingPercent
        | Metric::InvalidCount
        | Metric::InvalidPercent => none,
        Metric::NanCount | Metric::InfCount | Metric::NonNumericCount => Wants {
            values: true,
            ..none
        },
        Metric::DistinctCount => Wants {
            distinct: true,
            ..none
        },
        Metric::DuplicateCount | Metric::DuplicatePercent => Wants {
            uniqueness: true,
            ..none
        },
        Metric::Sum | Metric::Mean => Wants { sum: true, ..none },
        Metric::Stddev => Wants {
            sum: true,
            moments: true,
            ..none
        },
        Metric::Min | Metric::Max | Metric::Latency => Wants {
            range: true,
            ..none
        },
        // The exact range clamps the estimate.
        Metric::Quantile => Wants {
            quantiles: true,
            range: true,
            ..none
        },
        Metric::LengthMin | Metric::LengthMax | Metric::LengthMean => Wants {
            lengths: true,
            ..none
        },
    }
}
