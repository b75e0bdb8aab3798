//! How answers describe themselves in the OpenAPI document.
//!
//! Comes in: the declarations of answers, with their comments. Goes out: JSON Schema (2020-12, that of
//! OpenAPI 3.1), one component a type. It must never describe a field that is not printed, or leave
//! one out: what is described and what is printed come from one declaration.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Map, Value, json};

/// Schemas by the names of their types.
#[derive(Debug, Clone, Default)]
pub struct Book(BTreeMap<String, Value>);

/// What describes itself.
pub trait Described {
    /// The name of its component; `None` is described where it stands.
    fn name() -> Option<String> {
        None
    }

    /// Its schema.
    fn schema(book: &mut Book) -> Value;
}

impl Book {
    /// The schema of `T` as it is written where it stands: a reference, when it has a name.
    pub fn of<T: Described>(&mut self) -> Value {
        let Some(name) = T::name() else {
            return T::schema(self);
        };
        if !self.0.contains_key(&name) {
            // A type that holds itself finds its name taken.
            self.0.insert(name.clone(), Value::Null);
            let schema = T::schema(self);
            self.0.insert(name.clone(), schema);
        }
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }

    /// All of them.
    #[must_use]
    pub fn components(self) -> Value {
        Value::Object(self.0.into_iter().collect())
    }
}

/// A field, as it was declared.
pub(crate) struct Field {
    /// Its name in Rust.
    pub(crate) name: &'static str,
    /// Its comment.
    pub(crate) about: String,
    /// What was said to serde.
    pub(crate) serde: &'static str,
    /// Its schema.
    pub(crate) schema: Value,
}

/// `next_cursor` as JSON spells it.
fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let mut out = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at(word.len().min(1));
        out.push_str(&first.to_uppercase());
        out.push_str(rest);
    }
    out
}

/// The name that serde was told, if it was.
fn renamed(serde: &str) -> Option<String> {
    let rest = serde.split_once("rename = \"")?.1;
    Some(rest.split_once('"')?.0.to_owned())
}

/// A comment of several lines as one text.
pub(crate) fn comment(lines: &[&str]) -> String {
    let lines: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
    lines.join(" ")
}

/// The schema of a struct.
pub(crate) fn object(about: &str, closed: bool, fields: Vec<Field>) -> Value {
    let (mut properties, mut required, mut inner) = (Map::new(), Vec::new(), Vec::new());
    for field in fields {
        if field.serde.contains("flatten") {
            inner.push(field.schema);
            continue;
        }
        let name = renamed(field.serde).unwrap_or_else(|| camel(field.name));
        let mut schema = field.schema;
        if let Value::Object(schema) = &mut schema {
            schema.insert("description".to_owned(), Value::String(field.about));
        }
        if !field.serde.contains("default") {
            required.push(Value::String(name.clone()));
        }
        properties.insert(name, schema);
    }
    let mut object = json!({ "type": "object", "description": about, "properties": properties });
    if !required.is_empty() {
        object["required"] = Value::Array(required);
    }
    if closed {
        object["additionalProperties"] = Value::Bool(false);
    }
    if !inner.is_empty() {
        object["allOf"] = Value::Array(inner);
    }
    object
}

/// Declares a struct that describes itself.
macro_rules! described {
    (
        $(#[doc = $doc:literal])+
        #[derive($($derive:path),+ $(,)?)]
        $(#[serde($($serde:tt)*)])?
        pub struct $name:ident $(<$inner:ident>)? {
            $(
                $(#[doc = $about:literal])+
                $(#[serde($($told:tt)*)])?
                pub $field:ident: $type:ty,
            )*
        }
    ) => {
        $(#[doc = $doc])+
        #[derive($($derive),+)]
        $(#[serde($($serde)*)])?
        pub struct $name $(<$inner>)? {
            $(
                $(#[doc = $about])+
                $(#[serde($($told)*)])?
                pub $field: $type,
            )*
        }

        impl $(<$inner: $crate::schema::Described>)? $crate::schema::Described for $name $(<$inner>)? {
            fn name() -> Option<String> {
                let name = stringify!($name).to_owned();
                $(let name = name + "Of" + &<$inner as $crate::schema::Described>::name()?;)?
                Some(name)
            }

            fn schema(book: &mut $crate::schema::Book) -> serde_json::Value {
                let about = $crate::schema::comment(&[$($doc),+]);
                let said = concat!("", $(stringify!($($serde)*))?);
                let fields = vec![$($crate::schema::Field {
                    name: stringify!($field),
                    about: $crate::schema::comment(&[$($about),+]),
                    serde: concat!("", $(stringify!($($told)*))?),
                    schema: book.of::<$type>(),
                }),*];
                $crate::schema::object(&about, said.contains("deny_unknown_fields"), fields)
            }
        }
    };
}

pub(crate) use described;

macro_rules! plain {
    ($($type:ty = $schema:tt;)+) => {
        $(impl Described for $type {
            fn schema(_: &mut Book) -> Value {
                json!($schema)
            }
        })+
    };
}

plain! {
    String = { "type": "string" };
    bool = { "type": "boolean" };
    u16 = { "type": "integer", "minimum": 0, "maximum": 65535 };
    u32 = { "type": "integer", "minimum": 0 };
    u64 = { "type": "integer", "minimum": 0 };
    f64 = { "type": "number" };
    Timestamp = { "type": "string", "format": "date-time" };
    Date = { "type": "string", "format": "date" };
    Value = {};
}

impl<T: Described> Described for Option<T> {
    fn schema(book: &mut Book) -> Value {
        json!({ "anyOf": [book.of::<T>(), { "type": "null" }] })
    }
}

impl<T: Described> Described for Vec<T> {
    fn schema(book: &mut Book) -> Value {
        json!({ "type": "array", "items": book.of::<T>() })
    }
}

impl<K, V: Described> Described for BTreeMap<K, V> {
    fn schema(book: &mut Book) -> Value {
        json!({ "type": "object", "additionalProperties": book.of::<V>() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{RunDetail, StartRun};

    #[test]
    fn what_is_described_is_what_is_printed() {
        let mut book = Book::default();
        book.of::<RunDetail>();
        book.of::<StartRun>();
        let all = book.components();
        let run = &all["Run"]["properties"];
        assert_eq!(run["createdAt"]["format"], "date-time");
        assert_eq!(run["state"]["$ref"], "#/components/schemas/RunState");
        assert_eq!(
            all["RunDetail"]["allOf"][0]["$ref"],
            "#/components/schemas/Run"
        );
        assert_eq!(all["StartRun"]["additionalProperties"], false);
        assert!(all["StartRun"].get("required").is_none());
        let states = all["RunState"]["enum"].as_array().unwrap();
        assert!(states.contains(&json!("skipped_stale")), "{states:?}");
    }
}
