//! `schema`: the tables, their columns and rules.
//!
//! In: the list of tables. Out: a [`Table`] each, with declared and implied checks. A column is
//! known by its `physicalName` in the data, by its `name` in ids.

use assay_model::check::{Bound, Check, CheckOrigin, Expectation, Severity};
use assay_model::dataset::{Column, LogicalType};
use assay_model::ids::CheckId;
use assay_model::metric::{Metric, MetricKey};

use crate::context::Context;
use crate::decode::{At, DEFINITIONS, Keys, Map, Shape};
use crate::diagnostic::Code;
use crate::options::{self, Owner};
use crate::quality::{self, Collected, Placed};
use crate::rules::Place;
use crate::tree::Span;

/// A table of the document.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its name in the data.
    pub physical: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Each column's name in the document and in the data.
    pub names: Vec<(String, String)>,
    /// Its rules and schedules.
    pub collected: Collected,
}

const T: Shape = Shape::Text;
const B: Shape = Shape::Boolean;

const TABLE_KEYS: Keys = &[
    ("id", T),
    ("!name", T),
    ("physicalName", T),
    ("physicalType", T),
    ("logicalType", T),
    ("description", T),
    ("businessName", T),
    ("authoritativeDefinitions", DEFINITIONS),
    ("tags", Shape::Texts),
    ("customProperties", Shape::Custom),
    ("dataGranularityDescription", T),
    ("properties", Shape::Items),
    ("relationships", Shape::List(RELATIONSHIP_KEYS)),
    ("quality", Shape::Items),
];

const RELATIONSHIP_KEYS: Keys = &[
    ("type", T),
    ("from", Shape::Any),
    ("!to", Shape::Any),
    ("customProperties", Shape::Custom),
];

const COLUMN_KEYS: Keys = &[
    ("id", T),
    ("name", T),
    ("physicalName", T),
    ("physicalType", T),
    ("logicalType", T),
    ("logicalTypeOptions", Shape::Mapping),
    ("description", T),
    ("businessName", T),
    ("authoritativeDefinitions", DEFINITIONS),
    ("tags", Shape::Texts),
    ("customProperties", Shape::Custom),
    ("primaryKey", B),
    ("primaryKeyPosition", Shape::Integer),
    ("required", B),
    ("unique", B),
    ("partitioned", B),
    ("partitionKeyPosition", Shape::Integer),
    ("classification", T),
    ("encryptedName", T),
    ("transformSourceObjects", Shape::Texts),
    ("transformLogic", T),
    ("transformDescription", T),
    ("examples", Shape::Items),
    ("criticalDataElement", B),
    ("relationships", Shape::List(RELATIONSHIP_KEYS)),
    ("quality", Shape::Items),
    ("properties", Shape::Items),
    ("items", Shape::Any),
];

/// Decodes `schema`.
pub fn decode(cx: &mut Context<'_>, at: &At<'_>) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    for item in at.items(cx) {
        let Some(table) = table(cx, &item) else {
            continue;
        };
        if tables.iter().any(|t| t.name == table.name) {
            item.report(
                cx,
                Code::DuplicateId,
                format!("two tables are named `{}`", table.name),
            )
            .hint("give each its own name");
        }
        tables.push(table);
    }
    tables
}

fn table(cx: &mut Context<'_>, at: &At<'_>) -> Option<Table> {
    let map = at.map(cx, TABLE_KEYS)?;
    if let Some(kind) = map.get("logicalType") {
        kind.word(cx, &["object"]);
    }
    let name = map
        .get("name")
        .and_then(|at| at.name(cx))
        .unwrap_or_default();
    let physical = map.text("physicalName").unwrap_or_else(|| name.clone());
    let mut table = Table {
        name,
        physical,
        columns: Vec::new(),
        names: Vec::new(),
        collected: Collected::default(),
    };
    let mut keys: Vec<(u32, String, Span, String)> = Vec::new();
    if let Some(list) = map.get("properties") {
        for item in list.items(cx) {
            column(cx, &item, &mut table, &mut keys);
        }
    }
    keys.sort();
    compound_key(cx, &keys, &mut table);
    if let Some(list) = map.get("quality") {
        let names = table.names.clone();
        quality::decode(
            cx,
            &list,
            Place::Table(&names),
            "",
            false,
            &mut table.collected,
        );
    }
    Some(table)
}

fn column(
    cx: &mut Context<'_>,
    at: &At<'_>,
    table: &mut Table,
    keys: &mut Vec<(u32, String, Span, String)>,
) -> Option<()> {
    let map = at.map(cx, COLUMN_KEYS)?;
    if map.get("name").is_none() {
        map.missing(cx, "name");
    }
    let logical_type = logical_type(cx, &map);
    let name = map.get("name")?.name(cx)?;
    let physical = map.text("physicalName").unwrap_or_else(|| name.clone());
    if table
        .names
        .iter()
        .any(|(n, p)| *n == name || *p == physical)
    {
        map.get("name")?
            .report(
                cx,
                Code::DuplicateId,
                format!("the column `{name}` is declared twice"),
            )
            .hint("keep one of them");
        return None;
    }
    let is_key = map.truth("primaryKey") == Some(true);
    let place = map
        .get("primaryKeyPosition")
        .and_then(|at| at.scalar().and_then(|t| t.parse::<u32>().ok()))
        .filter(|place| *place > 0);
    let count = u32::try_from(keys.len()).unwrap_or(u32::MAX);
    let place = place.unwrap_or_else(|| count.saturating_add(1));
    let column = Column {
        name: physical.clone(),
        logical_type,
        physical_type: map.text("physicalType"),
        required: map.truth("required") == Some(true),
        unique: map.truth("unique") == Some(true),
        primary_key: is_key.then_some(place),
        masked: false,
    };
    let span = map.key_at("name").map_or(map.at.span, |at| at.span);
    if is_key {
        keys.push((place, physical.clone(), span, map.at.path.clone()));
    }
    implied_by(cx, &map, &column, &name, table);
    if let Some(at) = map.get("logicalTypeOptions") {
        let owner = Owner {
            name: &name,
            physical: Some(&physical),
            kind: logical_type,
        };
        options::decode(cx, &at, owner, &mut table.collected);
    }
    if let Some(list) = map.get("quality") {
        let place = Place::Column(&physical);
        quality::decode(cx, &list, place, &name, false, &mut table.collected);
    }
    nested(cx, &map, &name, table);
    table.names.push((name, physical));
    table.columns.push(column);
    Some(())
}

/// The checks that a column's `required`, `unique` and `primaryKey` imply.
fn implied_by(cx: &mut Context<'_>, map: &Map<'_>, column: &Column, name: &str, table: &mut Table) {
    let (physical, is_key) = (&column.name, column.primary_key.is_some());
    let required = map.key_at("required").filter(|_| column.required);
    if let Some(at) = required.or_else(|| map.key_at("primaryKey").filter(|_| is_key)) {
        let id = format!("{name}.required");
        let key = MetricKey::column(Metric::NullCount, physical);
        table
            .collected
            .checks
            .push(implied(cx, id, key, "completeness", at.span, &at.path));
    }
    if let Some(at) = map.key_at("unique").filter(|_| column.unique) {
        let id = format!("{name}.unique");
        let key = MetricKey::column(Metric::DuplicateCount, physical);
        table
            .collected
            .checks
            .push(implied(cx, id, key, "uniqueness", at.span, &at.path));
    }
}

/// The type of a column.
fn logical_type(cx: &mut Context<'_>, map: &Map<'_>) -> Option<LogicalType> {
    let words: Vec<&'static str> = LogicalType::ALL.iter().map(|t| t.as_str()).collect();
    let kind = map.get("logicalType").and_then(|at| at.word(cx, &words));
    kind.and_then(|word| word.parse().ok())
}

/// Columns inside objects and arrays: checked, and their rules kept as skipped.
fn nested(cx: &mut Context<'_>, map: &Map<'_>, name: &str, table: &mut Table) {
    let mut inside: Vec<At<'_>> = Vec::new();
    if let Some(list) = map.get("properties") {
        inside.extend(list.items(cx));
    }
    inside.extend(map.get("items"));
    for item in inside {
        let Some(inner) = item.map(cx, COLUMN_KEYS) else {
            continue;
        };
        let kind = logical_type(cx, &inner);
        let path = match inner.text("name") {
            Some(own) => format!("{name}.{own}"),
            None => format!("{name}.items"),
        };
        if let Some(at) = inner.get("logicalTypeOptions") {
            let owner = Owner {
                name: &path,
                physical: None,
                kind,
            };
            options::decode(cx, &at, owner, &mut table.collected);
        }
        if let Some(list) = inner.get("quality") {
            let place = Place::Column(&path);
            quality::decode(cx, &list, place, &path, true, &mut table.collected);
        }
        nested(cx, &inner, &path, table);
    }
}

/// A primary key forbids duplicates: of its column, or of its columns together.
fn compound_key(cx: &mut Context<'_>, keys: &[(u32, String, Span, String)], table: &mut Table) {
    let Some((_, first, span, path)) = keys.first() else {
        return;
    };
    let columns: Vec<&str> = keys.iter().map(|(_, name, ..)| name.as_str()).collect();
    let single = columns.len() == 1;
    if single && table.columns.iter().any(|c| c.name == *first && c.unique) {
        return;
    }
    if !single && columns.iter().any(|c| c.contains(',')) {
        cx.report(
            Code::InvalidValue,
            *span,
            path,
            "a column with a comma in a compound key",
        )
        .hint("rename the column in the data");
        return;
    }
    let id = if single {
        let logical = table.names.iter().find(|(_, p)| p == first);
        format!(
            "{}.unique",
            logical.map_or(first.as_str(), |(l, _)| l.as_str())
        )
    } else {
        "primaryKey".to_owned()
    };
    let key = MetricKey::column(Metric::DuplicateCount, columns.join(","));
    table
        .collected
        .checks
        .push(implied(cx, id, key, "uniqueness", *span, path));
}

fn implied(
    cx: &mut Context<'_>,
    id: String,
    metric: MetricKey,
    dimension: &str,
    span: Span,
    path: &str,
) -> Placed {
    Placed {
        check: Check {
            id: CheckId::new(id),
            metric,
            expect: Expectation::MustBe(Bound::from(0)),
            severity: Severity::Error,
            origin: CheckOrigin::Implied,
            dimension: Some(dimension.to_owned()),
            description: None,
            line: Some(cx.line(span.start)),
            tags: Vec::new(),
        },
        span,
        path: path.to_owned(),
        derived: true,
    }
}
