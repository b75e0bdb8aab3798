//! Batches of a result as the answer that is wanted.
//!
//! In: batches. Out: one number with its digits, or a count of rows with some of them as JSON,
//! masked and cut. Anything else than what is wanted is an error that says what came.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, Float32Type, Float64Type};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::Value;

use crate::error::QueryError;
use crate::request::Number;

/// What is shown instead of a value.
pub const MASK: &str = "***";
/// Characters of a text that are shown.
pub const SHOWN_CHARACTERS: usize = 200;

/// Gathers the one number of a result.
#[derive(Debug, Default)]
pub(crate) struct OneNumber {
    rows: u64,
    value: Option<Number>,
}

impl OneNumber {
    /// Checks the columns of a result.
    pub(crate) fn columns(names: &[String]) -> Result<(), QueryError> {
        match names.len() {
            1 => Ok(()),
            many => Err(QueryError::shape(
                format!("the query gives {many} columns ({})", names.join(", ")),
                "select one number",
            )),
        }
    }

    /// Takes a batch.
    pub(crate) fn take(&mut self, batch: &RecordBatch) -> Result<(), QueryError> {
        self.rows += batch.num_rows() as u64;
        if self.rows > 1 {
            return Err(QueryError::shape(
                "the query gives more than one row",
                "count or sum them, or use a failed-rows check",
            ));
        }
        if batch.num_rows() == 1 {
            self.value = number(batch.column(0))?;
        }
        Ok(())
    }

    /// The number.
    pub(crate) fn end(self) -> Result<Option<Number>, QueryError> {
        if self.rows == 0 {
            return Err(QueryError::shape(
                "the query gives no row",
                "select an aggregate such as COUNT(*), which always gives one",
            ));
        }
        Ok(self.value)
    }
}

/// Whether a value is NULL, also in a column of a type that keeps them elsewhere.
fn is_null(column: &ArrayRef, row: usize) -> bool {
    column
        .logical_nulls()
        .is_some_and(|nulls| nulls.is_null(row))
}

fn number(column: &ArrayRef) -> Result<Option<Number>, QueryError> {
    let of = column.data_type();
    if is_null(column, 0) && (of.is_numeric() || *of == DataType::Null) {
        return Ok(None);
    }
    let double = |value: f64| {
        if value.is_finite() {
            return Ok(Some(Number::Double(value)));
        }
        Err(QueryError::Value {
            what: format!("the query gives {value}, which no expectation can be held against"),
            next: "leave out what is not finite, or divide by NULLIF(…, 0)".to_owned(),
        })
    };
    match of {
        DataType::Float64 => double(column.as_primitive::<Float64Type>().value(0)),
        DataType::Float32 => double(f64::from(column.as_primitive::<Float32Type>().value(0))),
        DataType::Decimal128(..) => {
            let text = column.as_primitive::<Decimal128Type>().value_as_string(0);
            Ok(Some(Number::Exact(text)))
        }
        DataType::Decimal256(..) => {
            let text = column.as_primitive::<Decimal256Type>().value_as_string(0);
            Ok(Some(Number::Exact(text)))
        }
        of if of.is_integer() => {
            let text = arrow::util::display::array_value_to_string(column, 0);
            let text = text.map_err(|error| QueryError::Broke(error.to_string()))?;
            Ok(Some(Number::Exact(text)))
        }
        DataType::Boolean => Err(QueryError::shape(
            "the query gives a truth value",
            "count the rows that break the rule: COUNT(*) FILTER (WHERE …)",
        )),
        other => Err(QueryError::shape(
            format!("the query gives a value of type {other}"),
            "select a number",
        )),
    }
}

/// Counts rows and keeps the first as JSON.
#[derive(Debug)]
pub(crate) struct Sample {
    cap: usize,
    hidden: Vec<bool>,
    bytes_left: u64,
    pub(crate) total: u64,
    pub(crate) rows: Vec<Vec<Value>>,
}

impl Sample {
    /// At most `cap` rows and `bytes` of JSON; the columns of `hidden` are not shown.
    pub(crate) const fn new(cap: usize, hidden: Vec<bool>, bytes: u64) -> Self {
        Self {
            cap,
            hidden,
            bytes_left: bytes,
            total: 0,
            rows: Vec::new(),
        }
    }

    /// Whether a further row would be kept.
    pub(crate) const fn wants_more(&self) -> bool {
        self.rows.len() < self.cap
    }

    /// How many further rows would be kept.
    pub(crate) const fn room(&self) -> usize {
        self.cap.saturating_sub(self.rows.len())
    }

    /// Takes a batch.
    pub(crate) fn take(&mut self, batch: &RecordBatch) -> Result<(), QueryError> {
        let broke = |error: arrow::error::ArrowError| QueryError::Broke(error.to_string());
        let options = FormatOptions::new().with_display_error(true);
        let shown = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
            .collect::<Result<Vec<_>, _>>()
            .map_err(broke)?;
        self.take_cells(batch, |at, row| {
            cell(batch.column(at), row, &shown[at].value(row).to_string())
        });
        Ok(())
    }

    /// Takes a batch whose values are shown as `cell` says, by column and row; it is asked neither
    /// for what is NULL nor for what is masked.
    pub(crate) fn take_cells(&mut self, batch: &RecordBatch, cell: impl Fn(usize, usize) -> Value) {
        self.total += batch.num_rows() as u64;
        for row in 0..self.room().min(batch.num_rows()) {
            let mut cells = Vec::with_capacity(batch.num_columns());
            let mut bytes = 2u64;
            for (at, column) in batch.columns().iter().enumerate() {
                let is_hidden = self.hidden.get(at).copied().unwrap_or(true);
                let cell = if is_null(column, row) {
                    Value::Null
                } else if is_hidden {
                    Value::from(MASK)
                } else {
                    cell(at, row)
                };
                bytes += cell.to_string().len() as u64 + 1;
                cells.push(cell);
            }
            if bytes > self.bytes_left {
                self.cap = self.rows.len();
                return;
            }
            self.bytes_left -= bytes;
            self.rows.push(cells);
        }
    }
}

fn cell(column: &ArrayRef, row: usize, text: &str) -> Value {
    match column.data_type() {
        DataType::Boolean => Value::from(column.as_boolean().value(row)),
        // A reader of JSON may hold numbers as doubles: digits beyond stay a text.
        of if of.is_integer() => match text.parse::<i64>() {
            Ok(value) if value.unsigned_abs() <= 1 << 53 => Value::from(value),
            _ => Value::from(text),
        },
        DataType::Float64 | DataType::Float32 => match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Value::from(value),
            _ => Value::from(text),
        },
        _ => Value::from(cut(text)),
    }
}

/// The beginning of a text.
pub(crate) fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
