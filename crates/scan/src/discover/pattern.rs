//! Patterns of paths: `*`, `**`, `?` and the `{name}` parts of a template.
//!
//! In: a pattern as the dataset's document writes it, relative to the root of its location. Out:
//! whether a path matches, and the raw text of each `{name}` part. Everything else in a pattern
//! stands for itself.

use assay_model::dataset::{KeyKind, KeySpec};
use regex::Regex;

use crate::error::{Place, ScanError};

/// A pattern ready to be matched.
#[derive(Debug, Clone)]
pub struct Pattern {
    regex: Regex,
    /// The names of its parts, in the order of their first place.
    pub names: Vec<String>,
}

impl Pattern {
    /// Compiles `text`. A part declared (or named) as a year, month, day or hour takes as many
    /// characters as such a value has, any other part as few as the rest of the path leaves it.
    ///
    /// # Errors
    /// [`ScanError::Definition`] for a `{` without `}`, an empty or repeated name.
    pub fn new(text: &str, keys: &[KeySpec]) -> Result<Self, ScanError> {
        let refuse = |what: String| ScanError::Definition {
            path: text.to_owned(),
            place: Place::file(),
            what,
            remedy: "write the pattern like trips_{year}-{month}.csv, with *, ** and {name} parts"
                .to_owned(),
        };
        let (mut regex, mut names) = (String::from("^"), Vec::<String>::new());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix("**/") {
                regex.push_str("(?:.*/)?");
                rest = after;
            } else if let Some(after) = rest.strip_prefix("**") {
                regex.push_str(".*");
                rest = after;
            } else if first == '{' {
                let Some((name, after)) = rest[1..].split_once('}') else {
                    return Err(refuse("a `{` has no `}`".to_owned()));
                };
                if name.is_empty() || names.iter().any(|n| n == name) {
                    return Err(refuse(format!(
                        "the part {{{name}}} is empty or comes twice"
                    )));
                }
                regex.push_str(width(name, keys));
                names.push(name.to_owned());
                rest = after;
            } else {
                match first {
                    '*' => regex.push_str("[^/]*"),
                    '?' => regex.push_str("[^/]"),
                    plain => regex.push_str(&regex::escape(plain.encode_utf8(&mut [0; 4]))),
                }
                rest = &rest[first.len_utf8()..];
            }
        }
        regex.push('$');
        let regex = Regex::new(&regex).map_err(|error| refuse(error.to_string()))?;
        Ok(Self { regex, names })
    }

    /// The raw texts of the parts, when `path` matches.
    #[must_use]
    pub fn captures(&self, path: &str) -> Option<Vec<String>> {
        let found = self.regex.captures(path)?;
        let part = |i: usize| found.get(i).map_or("", |m| m.as_str()).to_owned();
        Some((1..=self.names.len()).map(part).collect())
    }
}

fn width(name: &str, keys: &[KeySpec]) -> &'static str {
    let declared = keys.iter().find(|key| key.name == name).map(|key| key.kind);
    match declared.or_else(|| kind_by_name(name)) {
        Some(KeyKind::Year) => "([^/]{4})",
        // A part named `month` without a declaration may hold 2019-01.
        Some(KeyKind::Month | KeyKind::Day | KeyKind::Hour) if declared.is_some() => "([^/]{1,2})",
        _ => "([^/]+?)",
    }
}

/// The kind that a part's name alone suggests.
#[must_use]
pub fn kind_by_name(name: &str) -> Option<KeyKind> {
    match name.to_ascii_lowercase().as_str() {
        "year" | "yyyy" => Some(KeyKind::Year),
        "month" | "mm" => Some(KeyKind::Month),
        "day" | "dd" => Some(KeyKind::Day),
        "hour" | "hh" => Some(KeyKind::Hour),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stay_within_a_folder_and_double_stars_cross_folders() {
        let pattern = Pattern::new("**/*.csv", &[]).unwrap();
        assert!(pattern.captures("a.csv").is_some());
        assert!(pattern.captures("x/y/a.csv").is_some());
        assert!(pattern.captures("x/y/a.csv.gz").is_none());
        assert!(
            Pattern::new("*.csv", &[])
                .unwrap()
                .captures("x/a.csv")
                .is_none()
        );
    }

    #[test]
    fn parts_are_captured_and_the_rest_stands_for_itself() {
        let pattern = Pattern::new("t.(1)_{year}-{month}.csv", &[]).unwrap();
        assert_eq!(
            pattern.captures("t.(1)_2019-01.csv").unwrap(),
            ["2019", "01"]
        );
        assert!(pattern.captures("tx(1)_2019-01.csv").is_none());
        assert!(Pattern::new("{a}{a}", &[]).is_err());
        assert!(Pattern::new("{a", &[]).is_err());
    }
}
