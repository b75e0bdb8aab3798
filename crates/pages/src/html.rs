//! Text into HTML.
//!
//! Comes in: text that someone else chose (names of columns, partitions, owners, errors). Goes out:
//! HTML that shows exactly that text. It must never let a text become markup, and never let one hide
//! or turn round what stands beside it: marks that steer the direction of writing and characters
//! without a shape are shown by their number.
//!
//! Every template is escaped by [`Visible`] (see `askama.toml`), so nothing has to be remembered
//! where a value is printed. [`Markup`] is what code of this crate made itself.

use std::fmt::{self, Write};

use askama::filters::{Escaper, Safe};

pub use assay_model::part::{part, unpart};
use assay_model::visible::{is_hidden, mark};

/// HTML that is whole and escaped already.
pub type Markup = Safe<String>;

/// The escaper of every template.
#[derive(Debug, Clone, Copy, Default)]
pub struct Visible;

impl Escaper for Visible {
    fn write_escaped_str<W: Write>(&self, mut dest: W, text: &str) -> fmt::Result {
        let mut plain = 0;
        for (at, c) in text.char_indices() {
            let entity = match c {
                '&' => "&amp;",
                '<' => "&lt;",
                '>' => "&gt;",
                '"' => "&quot;",
                '\'' => "&#39;",
                c if is_hidden(c) => "",
                _ => continue,
            };
            dest.write_str(&text[plain..at])?;
            if entity.is_empty() {
                dest.write_str(&mark(c))?;
            } else {
                dest.write_str(entity)?;
            }
            plain = at + c.len_utf8();
        }
        dest.write_str(&text[plain..])
    }
}

/// `text` as HTML, for attributes and elements that code writes.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    // Writing to a `String` cannot fail.
    let _ = Visible.write_escaped_str(&mut out, text);
    out
}

/// `text` escaped and not made visible: what a form sends back must be what was sent to it.
#[must_use]
pub fn verbatim(text: &str) -> Markup {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // HTML cannot carry it, and browsers read it as this.
            '\0' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    Safe(out)
}

/// The beginning of a text of more than `most` characters, with a mark that there is more.
#[must_use]
pub fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => {
            let end = text
                .char_indices()
                .nth(most.saturating_sub(1))
                .map_or(text.len(), |(at, _)| at);
            format!("{}…", &text[..end])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_never_becomes_markup() {
        assert_eq!(
            escaped("<script>alert('a' & \"b\")</script>"),
            "&lt;script&gt;alert(&#39;a&#39; &amp; &quot;b&quot;)&lt;/script&gt;"
        );
    }

    #[test]
    fn marks_that_hide_are_shown_by_their_number() {
        assert_eq!(escaped("gro\u{202e}fdp.exe"), "gro⟨U+202E⟩fdp.exe");
        assert_eq!(escaped("a\u{0}b\u{200b}c"), "a⟨U+0000⟩b⟨U+200B⟩c");
        assert_eq!(escaped("line\n\tnext"), "line\n\tnext");
        assert_eq!(verbatim("a\u{202e}<\0").0, "a\u{202e}&lt;\u{fffd}");
    }

    #[test]
    fn a_long_text_is_cut_with_a_mark() {
        assert_eq!(shortened("short", 5), "short");
        assert_eq!(shortened("longer", 5), "long…");
        assert_eq!(shortened("ééééé", 3), "éé…");
    }
}
