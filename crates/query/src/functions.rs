//! The functions that a query may call.
//!
//! In: those of the engine. Out: those whose value depends on nothing but their arguments, with
//! caps on what may grow without bound. What is left out says why in [`refused`].

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_err};
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::{
    AggregateUDF, ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility, WindowUDF,
};

/// Longest text that `repeat`, `lpad` and `rpad` make of one value, in repetitions or characters.
const GROWTH_MAX: i64 = 4096;
/// Bytes that one of them may make of one batch of rows.
const GROWTH_BYTES_MAX: u64 = 64 << 20;

const OF_TIME: (&str, &str) = (
    "its value depends on when the check runs, and a partition's verdict must not",
    "compare with {partition}, or with a column",
);
const OF_CHANCE: (&str, &str) = (
    "its value is another each time, and a partition's verdict must not be",
    "leave it out",
);
const ESTIMATE: (&str, &str) = (
    "it estimates without saying how well",
    "use the exact function, or a built-in metric, which states its error",
);
const ROWS_OF_NOTHING: (&str, &str) = (
    "it makes rows out of nothing",
    "read from the tables of the dataset file only",
);
const BY_TYPE_TEXT: (&str, &str) = (
    "types of the engine by name are not for queries",
    "use CAST(… AS …)",
);
const OF_MACHINE: (&str, &str) = (
    "it tells about the machine and not about the data",
    "leave it out",
);

/// Why a function may not be called, and what to do instead.
pub(crate) fn refused(name: &str) -> Option<(&'static str, &'static str)> {
    Some(match name {
        "now"
        | "current_timestamp"
        | "current_date"
        | "current_time"
        | "today"
        | "localtime"
        | "localtimestamp"
        | "transaction_timestamp"
        | "clock_timestamp"
        | "statement_timestamp"
        | "getdate"
        | "sysdate" => OF_TIME,
        "random" | "rand" | "uuid" | "gen_random_uuid" | "newid" => OF_CHANCE,
        "approx_distinct"
        | "approx_median"
        | "approx_percentile_cont"
        | "approx_percentile_cont_with_weight" => ESTIMATE,
        "generate_series" | "range" | "array_repeat" | "list_repeat" | "read_parquet"
        | "read_csv" | "read_json" | "parquet_scan" | "csv_scan" | "glob" => ROWS_OF_NOTHING,
        "arrow_cast" | "arrow_try_cast" | "arrow_typeof" | "arrow_metadata" | "arrow_field"
        | "cast_to_type" | "try_cast_to_type" | "with_metadata" | "union_tag" | "union_extract" => {
            BY_TYPE_TEXT
        }
        "version" | "input_file_name" | "file_row_index" | "current_user" | "session_user"
        | "user" | "pg_sleep" | "sleep" | "pg_read_file" | "current_setting" | "set_config"
        | "current_catalog" | "current_schema" | "current_database" => OF_MACHINE,
        _ => return None,
    })
}

/// The scalar functions.
pub(crate) fn scalar() -> Vec<Arc<ScalarUDF>> {
    let mut all = SessionStateDefaults::default_scalar_functions();
    all.retain(|function| {
        function.signature().volatility == Volatility::Immutable
            && refused(function.name()).is_none()
            && function
                .aliases()
                .iter()
                .all(|alias| refused(alias).is_none())
    });
    all.into_iter()
        .map(|function| match function.name() {
            "repeat" | "lpad" | "rpad" => Arc::new(ScalarUDF::from(Capped(function))),
            _ => function,
        })
        .collect()
}

/// The aggregates; sums and averages are exact ones (see [`crate::sums`]).
pub(crate) fn aggregate() -> Vec<Arc<AggregateUDF>> {
    let mut all = SessionStateDefaults::default_aggregate_functions();
    all.retain(|function| {
        refused(function.name()).is_none() && !matches!(function.name(), "sum" | "avg")
    });
    all.extend(crate::sums::functions());
    all
}

/// The window functions.
pub(crate) fn window() -> Vec<Arc<WindowUDF>> {
    SessionStateDefaults::default_window_functions()
}

/// A function whose second argument says how long its text becomes.
#[derive(Debug)]
struct Capped(Arc<ScalarUDF>);

impl PartialEq for Capped {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Capped {}

impl Hash for Capped {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.name().hash(state);
    }
}

/// The greatest whole number of a column, and of none 0.
fn greatest(value: &ColumnarValue) -> Result<i64> {
    let array = match value {
        ColumnarValue::Array(array) => Arc::clone(array),
        ColumnarValue::Scalar(ScalarValue::Null) => return Ok(0),
        ColumnarValue::Scalar(value) => value.to_array()?,
    };
    let array = arrow::compute::cast(&array, &DataType::Int64)?;
    let array = array.as_primitive::<Int64Type>();
    Ok(arrow::compute::max(array).unwrap_or(0))
}

/// The bytes of the texts of a column.
fn bytes(value: &ColumnarValue, rows: usize) -> u64 {
    match value {
        ColumnarValue::Array(array) => array.get_buffer_memory_size() as u64,
        ColumnarValue::Scalar(
            ScalarValue::Utf8(Some(text))
            | ScalarValue::LargeUtf8(Some(text))
            | ScalarValue::Utf8View(Some(text)),
        ) => (text.len() * rows) as u64,
        ColumnarValue::Scalar(_) => 0,
    }
}

impl ScalarUDFImpl for Capped {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn aliases(&self) -> &[String] {
        self.0.aliases()
    }

    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.0.return_type(types)
    }

    fn return_field_from_args(
        &self,
        args: ReturnFieldArgs<'_>,
    ) -> Result<arrow::datatypes::FieldRef> {
        self.0.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.0.coerce_types(types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let times = args.args.get(1).map_or(Ok(0), greatest)?;
        let of = args
            .args
            .first()
            .map_or(0, |text| bytes(text, args.number_rows));
        let grown = match self.name() {
            "repeat" => of.saturating_mul(times.max(0).unsigned_abs()),
            _ => (args.number_rows as u64).saturating_mul(times.max(0).unsigned_abs()),
        };
        if times > GROWTH_MAX || grown > GROWTH_BYTES_MAX {
            return exec_err!("{LONG_TEXT}");
        }
        self.0.invoke_with_args(args)
    }
}

/// How [`Capped`] says it.
pub(crate) const LONG_TEXT: &str =
    "repeat, lpad and rpad make texts of at most 4096 characters, and 64 MiB of a batch";

/// Whether an error is that of a capped function.
pub(crate) fn is_long_text(error: &DataFusionError) -> bool {
    error.to_string().contains(LONG_TEXT)
}
