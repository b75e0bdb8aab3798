//! What the catalog tells of a table: its columns, its size, and whether it has consistent reads.
//!
//! In: the names of the definition. Out: a [`Shape`]. A name that is not there is refused with the
//! nearest ones that are; so is a table of an engine that shows one reader several states of it.

use assay_model::source::Database;
use assay_scan::error::{Place, ScanError};
use xxhash_rust::xxh3::xxh3_64;

use super::session::{Session, Texts, literal, name};
use super::types::{Column, Told, column, is_bits};
use crate::table::range::quoted;

/// Engines whose tables a transaction sees in one state throughout.
const CONSISTENT: [&str; 2] = ["InnoDB", "ROCKSDB"];

/// A table as the catalog tells it.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) database: String,
    pub(super) table: String,
    pub(super) columns: Vec<Column>,
    /// Bytes on disk; 0 of a view.
    pub(super) bytes: u64,
    /// Whether it is a view, which may be one of tables without consistent reads.
    pub(super) view: bool,
    /// The whole number that is the primary key, by which it can be cut.
    pub(super) number: Option<Column>,
    /// Changes whenever a column does.
    pub(super) signature: u64,
}

fn cell(row: &Texts, at: usize) -> &str {
    row.get(at).and_then(Option::as_deref).unwrap_or_default()
}

impl Shape {
    /// Looks the table of a definition up.
    pub(super) fn look(session: &mut Session, of: &Database) -> Result<Self, ScanError> {
        // Names are compared by the server's rules; the one that is written so is preferred.
        let found = session.rows(&format!(
            "SELECT TABLE_NAME, TABLE_TYPE, ENGINE, DATA_LENGTH FROM information_schema.TABLES \
             WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
            literal(&of.database),
            literal(&of.table)
        ))?;
        let exact = found.iter().find(|row| cell(row, 0) == of.table);
        let Some(row) = exact.or(match found.as_slice() {
            [only] => Some(only),
            _ => None,
        }) else {
            return Err(no_such_table(session, of)?);
        };
        let (table, kind, engine) = (cell(row, 0), cell(row, 1), cell(row, 2));
        let view = kind == "VIEW";
        if !view && !CONSISTENT.contains(&engine) {
            return Err(inconsistent(of, engine));
        }
        // It says whether the user may read every column, of which the catalog shows no other.
        let from = format!("{}.{}", name(&of.database), name(table));
        session.rows(&format!("SELECT * FROM {from} LIMIT 0"))?;
        let (columns, number, signature) = columns(session, &of.database, table)?;
        Ok(Self {
            database: of.database.clone(),
            table: table.to_owned(),
            columns,
            bytes: cell(row, 3).parse().unwrap_or(0),
            view,
            number,
            signature,
        })
    }

    /// The table for a statement.
    pub(super) fn from(&self) -> String {
        format!("{}.{}", name(&self.database), name(&self.table))
    }

    /// Its name in the paths of ranges.
    pub(super) fn path(&self) -> String {
        format!("{}.{}", quoted(&self.database), quoted(&self.table))
    }

    /// A column by its name.
    pub(super) fn column(&self, wanted: &str, address: &str) -> Result<&Column, ScanError> {
        crate::table::types::named(&self.columns, wanted, address)
    }
}

fn columns(
    session: &mut Session,
    database: &str,
    table: &str,
) -> Result<(Vec<Column>, Option<Column>, u64), ScanError> {
    let rows = session.rows(&format!(
        "SELECT COLUMN_NAME, LOWER(DATA_TYPE), COLUMN_TYPE, IS_NULLABLE, NUMERIC_PRECISION, \
         NUMERIC_SCALE, CHARACTER_SET_NAME, COLUMN_KEY, ORDINAL_POSITION \
         FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {} \
         AND CAST(TABLE_NAME AS BINARY) = CAST({} AS BINARY) ORDER BY ORDINAL_POSITION",
        literal(database),
        literal(table),
        literal(table)
    ))?;
    let mut told = String::new();
    let (mut columns, mut keys) = (Vec::new(), Vec::new());
    for row in &rows {
        let one = column(Told {
            name: cell(row, 0).to_owned(),
            base: cell(row, 1).to_owned(),
            called: cell(row, 2).to_owned(),
            nullable: cell(row, 3) == "YES",
            digits: cell(row, 4).parse().ok(),
            scale: cell(row, 5).parse().ok(),
            charset: row.get(6).cloned().flatten(),
        });
        // A column that is dropped and made again stands in another place.
        told.push_str(&format!(
            "{:?}\n",
            [cell(row, 0), cell(row, 2), cell(row, 6), cell(row, 8)]
        ));
        if cell(row, 7) == "PRI" {
            keys.push(one.clone());
        }
        columns.push(one);
    }
    let number = match keys.as_slice() {
        [only] if only.reading.is_integer() && !is_bits(only) => Some(only.clone()),
        _ => None,
    };
    Ok((columns, number, xxh3_64(told.as_bytes())))
}

fn inconsistent(of: &Database, engine: &str) -> ScanError {
    ScanError::Unsupported {
        path: of.address(),
        place: Place::file(),
        what: format!(
            "it is a table of the engine {engine}, which shows one reader several states of it"
        ),
        remedy: "have it be one of InnoDB (`ALTER TABLE … ENGINE=InnoDB`), or name a copy that is"
            .to_owned(),
    }
}

/// The refusal of a table that is not there, with names that are near.
fn no_such_table(session: &mut Session, of: &Database) -> Result<ScanError, ScanError> {
    let rows = session.rows(&format!(
        "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} \
         ORDER BY 1 LIMIT 2000",
        literal(&of.database)
    ))?;
    let known: Vec<String> = rows.iter().map(|row| cell(row, 0).to_owned()).collect();
    let near = crate::table::range::near(&of.table, &known);
    Ok(ScanError::Definition {
        path: of.address(),
        place: Place::file(),
        what: format!(
            "there is no table or view {} in {}, or the user may not see it",
            of.table, of.database
        ),
        remedy: if near.is_empty() {
            "correct `database` and the table's name".to_owned()
        } else {
            format!("perhaps {} is meant", near.join(" or "))
        },
    })
}
