//! `servers`: where the data is.
//!
//! In: the list of servers. Out: one [`Server`] each, with a location when this version can read
//! it and the reason when it cannot. It must never keep a secret, and expands variables here and
//! nowhere else.

mod bucket;
mod database;
mod local;
mod properties;

use std::path::Path;

use assay_model::dataset::{Credential, Format, FormatKind, Location};
use assay_model::source::DatabaseKind;

use crate::context::Context;
use crate::decode::{At, Keys, Map, Shape};
use crate::diagnostic::Code;
use crate::suggest;
use crate::variables::{self, Unexpanded};

/// A server of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its name.
    pub name: String,
    /// Its type in the words of the standard (`local`, `postgres`, …).
    pub kind: String,
    /// What is read there, or why this version cannot read it.
    pub source: Result<ServerSource, String>,
    /// The line of the file, from 1.
    pub line: u32,
}

/// What is read from a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSource {
    /// Where.
    pub location: Location,
    /// How it is written.
    pub format: Format,
    /// What logs in there, by reference: the custom property `credentialRef`.
    pub credential: Option<Credential>,
}

const COMMON: Keys = &[
    ("id", Shape::Text),
    ("!server", Shape::Text),
    ("!type", Shape::Text),
    ("description", Shape::Text),
    ("environment", Shape::Text),
    ("roles", Shape::List(crate::people::ROLE_KEYS)),
    ("customProperties", Shape::Custom),
];

const T: Shape = Shape::Text;
/// A port may be a variable.
const PORT: Shape = Shape::Scalar;

/// The types of the standard with their own keys.
const TYPES: &[(&str, Keys)] = &[
    ("api", &[("!location", T)]),
    (
        "athena",
        &[
            ("!stagingDir", T),
            ("!schema", T),
            ("catalog", T),
            ("regionName", T),
        ],
    ),
    (
        "azure",
        &[("!location", T), ("!format", T), ("delimiter", T)],
    ),
    ("bigquery", &[("!project", T), ("!dataset", T)]),
    (
        "clickhouse",
        &[("!host", T), ("!port", PORT), ("!database", T)],
    ),
    (
        "databricks",
        &[("host", T), ("!catalog", T), ("!schema", T)],
    ),
    ("denodo", &[("!host", T), ("!port", PORT), ("database", T)]),
    ("dremio", &[("!host", T), ("!port", PORT), ("schema", T)]),
    ("duckdb", &[("!database", T), ("schema", T)]),
    (
        "glue",
        &[
            ("!account", T),
            ("!database", T),
            ("location", T),
            ("format", T),
        ],
    ),
    (
        "cloudsql",
        &[
            ("!host", T),
            ("!port", PORT),
            ("!database", T),
            ("!schema", T),
        ],
    ),
    (
        "db2",
        &[
            ("!host", T),
            ("!port", PORT),
            ("!database", T),
            ("schema", T),
        ],
    ),
    ("hive", &[("!host", T), ("port", PORT), ("!database", T)]),
    ("impala", &[("!host", T), ("port", PORT), ("!database", T)]),
    (
        "informix",
        &[("!host", T), ("port", PORT), ("!database", T)],
    ),
    ("kafka", &[("!host", T), ("format", T)]),
    ("kinesis", &[("region", T), ("format", T)]),
    ("local", &[("!path", T), ("!format", T), ("delimiter", T)]),
    ("mysql", &[("!host", T), ("!port", PORT), ("!database", T)]),
    (
        "oracle",
        &[("!host", T), ("!port", PORT), ("!serviceName", T)],
    ),
    (
        "postgresql",
        &[
            ("!host", T),
            ("!port", PORT),
            ("!database", T),
            ("!schema", T),
        ],
    ),
    (
        "postgres",
        &[
            ("!host", T),
            ("!port", PORT),
            ("!database", T),
            ("!schema", T),
        ],
    ),
    ("presto", &[("!host", T), ("catalog", T), ("schema", T)]),
    ("pubsub", &[("!project", T)]),
    (
        "redshift",
        &[
            ("host", T),
            ("!database", T),
            ("!schema", T),
            ("region", T),
            ("account", T),
        ],
    ),
    (
        "s3",
        &[
            ("!location", T),
            ("endpointUrl", T),
            ("format", T),
            ("delimiter", T),
        ],
    ),
    ("sftp", &[("!location", T), ("format", T), ("delimiter", T)]),
    (
        "snowflake",
        &[
            ("host", T),
            ("port", PORT),
            ("!account", T),
            ("!database", T),
            ("!schema", T),
            ("warehouse", T),
        ],
    ),
    (
        "sqlserver",
        &[
            ("!host", T),
            ("port", PORT),
            ("!database", T),
            ("!schema", T),
        ],
    ),
    (
        "synapse",
        &[("!host", T), ("!port", PORT), ("!database", T)],
    ),
    (
        "trino",
        &[
            ("!host", T),
            ("!port", PORT),
            ("!catalog", T),
            ("!schema", T),
        ],
    ),
    (
        "vertica",
        &[
            ("!host", T),
            ("!port", PORT),
            ("!database", T),
            ("!schema", T),
        ],
    ),
    ("zen", &[("!host", T), ("port", PORT), ("!database", T)]),
    (
        "custom",
        &[
            ("account", T),
            ("catalog", T),
            ("database", T),
            ("dataset", T),
            ("delimiter", T),
            ("endpointUrl", T),
            ("format", T),
            ("host", T),
            ("location", T),
            ("path", T),
            ("port", PORT),
            ("project", T),
            ("region", T),
            ("regionName", T),
            ("schema", T),
            ("serviceName", T),
            ("stagingDir", T),
            ("warehouse", T),
            ("stream", T),
        ],
    ),
];

/// Decodes `servers`; paths are resolved against `base_dir`.
pub fn decode(cx: &mut Context<'_>, at: &At<'_>, base_dir: &Path) -> Vec<Server> {
    let mut servers: Vec<Server> = Vec::new();
    for item in at.items(cx) {
        let Some(server) = decode_one(cx, &item, base_dir) else {
            continue;
        };
        if servers.iter().any(|s| s.name == server.name) {
            item.report(
                cx,
                Code::DuplicateId,
                format!("two servers are named `{}`", server.name),
            )
            .hint("give each server its own name");
        }
        servers.push(server);
    }
    servers
}

fn decode_one(cx: &mut Context<'_>, at: &At<'_>, base_dir: &Path) -> Option<Server> {
    let wanted = match at.node.get("type").map(|n| &n.value) {
        Some(crate::tree::Value::Scalar { text, .. }) => text.clone(),
        _ => String::new(),
    };
    let known = TYPES.iter().find(|(kind, _)| *kind == wanted);
    // A server of an unknown type is not also blamed for its keys.
    let keys = known.map_or_else(|| TYPES.last().map_or(COMMON, |(_, k)| *k), |(_, k)| *k);
    let map = at.map_of(cx, &[COMMON, keys], |_| None)?;
    let name = map.text("server")?;
    let kind_at = map.get("type")?;
    let words: Vec<&'static str> = TYPES.iter().map(|(kind, _)| *kind).collect();
    let kind = kind_at.word(cx, &words)?;
    if let Some(port) = map.get("port")
        && !port.scalar().is_some_and(|t| t.contains("${"))
    {
        port.integer(cx, 1, 65_535);
    }
    let source = match kind {
        "local" => local::decode(cx, &map, base_dir)?,
        "s3" | "azure" => bucket::decode(cx, &map, kind)?,
        "postgres" | "postgresql" => database::decode(cx, &map, DatabaseKind::Postgres)?,
        "mysql" => database::decode(cx, &map, DatabaseKind::Mysql)?,
        "custom" if bucket::is_meant(&map) => bucket::decode(cx, &map, kind)?,
        _ => Err(format!(
            "source type `{kind}` is not supported by this version"
        )),
    };
    let line = cx.line(map.first().start);
    Some(Server {
        name,
        kind: kind.to_owned(),
        source,
        line,
    })
}

/// The text with its variables replaced.
pub(super) fn expanded(cx: &mut Context<'_>, at: &At<'_>) -> Option<String> {
    let text = at.scalar()?;
    match variables::expand(text, cx.environment) {
        Ok(value) if value.trim().is_empty() => {
            at.report(cx, Code::InvalidValue, "this text is empty")
                .hint("write a value");
            None
        }
        Ok(value) => Some(value),
        Err(Unexpanded::Unset(name)) => {
            at.report(
                cx,
                Code::UnsetVariable,
                format!("the variable `{name}` is not set"),
            )
            .hint(format!("set it, or write a default: `${{{name}:-value}}`"));
            None
        }
        Err(Unexpanded::Malformed(part)) => {
            at.report(
                cx,
                Code::InvalidValue,
                format!("`{part}` is not a variable"),
            )
            .hint("write `${NAME}` or `${NAME:-default}`");
            None
        }
    }
}

/// The format of a word; the reason for one that is known and not read; `None` for no format.
pub(super) fn format_word(word: &str) -> Result<Format, Option<String>> {
    match word.to_ascii_lowercase().as_str() {
        "parquet" => Ok(Format::of(FormatKind::Parquet)),
        "csv" => Ok(Format::of(FormatKind::Csv)),
        "tsv" => Ok(Format {
            delimiter: '\t',
            ..Format::of(FormatKind::Csv)
        }),
        "ndjson" | "jsonl" | "json" => Ok(Format::of(FormatKind::Ndjson)),
        "avro" => Ok(Format::of(FormatKind::Avro)),
        "arrow" | "ipc" | "feather" => Ok(Format::of(FormatKind::Arrow)),
        "delta" => Ok(Format::of(FormatKind::Delta)),
        known @ ("orc" | "iceberg" | "hudi" | "xml" | "xlsx" | "protobuf") => Err(Some(format!(
            "format `{known}` is not supported by this version"
        ))),
        _ => Err(None),
    }
}

/// A text of one character that fits a byte, as delimiters and quotes are.
pub fn one_byte(cx: &mut Context<'_>, at: &At<'_>) -> Option<char> {
    let text = at.scalar()?;
    let text = if text == "\\t" { "\t" } else { text };
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) if c.is_ascii() && c != '\n' && c != '\r' => Some(c),
        _ => {
            at.report(
                cx,
                Code::InvalidValue,
                format!("`{text}` is not one ASCII character"),
            )
            .hint("write one character, such as ',' or '\\t'");
            None
        }
    }
}

/// The format that a server states, with its delimiter; `Err` for one that is known and not read.
/// Where none is stated, `name` may tell it.
fn format_of(cx: &mut Context<'_>, map: &Map<'_>, name: &str) -> Option<Result<Format, String>> {
    let mut format = match map.get("format") {
        Some(at) => {
            let word = expanded(cx, &at)?;
            match format_word(&word) {
                Ok(format) => format,
                Err(Some(reason)) => return Some(Err(reason)),
                Err(None) => {
                    let known = [
                        "parquet", "csv", "ndjson", "jsonl", "tsv", "avro", "arrow", "feather",
                        "delta",
                    ];
                    at.report(cx, Code::UnknownWord, format!("unknown format `{word}`"))
                        .hint(suggest::hint(&word, &known).unwrap_or_default());
                    return None;
                }
            }
        }
        None => match format_by_name(name) {
            Some(format) => format,
            None => {
                return Some(Err(
                    "nothing says how the files are written: add `format: parquet`, `csv` or \
                     `ndjson`"
                        .to_owned(),
                ));
            }
        },
    };
    if let Some(at) = map.get("delimiter") {
        format.delimiter = one_byte(cx, &at)?;
    }
    Some(Ok(format))
}

/// The format that a name ends on, with or without a compression behind it.
fn format_by_name(name: &str) -> Option<Format> {
    let name = name.to_ascii_lowercase();
    let bare = [".gz", ".gzip", ".zst", ".zstd"]
        .iter()
        .find_map(|s| name.strip_suffix(s));
    let (_, word) = bare.unwrap_or(&name).rsplit_once('.')?;
    format_word(word).ok()
}
