//! The judge's hot path: a year of every metric of a dataset.
//!
//! Comes in: one page of text per verdict (made by SQL from the metric rows, see
//! each adapter's `evaluated`). Goes out: values per metric in the order of the partitions. It must never
//! skip a line that it cannot read.
//!
//! A line of a page is `series status kind value`: `17 ce-12` is series 17, `computed`, `exact`,
//! `-12`. An estimate has its kind in capitals and its error before the value: `17 cF0.008125 1e6`.
//! Texts are JSON strings, so that a line holds no line break. Lines are sorted by series.

use std::sync::Arc;

use assay_model::metric::{MetricKey, MetricStatus, MetricValue};
use assay_model::partition::{Partition, PartitionVersion};

use crate::error::StoreError;
use crate::port::{HistoryPoint, MetricHistory};
use crate::values::{corrupt, value_of};

/// The metrics of one verdict.
pub(crate) struct Page {
    pub(crate) partition: Arc<Partition>,
    pub(crate) version: Arc<PartitionVersion>,
    pub(crate) text: String,
}

/// The values of `pages` (in the order of the partitions) by metric. `series` is sorted by its ids.
pub(crate) fn assemble(
    series: Vec<(i64, MetricKey)>,
    pages: &[Page],
) -> Result<MetricHistory, StoreError> {
    let mut points: Vec<Vec<HistoryPoint>> = series
        .iter()
        .map(|_| Vec::with_capacity(pages.len()))
        .collect();
    for (place, page) in pages.iter().enumerate() {
        let mut at = 0;
        for line in page.text.split('\n').filter(|line| !line.is_empty()) {
            let Line {
                id,
                status,
                value,
                error_bound,
            } = read(line)?;
            while series.get(at).is_some_and(|(known, _)| *known < id) {
                at += 1;
            }
            let known = series.get(at).is_some_and(|(known, _)| *known == id);
            let Some(list) = points.get_mut(at).filter(|_| known) else {
                return Err(corrupt("metric", format!("series {id} is not known")));
            };
            list.push(HistoryPoint {
                at: place,
                partition: Arc::clone(&page.partition),
                version: Arc::clone(&page.version),
                status,
                value,
                error_bound,
            });
        }
    }
    let mut history: MetricHistory = series
        .into_iter()
        .zip(points)
        .filter(|(_, points)| !points.is_empty())
        .map(|((_, key), points)| (key, points))
        .collect();
    history.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    Ok(history)
}

/// A line of a page.
struct Line {
    id: i64,
    status: MetricStatus,
    value: MetricValue,
    error_bound: Option<f64>,
}

/// Reads a line of a page.
fn read(line: &str) -> Result<Line, StoreError> {
    let unreadable = || corrupt("metric", format!("the line `{line}` of a page"));
    let (id, rest) = line.split_once(' ').ok_or_else(unreadable)?;
    let id = id.parse().map_err(|_| unreadable())?;
    let (codes, text) = rest.split_at_checked(2).ok_or_else(unreadable)?;
    let (status, kind) = match codes.as_bytes() {
        [status, kind] => (*status, *kind),
        _ => return Err(unreadable()),
    };
    let status = match status {
        b'c' => MetricStatus::Computed,
        b'e' => MetricStatus::Error,
        b'o' => MetricStatus::Overflow,
        _ => return Err(unreadable()),
    };
    let (error_bound, text) = if kind.is_ascii_uppercase() {
        let (bound, text) = text.split_once(' ').ok_or_else(unreadable)?;
        (Some(bound.parse().map_err(|_| unreadable())?), text)
    } else {
        (None, text)
    };
    let value = match kind.to_ascii_lowercase() {
        b'n' => MetricValue::Null,
        b'e' => MetricValue::Exact(text.to_owned()),
        b'f' => value_of("float", Some(text))?,
        b't' => MetricValue::Text(serde_json::from_str(text).map_err(|_| unreadable())?),
        _ => return Err(unreadable()),
    };
    Ok(Line {
        id,
        status,
        value,
        error_bound,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_cannot_be_read_is_damage_and_not_a_missing_value() {
        for bad in [
            "",
            "7",
            "x ce1",
            "7 c",
            "7 xe1",
            "7 cx1",
            "7 cf1.2.3",
            "7 ct\"a",
            "7 cF",
            "7 cF0.1",
            "7 cFx 1",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let page = Page {
            partition: Arc::new(Partition::all()),
            version: Arc::new(PartitionVersion("v".to_owned())),
            text: "7 ce1".to_owned(),
        };
        assert!(assemble(Vec::new(), &[page]).is_err());
    }
}
