//! `sum` and `avg` that are exact.
//!
//! The engine's own wrap silently: 9·10^18 twice is −446744073709551616 there. Here whole numbers
//! and decimals are summed in 256 bits and doubles without any rounding until the end, so that no
//! order of rows and no cut into batches changes a digit. A sum of whole numbers is a decimal of 38
//! digits; a sum that leaves its type is an error. An average is the nearest double.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Decimal128Type, Decimal256Type,
    Field, FieldRef, Float64Type, Int64Type, UInt64Type, i256,
};
use assay_metrics::{FloatSum, State};
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ReversedUDAF, Signature, Volatility,
};

/// `sum` and `avg`.
pub(crate) fn functions() -> Vec<Arc<AggregateUDF>> {
    [What::Sum, What::Average]
        .map(|what| {
            Arc::new(AggregateUDF::from(Exact {
                what,
                aliases: match what {
                    What::Sum => Vec::new(),
                    What::Average => vec!["mean".to_owned()],
                },
                signature: Signature::user_defined(Volatility::Immutable),
            }))
        })
        .into()
}

/// Part of the message of a sum that leaves its type.
pub(crate) const TOO_WIDE: &str = "a sum leaves the digits of its type";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum What {
    Sum,
    Average,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Exact {
    what: What,
    aliases: Vec<String>,
    signature: Signature,
}

/// The type that values of `of` are summed as.
fn summed(of: &DataType) -> Option<DataType> {
    Some(match of {
        DataType::Null | DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
            DataType::Int64
        }
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => {
            DataType::UInt64
        }
        DataType::Float16 | DataType::Float32 | DataType::Float64 => DataType::Float64,
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale) => DataType::Decimal128(DECIMAL128_MAX_PRECISION, *scale),
        DataType::Decimal256(_, scale) => DataType::Decimal256(DECIMAL256_MAX_PRECISION, *scale),
        DataType::Dictionary(_, value) => summed(value)?,
        _ => return None,
    })
}

impl AggregateUDFImpl for Exact {
    fn name(&self) -> &str {
        match self.what {
            What::Sum => "sum",
            What::Average => "avg",
        }
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let name = self.name();
        match types {
            [one] => match summed(one) {
                Some(as_type) => Ok(vec![as_type]),
                None => plan_err!("{name} is for numbers, and this is {one}: CAST it"),
            },
            _ => plan_err!("{name} takes one argument"),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let [of] = self
            .coerce_types(types)?
            .try_into()
            .map_err(|_| DataFusionError::Plan(format!("{} takes one argument", self.name())))?;
        Ok(match (self.what, of) {
            (What::Average, _) | (What::Sum, DataType::Float64) => DataType::Float64,
            (What::Sum, DataType::Int64 | DataType::UInt64) => {
                DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0)
            }
            (What::Sum, decimal) => decimal,
        })
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let of = args
            .expr_fields
            .first()
            .map(|field| field.data_type().clone());
        let of = of.and_then(|of| summed(&of));
        let Some(of) = of else {
            return plan_err!("{} is for numbers", self.name());
        };
        Ok(Box::new(Sum {
            what: self.what,
            result: args.return_field.data_type().clone(),
            of,
            count: 0,
            total: i256::ZERO,
            part: 0,
            floats: Floats::default(),
            seen: args.is_distinct.then(BTreeSet::new),
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let name = format!("{}[state]", args.name);
        Ok(vec![Arc::new(Field::new(name, DataType::Binary, true))])
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}

/// An exact sum of doubles that takes little room while it is small: doubles that do not overlap,
/// as in J. R. Shewchuk, "Adaptive precision floating-point arithmetic" (1997).
#[derive(Debug, Default)]
struct Floats {
    parts: Vec<f64>,
    /// What overflowed the doubles on the way.
    beyond: Option<Box<FloatSum>>,
    nan: bool,
    pos_inf: bool,
    neg_inf: bool,
}

impl Floats {
    fn add(&mut self, value: f64) {
        if !value.is_finite() {
            self.nan |= value.is_nan();
            self.pos_inf |= value == f64::INFINITY;
            self.neg_inf |= value == f64::NEG_INFINITY;
            return;
        }
        let (mut carry, mut kept) = (value, 0);
        for at in 0..self.parts.len() {
            let part = self.parts[at];
            let (large, small) = if carry.abs() < part.abs() {
                (part, carry)
            } else {
                (carry, part)
            };
            let high = large + small;
            if high.is_infinite() {
                let beyond = self.beyond.get_or_insert_default();
                beyond.add_slice(&self.parts[..kept]);
                beyond.add_slice(&self.parts[at..]);
                beyond.add(carry);
                self.parts.clear();
                return;
            }
            let low = small - (high - large);
            if low != 0.0 {
                self.parts[kept] = low;
                kept += 1;
            }
            carry = high;
        }
        self.parts.truncate(kept);
        self.parts.push(carry);
    }

    /// The sum, rounded once; NaN and infinities as in any sum of doubles.
    fn total(&self) -> f64 {
        if self.nan || (self.pos_inf && self.neg_inf) {
            return f64::NAN;
        }
        if self.pos_inf {
            return f64::INFINITY;
        }
        if self.neg_inf {
            return f64::NEG_INFINITY;
        }
        if let ([one], None) = (self.parts.as_slice(), &self.beyond) {
            return *one;
        }
        self.whole().total()
    }

    fn whole(&self) -> FloatSum {
        let mut whole = self.beyond.as_deref().cloned().unwrap_or_default();
        whole.add_slice(&self.parts);
        whole
    }
}

#[derive(Debug)]
struct Sum {
    what: What,
    of: DataType,
    result: DataType,
    count: u64,
    /// Whole numbers and unscaled decimals: `total + part`.
    total: i256,
    part: i128,
    floats: Floats,
    /// The values, where each counts once.
    seen: Option<BTreeSet<[u8; 32]>>,
}

fn overflow<T>() -> Result<T> {
    exec_err!("{TOO_WIDE}")
}

impl Sum {
    fn add_exact(&mut self, value: i128) -> Result<()> {
        if let Some(seen) = &mut self.seen
            && !seen.insert(i256::from_i128(value).to_le_bytes())
        {
            return Ok(());
        }
        self.count += 1;
        match self.part.checked_add(value) {
            Some(part) => self.part = part,
            None => {
                self.settle()?;
                self.part = value;
            }
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<()> {
        let part = i256::from_i128(std::mem::take(&mut self.part));
        match self.total.checked_add(part) {
            Some(total) => {
                self.total = total;
                Ok(())
            }
            None => overflow(),
        }
    }

    fn add_wide(&mut self, value: i256) -> Result<()> {
        if let Some(seen) = &mut self.seen
            && !seen.insert(value.to_le_bytes())
        {
            return Ok(());
        }
        self.count += 1;
        match self.total.checked_add(value) {
            Some(total) => {
                self.total = total;
                Ok(())
            }
            None => overflow(),
        }
    }

    fn add_float(&mut self, value: f64) {
        // Zeros are equal, and so are all that are no number.
        let value = if value == 0.0 { 0.0 } else { value };
        if let Some(seen) = &mut self.seen {
            let bits = if value.is_nan() { f64::NAN } else { value };
            let mut key = [0; 32];
            key[..8].copy_from_slice(&bits.to_bits().to_le_bytes());
            if !seen.insert(key) {
                return;
            }
        }
        self.count += 1;
        self.floats.add(value);
    }

    const fn scale(&self) -> i8 {
        match self.of {
            DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => scale,
            _ => 0,
        }
    }

    fn average(&mut self) -> Result<Option<f64>> {
        if self.count == 0 {
            return Ok(None);
        }
        let total = if self.of == DataType::Float64 {
            self.floats.total()
        } else {
            self.settle()?;
            // Through the digits: the nearest double of the exact sum.
            let scale = i32::from(self.scale());
            let text = format!("{}e{}", self.total, -scale);
            text.parse()
                .map_err(|_| DataFusionError::Execution("a sum that is no number".to_owned()))?
        };
        Ok(Some(total / self.count as f64))
    }
}

impl Accumulator for Sum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(values) = values.first() else {
            return Ok(());
        };
        match self.of {
            DataType::Int64 => {
                for value in values.as_primitive::<Int64Type>().iter().flatten() {
                    self.add_exact(i128::from(value))?;
                }
            }
            DataType::UInt64 => {
                for value in values.as_primitive::<UInt64Type>().iter().flatten() {
                    self.add_exact(i128::from(value))?;
                }
            }
            DataType::Decimal128(..) => {
                for value in values.as_primitive::<Decimal128Type>().iter().flatten() {
                    self.add_exact(value)?;
                }
            }
            DataType::Decimal256(..) => {
                for value in values.as_primitive::<Decimal256Type>().iter().flatten() {
                    self.add_wide(value)?;
                }
            }
            _ => {
                for value in values.as_primitive::<Float64Type>().iter().flatten() {
                    self.add_float(value);
                }
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.what == What::Average {
            return Ok(ScalarValue::Float64(self.average()?));
        }
        if self.count == 0 {
            return ScalarValue::try_from(&self.result);
        }
        if self.of == DataType::Float64 {
            return Ok(ScalarValue::Float64(Some(self.floats.total())));
        }
        self.settle()?;
        match self.result {
            DataType::Decimal128(precision, scale) => {
                let total = self.total.to_i128();
                match total.filter(|total| total.unsigned_abs() < 10u128.pow(38)) {
                    Some(total) => Ok(ScalarValue::Decimal128(Some(total), precision, scale)),
                    None => overflow(),
                }
            }
            DataType::Decimal256(precision, scale) => {
                if self.total.to_string().trim_start_matches('-').len() > 76 {
                    return overflow();
                }
                Ok(ScalarValue::Decimal256(Some(self.total), precision, scale))
            }
            _ => exec_err!("a sum of another type"),
        }
    }

    fn size(&self) -> usize {
        let seen = self.seen.as_ref().map_or(0, |seen| seen.len() * 48);
        let beyond = self.floats.beyond.as_ref().map_or(0, |_| 33 << 10);
        size_of::<Self>() + self.floats.parts.capacity() * 8 + seen + beyond
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.settle()?;
        let bytes = if let Some(seen) = &self.seen {
            seen.iter().flatten().copied().collect()
        } else if self.of == DataType::Float64 {
            let odd = [self.floats.nan, self.floats.pos_inf, self.floats.neg_inf];
            let mut bytes: Vec<u8> = odd.map(u8::from).to_vec();
            bytes.extend(self.count.to_le_bytes());
            bytes.extend(self.floats.whole().to_bytes());
            bytes
        } else {
            let mut bytes = self.total.to_le_bytes().to_vec();
            bytes.extend(self.count.to_le_bytes());
            bytes
        };
        Ok(vec![ScalarValue::Binary(Some(bytes))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(states) = states.first() else {
            return Ok(());
        };
        for state in states.as_binary::<i32>().iter().flatten() {
            if self.seen.is_some() {
                for key in state.as_chunks::<32>().0 {
                    if self.of == DataType::Float64 {
                        let [a, b, c, d, e, f, g, h, ..] = *key;
                        self.add_float(f64::from_bits(u64::from_le_bytes([
                            a, b, c, d, e, f, g, h,
                        ])));
                    } else {
                        self.add_wide(i256::from_le_bytes(*key))?;
                    }
                }
            } else if self.of == DataType::Float64 {
                self.merge_floats(state)?;
            } else {
                self.merge_exact(state)?;
            }
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        self.seen.is_none() && self.of != DataType::Float64
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        // What leaves a window is taken off exactly.
        let mut gone = Self {
            what: self.what,
            of: self.of.clone(),
            result: self.result.clone(),
            count: 0,
            total: i256::ZERO,
            part: 0,
            floats: Floats::default(),
            seen: None,
        };
        gone.update_batch(values)?;
        gone.settle()?;
        self.settle()?;
        self.count = self.count.saturating_sub(gone.count);
        match self.total.checked_sub(gone.total) {
            Some(total) => {
                self.total = total;
                Ok(())
            }
            None => overflow(),
        }
    }
}

impl Sum {
    fn merge_exact(&mut self, state: &[u8]) -> Result<()> {
        let broken = || DataFusionError::Execution("a state that is none".to_owned());
        let (total, rest) = state.split_first_chunk::<32>().ok_or_else(broken)?;
        let (count, _) = rest.split_first_chunk::<8>().ok_or_else(broken)?;
        self.count += u64::from_le_bytes(*count);
        match self.total.checked_add(i256::from_le_bytes(*total)) {
            Some(total) => {
                self.total = total;
                Ok(())
            }
            None => overflow(),
        }
    }

    fn merge_floats(&mut self, state: &[u8]) -> Result<()> {
        let broken = || DataFusionError::Execution("a state that is none".to_owned());
        let ([nan, pos_inf, neg_inf], rest) = state.split_first_chunk::<3>().ok_or_else(broken)?;
        let (count, sum) = rest.split_first_chunk::<8>().ok_or_else(broken)?;
        self.floats.nan |= *nan != 0;
        self.floats.pos_inf |= *pos_inf != 0;
        self.floats.neg_inf |= *neg_inf != 0;
        self.count += u64::from_le_bytes(*count);
        let other = FloatSum::from_bytes(sum).map_err(|_| broken())?;
        self.floats.beyond.get_or_insert_default().merge(&other);
        Ok(())
    }
}
