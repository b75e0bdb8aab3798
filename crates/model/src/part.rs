//! How a name stands in the address of a page.
//!
//! In: any text, or one part of a path as it was asked for. Out: the other of the two. Pure. It must
//! never let a name become two parts, a folder or a query.

/// What is left as it is in one part of a path or of a query.
const PART: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// `text` as one part of a path, or as the value of a query: no `/`, `?`, `&` of it is one.
///
/// A part that is `.` or `..` would be taken for a folder, so its dots are spelt out.
#[must_use]
pub fn part(text: &str) -> String {
    if matches!(text, "." | "..") {
        return text.replace('.', "%2E");
    }
    percent_encoding::utf8_percent_encode(text, PART).to_string()
}

/// Reads one part of a path or the value of a query; `None` where it is not UTF-8.
#[must_use]
pub fn unpart(text: &str) -> Option<String> {
    percent_encoding::percent_decode_str(text)
        .decode_utf8()
        .ok()
        .map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_path_comes_back_and_is_never_two() {
        for text in ["a/b", "..", ".", "a?b=c&d#e", "日本", "a b+c", "<script>"] {
            let spelt = part(text);
            assert!(!spelt.contains(['/', '?', '#', '&', '<']), "{spelt}");
            assert!(spelt != "." && spelt != "..");
            assert_eq!(unpart(&spelt).as_deref(), Some(text));
        }
        assert_eq!(unpart("%ff"), None);
    }
}
