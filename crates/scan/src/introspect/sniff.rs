//! What the first lines of delimited text tell of how it is written.
//!
//! In: the first bytes of some files. Out: the delimiter, whether there is a header, and the words
//! that stand for NULL. It must never take a word for NULL that no column of numbers or times has
//! beside them: `NA` is a country in one data set and no answer in another.

use std::collections::{BTreeMap, BTreeSet};

use assay_metrics::Number;
use assay_model::dataset::Format;
use jiff::tz::TimeZone;

use crate::text::values;

/// What programs write for a value that there is not. `NaN` is a number.
const WORDS: [&str; 12] = [
    "NA", "N/A", "n/a", "NULL", "null", "None", "none", "\\N", "#N/A", "-", "?", ".",
];
/// So many numbers or times make a column one of them.
const ENOUGH: usize = 3;

/// The delimiter that most often comes equally often in the first lines, and whether there is a
/// header: a first line with a number in it is none.
pub(super) fn marks(head: &[u8], format: &mut Format) {
    let text = String::from_utf8_lossy(head);
    let lines: Vec<&str> = text
        .lines()
        .take(20)
        .filter(|line| !line.is_empty())
        .collect();
    let Some(first) = lines.first() else { return };
    let score = |delimiter: &char| {
        let wanted = first.matches(*delimiter).count();
        let equal = lines
            .iter()
            .filter(|l| l.matches(*delimiter).count() == wanted)
            .count();
        if wanted == 0 { (0, 0) } else { (equal, wanted) }
    };
    let best = [',', '\t', ';', '|'].into_iter().max_by_key(score);
    if let Some(best) = best.filter(|best| score(best).0 > 0) {
        format.delimiter = best;
    }
    let is_number = |field: &str| !matches!(number(field.trim_matches('"')), Number::None);
    format.header = !first.split(format.delimiter).any(is_number);
}

fn number(field: &str) -> Number {
    values::number(field.as_bytes())
}

/// What the fields of a column are.
#[derive(Default)]
struct Fields {
    /// Numbers, dates and times.
    typed: usize,
    /// Words of [`WORDS`].
    words: BTreeSet<&'static str>,
    /// Others that are not empty.
    others: usize,
}

impl Fields {
    fn add(&mut self, field: &str) {
        let word = WORDS.into_iter().find(|word| *word == field);
        match word {
            Some(word) => drop(self.words.insert(word)),
            None if field.is_empty() => {}
            None if is_typed(field) => self.typed += 1,
            None => self.others += 1,
        }
    }
}

fn is_typed(field: &str) -> bool {
    !matches!(number(field), Number::None)
        || values::date(field.as_bytes()).is_some()
        || values::timestamp(field.as_bytes(), &TimeZone::UTC).is_some()
}

/// Adds the words that stand among the numbers or times of a column that has nothing else.
pub(super) fn null_tokens(heads: impl Iterator<Item = Vec<u8>>, format: &mut Format) {
    let mut columns: BTreeMap<usize, Fields> = BTreeMap::new();
    for head in heads {
        let text = String::from_utf8_lossy(&head);
        // What is cut off at its end is no line.
        let whole = &text[..text.rfind('\n').unwrap_or(0)];
        for line in whole.lines().skip(usize::from(format.header)) {
            for (at, field) in line.split(format.delimiter).enumerate() {
                let field = field.trim_matches(format.quote).trim();
                columns.entry(at).or_default().add(field);
            }
        }
    }
    let typed = columns
        .into_values()
        .filter(|fields| fields.typed >= ENOUGH && fields.others == 0);
    let words: BTreeSet<&str> = typed.flat_map(|fields| fields.words).collect();
    for word in words {
        if !format.null_tokens.iter().any(|known| known == word) {
            format.null_tokens.push(word.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use assay_model::dataset::FormatKind;

    use super::*;

    fn tokens(heads: &[&str]) -> Vec<String> {
        let mut format = Format::of(FormatKind::Csv);
        marks(heads[0].as_bytes(), &mut format);
        let heads = heads.iter().map(|head| head.as_bytes().to_vec());
        null_tokens(heads, &mut format);
        format.null_tokens
    }

    #[test]
    fn a_word_among_numbers_is_null_wherever_its_file_lies() {
        let first = "id,delay,at\n1,2,2026-01-01\n2,4,2026-01-02\n3,-1.5,2026-01-03\n";
        let later = "id,delay,at\n4,NA,2026-01-04\n5,\"NA\",?\n";
        assert_eq!(tokens(&[first]), [""]);
        assert_eq!(tokens(&[first, later]), ["", "?", "NA"]);
    }

    #[test]
    fn a_word_among_texts_is_a_text() {
        let lands = "id,land\n1,DE\n2,NA\n3,FR\n4,NA\n";
        assert_eq!(tokens(&[lands]), [""]);
        assert_eq!(
            tokens(&["id,x\n1,NA\n2,7\n3,NA\n"]),
            [""],
            "one number is little"
        );
        assert_eq!(tokens(&["id,x\n1,1\n2,7\n3,9\n4,NA"]), [""], "it may go on");
    }
}
