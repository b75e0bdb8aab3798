//! The name of a metric as people and programs give it.
//!
//! Comes in: `mean`, `mean(amount)`, a whole key as the tables write it, or a key as the JSON does.
//! Goes out: which keys are meant. It must never take one key for another.

use std::fmt;

use anyhow::Result;
use assay_model::metric::{Metric, MetricKey};
use serde::Deserialize;

use crate::client::coded;
use crate::exit::Exit;

/// Which values are asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) metric: Metric,
    column: Option<String>,
    /// What was given, as a key is written.
    text: String,
    /// Whether a whole key was given: with arguments or a filter, or as JSON.
    is_whole: bool,
}

impl Wanted {
    /// Whether a key is one of them: the very one that was named, or one of the metric and column.
    pub(super) fn takes(&self, key: &MetricKey) -> bool {
        if key.metric != self.metric {
            return false;
        }
        // What is no key by itself may still be how one is written: a column's name and a filter
        // may hold any bracket.
        let column = self.column.as_ref();
        key.to_string() == self.text
            || (!self.is_whole && column.is_none_or(|column| key.column == *column))
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.column {
            Some(column) if !self.is_whole => write!(f, "{}({column})", self.metric),
            _ => f.write_str(&self.text),
        }
    }
}

/// The key of a metric as the JSON of this program writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenKey {
    metric: Metric,
    #[serde(default)]
    column: String,
    #[serde(default)]
    args: String,
    #[serde(default)]
    filter: String,
}

/// Reads `mean`, `mean(amount)` or a whole key as the tables write it, or a key as the JSON does; a
/// column that is named twice must be the same one.
pub(super) fn wanted(name: &str, column: Option<String>) -> Result<Wanted> {
    if name.trim_start().starts_with('{') {
        return written(name, column);
    }
    let end = name.find(|c: char| !c.is_ascii_alphanumeric());
    let (word, rest) = name.split_at(end.unwrap_or(name.len()));
    let is_open = rest.is_empty() || rest.starts_with(['(', '{']) || rest.starts_with(" where ");
    if !is_open {
        return metric_named(name).map(|metric| Wanted {
            metric,
            column,
            text: name.to_owned(),
            is_whole: false,
        });
    }
    let metric = metric_named(word)?;
    let (inner, after) = match rest.strip_prefix('(') {
        None => (None, rest),
        Some(inner) => {
            // A name may hold brackets itself: what only closes has the last one.
            let cut = if inner.ends_with(')') {
                inner.strip_suffix(')').map(|column| (column, ""))
            } else {
                ["){", ") where "].iter().find_map(|end| {
                    let at = inner.find(end)?;
                    Some((&inner[..at], &inner[at + 1..]))
                })
            };
            let Some((column, after)) = cut else {
                let why = format!("`{name}`: the bracket is not closed; write {metric}(COLUMN)");
                return Err(coded(Exit::Usage, why));
            };
            (Some(column), after)
        }
    };
    match (column, inner) {
        (Some(other), Some(inner)) if other != inner => {
            let why = format!("`{name}` and --column {other} name two columns; leave one out");
            Err(coded(Exit::Usage, why))
        }
        (column, inner) => Ok(Wanted {
            metric,
            column: inner.map(str::to_owned).or(column),
            text: name.to_owned(),
            is_whole: !after.is_empty(),
        }),
    }
}

fn written(text: &str, column: Option<String>) -> Result<Wanted> {
    let key: WrittenKey = serde_json::from_str(text).map_err(|error| {
        let form = r#"{"metric": "mean", "column": "amount"}"#;
        coded(
            Exit::Usage,
            format!("`{text}` is no key of a metric ({error}); write it as {form}"),
        )
    })?;
    if column.is_some_and(|column| column != key.column) {
        let why = format!("`{text}` and --column name two columns; leave one out");
        return Err(coded(Exit::Usage, why));
    }
    let named = MetricKey {
        args: key.args,
        filter: key.filter,
        ..MetricKey::column(key.metric, key.column.clone())
    };
    Ok(Wanted {
        metric: key.metric,
        column: Some(key.column),
        text: named.to_string(),
        is_whole: true,
    })
}

fn metric_named(name: &str) -> Result<Metric> {
    if let Ok(metric) = name.parse() {
        return Ok(metric);
    }
    let near = Metric::ALL
        .iter()
        .map(|m| (strsim::jaro_winkler(m.as_str(), name), m))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.75);
    let hint = match near {
        Some((_, metric)) => format!("did you mean `{metric}`?"),
        None => "see: assay help checks".to_owned(),
    };
    Err(coded(
        Exit::Usage,
        format!("unknown metric `{name}`; {hint}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_named_as_the_tables_write_it() {
        let named = |name: &str, column: Option<&str>| {
            let read = wanted(name, column.map(str::to_owned));
            read.map(|w| (w.metric, w.column))
                .map_err(|e| e.to_string())
        };
        let mean = Ok((Metric::Mean, Some("amount".to_owned())));
        assert_eq!(named("mean(amount)", None), mean);
        assert_eq!(named("mean(amount)", Some("amount")), mean);
        assert_eq!(named("mean", Some("amount")), mean);
        let odd = named("sum(price (net))", None).unwrap();
        assert_eq!(odd.1.as_deref(), Some("price (net)"));
        assert!(
            named("mean(amount", None)
                .unwrap_err()
                .contains("not closed")
        );
        assert!(
            named("mean(a)", Some("b"))
                .unwrap_err()
                .contains("two columns")
        );
        assert!(named("maen(a)", None).unwrap_err().contains("`mean`"));
    }

    #[test]
    fn every_key_is_found_by_what_is_printed_of_it() {
        let quantile = MetricKey::quantile("amount", 0.5);
        let plain = MetricKey::column(Metric::Mean, "price (net)");
        let filtered = |key: &MetricKey, filter: &str| MetricKey {
            filter: filter.to_owned(),
            ..key.clone()
        };
        let keys = [
            MetricKey::quantile("amount", 0.9),
            filtered(&quantile, "f(b) > (1)"),
            filtered(&MetricKey::table(Metric::RowCount), "a = '{'"),
            MetricKey::quantile("odd){\"q\":0.5}", 0.5),
            quantile.clone(),
            plain.clone(),
        ];
        let taken = |text: &str| -> Vec<usize> {
            let wanted = wanted(text, None).unwrap();
            let taken = keys.iter().enumerate().filter(|(_, k)| wanted.takes(k));
            taken.map(|(i, _)| i).collect()
        };
        for (i, key) in keys.iter().enumerate() {
            assert_eq!(taken(&key.to_string()), [i], "{key}");
            let json = serde_json::json!({
                "metric": key.metric, "column": key.column, "args": key.args, "filter": key.filter
            });
            assert_eq!(taken(&json.to_string()), [i], "{json}");
        }
        assert_eq!(taken("quantile(amount)"), [0, 1, 4]);
        assert_eq!(taken("rowCount"), [2]);
        for bad in ["{}", "{\"metric\": \"mean\", \"colum\": \"a\"}", "mean{a"] {
            let read = wanted(bad, None);
            assert!(
                read.map_or(true, |w| !keys.iter().any(|k| w.takes(k))),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_misspelt_metric_is_refused_with_a_suggestion() {
        assert_eq!(metric_named("rowCount").unwrap(), Metric::RowCount);
        let error = metric_named("rowcount").unwrap_err().to_string();
        assert!(error.contains("did you mean `rowCount`"), "{error}");
    }
}
