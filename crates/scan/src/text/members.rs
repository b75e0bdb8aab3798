//! The members of JSON objects, one object a line, gathered by name.
//!
//! In: lines that each hold one object. Out: for each name the values that were met, with their
//! rows. A row that does not name a column takes no room in it: what is held grows with what was
//! read, never with rows times columns. Columns are bounded by [`MOST_COLUMNS`].

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use assay_metrics::Number;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{line, values};

/// Columns that the rows of one part of a file may name.
pub(super) const MOST_COLUMNS: usize = 10_000;

/// The names of the columns met so far, in the order of meeting.
#[derive(Debug, Default)]
pub(super) struct Names {
    places: BTreeMap<String, usize>,
    pub(super) list: Vec<String>,
    /// The names as writers spell them before a value; empty where a name needs an escape.
    spelled: Vec<Vec<u8>>,
    /// Whether a name came that there is no room for.
    pub(super) full: bool,
}

impl Names {
    pub(super) fn get(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// The bytes of `text` that the name at `place` takes with its quotes and the colon, if they
    /// are there.
    #[inline]
    pub(super) fn spelled_at(&self, place: usize, text: &[u8]) -> Option<usize> {
        let spelled = self.spelled.get(place)?;
        (!spelled.is_empty() && begins_with(text, spelled)).then_some(spelled.len())
    }

    #[inline]
    pub(super) fn known(&self, name: &str, hint: usize) -> Option<usize> {
        // Members mostly come in the same order on every line.
        if self.list.get(hint).is_some_and(|known| known == name) {
            return Some(hint);
        }
        self.get(name)
    }

    fn place(&mut self, name: &str, hint: usize) -> Option<usize> {
        if let Some(place) = self.known(name, hint) {
            return Some(place);
        }
        let place = self.list.len();
        if place >= MOST_COLUMNS {
            self.full = true;
            return None;
        }
        self.list.push(name.to_owned());
        let has_escapes = name.bytes().any(|b| b < 0x20 || b == b'"' || b == b'\\');
        self.spelled.push(if has_escapes {
            Vec::new()
        } else {
            format!("\"{name}\":").into_bytes()
        });
        self.places.insert(name.to_owned(), place);
        Some(place)
    }
}

/// Whether `text` begins with `front`, which is mostly short: without a call.
#[inline]
fn begins_with(text: &[u8], front: &[u8]) -> bool {
    /// The first and the last bytes, which may overlap.
    fn ends<const N: usize>(bytes: &[u8]) -> Option<(&[u8; N], &[u8; N])> {
        Some((bytes.first_chunk()?, bytes.last_chunk()?))
    }
    let Some(text) = text.get(..front.len()) else {
        return false;
    };
    match front.len() {
        4..8 => ends::<4>(text) == ends::<4>(front),
        8..=16 => ends::<8>(text) == ends::<8>(front),
        17..=32 => ends::<16>(text) == ends::<16>(front),
        _ => text == front,
    }
}

/// The values of a block by the place of their column, each with its row.
#[derive(Default)]
pub(super) struct Columns<'b> {
    values: Vec<Vec<(u32, Value<'b>)>>,
    /// Places of the columns that the block names.
    pub(super) named: Vec<usize>,
    pub(super) rows: u32,
    /// Lines that were not spelled as [`line`] reads them.
    odd: u32,
}

/// Lines in another spelling after which the rest of a block is not tried any more.
const MOST_ODD: u32 = 16;

impl<'b> Columns<'b> {
    /// Room for the values of a block that is like the one with these.
    pub(super) fn like(lengths: &[usize]) -> Self {
        let room = |length: &usize| Vec::with_capacity(length + length / 8);
        Self {
            values: lengths.iter().map(room).collect(),
            ..Self::default()
        }
    }

    /// Values by place.
    pub(super) fn lengths(&self) -> Vec<usize> {
        self.values.iter().map(Vec::len).collect()
    }

    /// The values of a column, in the order of rows; a row without the member is not among them.
    pub(super) fn of(&self, place: usize) -> &[(u32, Value<'b>)] {
        self.values.get(place).map_or(&[], Vec::as_slice)
    }

    /// The values of a column by row.
    pub(super) fn by_row(&self, place: Option<usize>) -> Vec<&Value<'b>> {
        let mut all = vec![&Value::Null; self.rows as usize];
        for (row, value) in place.map_or(&[][..], |place| self.of(place)) {
            all[*row as usize] = value;
        }
        all
    }

    /// Reads one line.
    pub(super) fn read_line(
        &mut self,
        line: &'b str,
        names: &mut Names,
    ) -> Result<(), serde_json::Error> {
        if self.odd < MOST_ODD {
            if self.read_plain(line, names) {
                return Ok(());
            }
            self.odd += 1;
        }
        self.read_any(line, names)
    }

    /// Reads a line in the usual spelling with known names; else takes nothing in.
    fn read_plain(&mut self, line: &'b str, names: &Names) -> bool {
        let is_read = line::members(line, names, |place, value| self.put(place, value));
        if is_read {
            self.rows += 1;
        } else {
            self.take_back();
        }
        is_read
    }

    /// Reads a line in any spelling.
    pub(super) fn read_any(
        &mut self,
        line: &'b str,
        names: &mut Names,
    ) -> Result<(), serde_json::Error> {
        let mut parser = serde_json::Deserializer::from_str(line);
        let members = Members {
            names,
            columns: self,
        };
        serde::de::DeserializeSeed::deserialize(members, &mut parser)?;
        parser.end()?;
        self.rows += 1;
        Ok(())
    }

    /// Adds a value of the row at hand; `false` where the row has one in this column already.
    #[inline]
    fn put(&mut self, place: usize, value: Value<'b>) -> bool {
        if self.values.len() <= place {
            self.values.resize_with(place + 1, Vec::new);
        }
        let values = &mut self.values[place];
        match values.last() {
            Some((last, _)) if *last == self.rows => return false,
            Some(_) => {}
            None => self.named.push(place),
        }
        values.push((self.rows, value));
        true
    }

    /// Takes the values of the row at hand back.
    fn take_back(&mut self) {
        for values in &mut self.values {
            values.pop_if(|(row, _)| *row == self.rows);
        }
        let values = &self.values;
        self.named.retain(|place| !values[*place].is_empty());
    }
}

/// A value of a member, as written or without its escapes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'b> {
    Null,
    Bool(bool),
    Int(i64),
    /// A whole number beyond 64 bits; apart, so that a value takes few bytes.
    Wide(Box<i128>),
    /// A whole number beyond 128 bits.
    Huge(&'b str),
    Float(f64),
    Text(Cow<'b, str>),
    /// An object or a list.
    Nested(&'b str),
}

impl Value<'_> {
    /// The value as JSON that reads as the same value.
    pub(super) fn json(&self) -> Vec<u8> {
        match self {
            Self::Null => b"null".to_vec(),
            // A number that no double holds reads as an infinity.
            Self::Float(value) if value.is_infinite() => {
                if *value > 0.0 { "1e999" } else { "-1e999" }.into()
            }
            Self::Float(value) => format!("{value:?}").into_bytes(),
            Self::Text(text) => serde_json::Value::from(text.as_ref())
                .to_string()
                .into_bytes(),
            other => other.text().map_or_else(Vec::new, Cow::into_owned),
        }
    }

    /// The value as a key or a text sees it; `None` is NULL.
    pub(super) fn text(&self) -> Option<Cow<'_, [u8]>> {
        Some(match self {
            Self::Null => return None,
            Self::Bool(true) => Cow::Borrowed(&b"true"[..]),
            Self::Bool(false) => Cow::Borrowed(&b"false"[..]),
            Self::Int(value) => Cow::Owned(value.to_string().into_bytes()),
            Self::Wide(value) => Cow::Owned(value.to_string().into_bytes()),
            Self::Float(value) => Cow::Owned(value.to_string().into_bytes()),
            Self::Text(text) => Cow::Borrowed(text.as_bytes()),
            Self::Huge(text) | Self::Nested(text) => Cow::Borrowed(text.as_bytes()),
        })
    }
}

/// The members of one object, given to columns as they are met.
struct Members<'v, 'b> {
    names: &'v mut Names,
    columns: &'v mut Columns<'b>,
}

impl<'de, 'v> serde::de::DeserializeSeed<'de> for Members<'v, 'de> {
    type Value = ();
    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de, 'v> Visitor<'de> for Members<'v, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one JSON object a line")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        let mut hint = 0;
        while let Some(name) = map.next_key_seed(Name)? {
            let raw: &'de RawValue = map.next_value()?;
            let place = self.names.place(&name, hint);
            let place = place.ok_or_else(|| M::Error::custom("too many names"))?;
            hint = place + 1;
            let value = value(raw.get()).map_err(M::Error::custom)?;
            if !self.columns.put(place, value) {
                return Err(M::Error::custom(format!("the member {name:?} comes twice")));
            }
        }
        Ok(())
    }
}

/// A member's name, borrowed where it has no escapes.
struct Name;

impl<'de> serde::de::DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;
    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }
    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }
    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

/// Reads a value that is known to be sound JSON.
pub(super) fn value(raw: &str) -> Result<Value<'_>, serde_json::Error> {
    let bytes = raw.as_bytes();
    Ok(match bytes.first() {
        Some(b'"') => {
            let inner = &raw[1..raw.len() - 1];
            if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
                Value::Text(Cow::Borrowed(inner))
            } else {
                Value::Text(Cow::Owned(serde_json::from_str::<String>(raw)?))
            }
        }
        Some(b'{' | b'[') => Value::Nested(raw),
        Some(b't') => Value::Bool(true),
        Some(b'f') => Value::Bool(false),
        Some(b'n') | None => Value::Null,
        Some(_) => number(raw),
    })
}

/// A number as JSON writes numbers.
pub(super) fn number(raw: &str) -> Value<'_> {
    of_number(values::quick_number(raw.as_bytes()), raw)
}

/// A number that was read from `raw`.
#[inline]
pub(super) fn of_number(number: Number, raw: &str) -> Value<'_> {
    match number {
        Number::Int(wide) => match i64::try_from(wide) {
            Ok(short) => Value::Int(short),
            Err(_) => Value::Wide(Box::new(wide)),
        },
        Number::Float(float) => Value::Float(float),
        Number::Wide(..) | Number::TooWide => Value::Huge(raw),
        Number::Decimal(..) | Number::None => Value::Text(Cow::Borrowed(raw)),
    }
}
