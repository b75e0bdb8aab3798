//! Metrics of a whole partition.
//!
//! In: the partition and its merged state. Out: its counts, its age and its schema in canonical
//! text. Nothing here looks at a value.

use assay_model::dataset::FormatKind;
use assay_model::metric::{Metric, MetricKey, MetricPoint, MetricStatus, MetricValue};
use jiff::Timestamp;

use super::Subject;
use crate::plan::STATED_NULLS;

/// Why there is no schema of a partition without rows.
pub(super) const UNTOLD: &str = "it has no rows, and in its format only rows name columns";

impl Subject<'_> {
    /// Whether files were read that do not tell their columns: rows would, and there are none.
    pub(super) fn is_untold(&self) -> bool {
        let schema = &self.state.schema;
        self.dataset.source.format.kind == FormatKind::Ndjson
            && self.state.rows == 0
            && schema.columns.is_empty()
            && schema.files > 0
    }

    pub(super) fn table_point(&self, key: MetricKey) -> MetricPoint {
        let integer = |value: u64| MetricValue::integer(i128::from(value));
        let value = match key.metric {
            Metric::ByteCount => integer(self.spec.bytes),
            Metric::FileCount => integer(self.spec.objects),
            Metric::Schema | Metric::ColumnCount if self.is_untold() => MetricValue::Null,
            Metric::Schema => MetricValue::Text(self.schema_text()),
            Metric::ColumnCount => integer(self.state.schema.columns.len() as u64),
            Metric::LastModifiedAge => match self.spec.last_modified {
                Some(modified) => seconds(modified, self.now),
                None => {
                    let why = "the source does not tell when its objects changed";
                    return MetricPoint::failed(key, MetricStatus::Error, why);
                }
            },
            _ => integer(self.state.rows),
        };
        let mut point = MetricPoint::computed(key, value);
        if point.value == MetricValue::Null {
            point.note = Some(UNTOLD.to_owned());
            return point;
        }
        if point.key.metric == Metric::Schema {
            let differ: Vec<&str> = self.state.schema.disagreements().collect();
            if !differ.is_empty() {
                point.note = Some(format!("files disagree on {}", differ.join(", ")));
            }
        }
        if point.key.metric == Metric::RowCount {
            let flags = self.state.flags.iter();
            // That is told with the NULLs themselves.
            let flags = flags.filter(|(name, _)| !name.starts_with(STATED_NULLS));
            let told: Vec<String> = flags
                .map(|(name, times)| flag_in_words(name, *times))
                .collect();
            point.note = (!told.is_empty()).then(|| told.join(", "));
        }
        point
    }

    /// `name:type` for each column in the order of the files, `?` behind a type that may be NULL;
    /// types on which files disagree are joined by `|`, and a column that files lack says so.
    fn schema_text(&self) -> String {
        let mut columns: Vec<_> = self.state.schema.columns.iter().collect();
        columns.sort_by_key(|(name, shape)| (shape.ordinals.first().copied(), name.as_str()));
        let text = columns.iter().map(|(name, shape)| {
            let types: Vec<&str> = shape.types.iter().map(String::as_str).collect();
            let nullable = if shape.nullable.contains(&true) {
                "?"
            } else {
                ""
            };
            let lacking = if self.state.schema.is_lacking(name) {
                IN_SOME_FILES
            } else {
                ""
            };
            format!("{name}:{}{nullable}{lacking}", types.join("|"))
        });
        text.collect::<Vec<_>>().join(", ")
    }
}

/// What was odd about a file or its fields, for people.
fn flag_in_words(flag: &str, times: u64) -> String {
    let unread = flag
        .strip_prefix("unread ")
        .and_then(|f| f.split_once(": "));
    match unread {
        Some((kind, column)) => {
            let fields = if times == 1 { "field" } else { "fields" };
            let read = if times == 1 { "reads" } else { "read" };
            format!("{times} {fields} of `{column}` {read} as no {kind}")
        }
        None => format!("{flag}: {times}"),
    }
}

/// Behind a column that some files of the partition lack.
const IN_SOME_FILES: &str = " in some files";

/// Seconds from `then` to `now`, to the microsecond.
pub(super) fn seconds(then: Timestamp, now: Timestamp) -> MetricValue {
    MetricValue::Float((now.as_microsecond() - then.as_microsecond()) as f64 / 1e6)
}
