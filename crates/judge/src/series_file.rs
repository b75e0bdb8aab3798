//! Series of metrics in a text file: limits for every point, each learned from earlier points only.
//!
//! In: CSV with the columns `dataset,column,metric,partition,idx,value` in any order (others are
//! ignored, labels above all). Out: CSV `dataset,column,metric,idx,lower,upper,center`, a line for
//! each point from the ninth position on; an empty limit is unbounded. It must never let a value
//! touch the limits of its own position or an earlier one.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};

use jiff::civil::Date;

use crate::learner::judge_partition;
use crate::series::{Limits, Point, Policy, SeriesInput, SeriesKind};

/// The first position that is given limits.
pub const FIRST_JUDGED: usize = 8;
/// The greatest accepted position: a slip of the pen must not ask for gigabytes.
const POSITION_MAX: usize = 1_000_000;
const COLUMNS: [&str; 6] = ["dataset", "column", "metric", "partition", "idx", "value"];

/// Why a file of series could not be judged.
#[derive(Debug, thiserror::Error)]
pub enum SeriesFileError {
    /// The file could not be read.
    #[error("line {line}: cannot be read: {source}")]
    Read {
        /// The line, from 1.
        line: u64,
        /// The cause.
        source: std::io::Error,
    },
    /// The limits could not be written.
    #[error("the limits cannot be written: {0}")]
    Write(#[source] std::io::Error),
    /// A needed column is absent.
    #[error("line 1: no column `{0}`; needed are dataset, column, metric, partition, idx, value")]
    NoColumn(&'static str),
    /// A line is not what the header promises.
    #[error("line {line}: {what}")]
    Line {
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
}

/// One dataset of the file.
struct Dataset {
    name: String,
    /// Column and metric of each series, in the order of the file.
    keys: Vec<(String, String)>,
    by_key: BTreeMap<(String, String), usize>,
    /// By series, then position; NaN-free: `None` is not computable.
    values: Vec<Vec<Option<f64>>>,
    dates: Vec<Option<Date>>,
}

/// Reads series, writes limits; returns how many lines of limits were written.
///
/// # Errors
/// A [`SeriesFileError`] with the number of the offending line.
pub fn judge_file(
    input: impl Read,
    mut output: impl Write,
    policy: &Policy,
) -> Result<u64, SeriesFileError> {
    let datasets = read(input)?;
    writeln!(output, "dataset,column,metric,idx,lower,upper,center")
        .map_err(SeriesFileError::Write)?;
    let mut lines = 0;
    for dataset in &datasets {
        lines += write_dataset(dataset, &mut output, policy).map_err(SeriesFileError::Write)?;
    }
    output.flush().map_err(SeriesFileError::Write)?;
    Ok(lines)
}

fn write_dataset(
    dataset: &Dataset,
    output: &mut impl Write,
    policy: &Policy,
) -> std::io::Result<u64> {
    let rows = dataset
        .keys
        .iter()
        .position(|(column, metric)| {
            column.is_empty() && matches!(metric.as_str(), "row_count" | "rowCount")
        })
        .map(|at| &dataset.values[at]);
    let points: Vec<Vec<Point>> = dataset
        .values
        .iter()
        .map(|values| {
            (0..dataset.dates.len())
                .map(|at| Point {
                    value: values.get(at).copied().flatten(),
                    eligible: true,
                    date: dataset.dates[at],
                    rows: rows.and_then(|r| r.get(at).copied().flatten()),
                })
                .collect()
        })
        .collect();
    let mut lines = 0;
    for at in FIRST_JUDGED..dataset.dates.len() {
        let inputs: Vec<SeriesInput<'_>> = dataset
            .keys
            .iter()
            .zip(&points)
            .map(|((_, metric), points)| SeriesInput {
                kind: SeriesKind::of_name(metric),
                points: &points[..at],
                date: dataset.dates[at],
            })
            .collect();
        let judged = judge_partition(&inputs, policy);
        for (((column, metric), limits), values) in
            dataset.keys.iter().zip(&judged).zip(&dataset.values)
        {
            if at < values.len() {
                write!(
                    output,
                    "{},{},{},{at},",
                    field(&dataset.name),
                    field(column),
                    field(metric)
                )?;
                write_limits(output, limits)?;
                lines += 1;
            }
        }
    }
    Ok(lines)
}

fn write_limits(output: &mut impl Write, limits: &Limits) -> std::io::Result<()> {
    let text = |x: Option<f64>| x.map(|x| x.to_string()).unwrap_or_default();
    writeln!(
        output,
        "{},{},{}",
        text(limits.lower),
        text(limits.upper),
        text(limits.expected)
    )
}

/// A field as it is written: quoted when it must be.
fn field(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\"")).into()
    } else {
        text.into()
    }
}

fn read(input: impl Read) -> Result<Vec<Dataset>, SeriesFileError> {
    let mut reader = BufReader::new(input);
    let mut text = String::new();
    let mut line = 0_u64;
    let mut places: Option<[usize; 6]> = None;
    let mut datasets: Vec<Dataset> = Vec::new();
    loop {
        text.clear();
        line += 1;
        let n = reader
            .read_line(&mut text)
            .map_err(|source| SeriesFileError::Read { line, source })?;
        if n == 0 {
            break;
        }
        let row = text.trim_end_matches(['\n', '\r']);
        if row.is_empty() {
            continue;
        }
        let fields = split(row).map_err(|what| SeriesFileError::Line { line, what })?;
        match &places {
            None => places = Some(header(&fields)?),
            Some(places) => take(&mut datasets, &fields, places)
                .map_err(|what| SeriesFileError::Line { line, what })?,
        }
    }
    if places.is_none() {
        return Err(SeriesFileError::NoColumn(COLUMNS[0]));
    }
    Ok(datasets)
}

fn header(fields: &[String]) -> Result<[usize; 6], SeriesFileError> {
    let mut places = [0; 6];
    for (place, name) in places.iter_mut().zip(COLUMNS) {
        *place = fields
            .iter()
            .position(|f| f.trim_start_matches('\u{feff}').trim() == name)
            .ok_or(SeriesFileError::NoColumn(name))?;
    }
    Ok(places)
}

/// Splits a line of CSV; a quoted field ends on the line it begins on.
fn split(row: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::with_capacity(8);
    let mut rest = row;
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut field = String::new();
            let mut tail = quoted;
            loop {
                let end = tail.find('"').ok_or("a quoted field does not end")?;
                field.push_str(&tail[..end]);
                tail = &tail[end + 1..];
                match tail.strip_prefix('"') {
                    Some(more) => {
                        field.push('"');
                        tail = more;
                    }
                    None => break,
                }
            }
            fields.push(field);
            match tail.strip_prefix(',') {
                Some(more) => rest = more,
                None if tail.is_empty() => return Ok(fields),
                None => return Err("text after the end of a quoted field".to_owned()),
            }
        } else if let Some((field, more)) = rest.split_once(',') {
            fields.push(field.to_owned());
            rest = more;
        } else {
            fields.push(rest.to_owned());
            return Ok(fields);
        }
    }
}

fn take(datasets: &mut Vec<Dataset>, fields: &[String], places: &[usize; 6]) -> Result<(), String> {
    let get = |n: usize| {
        fields.get(places[n]).map(String::as_str).ok_or_else(|| {
            format!(
                "{} fields, but column `{}` is number {}",
                fields.len(),
                COLUMNS[n],
                places[n] + 1
            )
        })
    };
    let (name, column, metric) = (get(0)?, get(1)?, get(2)?);
    let at: usize = get(4)?.trim().parse().map_err(|_| {
        format!(
            "idx `{}` is not a position: a whole number from 0",
            get(4).unwrap_or_default()
        )
    })?;
    if at > POSITION_MAX {
        return Err(format!("idx {at} is above {POSITION_MAX}"));
    }
    let text = get(5)?.trim();
    let value = if text.is_empty() {
        None
    } else {
        let value: f64 = text.parse().map_err(|_| {
            format!("value `{text}` is not a number; leave it empty if there is none")
        })?;
        value.is_finite().then_some(value)
    };
    let found = match datasets.last() {
        Some(last) if last.name == name => Some(datasets.len() - 1),
        _ => datasets.iter().position(|d| d.name == name),
    };
    let number = found.unwrap_or_else(|| {
        datasets.push(Dataset {
            name: name.to_owned(),
            keys: Vec::new(),
            by_key: BTreeMap::new(),
            values: Vec::new(),
            dates: Vec::new(),
        });
        datasets.len() - 1
    });
    put(
        &mut datasets[number],
        (column.to_owned(), metric.to_owned()),
        at,
        value,
        get(3)?,
    )
}

fn put(
    dataset: &mut Dataset,
    key: (String, String),
    at: usize,
    value: Option<f64>,
    partition: &str,
) -> Result<(), String> {
    let series = if let Some(number) = dataset.by_key.get(&key) {
        *number
    } else {
        dataset.by_key.insert(key.clone(), dataset.keys.len());
        dataset.keys.push(key);
        dataset.values.push(Vec::new());
        dataset.keys.len() - 1
    };
    let values = &mut dataset.values[series];
    // Positions come in order, so that a repeated one is told from a skipped one.
    if at < values.len() {
        return Err(format!(
            "idx {at} comes again or out of order in its series"
        ));
    }
    values.resize(at, None);
    values.push(value);
    if dataset.dates.len() <= at {
        dataset.dates.resize(at + 1, None);
    }
    if let Some(date) = partition.get(..10).and_then(|day| day.parse().ok()) {
        dataset.dates[at] = Some(date);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str) -> Result<String, String> {
        let mut out = Vec::new();
        judge_file(text.as_bytes(), &mut out, &Policy::default()).map_err(|e| e.to_string())?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn every_point_from_the_ninth_on_gets_a_line() {
        let mut text = String::from("dataset,column,metric,partition,idx,value,label\n");
        for i in 0..12 {
            text.push_str(&format!(
                "d,\"a,b\",sum,2026-01-{:02},{i},{},0\n",
                i + 1,
                100 + i % 3
            ));
        }
        let out = judged(&text).unwrap();
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines.len(), 1 + 4);
        assert!(lines[1].starts_with("d,\"a,b\",sum,8,"), "{}", lines[1]);
        assert!(lines[1].split(',').all(|f| !f.is_empty()), "{}", lines[1]);
    }

    #[test]
    fn an_error_names_its_line() {
        let head = "dataset,column,metric,partition,idx,value\n";
        let of = |line: &str| judged(&format!("{head}d,,m,p,0,1\n{line}\n")).unwrap_err();
        assert!(of("d,,m,p,1,abc").starts_with("line 3: value `abc`"));
        assert!(of("d,,m,p,-1,1").starts_with("line 3: idx `-1`"));
        assert!(of("d,,m").starts_with("line 3: 3 fields"));
        assert!(of("d,,m,p,0,1").starts_with("line 3: idx 0 comes again"));
        assert!(of("\"d,,m,p,0,1").starts_with("line 3: a quoted field"));
        assert!(judged("a,b\n").unwrap_err().contains("no column `dataset`"));
        assert!(judged("").unwrap_err().contains("no column"));
    }
}
