//! Whether SQL names a table.
//!
//! In: the text of a query and a name. Out: whether the name is in it where a table could be named:
//! as a word or between double quotes, whatever the case of its letters, and not within a text or a
//! comment. It may find a name that is a column's; it must never miss a table's, which would not be
//! there then.

/// Whether `sql` may name the table `name`.
#[must_use]
pub fn names(sql: &str, name: &str) -> bool {
    let name = name.to_lowercase();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let (word, length) = match first {
            '\'' => (None, closed(rest, "\'")),
            '"' | '`' => {
                let length = closed(rest, &rest[..1]);
                (rest.get(1..length.max(2) - 1), length)
            }
            '-' if rest.starts_with("--") => (None, rest.find('\n').unwrap_or(rest.len())),
            '/' if rest.starts_with("/*") => {
                let end = rest.find("*/").map_or(rest.len(), |at| at + 2);
                (None, end)
            }
            c if is_of_word(c) => {
                let end = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
                (Some(&rest[..end]), end)
            }
            other => (None, other.len_utf8()),
        };
        if word.is_some_and(|word| word.to_lowercase() == name) {
            return true;
        }
        rest = &rest[length..];
    }
    false
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// The bytes of a text up to the quote that closes it, of which two are one within.
fn closed(text: &str, quote: &str) -> usize {
    let mut from = 1;
    while let Some(at) = text[from..].find(quote) {
        let end = from + at + 1;
        if !text[end..].starts_with(quote) {
            return end;
        }
        from = end + 1;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn a_table_is_named_by_a_word_or_in_quotes_and_not_in_a_text_or_a_comment() {
        for sql in [
            "SELECT 1 FROM customers",
            "SELECT 1 FROM CUSTOMERS AS c",
            "SELECT 1 FROM {object} JOIN\ncustomers ON true",
            "SELECT customers.id FROM x",
            "SELECT 1 FROM \"customers\"",
            "SELECT 'it''s' FROM(customers)",
            "SELECT '-- ' FROM customers -- customers",
        ] {
            assert!(names(sql, "customers"), "{sql}");
        }
        for sql in [
            "SELECT 1 FROM customers_old",
            "SELECT old_customers FROM x",
            "SELECT 'customers' FROM x",
            "SELECT 'it''s customers' FROM x",
            "SELECT 1 FROM x -- customers",
            "SELECT 1 /* customers */ FROM x",
            "SELECT 'customers",
            "\"",
            "é",
        ] {
            assert!(!names(sql, "customers"), "{sql}");
        }
        assert!(names("SELECT 1 FROM \"eu-west\"", "EU-West"));
    }
}
