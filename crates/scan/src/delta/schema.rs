//! The columns of a Delta table.
//!
//! In: the schema as the log says it. Out: the columns with their types in Arrow's words, and what
//! each is called in the data files. Pure. A type whose values are not read here is refused by
//! name, wherever it stands.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, TimeUnit};
use serde_json::Value;

use super::protocol::Mapping;

/// The zone of instants, as Parquet readers have it.
pub(super) const UTC: &str = "UTC";

/// A column, or a field of a structure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    /// What it is called in the data files and in the log's partition values.
    pub(super) physical: String,
    /// Its number in the data files.
    pub(super) id: Option<i64>,
    pub(super) kind: Kind,
    pub(super) nullable: bool,
}

/// A type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A single value.
    Plain(DataType),
    Struct(Vec<Column>),
    /// A list, and whether its items may be NULL.
    List(Box<Kind>, bool),
    /// A map, and whether its values may be NULL.
    Map(Box<Kind>, Box<Kind>, bool),
}

impl Kind {
    /// The type in Arrow's words. What the table promises not to be NULL may be so in a file
    /// nevertheless: with `open`, every part may be NULL, as of values that are read.
    pub(super) fn arrow(&self, open: bool) -> DataType {
        match self {
            Self::Plain(plain) => plain.clone(),
            Self::Struct(columns) => {
                DataType::Struct(columns.iter().map(|column| column.field(open)).collect())
            }
            Self::List(item, nullable) => {
                let item = Field::new("element", item.arrow(open), *nullable || open);
                DataType::List(Arc::new(item))
            }
            Self::Map(key, value, nullable) => {
                let entries = Fields::from(vec![
                    Field::new("key", key.arrow(open), false),
                    Field::new("value", value.arrow(open), *nullable || open),
                ]);
                let entries = Field::new("key_value", DataType::Struct(entries), false);
                DataType::Map(Arc::new(entries), false)
            }
        }
    }

    /// How the parts of the type are found in the data files.
    fn mark(&self, into: &mut String) {
        match self {
            Self::Plain(_) => {}
            Self::Struct(columns) => into.push_str(&mark(columns)),
            Self::List(item, _) => item.mark(into),
            Self::Map(key, value, _) => {
                key.mark(into);
                value.mark(into);
            }
        }
    }
}

impl Column {
    /// The column in Arrow's words; see [`Kind::arrow`].
    pub(super) fn field(&self, open: bool) -> Field {
        Field::new(&self.name, self.kind.arrow(open), self.nullable || open)
    }
}

/// How columns are found in the data files, as a text that changes when that does.
pub(super) fn mark(columns: &[Column]) -> String {
    let mut text = String::from("(");
    for column in columns {
        let (name, physical) = (&column.name, &column.physical);
        text.push_str(&format!(
            "{name}\u{0}{physical}\u{0}{}\u{0}",
            column.id.unwrap_or(-1)
        ));
        column.kind.mark(&mut text);
    }
    text.push(')');
    text
}

/// The columns of a schema.
///
/// # Errors
/// What is wrong with it, or which type is not read.
pub(super) fn columns(text: &str, mapping: Mapping) -> Result<Vec<Column>, String> {
    // Nesting is bounded by the reader of JSON.
    let schema: Value =
        serde_json::from_str(text).map_err(|error| format!("its schema is no JSON: {error}"))?;
    match kind(&schema, mapping, "the table")? {
        Kind::Struct(columns) => Ok(columns),
        _ => Err("its schema is no structure".to_owned()),
    }
}

fn kind(of: &Value, mapping: Mapping, place: &str) -> Result<Kind, String> {
    let lacks = |what: &str| format!("the type of {place} lacks `{what}`");
    let part = |what: &'static str| of.get(what).ok_or_else(|| lacks(what));
    let flag = |what: &'static str| part(what)?.as_bool().ok_or_else(|| lacks(what));
    if let Some(word) = of.as_str() {
        return plain(word)
            .map(Kind::Plain)
            .ok_or_else(|| format!("the type `{word}` of {place} is not read here"));
    }
    match of.get("type").and_then(Value::as_str) {
        Some("struct") => {
            let fields = part("fields")?.as_array().ok_or_else(|| lacks("fields"))?;
            let columns = fields.iter().map(|field| column(field, mapping));
            Ok(Kind::Struct(columns.collect::<Result<_, _>>()?))
        }
        Some("array") => {
            let item = kind(part("elementType")?, mapping, place)?;
            Ok(Kind::List(Box::new(item), flag("containsNull")?))
        }
        Some("map") => {
            let key = kind(part("keyType")?, mapping, place)?;
            let value = kind(part("valueType")?, mapping, place)?;
            let nullable = flag("valueContainsNull")?;
            Ok(Kind::Map(Box::new(key), Box::new(value), nullable))
        }
        Some(other) => Err(format!("the type `{other}` of {place} is not read here")),
        None => Err(format!("{place} has no type")),
    }
}

fn column(of: &Value, mapping: Mapping) -> Result<Column, String> {
    let name = of.get("name").and_then(Value::as_str);
    let name = name.ok_or("a column of its schema has no name")?;
    let place = format!("the column {name:?}");
    let kind = of
        .get("type")
        .ok_or_else(|| format!("{place} has no type"))?;
    let kind = self::kind(kind, mapping, &place)?;
    let nullable = of.get("nullable").and_then(Value::as_bool).unwrap_or(true);
    let noted = |key: &str| of.get("metadata").and_then(|notes| notes.get(key));
    let physical = noted("delta.columnMapping.physicalName").and_then(Value::as_str);
    let id = noted("delta.columnMapping.id").and_then(Value::as_i64);
    let (physical, id) = match (mapping, physical, id) {
        (Mapping::None, ..) => (name, None),
        (Mapping::Name, Some(physical), _) => (physical, None),
        (Mapping::Id, Some(physical), Some(id)) => (physical, Some(id)),
        _ => {
            return Err(format!(
                "{place} is not mapped, and the table's columns are"
            ));
        }
    };
    Ok(Column {
        name: name.to_owned(),
        physical: physical.to_owned(),
        id,
        kind,
        nullable,
    })
}

/// The type of a word.
fn plain(word: &str) -> Option<DataType> {
    Some(match word {
        "string" => DataType::Utf8,
        "long" => DataType::Int64,
        "integer" => DataType::Int32,
        "short" => DataType::Int16,
        "byte" => DataType::Int8,
        "float" => DataType::Float32,
        "double" => DataType::Float64,
        "boolean" => DataType::Boolean,
        "binary" => DataType::Binary,
        "date" => DataType::Date32,
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
        "timestamp_ntz" => DataType::Timestamp(TimeUnit::Microsecond, None),
        "void" => DataType::Null,
        other => return decimal(other),
    })
}

fn decimal(word: &str) -> Option<DataType> {
    let inner = word.strip_prefix("decimal(")?.strip_suffix(')')?;
    let (digits, scale) = inner.split_once(',')?;
    let (digits, scale) = (
        digits.trim().parse().ok()?,
        scale.trim().parse::<u8>().ok()?,
    );
    let fits = (1..=38).contains(&digits) && scale <= digits;
    fits.then_some(DataType::Decimal128(digits, scale as i8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_its_word_in_arrow_and_others_are_refused_by_name() {
        let of = |kind: &str| {
            let text = format!(
                r#"{{"type":"struct","fields":[{{"name":"c","type":{kind},"nullable":true,"metadata":{{}}}}]}}"#
            );
            columns(&text, Mapping::None).map(|columns| columns[0].kind.arrow(false))
        };
        assert_eq!(
            of("\"decimal(10,2)\"").unwrap(),
            DataType::Decimal128(10, 2)
        );
        assert_eq!(of("\"short\"").unwrap(), DataType::Int16);
        let list = of(r#"{"type":"array","elementType":"long","containsNull":true}"#).unwrap();
        assert!(matches!(list, DataType::List(item) if *item.data_type() == DataType::Int64));
        for odd in [
            "\"variant\"",
            "\"decimal(39,2)\"",
            "\"decimal(10,11)\"",
            "\"interval year\"",
            r#"{"type":"array","elementType":"geometry","containsNull":true}"#,
            r#"{"type":"udt"}"#,
            "1",
            r#"{"type":"map","keyType":"string"}"#,
        ] {
            assert!(of(odd).unwrap_err().contains("\"c\""), "{odd}");
        }
        let unmapped = r#"{"type":"struct","fields":[{"name":"c","type":"long"}]}"#;
        assert!(columns(unmapped, Mapping::Name).is_err());
    }
}
