//! Types of MySQL and MariaDB.
//!
//! In: a column as the catalog tells it. Out: how its values are read, the expression that they are
//! asked by, and the one by which a hash sees them. Texts are told apart by their bytes, whatever
//! their collation says. A type that is not listed is counted only.

use super::session::name;
pub(super) use crate::table::types::{Column, Reading};

/// Character sets whose every text the server sends as UTF-8 without a doubt.
const PLAIN: [&str; 5] = ["utf8mb4", "utf8mb3", "utf8", "ascii", "latin1"];

/// A column as the catalog describes it.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    pub(super) name: String,
    /// `DATA_TYPE`, in lower case.
    pub(super) base: String,
    /// `COLUMN_TYPE`.
    pub(super) called: String,
    pub(super) nullable: bool,
    pub(super) digits: Option<u8>,
    pub(super) scale: Option<i8>,
    pub(super) charset: Option<String>,
}

/// The column.
pub(super) fn column(told: Told) -> Column {
    let signed = |yes, no| match told.called.contains("unsigned") {
        true => no,
        false => yes,
    };
    let reading = match told.base.as_str() {
        "tinyint" => signed(Reading::Int8, Reading::UInt8),
        "smallint" => signed(Reading::Int16, Reading::UInt16),
        "mediumint" | "int" => signed(Reading::Int32, Reading::UInt32),
        "bigint" => signed(Reading::Int64, Reading::UInt64),
        "year" => Reading::Int16,
        "decimal" => match (told.digits, told.scale) {
            (Some(digits @ 1..=65), Some(scale @ 0..)) => Reading::Decimal(digits, scale),
            _ => Reading::Counted,
        },
        "float" => Reading::Float32,
        "double" => Reading::Float64,
        "bit" => match told.digits {
            Some(1) => Reading::Bool,
            _ => Reading::UInt64,
        },
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set" => {
            Reading::Text
        }
        "json" => Reading::Json,
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => Reading::Binary,
        "date" => Reading::Date,
        "datetime" => Reading::Timestamp,
        "timestamp" => Reading::TimestampTz,
        "time" => Reading::Time,
        "uuid" => Reading::Uuid,
        _ => Reading::Counted,
    };
    let is_plain = told
        .charset
        .as_deref()
        .is_some_and(|set| PLAIN.contains(&set));
    let is_stored = !matches!(told.base.as_str(), "enum" | "set");
    Column {
        name: told.name,
        reading,
        called: told.called,
        nullable: told.nullable,
        by_text: !(is_plain && is_stored),
    }
}

/// The values as an expression.
pub(super) fn expression(column: &Column) -> String {
    let quoted = name(&column.name);
    match column.reading {
        // It warns of what it cannot tell, where sending it as it is does not.
        Reading::Text if column.by_text => format!("CONVERT({quoted} USING utf8mb4)"),
        Reading::Json => format!("CAST({quoted} AS CHAR CHARACTER SET utf8mb4)"),
        Reading::Uuid => format!("CAST({quoted} AS CHAR)"),
        Reading::Bool | Reading::UInt64 if is_bits(column) => format!("({quoted} + 0)"),
        _ => quoted,
    }
}

/// Whether the values are stored as bits.
pub(super) fn is_bits(column: &Column) -> bool {
    column.called.starts_with("bit")
}

/// The values as texts of bytes that are equal where the values are.
fn bytes(column: &Column) -> String {
    let quoted = name(&column.name);
    match column.reading {
        // Without it a FLOAT would be told by its first six digits.
        Reading::Float32 | Reading::Float64 => format!("({quoted} * 1e0)"),
        Reading::Text | Reading::Binary | Reading::Uuid => format!("CAST({quoted} AS BINARY)"),
        Reading::Counted => format!("HEX({quoted})"),
        _ => expression(column),
    }
}

/// A number of 64 bits for the values of a row. It is [`POISON`] where a value is longer than the
/// server takes together, so that no change of it could be met.
pub(super) fn hash(columns: &[Column]) -> String {
    let one = |column: &Column| {
        let value = bytes(column);
        let told = format!("CONCAT(OCTET_LENGTH({value}), ':', {value})");
        // Only of NULL itself: a value that is too long must not be told as one.
        let quoted = name(&column.name);
        format!("IF({quoted} IS NULL, '-', {told})")
    };
    let all: Vec<String> = columns.iter().map(one).collect();
    let hash = format!("SHA2(CONCAT({}), 256)", all.join(", "));
    format!("COALESCE(CAST(CONV(LEFT({hash}, 16), 16, 10) AS DECIMAL(38,0)), {POISON})")
}

/// More than the hashes of any table come to.
pub(super) const POISON: i128 = 10i128.pow(36);

#[cfg(test)]
mod tests {
    use super::*;

    fn of(base: &str, called: &str, digits: Option<u8>, charset: Option<&str>) -> Column {
        column(Told {
            name: "c`".to_owned(),
            base: base.to_owned(),
            called: called.to_owned(),
            nullable: true,
            digits,
            scale: Some(2),
            charset: charset.map(str::to_owned),
        })
    }

    #[test]
    fn a_type_is_called_as_in_parquet_and_one_that_is_not_read_by_its_own_name() {
        for (base, called, digits, text) in [
            ("tinyint", "tinyint(1)", None, "int8"),
            ("int", "int(10) unsigned zerofill", None, "uint32"),
            ("bigint", "bigint(20) unsigned", None, "uint64"),
            ("decimal", "decimal(65,2)", Some(65), "decimal(65,2)"),
            ("bit", "bit(1)", Some(1), "bool"),
            ("bit", "bit(9)", Some(9), "uint64"),
            ("timestamp", "timestamp(6)", None, "timestamp(us,utc)"),
            ("datetime", "datetime", None, "timestamp(us)"),
            ("json", "json", None, "json"),
            ("geometry", "geometry", None, "geometry"),
        ] {
            assert_eq!(of(base, called, digits, None).type_text(), text, "{base}");
        }
    }

    #[test]
    fn texts_are_asked_for_as_they_are_only_where_the_server_can_tell_them_all() {
        let expression =
            |base: &str, charset| super::expression(&of(base, base, None, Some(charset)));
        assert_eq!(expression("varchar", "latin1"), "`c```");
        assert_eq!(
            expression("varchar", "sjis"),
            "CONVERT(`c``` USING utf8mb4)"
        );
        assert_eq!(
            expression("enum", "utf8mb4"),
            "CONVERT(`c``` USING utf8mb4)"
        );
        assert_eq!(
            super::expression(&of("bit", "bit(9)", Some(9), None)),
            "(`c``` + 0)"
        );
    }
}
