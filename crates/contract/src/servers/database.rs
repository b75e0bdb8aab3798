//! `type: postgres`, `postgresql` or `mysql`: a table of a database.
//!
//! In: a server's keys and custom properties. Out: the database; the table is named by the schema.
//! Whether it may be reached is decided where it is read.
//!
//! | custom property | meaning |
//! |---|---|
//! | `credentialRef` | what logs in: `env:NAME`, `file:path` or `aws-sm:name`; the secret is `user:password`, an address such as `postgres://user:password@…`, or an object with `username` and `password` |
//! | `version` | how changed rows are told: `rows` (by the database's marks of row versions; the default, but MySQL has none), `checksum` (by all values; the default of MySQL), `watermark:column` (by the count and the greatest value: an update in place is not noticed) |
//! | `table` | the table, where it is another than the schema's: of a server that queries read beside |

use assay_model::dataset::{Format, FormatKind, Location};
use assay_model::source::{Database, DatabaseKind, VersionBy};

use super::properties::{self, CREDENTIAL};
use super::{ServerSource, expanded};
use crate::context::Context;
use crate::decode::Map;
use crate::diagnostic::Code;

/// Decodes one; `None` after a report.
pub(super) fn decode(
    cx: &mut Context<'_>,
    map: &Map<'_>,
    kind: DatabaseKind,
) -> Option<Result<ServerSource, String>> {
    let mut text = |key: &str| match map.get(key) {
        Some(at) => expanded(cx, &at),
        None => Some(String::new()),
    };
    let (host, port) = (text("host")?, text("port")?);
    let (database, schema) = (text("database")?, text("schema")?);
    let Ok(port @ 1..) = port.parse::<u16>() else {
        map.get("port")?
            .report(cx, Code::InvalidValue, format!("`{port}` is no port"))
            .hint("write a number from 1 to 65535");
        return None;
    };
    let found = properties::decode(cx, map, &[CREDENTIAL, "version", "table"])?;
    let credential = properties::credential(cx, &found)?;
    let version = match found.get("version") {
        None if kind == DatabaseKind::Mysql => VersionBy::Checksum,
        None => VersionBy::Rows,
        Some((text, at)) => match (text.as_str(), text.split_once(':')) {
            ("rows", _) if kind == DatabaseKind::Mysql => {
                at.report(
                    cx,
                    Code::InvalidValue,
                    "MySQL and MariaDB keep no marks of row versions",
                )
                .hint("write `checksum` or `watermark:column`");
                return None;
            }
            ("rows", _) => VersionBy::Rows,
            ("checksum", _) => VersionBy::Checksum,
            (_, Some(("watermark", column))) if !column.trim().is_empty() => {
                VersionBy::Watermark(column.trim().to_owned())
            }
            _ => {
                at.report(cx, Code::UnknownWord, format!("unknown version `{text}`"))
                    .hint("write `rows`, `checksum` or `watermark:column`");
                return None;
            }
        },
    };
    Some(Ok(ServerSource {
        location: Location::Database(Database {
            kind,
            host,
            port,
            database,
            schema,
            // Without it, the document's schema names it.
            table: found
                .get("table")
                .map(|(text, _)| text.trim().to_owned())
                .unwrap_or_default(),
            version,
        }),
        format: Format::of(FormatKind::Table),
        credential,
    }))
}
