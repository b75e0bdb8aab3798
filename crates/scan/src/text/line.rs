//! One JSON object a line, in the spelling that writers give it.
//!
//! In: a line, and the names met so far. Out: its members in order, or `false` where it is spelled
//! in another way (a name with an escape or one that is new, a value that is an object or a list)
//! or is no object at all: the caller reads it again with the general parser, which knows every
//! spelling and every error. It must never give another member or value than that parser does.

use std::borrow::Cow;

use super::members::{Names, Value, of_number};
use super::plain::json_number;
use wide::u8x16;

/// A quoted text within a line.
struct Quoted<'b> {
    inner: &'b str,
    has_escapes: bool,
    /// Behind the closing quote.
    end: usize,
}

/// A place in a line.
struct Cursor<'b> {
    line: &'b str,
    at: usize,
}

/// Gives the members of the object in `line` to `take` by the places of their names; it says whether
/// it goes on. Some may have been given where the answer is `false`.
#[inline]
pub(super) fn members<'b>(
    line: &'b str,
    names: &Names,
    mut take: impl FnMut(usize, Value<'b>) -> bool,
) -> bool {
    let mut cursor = Cursor { line, at: 0 };
    cursor.object(names, &mut take).is_some()
}

impl<'b> Cursor<'b> {
    #[inline]
    fn object(
        &mut self,
        names: &Names,
        take: &mut impl FnMut(usize, Value<'b>) -> bool,
    ) -> Option<()> {
        self.skip_blanks();
        self.expect(b'{')?;
        self.skip_blanks();
        if self.peek()? == b'}' {
            self.at += 1;
            return self.expect_end();
        }
        let mut hint = 0;
        loop {
            let place = self.name(names, hint)?;
            hint = place + 1;
            self.skip_blanks();
            let value = self.value()?;
            if !take(place, value) {
                return None;
            }
            self.skip_blanks();
            let next = self.peek()?;
            self.at += 1;
            match next {
                b',' => self.skip_blanks(),
                b'}' => return self.expect_end(),
                _ => return None,
            }
        }
    }

    /// Steps over a name and its colon; gives its place. Members mostly come in the same order on
    /// every line, so that the one at `hint` is looked for first.
    #[inline]
    fn name(&mut self, names: &Names, hint: usize) -> Option<usize> {
        let rest = self.line.as_bytes().get(self.at..)?;
        if let Some(length) = names.spelled_at(hint, rest) {
            self.at += length;
            return Some(hint);
        }
        let name = self.quoted()?;
        if name.has_escapes {
            return None;
        }
        self.skip_blanks();
        self.expect(b':')?;
        names.known(name.inner, hint)
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.line.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    #[inline]
    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn expect_end(&mut self) -> Option<()> {
        self.skip_blanks();
        self.peek().is_none().then_some(())
    }

    #[inline]
    fn value(&mut self) -> Option<Value<'b>> {
        let (value, length) = match self.peek()? {
            b'"' => {
                let from = self.at;
                let text = self.quoted()?;
                if !text.has_escapes {
                    return Some(Value::Text(Cow::Borrowed(text.inner)));
                }
                let written = self.line.get(from..text.end)?;
                return serde_json::from_str(written).ok().map(Value::Text);
            }
            b't' => (Value::Bool(true), self.word("true")?),
            b'f' => (Value::Bool(false), self.word("false")?),
            b'n' => (Value::Null, self.word("null")?),
            b'-' | b'0'..=b'9' => {
                let (number, length) = json_number(&self.line.as_bytes()[self.at..])?;
                let raw = self.line.get(self.at..self.at + length)?;
                (of_number(number, raw), length)
            }
            _ => return None,
        };
        self.at += length;
        Some(value)
    }

    fn word(&self, word: &str) -> Option<usize> {
        let rest = &self.line.as_bytes()[self.at..];
        rest.starts_with(word.as_bytes()).then_some(word.len())
    }

    /// The quoted text that begins here.
    #[inline]
    fn quoted(&mut self) -> Option<Quoted<'b>> {
        self.expect(b'"')?;
        let bytes = self.line.as_bytes();
        let (from, mut has_escapes) = (self.at, false);
        loop {
            self.at = next_special(bytes, self.at)?;
            match bytes[self.at] {
                b'"' => break,
                b'\\' => {
                    has_escapes = true;
                    self.at += 2;
                }
                // A control character is an error, which the general parser words.
                _ => return None,
            }
        }
        let inner = self.line.get(from..self.at)?;
        self.at += 1;
        Some(Quoted {
            inner,
            has_escapes,
            end: self.at,
        })
    }
}

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The first quote, backslash or control character from `at` on.
#[inline]
fn next_special(bytes: &[u8], mut at: usize) -> Option<usize> {
    let (quote, escape) = (u8x16::splat(b'"'), u8x16::splat(b'\\'));
    let last_control = u8x16::splat(0x1f);
    while let Some(part) = bytes.get(at..).and_then(|rest| rest.first_chunk::<16>()) {
        let part = u8x16::new(*part);
        let controls = part.max(last_control).simd_eq(last_control);
        let found = part.simd_eq(quote) | part.simd_eq(escape) | controls;
        match found.to_bitmask() {
            0 => at += 16,
            found => return Some(at + found.trailing_zeros() as usize),
        }
    }
    // The high bit of each byte that is zero; above the first such byte it may err.
    let zeros = |word: u64| word.wrapping_sub(LOW) & !word & HIGH;
    while let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*word);
        let controls = word.wrapping_sub(LOW * 0x20) & !word & HIGH;
        let quotes = zeros(word ^ (LOW * u64::from(b'"')));
        let escapes = zeros(word ^ (LOW * u64::from(b'\\')));
        let found = controls | quotes | escapes;
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = bytes.get(at..)?;
    let is_special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    rest.iter().position(is_special).map(|index| at + index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::members::{Columns, Names};
    use proptest::prelude::*;

    fn json() -> impl Strategy<Value = serde_json::Value> {
        use serde_json::Value as Json;
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<f64>().prop_map(Json::from),
            "[ -~äß\u{1F600}\n\t\"\\\\]{0,20}".prop_map(Json::from),
        ];
        leaf.prop_recursive(2, 8, 3, |inner| {
            prop::collection::vec(inner, 0..3).prop_map(Json::from)
        })
    }

    /// A line as some writer may write it, sound or not.
    fn line() -> impl Strategy<Value = String> {
        let member = ("[abcä]{0,3}|[ab]{4,40}|a\\\\\"", json());
        let members = prop::collection::vec(member, 0..6);
        let sound = (members, prop_oneof!["", " ", "\\t", " \\r"]).prop_map(|(members, blank)| {
            let member = |(name, value): (String, serde_json::Value)| {
                let name = serde_json::Value::from(name);
                format!("{blank}{name}{blank}:{blank}{value}{blank}")
            };
            let members: Vec<String> = members.into_iter().map(member).collect();
            format!("{blank}{{{}}}{blank}", members.join(","))
        });
        let odd = prop_oneof![
            "[{}\":,0-9eE.+ a\\\\tfnulrs-]{0,30}",
            "[{]\"a\":-?[0-9]{0,40}([.][0-9]{0,3})?([eE][-+]?[0-9]{0,2})?[}]",
            "[{]\"a\":(true|false|null|tru|nul|True|01|-|1[.]|\"\\\\x\"|\"\\\\u00e9\")[}] ?x?",
        ];
        prop_oneof![sound, odd]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn a_line_has_the_members_that_the_general_parser_reads(
            lines in prop::collection::vec(line(), 1..4),
        ) {
            let (mut names, mut twin_names) = (Names::default(), Names::default());
            let (mut columns, mut twin) = (Columns::default(), Columns::default());
            for line in &lines {
                // The second time every name is known.
                for _ in 0..2 {
                    let read = columns.read_line(line, &mut names).map_err(|e| e.to_string());
                    let slow = twin.read_any(line, &mut twin_names).map_err(|e| e.to_string());
                    prop_assert_eq!(&read, &slow, "{}", line);
                    if read.is_err() {
                        return Ok(());
                    }
                }
            }
            prop_assert_eq!(&names.list, &twin_names.list);
            prop_assert_eq!(columns.rows, twin.rows);
            prop_assert_eq!(&columns.named, &twin.named);
            for place in 0..names.list.len() {
                // Numbers that are no numbers are not equal to themselves.
                let told = |columns: &Columns<'_>| format!("{:?}", columns.of(place));
                prop_assert_eq!(told(&columns), told(&twin));
            }
        }

        #[test]
        fn the_first_special_byte_is_found(
            text in "[ -~\"\\\\äß\u{1F600}\u{1}\u{1f}\u{7f}]{0,40}", at in 0usize..50,
        ) {
            let bytes = text.as_bytes();
            let is_special = |b: &u8| *b < 0x20 || *b == b'"' || *b == b'\\';
            let naive = bytes.iter().skip(at).position(is_special).map(|i| i + at);
            prop_assert_eq!(next_special(bytes, at), naive);
        }
    }
}
