//! Arithmetic that never wraps and never drops digits without a word.
//!
//! The engine computes `9223372036854775807 + 1` as a negative number, and a division of decimals
//! to four digits: three bad rows of ten million are a share of 0 then. In: expressions. Out: the
//! same with checked functions in place of such operators. Whole numbers add, subtract and multiply
//! checked; a division with a decimal is one of doubles, and never by zero; a division of whole
//! numbers drops the fraction, as SQL has it, and is noted for the reader. What lies in the middle of
//! two values (`median`, `percentile_cont`) is a double.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{ArrayRef, AsArray, Datum};
use arrow::compute::kernels::numeric;
use arrow::datatypes::{DataType, Float64Type};
use arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, Operator, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility, cast, lit,
};
use datafusion::logical_expr_common::type_coercion::binary::BinaryTypeCoercer;
use datafusion::physical_expr_common::datum::apply;

/// Told of a division of whole numbers.
pub(crate) const WHOLE_DIVISION: &str = "a division of whole numbers drops the fraction (7 / 2 is 3): multiply one side by 1.0 if the fraction is meant";

/// Aggregates whose value lies between two values: they are computed of doubles.
const OF_THE_MIDDLE: &[&str] = &["median", "percentile_cont"];

/// Replaces operators; knows whether it met a division of whole numbers.
#[derive(Debug)]
pub(crate) struct Exact {
    whole_division: Arc<AtomicBool>,
    add: Arc<ScalarUDF>,
    subtract: Arc<ScalarUDF>,
    multiply: Arc<ScalarUDF>,
    divide: Arc<ScalarUDF>,
}

impl Exact {
    /// A rewriter that raises `whole_division` when it meets one.
    pub(crate) fn new(whole_division: Arc<AtomicBool>) -> Self {
        let function = |op, name| {
            Arc::new(ScalarUDF::from(Checked {
                op,
                name,
                signature: Signature::user_defined(Volatility::Immutable),
            }))
        };
        Self {
            whole_division,
            add: function(Operator::Plus, "checked_add"),
            subtract: function(Operator::Minus, "checked_subtract"),
            multiply: function(Operator::Multiply, "checked_multiply"),
            divide: function(Operator::Divide, "double_divide"),
        }
    }
}

fn is_whole(of: &DataType) -> bool {
    of.is_integer() || matches!(of, DataType::Dictionary(_, value) if value.is_integer())
}

const fn is_decimal(of: &DataType) -> bool {
    matches!(
        of,
        DataType::Decimal32(..)
            | DataType::Decimal64(..)
            | DataType::Decimal128(..)
            | DataType::Decimal256(..)
    )
}

impl FunctionRewrite for Exact {
    fn name(&self) -> &str {
        "exact_arithmetic"
    }

    fn rewrite(
        &self,
        expr: Expr,
        schema: &DFSchema,
        _config: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        match expr {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                let types = (left.get_type(schema)?, right.get_type(schema)?);
                let whole = is_whole(&types.0) && is_whole(&types.1);
                let decimal = (is_decimal(&types.0)
                    && (is_decimal(&types.1) || types.1.is_numeric()))
                    || (is_decimal(&types.1) && types.0.is_numeric());
                let function = match op {
                    Operator::Plus if whole => &self.add,
                    Operator::Minus if whole => &self.subtract,
                    Operator::Multiply if whole => &self.multiply,
                    Operator::Divide if decimal => &self.divide,
                    _ => {
                        if op == Operator::Divide && whole {
                            self.whole_division.store(true, Ordering::Relaxed);
                        }
                        return Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr {
                            left,
                            op,
                            right,
                        })));
                    }
                };
                Ok(Transformed::yes(function.call(vec![*left, *right])))
            }
            // Between two whole numbers or decimals the engine cuts the middle to their type.
            Expr::AggregateFunction(mut of) if OF_THE_MIDDLE.contains(&of.func.name()) => {
                let Some(first) = of.params.args.first_mut() else {
                    return Ok(Transformed::no(Expr::AggregateFunction(of)));
                };
                let its = first.get_type(schema)?;
                if !is_whole(&its) && !is_decimal(&its) {
                    return Ok(Transformed::no(Expr::AggregateFunction(of)));
                }
                *first = cast(first.clone(), DataType::Float64);
                Ok(Transformed::yes(Expr::AggregateFunction(of)))
            }
            Expr::Negative(of) if !matches!(*of, Expr::Literal(..)) => {
                let its = of.get_type(schema)?;
                if !is_whole(&its) {
                    return Ok(Transformed::no(Expr::Negative(of)));
                }
                let zero = ScalarValue::new_zero(&its)?;
                Ok(Transformed::yes(self.subtract.call(vec![lit(zero), *of])))
            }
            other => Ok(Transformed::no(other)),
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    op: Operator,
    name: &'static str,
    signature: Signature,
}

fn divide(left: &dyn Datum, right: &dyn Datum) -> std::result::Result<ArrayRef, ArrowError> {
    let (divisor, _) = right.get();
    let mut divisors = divisor.as_primitive::<Float64Type>().iter().flatten();
    if divisors.any(|value| value == 0.0) {
        return Err(ArrowError::DivideByZero);
    }
    numeric::div(left, right)
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [_, _] if self.op == Operator::Divide => Ok(vec![DataType::Float64; 2]),
            [left, right] => {
                let (left, right) =
                    BinaryTypeCoercer::new(left, &self.op, right).get_input_types()?;
                Ok(vec![left, right])
            }
            _ => plan_err!("{} takes two arguments", self.name),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [_, _] if self.op == Operator::Divide => Ok(DataType::Float64),
            [left, right] => BinaryTypeCoercer::new(left, &self.op, right).get_result_type(),
            _ => plan_err!("{} takes two arguments", self.name),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = args.args.as_slice() else {
            return plan_err!("{} takes two arguments", self.name);
        };
        match self.op {
            Operator::Plus => apply(left, right, numeric::add),
            Operator::Minus => apply(left, right, numeric::sub),
            Operator::Multiply => apply(left, right, numeric::mul),
            _ => apply(left, right, divide),
        }
    }
}
