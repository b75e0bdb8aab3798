//! What a rule would have alerted on: each past partition judged from its own past.
//!
//! In: the histories of a dataset's metrics. Out: the alerts of the last partitions. It must never
//! let a partition, or a later one, take part in its own limits.

use jiff::civil::Date;

use crate::exact::stopped_being_computable;
use crate::learner::judge_partition;
use crate::series::{Limits, Policy, SeriesInput};

/// One metric of one past partition that would have alerted.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// How many partitions back: 1 is the newest of the history.
    pub back: usize,
    /// The day of the partition.
    pub date: Option<Date>,
    /// Which of the given series.
    pub series: usize,
    /// The value; `None` when it stopped being computable.
    pub value: Option<f64>,
    /// The limits that it left.
    pub limits: Limits,
}

/// Which of the last `last` partitions would have alerted, oldest first.
///
/// Points that are not eligible are judged too; as in production, they teach nothing.
#[must_use]
pub fn backtest(series: &[SeriesInput<'_>], last: usize, policy: &Policy) -> Vec<Alert> {
    let longest = series.iter().map(|s| s.points.len()).max().unwrap_or(0);
    let mut alerts = Vec::new();
    for back in (1..=last.min(longest)).rev() {
        // Series are aligned at their newest points; a younger one has no value this far back.
        let then: Vec<(usize, SeriesInput<'_>)> = series
            .iter()
            .enumerate()
            .filter_map(|(number, s)| {
                let at = s.points.len().checked_sub(back)?;
                let past = SeriesInput {
                    points: &s.points[..at],
                    date: s.points[at].date,
                    ..*s
                };
                Some((number, past))
            })
            .collect();
        let inputs: Vec<SeriesInput<'_>> = then.iter().map(|(_, past)| *past).collect();
        for ((number, past), limits) in then.iter().zip(judge_partition(&inputs, policy)) {
            let judged = &series[*number].points[past.points.len()];
            let alarms = match judged.value.filter(|v| !v.is_nan()) {
                Some(value) => !limits.accepts(value),
                None => stopped_being_computable(past.points, None),
            };
            if alarms {
                alerts.push(Alert {
                    back,
                    date: judged.date,
                    series: *number,
                    value: judged.value,
                    limits,
                });
            }
        }
    }
    alerts
}
