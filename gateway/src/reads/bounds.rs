//! The ends of a range of partitions, as somebody writes them.
//!
//! In: the keys of the partitions that there are, and `from` and `to` of a query. Out: nothing, or
//! the problem with one of them. Keys are compared as text, which is their order only between keys
//! that are written alike: `2026-11-1` would lie behind `2026-11-09`, and leave it out without a word.

use assay_answers::Problem;
use jiff::civil::Date;

use crate::problem::BAD_PARAMETER;

/// Refuses an end that is not written as the days, months or hours that the partitions are of.
///
/// # Errors
/// [`BAD_PARAMETER`] with a key that there is.
pub(super) fn checked<'k>(
    keys: &(impl Iterator<Item = &'k str> + Clone),
    from: Option<&str>,
    to: Option<&str>,
) -> Result<(), Problem> {
    for (name, end) in [("from", from), ("to", to)] {
        let Some(end) = end else { continue };
        let mut dated = keys.clone().filter(|key| begins(key).is_some()).peekable();
        let Some(example) = dated.peek().copied() else {
            continue;
        };
        let alike = begins(end).is_some() && dated.any(|key| form(key).eq(form(end)));
        if !alike && keys.clone().all(|key| key != end) {
            return Err(BAD_PARAMETER.because(format!(
                "`{name}`: no partition can be called `{end}`; write it like `{example}`"
            )));
        }
    }
    Ok(())
}

/// The day, or the first of the month, that a key begins with.
fn begins(key: &str) -> Option<Date> {
    match key.len() {
        7 => format!("{key}-01").parse().ok(),
        _ => key.get(..10)?.parse().ok(),
    }
}

/// A key with every digit alike.
fn form(key: &str) -> impl Iterator<Item = char> {
    key.chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn are_good(keys: &[&str], ends: &[&str]) -> Vec<bool> {
        let one = |end: &&str| checked(&keys.iter().copied(), Some(*end), None).is_ok();
        let other = |end: &&str| checked(&keys.iter().copied(), None, Some(*end)).is_ok();
        assert!(ends.iter().all(|end| one(end) == other(end)));
        ends.iter().map(one).collect()
    }

    #[test]
    fn an_end_is_written_as_the_partitions_are() {
        let days = ["__null__", "2026-11-20", "2026-11-21"];
        let good = ["2026-11-01", "2031-02-28", "__null__"];
        assert_eq!(are_good(&days, &good), [true; 3]);
        let bad = [
            "2026-11-1",
            "2026-11-15T00:00:00Z",
            "2026-11-99",
            "2026-02-31",
            "hello",
            "",
        ];
        assert_eq!(are_good(&days, &bad), [false; 6]);
        let months = ["2026-10", "2026-11"];
        let ends = ["2026-09", "2026-13", "2026-09-01"];
        assert_eq!(are_good(&months, &ends), [true, false, false]);
        let hours = ["2026-11-20T09", "2026-11-20T10"];
        assert_eq!(
            are_good(&hours, &["2026-11-20T11", "2026-11-20"]),
            [true, false]
        );
    }

    #[test]
    fn other_keys_are_compared_as_they_are() {
        assert_eq!(are_good(&["eu", "us"], &["de", "2026"]), [true; 2]);
        assert_eq!(are_good(&["1", "12"], &["5", "100"]), [true; 2]);
        assert_eq!(are_good(&[], &["hello"]), [true]);
    }
}
