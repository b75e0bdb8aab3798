//! What the database computes itself: one aggregate statement for the rows of a range.
//!
//! In: what the checks and the profile ask of each column. Out: aggregates of SQL for every column of
//! which they give all that is asked, exactly: sums of whole numbers and of decimals that stay below
//! the 65 digits that the server computes with. A column whose values the aggregates cannot tell
//! (doubles to be summed, distinct values, quantiles, rules, keys) is read instead.

use assay_metrics::Wants;

use super::types::{Column, Reading, expression};

/// Digits that a sum needs beyond those of its values, for as many rows as there can be.
const COUNT_DIGITS: u8 = 22;
/// Digits and decimals that the server computes with.
const DIGITS: u8 = 65;
const DECIMALS: i8 = 30;

/// Whether the aggregates give all that is asked.
pub(super) fn is_pushable(column: &Column, wants: Wants) -> bool {
    if wants.counts_only() {
        return true;
    }
    if wants.distinct || wants.quantiles || wants.uniqueness {
        return false;
    }
    match column.reading {
        Reading::Float32 | Reading::Float64 => !wants.sum && !wants.moments,
        Reading::Decimal(digits, scale) => {
            let sums = digits <= DIGITS - COUNT_DIGITS;
            let squares = 2 * digits <= DIGITS - COUNT_DIGITS && 2 * scale <= DECIMALS;
            sums && (squares || !wants.moments)
        }
        // Which may not fit what a total is told in.
        Reading::UInt64 => false,
        Reading::Binary | Reading::Uuid | Reading::Counted | Reading::Numeric => false,
        _ => true,
    }
}

/// The aggregates of a column, after the count of its values.
pub(super) fn aggregates(column: &Column, wants: Wants) -> Vec<String> {
    let value = expression(column);
    let mut all = vec![format!("COUNT({value})")];
    if wants.counts_only() {
        return all;
    }
    let ends = |of: &str| [format!("MIN({of})"), format!("MAX({of})")];
    match column.reading {
        Reading::Text | Reading::Json => {
            let text = format!("CONVERT({value} USING utf8mb4)");
            // By its bytes: a collation may take other texts for equal to the empty one.
            all.push(format!(
                "COUNT(CASE WHEN OCTET_LENGTH({text}) = 0 THEN 1 END)"
            ));
            if wants.range {
                all.extend(ends(&format!("CAST({text} AS BINARY)")));
            }
            if wants.lengths {
                for of in ["CHAR_LENGTH", "OCTET_LENGTH"] {
                    all.extend(ends(&format!("{of}({text})")));
                    all.push(format!("SUM({of}({text}))"));
                }
            }
        }
        Reading::Bool => {
            for end in ends(&value) {
                all.push(format!("IF({end} = 1, 'true', 'false')"));
            }
        }
        Reading::Date | Reading::Timestamp | Reading::TimestampTz => {
            // Where one of them is no date, no end tells of it: then nothing is told here.
            let sound = format!("COUNT({}) = COUNT({value})", sound(&value));
            let told = ends(&value).map(|end| format!("IF({sound}, {end}, NULL)"));
            all.extend(told);
        }
        of if of.is_integer() || matches!(of, Reading::Decimal(..)) => {
            // The square of a whole number of 64 bits has more.
            let square = match of {
                Reading::Int64 => {
                    let wide = format!("CAST({value} AS DECIMAL(20,0))");
                    format!("{wide} * {wide}")
                }
                of if of.is_integer() => {
                    let wide = format!("CAST({value} AS DECIMAL(10,0))");
                    format!("{wide} * {wide}")
                }
                _ => format!("{value} * {value}"),
            };
            all.push(format!("SUM({value})"));
            if wants.moments {
                all.push(format!("SUM({square})"));
            }
            if wants.range {
                all.extend(ends(&value));
            }
        }
        _ => all.extend(ends(&value)),
    }
    all
}

/// An expression that is NULL where a date is none: with a zero in it, or a day that its month has
/// not.
fn sound(value: &str) -> String {
    let (year, month, day) = (
        format!("YEAR({value})"),
        format!("MONTH({value})"),
        format!("DAYOFMONTH({value})"),
    );
    let leap = format!("({year} % 4 = 0 AND ({year} % 100 <> 0 OR {year} % 400 = 0))");
    let last = format!(
        "CASE WHEN {month} = 2 THEN IF({leap}, 29, 28) WHEN {month} IN (4, 6, 9, 11) THEN 30 \
         ELSE 31 END"
    );
    format!("CASE WHEN {month} > 0 AND {day} BETWEEN 1 AND {last} THEN 1 END")
}
