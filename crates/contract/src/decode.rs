//! Small typed decoders over the tree: every one reports what is wrong and goes on.
//!
//! In: a node with its path ([`At`]). Out: the value, or `None` after a report. The shape of
//! each mapping is a table ([`Shape`]), so that its unknown keys, missing types and metadata are
//! checked in one place. It must never stop at the first error.

use assay_model::check::Bound;

use crate::context::Context;
use crate::diagnostic::Code;
use crate::suggest;
use crate::tree::{Entry, Node, Span, Value};

/// What a key holds.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// Checked elsewhere, or anything at all.
    Any,
    /// A text.
    Text,
    /// A number.
    Number,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// A list of texts.
    Texts,
    /// A list of anything.
    Items,
    /// A mapping of anything.
    Mapping,
    /// A scalar of any type.
    Scalar,
    /// A list of mappings of these keys.
    List(Keys),
    /// The standard's `customProperties` below the root.
    Custom,
}

/// The keys of a mapping with what they hold; a leading `!` marks a required key.
pub type Keys = &'static [(&'static str, Shape)];

/// The standard's `authoritativeDefinitions`.
pub const DEFINITIONS: Shape = Shape::List(&[
    ("id", Shape::Text),
    ("!url", Shape::Text),
    ("!type", Shape::Text),
    ("description", Shape::Text),
]);

/// The keys of one of `customProperties`.
pub const CUSTOM_KEYS: Keys = &[
    ("id", Shape::Text),
    ("!property", Shape::Text),
    ("value", Shape::Any),
    ("description", Shape::Text),
];

/// A node and where it is.
#[derive(Debug, Clone)]
pub struct At<'n> {
    /// The node.
    pub node: &'n Node,
    /// Its path from the root.
    pub path: String,
    /// What to point at: its bytes, or its key's when it has none.
    pub span: Span,
}

/// A mapping whose keys have been checked.
#[derive(Debug, Clone)]
pub struct Map<'n> {
    /// The mapping.
    pub at: At<'n>,
    entries: &'n [Entry],
}

impl<'n> At<'n> {
    /// The root.
    pub fn root(node: &'n Node) -> Self {
        At {
            node,
            path: String::new(),
            span: node.span,
        }
    }

    /// Reports `code` here.
    pub fn report<'c>(
        &self,
        cx: &'c mut Context<'_>,
        code: Code,
        message: impl Into<String>,
    ) -> crate::context::Report<'c> {
        cx.report(code, self.span, &self.path, message)
    }

    fn wrong(&self, cx: &mut Context<'_>, wanted: &str) {
        let found = match &self.node.value {
            _ if self.node.is_null() => "nothing".to_owned(),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
            Value::Scalar { text, .. } => {
                format!("`{}`", text.chars().take(60).collect::<String>())
            }
        };
        let quoted = matches!(&self.node.value, Value::Scalar { text, plain: false }
            if text.parse::<f64>().is_ok() || text == "true" || text == "false");
        self.report(
            cx,
            Code::WrongType,
            format!("{wanted} belongs here, not {found}"),
        )
        .maybe(quoted.then(|| "write it without quotes".to_owned()));
    }

    /// The mapping with these keys; unknown and missing keys are reported.
    pub fn map(&self, cx: &mut Context<'_>, keys: Keys) -> Option<Map<'n>> {
        self.map_of(cx, &[keys], |_| None)
    }

    /// The mapping with the keys of several tables; `explain` may give another code, message and
    /// hint for an unknown key.
    pub fn map_of(
        &self,
        cx: &mut Context<'_>,
        keys: &[Keys],
        explain: impl Fn(&str) -> Option<(Code, String, Option<String>)>,
    ) -> Option<Map<'n>> {
        let Value::Map(entries) = &self.node.value else {
            self.wrong(cx, "a mapping");
            return None;
        };
        let map = Map {
            at: self.clone(),
            entries,
        };
        let keys = || keys.iter().flat_map(|table| table.iter());
        let names: Vec<&str> = keys()
            .map(|(name, _)| name.trim_start_matches('!'))
            .collect();
        for entry in entries {
            let path = join(&self.path, &entry.key);
            if names.contains(&entry.key.as_str()) {
                continue;
            }
            // A secret has its own report, which does not quote it.
            if crate::secrets::is_secret_key(&entry.key) {
                continue;
            }
            let (code, message, hint) = explain(&entry.key).unwrap_or_else(|| {
                let message = format!("unknown key `{}`", entry.key);
                (Code::UnknownKey, message, suggest::hint(&entry.key, &names))
            });
            cx.report(code, entry.key_span, &path, message).maybe(hint);
        }
        for (name, shape) in keys() {
            let required = name.starts_with('!');
            let name = name.trim_start_matches('!');
            match map.get_or_warn(cx, name, !required && !matches!(shape, Shape::Any)) {
                Some(field) => field.check(cx, *shape),
                None if required => map.missing(cx, name),
                None => {}
            }
        }
        Some(map)
    }

    /// Reports a value that has not this shape.
    pub fn check(&self, cx: &mut Context<'_>, shape: Shape) {
        match shape {
            Shape::Any => {}
            Shape::Text => drop(self.text(cx)),
            Shape::Number => drop(self.number(cx)),
            Shape::Integer => drop(self.integer(cx, i64::MIN, i64::MAX)),
            Shape::Boolean => drop(self.boolean(cx)),
            Shape::Texts => drop(self.texts(cx)),
            Shape::Items => drop(self.items(cx)),
            Shape::Mapping => {
                if !matches!(self.node.value, Value::Map(_)) {
                    self.wrong(cx, "a mapping");
                }
            }
            Shape::Scalar => {
                if !matches!(self.node.value, Value::Scalar { .. }) {
                    self.wrong(cx, "a single value");
                }
            }
            Shape::List(keys) => {
                for item in self.items(cx) {
                    item.map(cx, keys);
                }
            }
            Shape::Custom => {
                for item in self.items(cx) {
                    crate::custom::check_nested(cx, &item);
                }
            }
        }
    }

    /// The items of a list.
    pub fn items(&self, cx: &mut Context<'_>) -> Vec<At<'n>> {
        let Value::List(items) = &self.node.value else {
            self.wrong(cx, "a list");
            return Vec::new();
        };
        items
            .iter()
            .enumerate()
            .map(|(no, node)| At {
                node,
                path: format!("{}[{no}]", self.path),
                span: if node.span.end > node.span.start {
                    node.span
                } else {
                    self.span
                },
            })
            .collect()
    }

    /// A scalar as it is written, if it is one and not null.
    pub fn scalar(&self) -> Option<&'n str> {
        match &self.node.value {
            Value::Scalar { text, .. } if !self.node.is_null() => Some(text),
            _ => None,
        }
    }

    /// Whether the scalar could be a number or truth value.
    pub fn is_plain(&self) -> bool {
        matches!(&self.node.value, Value::Scalar { plain: true, .. })
    }

    /// A text. A plain number or truth value is taken as written, with a warning.
    pub fn text(&self, cx: &mut Context<'_>) -> Option<&'n str> {
        let Some(text) = self.scalar() else {
            self.wrong(cx, "a text");
            return None;
        };
        if self.is_plain() && (is_number(text) || truth(text).is_some()) {
            self.report(
                cx,
                Code::Unquoted,
                format!("a text belongs here, `{text}` is read as one"),
            )
            .hint(format!("quote it: '{text}'"));
        }
        Some(text)
    }

    /// A text that is not empty.
    pub fn name(&self, cx: &mut Context<'_>) -> Option<String> {
        let text = self.text(cx)?;
        if text.trim().is_empty() {
            self.report(cx, Code::InvalidValue, "this text is empty")
                .hint("write a name");
            return None;
        }
        Some(text.to_owned())
    }

    /// A list of texts.
    pub fn texts(&self, cx: &mut Context<'_>) -> Vec<String> {
        let items = self.items(cx);
        items
            .iter()
            .filter_map(|item| item.text(cx))
            .map(str::to_owned)
            .collect()
    }

    /// A number, digits as written.
    pub fn number(&self, cx: &mut Context<'_>) -> Option<Bound> {
        let bound = self
            .scalar()
            .filter(|text| self.is_plain() && is_number(text));
        let bound = bound.and_then(|text| Bound::new(text.trim_start_matches('+')).ok());
        if bound.is_none() {
            self.wrong(cx, "a finite number");
        }
        bound
    }

    /// A number from `least` to `most`.
    pub fn float(&self, cx: &mut Context<'_>, least: f64, most: f64) -> Option<f64> {
        let value = self.number(cx)?.as_f64();
        if (least..=most).contains(&value) {
            return Some(value);
        }
        self.report(
            cx,
            Code::InvalidValue,
            format!("{value} is not from {least} to {most}"),
        );
        None
    }

    /// A whole number from `least` to `most`.
    pub fn integer(&self, cx: &mut Context<'_>, least: i64, most: i64) -> Option<i64> {
        let value = self
            .scalar()
            .filter(|_| self.is_plain())
            .and_then(|t| t.parse::<i64>().ok());
        let Some(value) = value else {
            self.wrong(cx, "a whole number");
            return None;
        };
        if !(least..=most).contains(&value) {
            self.report(
                cx,
                Code::InvalidValue,
                format!("{value} is not from {least} to {most}"),
            );
            return None;
        }
        Some(value)
    }

    /// `true` or `false`.
    pub fn boolean(&self, cx: &mut Context<'_>) -> Option<bool> {
        let value = self.scalar().filter(|_| self.is_plain()).and_then(truth);
        if value.is_none() {
            self.wrong(cx, "`true` or `false`");
        }
        value
    }

    /// One of `words`, as it is spelt there.
    pub fn word(&self, cx: &mut Context<'_>, words: &[&'static str]) -> Option<&'static str> {
        let text = self.text(cx)?;
        let found = words.iter().copied().find(|w| *w == text);
        if found.is_none() {
            self.report(cx, Code::UnknownWord, format!("unknown word `{text}`"))
                .hint(
                    suggest::hint(text, words)
                        .unwrap_or_else(|| format!("use one of {}", suggest::listed(words))),
                );
        }
        found
    }
}

impl<'n> Map<'n> {
    /// The value of `key`, if it is there and not null.
    pub fn get(&self, key: &str) -> Option<At<'n>> {
        let entry = self.entries.iter().find(|e| e.key == key)?;
        (!entry.value.is_null()).then(|| self.at_entry(entry))
    }

    /// The same, also when it is null.
    pub fn get_any(&self, key: &str) -> Option<At<'n>> {
        self.entries
            .iter()
            .find(|e| e.key == key)
            .map(|e| self.at_entry(e))
    }

    /// Where the key `key` itself is written.
    pub fn key_at(&self, key: &str) -> Option<At<'n>> {
        let entry = self.entries.iter().find(|e| e.key == key)?;
        Some(At {
            span: entry.key_span,
            ..self.at_entry(entry)
        })
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &'n str> + use<'n> {
        self.entries.iter().map(|e| e.key.as_str())
    }

    fn at_entry(&self, entry: &'n Entry) -> At<'n> {
        let shown = entry.value.span.end > entry.value.span.start && !entry.value.is_null();
        At {
            node: &entry.value,
            path: join(&self.at.path, &entry.key),
            span: if shown {
                entry.value.span
            } else {
                entry.key_span
            },
        }
    }

    fn get_or_warn(&self, cx: &mut Context<'_>, key: &str, warn: bool) -> Option<At<'n>> {
        let found = self.get(key);
        if found.is_none()
            && warn
            && let Some(at) = self.key_at(key)
        {
            at.report(cx, Code::NoValue, format!("`{key}` has no value"))
                .hint("give it one, or leave the key out");
        }
        found
    }

    /// Reports that `key` is missing.
    pub fn missing(&self, cx: &mut Context<'_>, key: &str) {
        let path = join(&self.at.path, key);
        let span = self.key_at(key).map_or_else(|| self.first(), |at| at.span);
        let message = format!("`{key}` is missing");
        cx.report(Code::MissingKey, span, &path, message)
            .hint(remedy(key));
    }

    /// What to point at for the mapping as a whole: its first key.
    pub fn first(&self) -> Span {
        self.entries.first().map_or(self.at.span, |e| e.key_span)
    }

    /// The text of `key`; wrong types have been reported with the keys.
    pub fn text(&self, key: &str) -> Option<String> {
        self.get(key).and_then(|at| at.scalar().map(str::to_owned))
    }

    /// The truth value of `key`.
    pub fn truth(&self, key: &str) -> Option<bool> {
        self.get(key)
            .filter(At::is_plain)
            .and_then(|at| at.scalar().and_then(truth))
    }

    /// The texts of the list `key`.
    pub fn texts(&self, key: &str) -> Vec<String> {
        match self.get(key).map(|at| &at.node.value) {
            Some(Value::List(items)) => items
                .iter()
                .filter_map(|n| match &n.value {
                    Value::Scalar { text, .. } if !n.is_null() => Some(text.clone()),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        }
    }
}

fn join(path: &str, key: &str) -> String {
    let key: String = key.chars().take(64).collect();
    if path.is_empty() {
        key
    } else {
        format!("{path}.{key}")
    }
}

/// What to write for a missing key.
fn remedy(key: &str) -> String {
    match key {
        "apiVersion" => "write `apiVersion: v3.1.0`".to_owned(),
        "kind" => "write `kind: DataContract`".to_owned(),
        "version" => "write the version of this definition: `version: 1.0.0`".to_owned(),
        "status" => "write `status: active`, or `draft` to run it by hand only".to_owned(),
        "id" => "write a stable name of A-Z a-z 0-9 _ -: `id: orders`".to_owned(),
        "format" => "write `format: parquet`, `csv` or `ndjson`".to_owned(),
        "path" => "write where the files are: `path: ./data/orders/*.parquet`".to_owned(),
        _ => format!("add `{key}:`"),
    }
}

/// Whether a plain scalar is a number of YAML's core schema, decimal and finite.
pub fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'-' | b'+'))
        && text.parse::<f64>().is_ok_and(f64::is_finite)
}

/// The truth value of a plain scalar.
pub fn truth(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}
