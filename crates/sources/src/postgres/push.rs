//! What Postgres computes itself: one aggregate statement for the rows of a range.
//!
//! In: what the checks and the profile ask of each column. Out: aggregates of SQL for every column
//! of which they give all that is asked, exactly. A column whose values the aggregates cannot tell
//! (doubles to be summed, distinct values, quantiles, rules, keys) is copied instead.

use assay_metrics::Wants;

use super::types::{Column, Reading};

/// Whether the aggregates give all that is asked. `utf8` says that the server's texts are ordered by
/// their bytes.
pub(super) fn is_pushable(column: &Column, wants: Wants, utf8: bool) -> bool {
    if wants.counts_only() {
        return true;
    }
    if wants.distinct || wants.quantiles || wants.uniqueness {
        return false;
    }
    match column.reading {
        Reading::Float32 | Reading::Float64 => !wants.sum && !wants.moments,
        // Elsewhere characters are counted, and texts ordered, in another way.
        Reading::Text | Reading::Json => utf8 || !(wants.range || wants.lengths),
        Reading::Binary | Reading::Uuid | Reading::Counted => false,
        _ => true,
    }
}

/// The aggregates of a column, after the count of its values.
pub(super) fn aggregates(column: &Column, wants: Wants) -> Vec<String> {
    let value = column.expression();
    let mut all = vec![format!("count({value})")];
    if wants.counts_only() {
        return all;
    }
    let ends = |of: &str| [format!("min({of})::text"), format!("max({of})::text")];
    match column.reading {
        Reading::Int16
        | Reading::Int32
        | Reading::Int64
        | Reading::Decimal(..)
        | Reading::Numeric => {
            let square = match column.reading {
                Reading::Int16 | Reading::Int32 => format!("{value}::int8 * {value}::int8"),
                Reading::Int64 => format!("{value}::numeric * {value}::numeric"),
                _ => format!("{value} * {value}"),
            };
            // The sum of decimals tells the scale, and whether one of them is no number.
            all.push(format!("sum({value})::text"));
            if wants.moments {
                all.push(format!("sum({square})::text"));
            }
            if wants.range {
                all.extend(ends(&value));
            }
        }
        // The extremes tell whether there are NaN and infinities.
        Reading::Float32 | Reading::Float64 => all.extend(ends(&format!("{value}::float8"))),
        Reading::Bool => {
            all.push(format!("bool_and({value})::text"));
            all.push(format!("bool_or({value})::text"));
        }
        Reading::Text | Reading::Json => {
            let text = format!("({value})::text");
            // By its bytes: a collation may take other texts for equal to the empty one.
            all.push(format!("count(*) FILTER (WHERE octet_length({text}) = 0)"));
            if wants.range {
                all.extend(ends(&format!("{text} COLLATE \"C\"")));
            }
            if wants.lengths {
                for of in ["char_length", "octet_length"] {
                    all.push(format!("min({of}({text}))"));
                    all.push(format!("max({of}({text}))"));
                    all.push(format!("sum({of}({text})::int8)::text"));
                }
            }
        }
        Reading::TimestampTz => all.extend(ends(&format!("({value} AT TIME ZONE 'UTC')"))),
        _ => all.extend(ends(&value)),
    }
    all
}
