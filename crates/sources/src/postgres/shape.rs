//! What the catalog tells of a table: its kind, its columns, and the tables that hold its rows.
//!
//! In: the names of the definition. Out: a [`Shape`]. A name that is not there is refused with the
//! nearest ones that are.

use assay_model::source::Database;
use assay_scan::error::{Place, ScanError};
use xxhash_rust::xxh3::xxh3_64;

use super::session::{Row, Session, literal, name};
use super::types::Column;

/// A table that holds rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Relation {
    pub(super) schema: String,
    pub(super) table: String,
    /// Bytes on disk; 0 of a view.
    pub(super) bytes: u64,
    /// Whether its blocks can be asked for one by one.
    pub(super) blocks: bool,
    /// The bounds of each level, from the coarsest, of a part of a partitioned table.
    pub(super) bounds: Vec<Bound>,
}

/// How one level of a declarative partitioning tells rows apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bound {
    /// `PARTITION BY` of the parent, such as `RANGE (day)`.
    pub(super) by: String,
    /// `FOR VALUES …` or `DEFAULT`.
    pub(super) values: String,
}

impl Relation {
    /// Its name for a statement, and in the paths of ranges.
    pub(super) fn quoted(&self) -> String {
        format!("{}.{}", name(&self.schema), name(&self.table))
    }
}

/// A table as the catalog tells it.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) columns: Vec<Column>,
    /// Where its rows are: itself, or the leaves of its partitions.
    pub(super) relations: Vec<Relation>,
    /// Whether it is divided declaratively.
    pub(super) divided: bool,
    /// Whether rows have marks of their versions.
    pub(super) marked: bool,
    /// Changes whenever a column does.
    pub(super) signature: u64,
}

fn cell(row: &Row, at: usize) -> &str {
    row.get(at).and_then(Option::as_deref).unwrap_or_default()
}

impl Shape {
    /// Looks the table of a definition up.
    pub(super) fn look(session: &mut Session, of: &Database) -> Result<Self, ScanError> {
        let found = session.rows(&format!(
            "SELECT c.oid::int8, c.relkind::text, c.relhassubclass FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = {} AND c.relname = {} AND c.relkind IN ('r', 'p', 'v', 'm', 'f')",
            literal(&of.schema),
            literal(&of.table)
        ))?;
        let Some(row) = found.first() else {
            return Err(no_such_table(session, of)?);
        };
        let (oid, kind, inherited) = (cell(row, 0), cell(row, 1), cell(row, 2) == "t");
        let (columns, signature) = columns(session, oid)?;
        // A part that lies on another server has no marks of ours, whatever its parent is.
        let foreign = session.rows(&format!(
            "WITH RECURSIVE below(oid) AS (SELECT {oid}::oid UNION SELECT i.inhrelid \
               FROM pg_inherits i JOIN below ON i.inhparent = below.oid) \
             SELECT count(*) FROM below JOIN pg_class c ON c.oid = below.oid WHERE c.relkind = 'f'"
        ))?;
        let all_here = super::session::number(&foreign, 0) == Some(0);
        let relations = match kind {
            "p" => leaves(session, oid)?,
            _ => vec![Relation {
                schema: of.schema.clone(),
                table: of.table.clone(),
                bytes: size(session, oid)?,
                blocks: matches!(kind, "r" | "m") && !inherited,
                bounds: Vec::new(),
            }],
        };
        Ok(Self {
            columns,
            divided: kind == "p",
            marked: matches!(kind, "r" | "p" | "m") && all_here,
            relations,
            signature,
        })
    }

    /// A column by its name.
    pub(super) fn column(&self, wanted: &str, address: &str) -> Result<&Column, ScanError> {
        crate::table::types::named(&self.columns, wanted, address)
    }
}

fn size(session: &mut Session, oid: &str) -> Result<u64, ScanError> {
    let rows = session.rows(&format!("SELECT pg_relation_size({oid}::oid::regclass)"))?;
    Ok(super::session::number(&rows, 0).unwrap_or(0))
}

fn columns(session: &mut Session, oid: &str) -> Result<(Vec<Column>, u64), ScanError> {
    // A domain is its base type; one of a domain, the base of that.
    let rows = session.rows(&format!(
        "WITH RECURSIVE t AS ( \
           SELECT a.attnum, a.attname, a.attnotnull, \
             format_type(a.atttypid, a.atttypmod) AS called, a.atttypid AS type, \
             a.atttypmod AS modifier \
           FROM pg_attribute a WHERE a.attrelid = {oid}::oid AND a.attnum > 0 AND NOT a.attisdropped \
         UNION ALL \
           SELECT t.attnum, t.attname, t.attnotnull, t.called, y.typbasetype, \
             CASE WHEN y.typtypmod >= 0 THEN y.typtypmod ELSE t.modifier END \
           FROM t JOIN pg_type y ON y.oid = t.type WHERE y.typtype = 'd') \
         SELECT t.attname, y.typname, t.modifier, y.typtype = 'e', t.called, NOT t.attnotnull, \
           t.attnum FROM t JOIN pg_type y ON y.oid = t.type WHERE y.typtype <> 'd' ORDER BY t.attnum"
    ))?;
    let mut told = String::new();
    let column = |row: &Row| {
        Column::new(
            cell(row, 0).to_owned(),
            cell(row, 1),
            cell(row, 2).parse().unwrap_or(-1),
            cell(row, 3) == "t",
            cell(row, 4).to_owned(),
            cell(row, 5) == "t",
        )
    };
    let columns = rows.iter().map(column).collect();
    for row in &rows {
        // A column that is dropped and made again has another number.
        told.push_str(&format!(
            "{:?}\n",
            [cell(row, 0), cell(row, 4), cell(row, 6)]
        ));
    }
    Ok((columns, xxh3_64(told.as_bytes())))
}

/// The tables at the ends of a partitioned table, with the bounds on the way there.
fn leaves(session: &mut Session, oid: &str) -> Result<Vec<Relation>, ScanError> {
    let rows = session.rows(&format!(
        "WITH RECURSIVE t AS ( \
           SELECT c.oid, c.relkind, ARRAY[]::text[] AS bounds FROM pg_class c WHERE c.oid = {oid}::oid \
         UNION ALL \
           SELECT c.oid, c.relkind, t.bounds || pg_get_partkeydef(t.oid) COLLATE \"default\" \
             || pg_get_expr(c.relpartbound, c.oid) COLLATE \"default\" \
           FROM t JOIN pg_inherits i ON i.inhparent = t.oid JOIN pg_class c ON c.oid = i.inhrelid \
           WHERE t.relkind = 'p') \
         SELECT n.nspname, c.relname, pg_relation_size(c.oid), c.relkind = 'r', \
           array_to_json(t.bounds)::text FROM t JOIN pg_class c ON c.oid = t.oid \
         JOIN pg_namespace n ON n.oid = c.relnamespace WHERE t.relkind <> 'p' ORDER BY 1, 2"
    ))?;
    let relation = |row: &Row| {
        let bounds: Vec<String> = serde_json::from_str(cell(row, 4)).unwrap_or_default();
        Relation {
            schema: cell(row, 0).to_owned(),
            table: cell(row, 1).to_owned(),
            bytes: cell(row, 2).parse().unwrap_or(0),
            blocks: cell(row, 3) == "t",
            bounds: bounds
                .chunks_exact(2)
                .map(|pair| Bound {
                    by: pair[0].clone(),
                    values: pair[1].clone(),
                })
                .collect(),
        }
    };
    Ok(rows.iter().map(relation).collect())
}

/// The refusal of a table that is not there, with names that are near.
fn no_such_table(session: &mut Session, of: &Database) -> Result<ScanError, ScanError> {
    let rows = session.rows(
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT LIKE 'pg\\_%' \
         AND n.nspname <> 'information_schema' ORDER BY 1, 2 LIMIT 2000",
    )?;
    let wanted = format!("{}.{}", of.schema, of.table);
    let known: Vec<String> = rows
        .iter()
        .map(|row| format!("{}.{}", cell(row, 0), cell(row, 1)))
        .collect();
    let near = crate::table::range::near(&wanted, &known);
    Ok(ScanError::Definition {
        path: of.address(),
        place: Place::file(),
        what: format!("there is no table or view {wanted}, or the role may not see it"),
        remedy: if near.is_empty() {
            "correct `schema` and the table's name".to_owned()
        } else {
            format!("perhaps {} is meant", near.join(" or "))
        },
    })
}
