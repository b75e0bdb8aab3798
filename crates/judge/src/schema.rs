//! Comparison of schemas.
//!
//! In: the columns of a partition, of the definition and of an earlier partition. Out: what
//! differs, in words. It must never call a schema the same that it could not see.

use std::collections::{BTreeMap, BTreeSet};

/// A column as a partition or a definition has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaColumn {
    /// Its name.
    pub name: String,
    /// Its type as the source names it; `None` when unstated.
    pub data_type: Option<String>,
    /// Whether NULL is possible; `None` when unstated.
    pub nullable: Option<bool>,
    /// Whether some files of the partition lack it.
    pub in_some_files: bool,
}

/// What differs in `actual` from `expected`, in words; empty when nothing does.
///
/// A type or nullability that either side leaves unstated is not compared. The order of columns
/// does not matter.
#[must_use]
pub fn differences(actual: &[SchemaColumn], expected: &[SchemaColumn]) -> Vec<String> {
    let by_name = |columns: &'_ [SchemaColumn]| -> BTreeMap<String, SchemaColumn> {
        columns
            .iter()
            .map(|c| (c.name.clone(), c.clone()))
            .collect()
    };
    let (now, then) = (by_name(actual), by_name(expected));
    let mut found = Vec::new();
    for (name, column) in &then {
        let Some(present) = now.get(name) else {
            found.push(format!("column `{name}` is gone"));
            continue;
        };
        if let (Some(is), Some(was)) = (&present.data_type, &column.data_type)
            && !is.eq_ignore_ascii_case(was)
        {
            found.push(format!("column `{name}` is {is}, not {was}"));
        }
        if let (Some(is), Some(was)) = (present.nullable, column.nullable)
            && is != was
        {
            let may = if is { "may" } else { "may not" };
            found.push(format!("column `{name}` {may} be NULL, unlike before"));
        }
        if present.in_some_files && !column.in_some_files {
            found.push(format!("column `{name}` is not in all files"));
        }
    }
    found.extend(
        now.keys()
            .filter(|name| !then.contains_key(*name))
            .map(|n| format!("column `{n}` is new")),
    );
    found
}

/// Reads the spelling of the schema metric: `name:type` joined by `, `, with `?` for what may be
/// NULL, and ` in some files` for what others lack.
///
/// A nested type (`struct<a:int64?,b:list<…>>`) has colons of its own, and so may a name: what
/// stands in angle brackets belongs to the type, and the last colon outside of them ends the name.
#[must_use]
pub fn read_columns(text: &str) -> Vec<SchemaColumn> {
    let mut columns = Vec::new();
    let mut start = 0;
    let mut depth = 0_usize;
    let mut in_type = false;
    for (at, c) in text.char_indices() {
        match c {
            ':' => in_type = true,
            '<' if in_type => depth += 1,
            '>' if in_type => depth = depth.saturating_sub(1),
            // A piece without a type is the beginning of a name that holds `, `.
            ',' if in_type && depth == 0 && text[at..].starts_with(", ") => {
                columns.push(read_column(&text[start..at]));
                start = at + 2;
                in_type = false;
            }
            _ => {}
        }
    }
    if start < text.len() {
        columns.push(read_column(&text[start..]));
    }
    columns
}

fn read_column(text: &str) -> SchemaColumn {
    let (text, in_some_files) = match text.strip_suffix(" in some files") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let (text, nullable) = match text.strip_suffix('?') {
        Some(text) => (text, true),
        None => (text, false),
    };
    let mut depth = 0_usize;
    let colon = text.char_indices().rev().find(|(_, c)| {
        match c {
            '>' => depth += 1,
            '<' => depth = depth.saturating_sub(1),
            _ => {}
        }
        *c == ':' && depth == 0
    });
    let (name, data_type) = match colon {
        Some((at, _)) => (&text[..at], Some(text[at + 1..].to_owned())),
        None => (text, None),
    };
    SchemaColumn {
        name: name.to_owned(),
        data_type,
        nullable: Some(nullable),
        in_some_files,
    }
}

/// The names of the columns that either side, or some of its files, lacks or whose types differ; a type that either side
/// leaves unstated is not compared.
#[must_use]
pub fn changed_columns(actual: &[SchemaColumn], expected: &[SchemaColumn]) -> BTreeSet<String> {
    let lacks = |column: &&SchemaColumn, in_other: &[SchemaColumn]| {
        in_other
            .iter()
            .find(|other| other.name == column.name)
            .is_none_or(|other| {
                column.in_some_files != other.in_some_files
                    || match (&column.data_type, &other.data_type) {
                        (Some(is), Some(was)) => !is.eq_ignore_ascii_case(was),
                        _ => false,
                    }
            })
    };
    let new = actual.iter().filter(|column| lacks(column, expected));
    let gone = expected.iter().filter(|column| lacks(column, actual));
    new.chain(gone).map(|column| column.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_a_new_and_a_changed_column_are_each_named() {
        let column = |name: &str, data_type: &str| SchemaColumn {
            name: name.to_owned(),
            data_type: Some(data_type.to_owned()),
            nullable: None,
            in_some_files: false,
        };
        let before = [column("a", "Int64"), column("b", "Utf8")];
        let after = [column("c", "Utf8"), column("a", "Float64")];
        assert_eq!(
            differences(&after, &before),
            [
                "column `a` is Float64, not Int64",
                "column `b` is gone",
                "column `c` is new"
            ]
        );
        assert!(differences(&before, &before).is_empty());
        let changed: Vec<_> = changed_columns(&after, &before).into_iter().collect();
        assert_eq!(changed, ["a", "b", "c"]);
        assert!(changed_columns(&before, &before).is_empty());
    }

    #[test]
    fn a_column_that_some_files_lack_is_a_difference_once() {
        let whole = read_columns("id:int64, y:double?");
        let part = read_columns("id:int64, y:double? in some files");
        assert_eq!(
            differences(&part, &whole),
            ["column `y` is not in all files"]
        );
        assert_eq!(part[1].data_type.as_deref(), Some("double"));
        assert!(changed_columns(&part, &whole).contains("y"));
        assert!(differences(&part, &part).is_empty() && differences(&whole, &part).is_empty());
    }

    #[test]
    fn a_nested_column_keeps_its_name_and_its_type() {
        let text = "id:int64, l:list<list:repeated<element:int64?>>?, \
                    s:struct<a:int32,b, c:string?>?, m:map<key_value:repeated<key:string,\
                    value:float64?>>, p:decimal(10,2)?, a:b:date, x, y:bool";
        let read = read_columns(text);
        let names: Vec<&str> = read.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["id", "l", "s", "m", "p", "a:b", "x, y"]);
        let list = "list<list:repeated<element:int64?>>";
        assert_eq!(read[1].data_type.as_deref(), Some(list));
        assert_eq!(read[1].nullable, Some(true));
        assert_eq!(read[3].nullable, Some(false));
        assert_eq!(read[4].data_type.as_deref(), Some("decimal(10,2)"));
        assert!(read_columns("").is_empty());
    }
}
