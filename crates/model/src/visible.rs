//! Characters that show nothing of themselves, made visible.
//!
//! In: a text out of data or written by others: a name, a value, a note. Out: the same with each
//! character that hides, moves or reorders others in its place as `⟨U+202E⟩`. A screen or a page
//! that shows such a text as it is could be made to show what nobody found.

use std::borrow::Cow;

/// Whether a character shows nothing of itself, or changes how others are shown; line breaks and
/// tabs apart.
#[must_use]
pub const fn is_hidden(c: char) -> bool {
    matches!(c,
        '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

/// How a hidden character is shown.
#[must_use]
pub fn mark(c: char) -> String {
    format!("\u{27e8}U+{:04X}\u{27e9}", u32::from(c))
}

/// A text for one line: hidden characters, line breaks and tabs are marks.
#[must_use]
pub fn one_line(text: &str) -> Cow<'_, str> {
    marked(text, |c| is_hidden(c) || matches!(c, '\n' | '\r' | '\t'))
}

/// A text of several lines: what `is_mark` says of its characters is a mark.
#[must_use]
pub fn marked(text: &str, is_mark: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_mark) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_mark(c) {
            out.push_str(&mark(c));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_is_shown_and_what_shows_is_left() {
        assert_eq!(one_line("a\n  PASS\tx"), "a⟨U+000A⟩  PASS⟨U+0009⟩x");
        assert_eq!(one_line("\u{1b}[31mred\u{202e}"), "⟨U+001B⟩[31mred⟨U+202E⟩");
        assert!(matches!(one_line("Größe, 名前 – ≈ 1"), Cow::Borrowed(_)));
        assert_eq!(marked("a\nb\u{200b}", is_hidden), "a\nb⟨U+200B⟩");
    }
}
