//! Ranges of rows: what takes the place of files.
//!
//! In: a table, blocks of it, and the value of the partition's key. Out: the path that names them in
//! the plan of a run, and back. A path is read strictly; it is data, and never a part of a
//! statement.

/// The rows of one table with one value of the key, in some blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Range {
    /// The table: its schema or database and its name, each as [`quoted`] writes it.
    pub(crate) table: String,
    /// The blocks (or the numbers of the rows' keys, where the database tells no blocks), from the
    /// first up to but without the last; `None` of all.
    pub(crate) blocks: Option<(u64, Option<u64>)>,
    /// Which rows there.
    pub(crate) key: KeyIs,
}

/// What a row's key is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum KeyIs {
    /// Anything: no column tells the partitions apart.
    Any,
    /// NULL.
    Null,
    /// This, as text.
    Text(String),
}

impl Range {
    /// The path: `"schema"."table"`, then `#first-last` for blocks, then `?` for a NULL key or `=`
    /// and the key.
    pub(crate) fn path(&self) -> String {
        let blocks = match self.blocks {
            None => String::new(),
            Some((first, None)) => format!("#{first}-"),
            Some((first, Some(last))) => format!("#{first}-{last}"),
        };
        let key = match &self.key {
            KeyIs::Any => String::new(),
            KeyIs::Null => "?".to_owned(),
            KeyIs::Text(text) => format!("={text}"),
        };
        format!("{}{blocks}{key}", self.table)
    }

    /// Reads a path.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let schema = quoted_end(path)?;
        let rest = path[schema..].strip_prefix('.')?;
        let table = path.len() - rest.len() + quoted_end(rest)?;
        let (table, mut rest) = path.split_at(table);
        let mut blocks = None;
        if let Some(after) = rest.strip_prefix('#') {
            let end = after.find(['?', '=']).unwrap_or(after.len());
            let (first, last) = after[..end].split_once('-')?;
            let number = |text: &str| {
                let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                digits.then(|| text.parse::<u64>().ok())?
            };
            let last = if last.is_empty() {
                None
            } else {
                Some(number(last)?)
            };
            blocks = Some((number(first)?, last));
            rest = &after[end..];
        }
        let key = match rest.split_at_checked(1) {
            None => KeyIs::Any,
            Some(("?", "")) => KeyIs::Null,
            Some(("=", text)) => KeyIs::Text(text.to_owned()),
            Some(_) => return None,
        };
        Some(Self {
            table: table.to_owned(),
            blocks,
            key,
        })
    }
}

/// The names that are most like the wanted one, the nearest first.
pub(crate) fn near(wanted: &str, known: &[String]) -> Vec<String> {
    let likeness = |name: &String| (strsim::jaro_winkler(wanted, name), name.clone());
    let mut near: Vec<(f64, String)> = known.iter().map(likeness).collect();
    near.retain(|(likeness, _)| *likeness > 0.8);
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    near.into_iter().take(3).map(|(_, name)| name).collect()
}

/// A name in quotes.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Where the quoted name that `text` begins with ends.
fn quoted_end(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('"')?;
    let mut at = 0;
    loop {
        at += inner.get(at..)?.find('"')?;
        if inner[at + 1..].starts_with('"') {
            at += 2;
        } else {
            return Some(at + 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_path_reads_back(
            schema in "[a-z\".#=? ]{1,6}", table in "\\PC{1,6}", first in 0u64..9, last in 0u64..9,
            kind in 0..3, text in "\\PC{0,6}",
        ) {
            let table = format!("{}.{}", quoted(&schema), quoted(&table));
            let key = match kind { 0 => KeyIs::Any, 1 => KeyIs::Null, _ => KeyIs::Text(text) };
            for blocks in [None, Some((first, None)), Some((first, Some(last)))] {
                let range = Range { table: table.clone(), blocks, key: key.clone() };
                prop_assert_eq!(Range::parse(&range.path()), Some(range));
            }
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,20}") {
            let _ = Range::parse(&text);
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in [
            "",
            "t",
            "\"a\"",
            "\"a\".\"b",
            "\"a\".\"b\"x",
            "\"a\".\"b\"#1",
            "\"a\".\"b\"#x-",
            "\"a\".\"b\"? ",
        ] {
            assert_eq!(Range::parse(text), None, "{text}");
        }
    }
}
