//! Bounds of declarative partitions as keys.
//!
//! In: what the catalog says of each part of a partitioned table. Out: keys that are spelt as those
//! of files where every bound is one value, one hour, day, week, month or year of one column; the
//! tables' own names otherwise. Pure.

use assay_model::dataset::{Dataset, KeyKind};
use assay_scan::ScanError;
use assay_scan::discover::keys::{Key, KeyMaker, zone};
use assay_scan::discover::value::{Unit, Value, parse_time};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::shape::{Bound, Relation};

/// The keys of the parts, in their order.
pub(super) fn keys(dataset: &Dataset, parts: &[Relation]) -> Result<Vec<Key>, ScanError> {
    let zone = zone(&dataset.partitions)?;
    let cadence = dataset.partitions.cadence;
    let by_bounds = || {
        let names: Vec<String> = parts
            .first()?
            .bounds
            .iter()
            .map(column)
            .collect::<Option<_>>()?;
        let same = |part: &&Relation| {
            let own: Option<Vec<String>> = part.bounds.iter().map(column).collect();
            own.as_ref() == Some(&names)
        };
        if names.is_empty() || !parts.iter().all(|part| same(&part)) {
            return None;
        }
        let values: Vec<Vec<Value>> = parts
            .iter()
            .map(|part| {
                part.bounds
                    .iter()
                    .map(|bound| value(bound, &zone))
                    .collect()
            })
            .collect::<Option<_>>()?;
        let kinds: Vec<KeyKind> = (0..names.len()).map(|at| kind(&values, at)).collect();
        let maker = KeyMaker::new(names, zone.clone(), cadence).with_kinds(&kinds);
        let keys = values.into_iter().map(|values| maker.key(values).ok());
        let keys: Vec<Key> = keys.collect::<Option<_>>()?;
        let mut spelt: Vec<&str> = keys.iter().map(|k| k.partition.key.as_str()).collect();
        spelt.sort_unstable();
        spelt.dedup();
        (spelt.len() == parts.len()).then_some(keys)
    };
    if let Some(keys) = by_bounds() {
        return Ok(keys);
    }
    let maker = KeyMaker::new(vec!["table".to_owned()], zone, cadence).with_kinds(&[KeyKind::Text]);
    let key = |part: &Relation| {
        maker
            .key(vec![Value::Text(part.table.clone())])
            .map_err(|what| ScanError::corrupt(part.quoted(), assay_scan::Place::file(), what))
    };
    parts.iter().map(key).collect()
}

fn kind(values: &[Vec<Value>], at: usize) -> KeyKind {
    let mut values = values.iter().filter_map(|values| values.get(at));
    if values
        .clone()
        .any(|value| matches!(value, Value::Time { .. }))
    {
        KeyKind::Date
    } else if values.any(|value| matches!(value, Value::Integer(_))) {
        KeyKind::Integer
    } else {
        KeyKind::Text
    }
}

/// The one column that a level divides by.
fn column(bound: &Bound) -> Option<String> {
    let (_, inner) = bound.by.split_once('(')?;
    let inner = inner.strip_suffix(')')?;
    if let Some(quoted) = inner.strip_prefix('"') {
        let name = quoted.strip_suffix('"')?.replace("\"\"", "\u{0}");
        return (!name.contains('"')).then(|| name.replace('\u{0}', "\""));
    }
    let plain = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    inner.chars().all(plain).then(|| inner.to_owned())
}

/// The one value of a level.
fn value(bound: &Bound, zone: &TimeZone) -> Option<Value> {
    if bound.values == "DEFAULT" {
        return Some(Value::Text("default".to_owned()));
    }
    if let Some(rest) = bound.values.strip_prefix("FOR VALUES IN (") {
        let only = rest.strip_suffix(')')?;
        return match only {
            "NULL" => Some(Value::Null),
            _ => scalar(only),
        };
    }
    let rest = bound.values.strip_prefix("FOR VALUES FROM (")?;
    let (from, to) = rest.strip_suffix(')')?.split_once(") TO (")?;
    let (from, to) = (literal(from)?, literal(to)?);
    if let (Ok(from), Ok(to)) = (from.parse::<i64>(), to.parse::<i64>()) {
        return (from.checked_add(1) == Some(to)).then_some(Value::Integer(from));
    }
    let (from, to): (DateTime, DateTime) = (time(&from, zone)?, time(&to, zone)?);
    let units = [Unit::Hour, Unit::Day, Unit::Week, Unit::Month, Unit::Year];
    let unit = units
        .into_iter()
        .find(|unit| unit.after(from) == Some(to))?;
    let aligned = match unit {
        Unit::Hour => from.minute() == 0 && from.second() == 0,
        Unit::Year => from.month() == 1 && from.day() == 1 && from.hour() == 0,
        Unit::Month => from.day() == 1 && from.hour() == 0,
        Unit::Day | Unit::Week => from.hour() == 0,
    };
    (aligned && from.minute() == 0).then(|| Value::time(from, unit))
}

/// A time of the wall clock in `zone`; one with an offset is an instant.
fn time(text: &str, zone: &TimeZone) -> Option<DateTime> {
    let clock = match text.strip_suffix("+00") {
        Some(clock) => {
            let instant = clock
                .parse::<DateTime>()
                .ok()?
                .to_zoned(TimeZone::UTC)
                .ok()?;
            return Some(zone.to_datetime(instant.timestamp()));
        }
        None => text,
    };
    match clock.parse() {
        Ok(time) => Some(time),
        Err(_) => clock
            .parse::<jiff::civil::Date>()
            .ok()
            .map(|d| d.at(0, 0, 0, 0)),
    }
}

/// The text of one literal, quoted or not; `None` for several.
fn literal(text: &str) -> Option<String> {
    match text.strip_prefix('\'') {
        None => (!text.contains(',') && !text.ends_with("VALUE")).then(|| text.to_owned()),
        Some(quoted) => {
            let inner = quoted.strip_suffix('\'')?.replace("''", "\u{0}");
            (!inner.contains('\'')).then(|| inner.replace('\u{0}', "'"))
        }
    }
}

fn scalar(text: &str) -> Option<Value> {
    let is_quoted = text.starts_with('\'');
    let inner = literal(text)?;
    if !is_quoted && let Ok(number) = inner.parse() {
        return Some(Value::Integer(number));
    }
    let dated = parse_time(&inner).filter(|_| inner.len() == 10);
    Some(dated.unwrap_or(Value::Text(inner)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(table: &str, bounds: &[(&str, &str)]) -> Relation {
        Relation {
            schema: "public".into(),
            table: table.into(),
            bytes: 0,
            blocks: true,
            bounds: bounds
                .iter()
                .map(|(by, values)| Bound {
                    by: (*by).into(),
                    values: (*values).into(),
                })
                .collect(),
        }
    }

    fn spelt(parts: &[Relation]) -> Vec<String> {
        let dataset = crate::postgres::tests::dataset(Default::default());
        let keys = keys(&dataset, parts).unwrap();
        keys.into_iter().map(|key| key.partition.key.0).collect()
    }

    #[test]
    fn bounds_of_one_unit_or_value_are_keys_as_in_files() {
        let days = |from: &str, to: &str| format!("FOR VALUES FROM ('{from}') TO ('{to}')");
        for (from, to, key) in [
            ("2024-01-01", "2024-02-01", "2024-01"),
            ("2024-02-28", "2024-02-29", "2024-02-28"),
            (
                "2024-01-01 00:00:00+00",
                "2024-01-01 01:00:00+00",
                "2024-01-01T00",
            ),
            ("2024-01-01", "2025-01-01", "2024"),
        ] {
            assert_eq!(
                spelt(&[part("t", &[("RANGE (day)", &days(from, to))])]),
                [key]
            );
        }
        let list = |values: &str| part("t", &[("LIST (region)", values)]);
        assert_eq!(spelt(&[list("FOR VALUES IN ('it''s')")]), ["it's"]);
        assert_eq!(spelt(&[list("FOR VALUES IN (7)")]), ["7"]);
        let beside = [
            part("a", &[("RANGE (day)", &days("2024-01-01", "2024-01-02"))]),
            part("b", &[("RANGE (day)", "DEFAULT")]),
        ];
        assert_eq!(spelt(&beside), ["2024-01-01", "default"]);
        let nested = [
            ("LIST (\"a region\")", "FOR VALUES IN ('eu')"),
            (
                "RANGE (day)",
                "FOR VALUES FROM ('2024-01-01') TO ('2024-01-02')",
            ),
        ];
        assert_eq!(spelt(&[part("t", &nested)]), ["a region=eu/day=2024-01-01"]);
    }

    #[test]
    fn bounds_that_are_no_key_leave_the_tables_names() {
        let days = "FOR VALUES FROM ('2024-01-01') TO ('2024-01-02')".to_owned();
        let odd = [
            part(
                "t1",
                &[(
                    "RANGE (day)",
                    "FOR VALUES FROM (MINVALUE) TO ('2024-01-01')",
                )],
            ),
            part("t2", &[("RANGE (day)", &days)]),
        ];
        assert_eq!(spelt(&odd), ["t1", "t2"]);
        let hash = [part(
            "h0",
            &[("HASH (id)", "FOR VALUES WITH (modulus 2, remainder 0)")],
        )];
        assert_eq!(spelt(&hash), ["h0"]);
        let two = [part("t", &[("LIST (r)", "FOR VALUES IN ('a', 'b')")])];
        assert_eq!(spelt(&two), ["t"]);
    }
}
