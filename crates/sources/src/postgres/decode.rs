//! Rows of a binary COPY into record batches.
//!
//! In: the bytes of `COPY … TO STDOUT (FORMAT binary)`, in whatever pieces. Out: batches of at most
//! [`ROWS`] rows. What a type of Arrow has no value for (a decimal or a time that is infinite or no
//! number) is NULL in the batch and counted apart. Nothing that the bytes say about lengths is
//! trusted, and nothing is allocated for a value but its bytes.

use std::sync::Arc;

use arrow_array::builder::{
    ArrayBuilder, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder,
    Decimal256Builder, FixedSizeBinaryBuilder, Float32Builder, Float64Builder, Int16Builder,
    Int32Builder, Int64Builder, StringBuilder, Time64MicrosecondBuilder,
    TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_buffer::i256;
use arrow_schema::{DataType, Field, Schema, TimeUnit};

pub(super) use crate::table::odd::Odd;

/// Rows of a batch.
const ROWS: usize = 8192;
/// Bytes of a batch, about.
const BYTES: usize = 4 << 20;
/// Days from 1970 to 2000, where Postgres counts from.
const DAYS_TO_2000: i32 = 10_957;
/// The same in microseconds.
const MICROS_TO_2000: i64 = 946_684_800_000_000;

/// The longest row that is taken where nothing else is said.
const ROW_BYTES: usize = 256 << 20;
/// Digits of a number that are kept to tell it from others, at most: as many as Postgres has.
const WIDE_DIGITS: usize = 150_000;

enum Column {
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Bool(BooleanBuilder),
    /// With the scale, and the power of ten that its digits stay below.
    Decimal(Decimal128Builder, i32, u128),
    Wide(Decimal256Builder, i32, i256),
    Text(StringBuilder),
    Binary(BinaryBuilder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Time(Time64MicrosecondBuilder),
    Uuid(FixedSizeBinaryBuilder),
}

/// Makes batches of rows.
pub(super) struct Decoder {
    schema: Arc<Schema>,
    columns: Vec<Column>,
    /// What was counted apart, by column.
    pub(super) odd: Vec<Odd>,
    /// Numbers that are too wide, with their columns, since this was emptied.
    pub(super) wide: Vec<(usize, Vec<u8>)>,
    /// The longest row that is taken.
    pub(super) row_bytes: usize,
    pending: Vec<u8>,
    begun: bool,
    ended: bool,
    rows: usize,
    bytes: usize,
}

fn fixed<const N: usize>(value: &[u8]) -> Result<[u8; N], String> {
    value
        .try_into()
        .map_err(|_| format!("a value has {} bytes where {N} are expected", value.len()))
}

impl Column {
    fn new(data_type: &DataType) -> Result<Self, String> {
        let with = data_type.clone();
        Ok(match data_type {
            DataType::Int16 => Self::Int16(Int16Builder::new()),
            DataType::Int32 => Self::Int32(Int32Builder::new()),
            DataType::Int64 => Self::Int64(Int64Builder::new()),
            DataType::Float32 => Self::Float32(Float32Builder::new()),
            DataType::Float64 => Self::Float64(Float64Builder::new()),
            DataType::Boolean => Self::Bool(BooleanBuilder::new()),
            DataType::Decimal128(digits, scale) => Self::Decimal(
                Decimal128Builder::new().with_data_type(with),
                i32::from(*scale),
                10u128.saturating_pow(u32::from(*digits)),
            ),
            DataType::Decimal256(digits, scale) => Self::Wide(
                Decimal256Builder::new().with_data_type(with),
                i32::from(*scale),
                i256::from_i128(10)
                    .checked_pow(u32::from(*digits))
                    .unwrap_or(i256::MAX),
            ),
            DataType::Utf8 => Self::Text(StringBuilder::new()),
            DataType::Binary => Self::Binary(BinaryBuilder::new()),
            DataType::Date32 => Self::Date(Date32Builder::new()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Self::Timestamp(TimestampMicrosecondBuilder::new().with_data_type(with))
            }
            DataType::Time64(_) => Self::Time(Time64MicrosecondBuilder::new()),
            DataType::FixedSizeBinary(16) => Self::Uuid(FixedSizeBinaryBuilder::new(16)),
            other => return Err(format!("values of the type {other} are not copied")),
        })
    }

    fn null(&mut self) {
        match self {
            Self::Int16(to) => to.append_null(),
            Self::Int32(to) => to.append_null(),
            Self::Int64(to) => to.append_null(),
            Self::Float32(to) => to.append_null(),
            Self::Float64(to) => to.append_null(),
            Self::Bool(to) => to.append_null(),
            Self::Decimal(to, ..) => to.append_null(),
            Self::Wide(to, ..) => to.append_null(),
            Self::Text(to) => to.append_null(),
            Self::Binary(to) => to.append_null(),
            Self::Date(to) => to.append_null(),
            Self::Timestamp(to) => to.append_null(),
            Self::Time(to) => to.append_null(),
            Self::Uuid(to) => to.append_null(),
        }
    }

    /// Adds a value; the digits of one that is too wide come back.
    fn value(&mut self, value: &[u8], odd: &mut Odd) -> Result<Option<Vec<u8>>, String> {
        match self {
            Self::Int16(to) => to.append_value(i16::from_be_bytes(fixed(value)?)),
            Self::Int32(to) => to.append_value(i32::from_be_bytes(fixed(value)?)),
            Self::Int64(to) => to.append_value(i64::from_be_bytes(fixed(value)?)),
            Self::Float32(to) => to.append_value(f32::from_be_bytes(fixed(value)?)),
            Self::Float64(to) => to.append_value(f64::from_be_bytes(fixed(value)?)),
            Self::Bool(to) => to.append_value(fixed::<1>(value)? != [0]),
            Self::Text(to) => {
                let text = std::str::from_utf8(value).map_err(|_| "a text is not UTF-8")?;
                to.append_value(text);
            }
            Self::Binary(to) => to.append_value(value),
            Self::Time(to) => to.append_value(i64::from_be_bytes(fixed(value)?)),
            Self::Uuid(to) => to.append_value(value).map_err(|error| error.to_string())?,
            Self::Date(to) => match i32::from_be_bytes(fixed(value)?) {
                i32::MAX => {
                    odd.pos_inf += 1;
                    to.append_null();
                }
                i32::MIN => {
                    odd.neg_inf += 1;
                    to.append_null();
                }
                days => to.append_value(days.saturating_add(DAYS_TO_2000)),
            },
            Self::Timestamp(to) => match i64::from_be_bytes(fixed(value)?) {
                i64::MAX => {
                    odd.pos_inf += 1;
                    to.append_null();
                }
                i64::MIN => {
                    odd.neg_inf += 1;
                    to.append_null();
                }
                micros => to.append_value(micros.saturating_add(MICROS_TO_2000)),
            },
            Self::Decimal(to, scale, most) => {
                let number = numeric(value, odd)?;
                let fits = number
                    .as_ref()
                    .and_then(|number| number.narrow(*scale).ok());
                let fits = fits.filter(|unscaled| unscaled.unsigned_abs() < *most);
                to.append_option(fits);
                return Ok(set_apart(number, fits.is_some(), odd));
            }
            Self::Wide(to, scale, most) => {
                let number = numeric(value, odd)?;
                let fits = number.as_ref().and_then(|number| number.wide(*scale).ok());
                let fits =
                    fits.filter(|unscaled| *unscaled < *most && *unscaled > most.wrapping_neg());
                to.append_option(fits);
                return Ok(set_apart(number, fits.is_some(), odd));
            }
        }
        Ok(None)
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Int16(to) => ArrayBuilder::finish(to),
            Self::Int32(to) => ArrayBuilder::finish(to),
            Self::Int64(to) => ArrayBuilder::finish(to),
            Self::Float32(to) => ArrayBuilder::finish(to),
            Self::Float64(to) => ArrayBuilder::finish(to),
            Self::Bool(to) => ArrayBuilder::finish(to),
            Self::Decimal(to, ..) => ArrayBuilder::finish(to),
            Self::Wide(to, ..) => ArrayBuilder::finish(to),
            Self::Text(to) => ArrayBuilder::finish(to),
            Self::Binary(to) => ArrayBuilder::finish(to),
            Self::Date(to) => ArrayBuilder::finish(to),
            Self::Timestamp(to) => ArrayBuilder::finish(to),
            Self::Time(to) => ArrayBuilder::finish(to),
            Self::Uuid(to) => ArrayBuilder::finish(to),
        }
    }
}

/// A finite number as it is sent: digits to the base 10,000.
struct Numeric<'a> {
    negative: bool,
    /// The power of 10,000 of the first digit.
    weight: i32,
    digits: &'a [u8],
}

/// Reads a number; one that is none is counted.
fn numeric<'a>(value: &'a [u8], odd: &mut Odd) -> Result<Option<Numeric<'a>>, String> {
    let Some((head, digits)) = value.split_at_checked(8) else {
        return Err("a number is too short".to_owned());
    };
    let word = |at: usize| i16::from_be_bytes([head[at], head[at + 1]]);
    let negative = match word(4) as u16 {
        0 => false,
        0x4000 => true,
        0xC000 => {
            odd.nan += 1;
            return Ok(None);
        }
        0xD000 => {
            odd.pos_inf += 1;
            return Ok(None);
        }
        0xF000 => {
            odd.neg_inf += 1;
            return Ok(None);
        }
        sign => return Err(format!("a number has the sign {sign:#x}")),
    };
    if usize::try_from(word(0)).ok() != Some(digits.len() / 2) {
        return Err("a number has other digits than it says".to_owned());
    }
    Ok(Some(Numeric {
        negative,
        weight: i32::from(word(2)),
        digits,
    }))
}

/// The digits of a number that its column does not hold, which is counted.
fn set_apart(number: Option<Numeric<'_>>, fits: bool, odd: &mut Odd) -> Option<Vec<u8>> {
    let number = number.filter(|_| !fits)?;
    odd.wide += 1;
    Some(number.text())
}

const TOO_WIDE: &str = "a number has more digits than its column";

impl Numeric<'_> {
    fn each(&self) -> impl Iterator<Item = i16> + '_ {
        let pairs = self.digits.chunks_exact(2);
        pairs.map(|pair| i16::from_be_bytes([pair[0], pair[1]]))
    }

    /// The power of ten that the digits as one whole number are to be multiplied by.
    fn power(&self, scale: i32) -> i32 {
        let count = (self.digits.len() / 2) as i32;
        4 * (self.weight - count + 1) + scale
    }

    /// The number as text, in one spelling: without a zero that says nothing.
    fn text(&self) -> Vec<u8> {
        use std::fmt::Write;
        let mut digits = String::new();
        for group in self.each() {
            // A group is below 10,000; another one is told as it is.
            let _ = write!(digits, "{group:04}");
            if digits.len() > WIDE_DIGITS {
                break;
            }
        }
        let whole = usize::try_from(4 * (self.weight + 1))
            .unwrap_or(0)
            .min(WIDE_DIGITS);
        let mut text = String::from(if self.negative { "-" } else { "" });
        let lead = usize::try_from(-4 * (self.weight + 1))
            .unwrap_or(0)
            .min(WIDE_DIGITS);
        let padded = format!("{:0<whole$}", format!("{}{digits}", "0".repeat(lead)));
        let (before, behind) = padded.split_at_checked(whole).unwrap_or((&padded, ""));
        let before = before.trim_start_matches('0');
        text.push_str(if before.is_empty() { "0" } else { before });
        let behind = behind.trim_end_matches('0');
        if !behind.is_empty() {
            text.push('.');
            text.push_str(behind);
        }
        text.into_bytes()
    }

    /// The groups of digits, each with what the digits before it are to be multiplied by, and the
    /// power of ten that is left. Digits behind the scale, which are zeros, are left out of the last
    /// group: with them a number that fits its type might not.
    fn groups(&self, scale: i32) -> Result<(Vec<(i16, i16)>, i32), String> {
        let mut groups: Vec<(i16, i16)> = self.each().map(|digit| (10_000, digit)).collect();
        let power = self.power(scale);
        let behind = power.unsigned_abs();
        if let (-3..=-1, Some((by, digit))) = (power, groups.last_mut()) {
            let cut = 10i16.pow(behind);
            if *digit % cut != 0 {
                return Err(TOO_WIDE.to_owned());
            }
            (*by, *digit) = (10i16.pow(4 - behind), *digit / cut);
            return Ok((groups, 0));
        }
        Ok((groups, power))
    }

    fn narrow(&self, scale: i32) -> Result<i128, String> {
        let mut whole = 0i128;
        let (groups, power) = self.groups(scale)?;
        for (by, digit) in groups {
            let next = whole.checked_mul(i128::from(by));
            whole = next
                .and_then(|n| n.checked_add(i128::from(digit)))
                .ok_or(TOO_WIDE)?;
        }
        let ten = 10i128.checked_pow(power.unsigned_abs());
        let scaled = match (ten, power >= 0) {
            _ if whole == 0 => 0,
            (Some(ten), true) => whole.checked_mul(ten).ok_or(TOO_WIDE)?,
            (Some(ten), false) if whole % ten == 0 => whole / ten,
            _ => return Err(TOO_WIDE.to_owned()),
        };
        Ok(if self.negative { -scaled } else { scaled })
    }

    fn wide(&self, scale: i32) -> Result<i256, String> {
        let small = |value: i128| i256::from_i128(value);
        let mut whole = i256::ZERO;
        let (groups, power) = self.groups(scale)?;
        for (by, digit) in groups {
            let next = whole.checked_mul(small(i128::from(by)));
            whole = next
                .and_then(|n| n.checked_add(small(i128::from(digit))))
                .ok_or(TOO_WIDE)?;
        }
        let ten = small(10).checked_pow(power.unsigned_abs());
        let scaled = match (ten, power >= 0) {
            _ if whole == i256::ZERO => i256::ZERO,
            (Some(ten), true) => whole.checked_mul(ten).ok_or(TOO_WIDE)?,
            (Some(ten), false) if whole.checked_rem(ten) == Some(i256::ZERO) => {
                whole.checked_div(ten).ok_or(TOO_WIDE)?
            }
            _ => return Err(TOO_WIDE.to_owned()),
        };
        Ok(if self.negative {
            scaled.wrapping_neg()
        } else {
            scaled
        })
    }
}

/// What the bytes begin with.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

impl Decoder {
    /// A decoder of rows with these columns.
    pub(super) fn new(schema: &Schema) -> Result<Self, String> {
        let columns = schema
            .fields()
            .iter()
            .map(|field| Column::new(field.data_type()));
        // What is counted apart is NULL in a batch, also of a column that has no NULLs.
        let field = |field: &Arc<Field>| field.as_ref().clone().with_nullable(true);
        let nullable: Vec<Field> = schema.fields().iter().map(field).collect();
        Ok(Self {
            columns: columns.collect::<Result<_, _>>()?,
            odd: vec![Odd::default(); schema.fields().len()],
            wide: Vec::new(),
            row_bytes: ROW_BYTES,
            schema: Arc::new(Schema::new(nullable)),
            pending: Vec::new(),
            begun: false,
            ended: false,
            rows: 0,
            bytes: 0,
        })
    }

    /// Takes a piece of the bytes; gives every batch that is full to `take`.
    pub(super) fn add<E: From<String>>(
        &mut self,
        piece: &[u8],
        take: &mut impl FnMut(RecordBatch) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut joined = std::mem::take(&mut self.pending);
        let mut rest = if joined.is_empty() {
            piece
        } else {
            joined.extend_from_slice(piece);
            joined.as_slice()
        };
        while !rest.is_empty() {
            let Some(after) = self.step(rest).map_err(E::from)? else {
                break;
            };
            rest = after;
            if self.rows >= ROWS || self.bytes >= BYTES {
                take(self.batch().map_err(E::from)?)?;
            }
        }
        if rest.len() > self.row_bytes {
            let most = self.row_bytes;
            return Err(E::from(format!("a row goes on beyond {most} bytes")));
        }
        // What is left of a row grows where it is, however small the pieces are.
        let done = joined.len() - rest.len().min(joined.len());
        self.pending = if joined.is_empty() {
            rest.to_vec()
        } else {
            joined.drain(..done);
            joined
        };
        Ok(())
    }

    /// The last batch; an error when the bytes end in the midst of a row.
    pub(super) fn finish(&mut self) -> Result<RecordBatch, String> {
        if !self.ended || !self.pending.is_empty() {
            return Err("the rows end early".to_owned());
        }
        self.batch()
    }

    fn batch(&mut self) -> Result<RecordBatch, String> {
        let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(self.rows));
        self.rows = 0;
        self.bytes = 0;
        let arrays = self.columns.iter_mut().map(Column::finish).collect();
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .map_err(|error| error.to_string())
    }

    /// Reads the header, a row or the end; what follows it, or `None` where it is not there whole.
    fn step<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<&'a [u8]>, String> {
        if !self.begun {
            let Some((head, rest)) = bytes.split_at_checked(SIGNATURE.len() + 8) else {
                return Ok(None);
            };
            let more: [u8; 4] = fixed(&head[SIGNATURE.len() + 4..])?;
            let more = u32::from_be_bytes(more) as usize;
            if !head.starts_with(SIGNATURE) || more > 1024 {
                return Err("the rows do not begin as binary COPY does".to_owned());
            }
            let after = rest.get(more..);
            self.begun = after.is_some();
            return Ok(after);
        }
        if self.ended {
            return Err("bytes follow the end of the rows".to_owned());
        }
        let Some((count, rest)) = bytes.split_at_checked(2) else {
            return Ok(None);
        };
        let count = i16::from_be_bytes(fixed(count)?);
        if count == -1 {
            self.ended = true;
            return Ok(Some(rest));
        }
        if usize::try_from(count).ok() != Some(self.columns.len()) {
            return Err(format!(
                "a row has {count} values where {} are asked",
                self.columns.len()
            ));
        }
        let Some(end) = row_end(rest, self.columns.len())? else {
            return Ok(None);
        };
        self.row(&rest[..end])?;
        Ok(Some(&rest[end..]))
    }

    /// Adds a row whose values are all there.
    fn row(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        self.bytes += bytes.len();
        self.rows += 1;
        let names = self.schema.fields();
        let columns = self.columns.iter_mut().zip(&mut self.odd).zip(names);
        for (at, ((column, odd), field)) in columns.enumerate() {
            let (length, rest) = bytes.split_at(4);
            let length = i32::from_be_bytes(fixed(length)?);
            let Ok(length) = usize::try_from(length) else {
                column.null();
                bytes = rest;
                continue;
            };
            let (value, rest) = rest.split_at(length);
            let wide = column
                .value(value, odd)
                .map_err(|what| format!("the column {:?}: {what}", field.name()))?;
            if let Some(digits) = wide {
                self.wide.push((at, digits));
            }
            bytes = rest;
        }
        Ok(())
    }
}

/// Where the values of a row end; `None` where they are not all there.
fn row_end(bytes: &[u8], columns: usize) -> Result<Option<usize>, String> {
    let mut at = 0;
    for _ in 0..columns {
        let Some(length) = bytes.get(at..at + 4) else {
            return Ok(None);
        };
        let length = i32::from_be_bytes(fixed(length)?);
        at += 4 + usize::try_from(length).unwrap_or(0);
        if length < -1 {
            return Err("a value has a negative length".to_owned());
        }
        if at > bytes.len() {
            return Ok(None);
        }
    }
    Ok(Some(at))
}

#[cfg(test)]
mod tests;
