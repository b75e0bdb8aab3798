//! Tells a layout by looking at the paths.
//!
//! In: the data objects of a location. Out: where their partition keys are found. The order of
//! preference: Hive folders (`dt=2024-01-01`); folders that are dates, or a year, a month and a
//! day; one date in each file name behind the same beginning (`orders_2024-01-01.csv`); one number
//! in each file name between the same texts (`week_12.csv`), unless it only numbers the parts of
//! one table (`part-0.csv`). A folder of other files is the one partition `all`: files are never
//! partitions merely because they are files. A few odd names among many do not change the layout
//! ([`nearly_all`]): they belong to no partition, and are told. Where more are odd, no layout is
//! guessed: the definition has to say. Two digits behind a date are an hour only where several days
//! have it; else they number the parts of a day.

use std::collections::{BTreeMap, BTreeSet};

use assay_model::dataset::KeyKind;
use assay_model::partition::ObjectRef;
use regex::Regex;

use super::pattern::Pattern;
use super::value::{Value, parse_time};

/// Where keys are found in paths.
#[derive(Debug, Clone)]
pub enum Found {
    /// Nowhere: all objects are one partition.
    All,
    /// In folders (or a file's name) of the form `name=value`, with these names.
    Hive(Vec<String>),
    /// In the `{name}` parts of a pattern.
    Template(Pattern),
    /// In the folders from this depth on, one part each, with these names.
    Folders(usize, Vec<String>),
    /// In what the expression captures of the file's name.
    Name(String, Regex),
}

impl Found {
    /// The names of the key's parts.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::All => Vec::new(),
            Self::Hive(names) | Self::Folders(_, names) => names.clone(),
            Self::Template(pattern) => pattern.names.clone(),
            Self::Name(name, _) => vec![name.clone()],
        }
    }

    /// The raw values in `path`; `None` when it belongs to no partition.
    #[must_use]
    pub fn raw(&self, path: &str) -> Option<Vec<String>> {
        match self {
            Self::All => Some(Vec::new()),
            Self::Hive(names) => {
                let parts = hive_parts(path);
                let value = |name: &String| {
                    parts
                        .iter()
                        .find(|(n, _)| n == name)
                        .map(|(_, value)| value.clone())
                };
                names.iter().map(value).collect()
            }
            Self::Template(pattern) => pattern.captures(path),
            Self::Folders(depth, names) => {
                let parts: Vec<&str> = path.split('/').collect();
                let folders = &parts[..parts.len() - 1];
                let wanted = folders.get(*depth..depth + names.len())?;
                Some(wanted.iter().map(|part| (*part).to_owned()).collect())
            }
            Self::Name(_, regex) => {
                let found = regex.captures(file_name(path))?;
                Some(vec![found.get(1)?.as_str().to_owned()])
            }
        }
    }

    /// Why a path that gives no values belongs to no partition.
    #[must_use]
    pub fn why_not(&self) -> String {
        match self {
            Self::All => "it belongs to no partition".to_owned(),
            Self::Hive(names) => format!("its folders do not name {}", names.join(", ")),
            Self::Template(_) => "the template does not match it".to_owned(),
            Self::Folders(..) => "its folders have no date where the others have".to_owned(),
            Self::Name(..) => "its name has no key where the others have".to_owned(),
        }
    }
}

/// Whether `odd` names (all that are not among `good`) are few enough to be mistakes in a layout
/// that the others have: none, one of four or more, or one in ten.
#[must_use]
pub const fn nearly_all(good: usize, all: usize) -> bool {
    let odd = all.saturating_sub(good);
    odd == 0 || (odd == 1 && all >= 4) || odd * 10 <= all
}

/// Looks for the layout of `data`.
///
/// # Errors
/// What is ambiguous: most names are dates, and too many are not.
pub fn look(data: &[&ObjectRef], declared: &[String]) -> Result<Found, String> {
    let paths: Vec<&str> = data.iter().map(|object| object.path.as_str()).collect();
    if paths.iter().any(|path| !hive_parts(path).is_empty()) {
        return Ok(Found::Hive(hive_names(data, declared)));
    }
    match dated_folders(&paths) {
        Some(found) => Ok(found),
        None => Ok(dated_names(&paths)?.unwrap_or(Found::All)),
    }
}

/// The names of Hive folders: the declared ones, else those that most files have.
#[must_use]
pub fn hive_names(data: &[&ObjectRef], declared: &[String]) -> Vec<String> {
    if !declared.is_empty() {
        return declared.to_vec();
    }
    let mut seen: BTreeMap<Vec<String>, usize> = BTreeMap::new();
    for object in data {
        let names: Vec<String> = hive_parts(&object.path)
            .into_iter()
            .map(|(n, _)| n)
            .collect();
        if !names.is_empty() {
            *seen.entry(names).or_default() += 1;
        }
    }
    seen.into_iter()
        .max_by_key(|(_, count)| *count)
        .map(|(names, _)| names)
        .unwrap_or_default()
}

/// The `name=value` parts of a path. The file's own name is one when it is nothing else
/// (`date=2013-01-01.csv`).
fn hive_parts(path: &str) -> Vec<(String, String)> {
    let (folders, file) = path.rsplit_once('/').unwrap_or(("", path));
    let part = |text: &str| {
        let (name, value) = text.split_once('=')?;
        let plain = !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        plain.then(|| (decode(name), decode(value)))
    };
    let stem = file.split_once('.').map_or(file, |(stem, _)| stem);
    folders
        .split('/')
        .filter_map(part)
        .chain(part(stem))
        .collect()
}

/// Undoes the `%3A` of Hive's folder names; what is no such escape stands for itself.
fn decode(text: &str) -> String {
    let (bytes, mut out, mut i) = (text.as_bytes(), Vec::with_capacity(text.len()), 0);
    while i < bytes.len() {
        let digit = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
        match (bytes[i], digit(i + 1), digit(i + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                i += 3;
            }
            (byte, ..) => {
                out.push(byte);
                i += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Folders that are dates, or a year, a month and a day, at the same depth of nearly every path.
fn dated_folders(paths: &[&str]) -> Option<Found> {
    let split: Vec<Vec<&str>> = paths
        .iter()
        .map(|path| {
            path.rsplit_once('/')
                .map_or(Vec::new(), |(folders, _)| folders.split('/').collect())
        })
        .collect();
    let depth = split.iter().map(Vec::len).max()?;
    // One odd folder of many files is one mistake, and so is one file beside a few full folders.
    let most = |level: usize, fits: &dyn Fn(&str) -> bool| {
        let good = |head: &&[&str]| head.get(level).is_some_and(|part| fits(part));
        let heads = || split.iter().map(|p| &p[..p.len().min(level + 1)]);
        let folders: BTreeSet<&[&str]> = heads().collect();
        nearly_all(folders.iter().copied().filter(good).count(), folders.len())
            || nearly_all(heads().filter(good).count(), split.len())
    };
    let kind = |level: usize, kind: KeyKind| most(level, &|part| Value::parse(kind, part).is_ok());
    for level in 0..depth {
        if most(level, &|part| part.len() >= 7 && parse_time(part).is_some()) {
            return Some(Found::Folders(level, vec!["date".to_owned()]));
        }
        if kind(level, KeyKind::Year) {
            let rest = [
                (KeyKind::Month, "month"),
                (KeyKind::Day, "day"),
                (KeyKind::Hour, "hour"),
            ];
            let mut names = vec!["year".to_owned()];
            for (i, (part, name)) in rest.iter().enumerate() {
                if level + i + 1 >= depth || !kind(level + i + 1, *part) {
                    break;
                }
                names.push((*name).to_owned());
            }
            return Some(Found::Folders(level, names));
        }
    }
    None
}

/// A form of dates in file names.
struct Form {
    pattern: &'static str,
    /// Characters of the day, where the hour behind it may be the number of a part as well.
    day: Option<usize>,
}

/// The forms, the longest first.
const FORMS: [Form; 7] = [
    of_days(r"\d{4}-\d{2}-\d{2}T\d{2}"),
    Form {
        pattern: r"\d{4}-\d{2}-\d{2}[_ -]\d{2}",
        day: Some(10),
    },
    of_days(r"\d{4}(?:-\d{2}-\d{2}|_\d{2}_\d{2})"),
    Form {
        pattern: r"\d{10}",
        day: Some(8),
    },
    of_days(r"\d{8}"),
    of_days(r"\d{4}-W\d{2}"),
    of_days(r"\d{4}[-_]\d{2}"),
];

const fn of_days(pattern: &'static str) -> Form {
    Form { pattern, day: None }
}

/// Files that a message names.
const NAMED: usize = 3;

/// A date or a number found in nearly every file name, in the same form behind the same beginning.
fn dated_names(paths: &[&str]) -> Result<Option<Found>, String> {
    let mut ambiguous = None;
    for form in &FORMS {
        let Some(dated) = Dated::of(form, paths) else {
            continue;
        };
        if nearly_all(dated.files.len(), paths.len()) {
            return Ok(dated.found(form));
        }
        if dated.files.len() * 2 > paths.len() {
            ambiguous = ambiguous.or(Some(dated));
        }
    }
    let Some(dated) = ambiguous else {
        return Ok(numbered_names(paths));
    };
    let others = paths.iter().filter(|path| !dated.files.contains(*path));
    let named: Vec<&str> = others.take(NAMED).copied().collect();
    Err(format!(
        "{} of {} file names are dates behind {:?}, and too many are not: {}",
        dated.files.len(),
        paths.len(),
        dated.head,
        named.join(", ")
    ))
}

/// The files whose names have a date of one form behind the beginning that most of them share.
struct Dated<'a> {
    head: String,
    files: BTreeSet<&'a str>,
}

impl<'a> Dated<'a> {
    fn of(form: &Form, paths: &[&'a str]) -> Option<Self> {
        let free = Regex::new(&format!(r"^(.*?)\b?({})(?:\D|$)", form.pattern)).ok()?;
        let mut seen: BTreeMap<String, BTreeSet<&'a str>> = BTreeMap::new();
        let mut days: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for path in paths {
            let Some(found) = free.captures(file_name(path)) else {
                continue;
            };
            let text = |group| found.get(group).map_or("", |part| part.as_str());
            let (head, date) = (text(1), text(2));
            if head.ends_with(|c: char| c.is_ascii_digit()) || parse_time(date).is_none() {
                continue;
            }
            if let Some((day, hour)) = form.day.and_then(|day| date.split_at_checked(day)) {
                let days = days.entry(hour.to_owned()).or_default();
                days.insert(day.to_owned());
            }
            seen.entry(head.to_owned()).or_default().insert(path);
        }
        if form.day.is_some() && days.values().all(|days| days.len() < 2) {
            return None;
        }
        let (head, files) = seen.into_iter().max_by_key(|(_, files)| files.len())?;
        Some(Self { head, files })
    }

    fn found(&self, form: &Form) -> Option<Found> {
        let head = regex::escape(&self.head);
        let fixed = format!(r"^{head}({})(?:\D|$)", form.pattern);
        Some(Found::Name("date".to_owned(), Regex::new(&fixed).ok()?))
    }
}

/// One number in every file name, between the same texts, that does not only number parts.
fn numbered_names(paths: &[&str]) -> Option<Found> {
    let free = Regex::new(r"^(\D*)(\d{1,18})(\D*)$").ok()?;
    let parts = Regex::new(
        r"(?i)(^|[^a-z])(part|chunk|file|data|block|segment|shard|split|batch|output|export|page)s?[-_. ]*$",
    )
    .ok()?;
    let mut around: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for found in paths
        .iter()
        .filter_map(|path| free.captures(file_name(path)))
    {
        let text = |i| found.get(i).map_or("", |part| part.as_str());
        *around.entry((text(1), text(3))).or_default() += 1;
    }
    let ((head, tail), count) = around.into_iter().max_by_key(|(_, count)| *count)?;
    // Numbers are a weaker sign than dates: other tables lie in such folders, too.
    if (paths.len() - count) * 10 > paths.len() {
        return None;
    }
    if paths.len() < 2 || head.is_empty() || parts.is_match(head) {
        return None;
    }
    let name = head.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    let name = name
        .rsplit(|c: char| !c.is_ascii_alphanumeric())
        .next()
        .unwrap_or("number");
    let fixed = format!(r"^{}(\d+){}$", regex::escape(head), regex::escape(tail));
    let name = if name.is_empty() { "number" } else { name };
    Some(Found::Name(
        name.to_ascii_lowercase(),
        Regex::new(&fixed).ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(names: &[String]) -> Result<Vec<Option<Vec<String>>>, String> {
        let objects: Vec<ObjectRef> = names
            .iter()
            .map(|name| ObjectRef {
                path: name.clone(),
                size: 1,
                modified: jiff::Timestamp::UNIX_EPOCH,
                etag: None,
            })
            .collect();
        let found = look(&objects.iter().collect::<Vec<_>>(), &[])?;
        Ok(names.iter().map(|name| found.raw(name)).collect())
    }

    #[test]
    fn no_layout_is_guessed_that_passes_over_a_large_part_of_the_files() {
        let mut names: Vec<String> = (1..=6)
            .map(|day| format!("orders_2024-01-0{day}.csv"))
            .collect();
        names.push("notes.csv".to_owned());
        let found = told(&names).unwrap();
        assert_eq!(found[0], Some(vec!["2024-01-01".to_owned()]));
        assert_eq!(found[6], None);
        names.extend((1..=3).map(|day| format!("returns_2024-01-0{day}.csv")));
        let why = told(&names).unwrap_err();
        assert!(
            why.contains("6 of 10") && why.contains("notes.csv, returns_2024-01-01.csv"),
            "{why}"
        );
    }

    #[test]
    fn numbers_of_parts_are_hours_only_where_several_days_have_them() {
        let names = |days: u8| -> Vec<String> {
            let parts = |day| (0..4).map(move |part| format!("orders_2024-01-0{day}_0{part}.csv"));
            (1..=days).flat_map(parts).collect()
        };
        let day = told(&names(1)).unwrap();
        assert!(
            day.iter()
                .all(|key| *key == Some(vec!["2024-01-01".to_owned()])),
            "{day:?}"
        );
        let hours = told(&names(2)).unwrap();
        assert_eq!(hours[5], Some(vec!["2024-01-02_01".to_owned()]));
    }
}
