//! Types of Postgres.
//!
//! In: a column as the catalog tells it. Out: how its values are read, and the expression that is
//! copied. A type that is not listed is counted only, like a
//! nested column of a Parquet file.

use super::session::name;
pub(super) use crate::table::types::{Column, Reading};

impl Column {
    /// A column from the catalog: its base type's name, its modifier, whether it is an enumeration.
    pub(super) fn new(
        column: String,
        base: &str,
        modifier: i32,
        is_enum: bool,
        called: String,
        nullable: bool,
    ) -> Self {
        let reading = match base {
            _ if is_enum => Reading::Text,
            "int2" => Reading::Int16,
            "int4" => Reading::Int32,
            "int8" => Reading::Int64,
            "numeric" => decimal(modifier),
            "float4" => Reading::Float32,
            "float8" => Reading::Float64,
            "bool" => Reading::Bool,
            "text" | "varchar" | "bpchar" | "name" | "citext" => Reading::Text,
            "json" | "jsonb" => Reading::Json,
            "bytea" => Reading::Binary,
            "date" => Reading::Date,
            "timestamp" => Reading::Timestamp,
            "timestamptz" => Reading::TimestampTz,
            "time" => Reading::Time,
            "uuid" => Reading::Uuid,
            _ => Reading::Counted,
        };
        Self {
            name: column,
            reading,
            called,
            nullable,
            by_text: is_enum || !matches!(base, "text" | "varchar" | "json"),
        }
    }

    /// The values as an expression: of texts, the text form.
    pub(super) fn expression(&self) -> String {
        let quoted = name(&self.name);
        match self.reading {
            Reading::Text | Reading::Json if self.by_text => format!("{quoted}::text"),
            _ => quoted,
        }
    }
}

/// Digits and scale from a modifier. A scale beyond the digits (PostgreSQL 15) needs as many digits
/// as the scale has.
fn decimal(modifier: i32) -> Reading {
    if modifier < 4 {
        return Reading::Numeric;
    }
    let digits = ((modifier - 4) >> 16) & 0xffff;
    let scale = (((modifier - 4) & 0x7ff) ^ 1024) - 1024;
    match (u8::try_from(digits.max(scale)), i8::try_from(scale)) {
        (Ok(digits @ 1..=76), Ok(scale)) => Reading::Decimal(digits, scale),
        _ => Reading::Numeric,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(base: &str, modifier: i32) -> Column {
        Column::new("c".into(), base, modifier, false, format!("{base}!"), true)
    }

    #[test]
    fn a_type_is_called_as_in_parquet_and_one_that_is_not_read_by_its_own_name() {
        for (base, modifier, text) in [
            ("int2", -1, "int16"),
            ("int8", -1, "int64"),
            ("numeric", (10 << 16 | 2) + 4, "decimal(10,2)"),
            ("numeric", (3 << 16 | 5) + 4, "decimal(5,5)"),
            ("numeric", (5 << 16 | 0x7fe) + 4, "decimal(5,-2)"),
            ("numeric", -1, "decimal"),
            ("bpchar", 9, "string"),
            ("timestamptz", -1, "timestamp(us,utc)"),
            ("jsonb", -1, "json"),
            ("inet", -1, "inet!"),
        ] {
            assert_eq!(column(base, modifier).type_text(), text, "{base}");
        }
        assert_eq!(column("bpchar", 9).expression(), "\"c\"::text");
        assert_eq!(column("text", -1).expression(), "\"c\"");
    }
}
