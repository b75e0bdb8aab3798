//! Values of a row as the binary protocol has them.
//!
//! In: the types of an answer's columns, and the bytes of a row. Out: the values, each exactly as the
//! database holds it: numbers as numbers, decimals by their digits, times by their parts. Nothing
//! that the bytes say about lengths is trusted.

use std::fmt;

use super::wire::Parts;

/// A column of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Typed {
    kind: u8,
    unsigned: bool,
}

/// A time as its parts; what no calendar has is possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Moment {
    pub(super) year: u16,
    pub(super) month: u8,
    pub(super) day: u8,
    pub(super) hour: u8,
    pub(super) minute: u8,
    pub(super) second: u8,
    pub(super) micro: u32,
}

/// A value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Int(i64),
    Unsigned(u64),
    Float(f32),
    Double(f64),
    /// A text, its bytes, or a decimal's digits.
    Bytes(&'a [u8]),
    Date(Moment),
    DateTime(Moment),
    /// Microseconds since midnight; a stretch of time may be longer than a day, or negative.
    Time(i64),
}

impl Typed {
    /// Reads the description of a column.
    pub(super) fn read(packet: &[u8]) -> Option<Self> {
        let mut parts = Parts(packet);
        for _ in 0..6 {
            parts.counted()?;
        }
        parts.count()?;
        parts.bytes(6)?;
        let kind = parts.byte()?;
        let flags = parts.u16()?;
        Some(Self {
            kind,
            unsigned: flags & 0x20 != 0,
        })
    }

    fn value<'a>(self, parts: &mut Parts<'a>) -> Option<Value<'a>> {
        let int = |signed: i64, unsigned: u64| match self.unsigned {
            true => Value::Unsigned(unsigned),
            false => Value::Int(signed),
        };
        Some(match self.kind {
            1 => {
                let raw = parts.fixed()?;
                int(i8::from_le_bytes(raw).into(), u8::from_le_bytes(raw).into())
            }
            2 | 13 => {
                let raw = parts.fixed()?;
                let signed = i16::from_le_bytes(raw).into();
                int(signed, u16::from_le_bytes(raw).into())
            }
            3 | 9 => {
                let raw = parts.fixed()?;
                let signed = i32::from_le_bytes(raw).into();
                int(signed, u32::from_le_bytes(raw).into())
            }
            8 => {
                let raw = parts.fixed()?;
                int(i64::from_le_bytes(raw), u64::from_le_bytes(raw))
            }
            4 => Value::Float(f32::from_le_bytes(parts.fixed()?)),
            5 => Value::Double(f64::from_le_bytes(parts.fixed()?)),
            6 => Value::Null,
            10 => Value::Date(moment(parts.counted()?)?),
            7 | 12 => Value::DateTime(moment(parts.counted()?)?),
            11 => Value::Time(time(parts.counted()?)?),
            0 | 15 | 16 | 245..=255 => Value::Bytes(parts.counted()?),
            _ => return None,
        })
    }
}

/// A date, a time, and its fraction, as far as they are told: what is left out is zero.
fn moment(bytes: &[u8]) -> Option<Moment> {
    let mut parts = Parts(bytes);
    let mut moment = Moment::default();
    if bytes.is_empty() {
        return Some(moment);
    }
    moment.year = parts.u16()?;
    [moment.month, moment.day] = parts.fixed()?;
    if bytes.len() > 4 {
        [moment.hour, moment.minute, moment.second] = parts.fixed()?;
    }
    if bytes.len() > 7 {
        moment.micro = parts.u32()?;
    }
    parts.0.is_empty().then_some(moment)
}

fn time(bytes: &[u8]) -> Option<i64> {
    let mut parts = Parts(bytes);
    if bytes.is_empty() {
        return Some(0);
    }
    let negative = parts.byte()? != 0;
    let days = i64::from(parts.u32()?);
    let [hour, minute, second] = parts.fixed()?.map(i64::from);
    let micro = match bytes.len() {
        8 => 0,
        _ => i64::from(parts.u32()?),
    };
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    let all = seconds.checked_mul(1_000_000)?.checked_add(micro)?;
    parts
        .0
        .is_empty()
        .then_some(if negative { -all } else { all })
}

/// A row of an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    types: &'a [Typed],
    nulls: &'a [u8],
    parts: Parts<'a>,
    at: usize,
}

impl<'a> Row<'a> {
    /// The row in a packet, but for whether its values are whole.
    pub(super) fn new(types: &'a [Typed], packet: &'a [u8]) -> Option<Self> {
        let mut parts = Parts(packet);
        if parts.byte()? != 0 {
            return None;
        }
        let nulls = parts.bytes((types.len() + 9) / 8)?;
        Some(Self {
            types,
            nulls,
            parts,
            at: 0,
        })
    }

    /// The next value; `None` where the row ends early, or has more bytes than values.
    pub(super) fn next(&mut self) -> Option<Value<'a>> {
        let of = self.types.get(self.at)?;
        // The first two bits mean nothing.
        let bit = self.at + 2;
        self.at += 1;
        let value = match self.nulls.get(bit / 8)? >> (bit % 8) & 1 {
            1 => Value::Null,
            _ => of.value(&mut self.parts)?,
        };
        let is_last = self.at == self.types.len();
        (!is_last || self.parts.0.is_empty()).then_some(value)
    }
}

impl fmt::Display for Moment {
    /// As the database writes it: the time of day only where there is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            year,
            month,
            day,
            hour,
            minute,
            second,
            micro,
        } = self;
        write!(
            f,
            "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"
        )?;
        match micro {
            0 => Ok(()),
            _ => write!(f, ".{micro:06}"),
        }
    }
}

impl Value<'_> {
    /// The value as text from which the very value can be read; `Err` for bytes that are no text.
    pub(super) fn text(self) -> Result<Option<String>, std::str::Utf8Error> {
        Ok(Some(match self {
            Self::Null => return Ok(None),
            Self::Int(value) => value.to_string(),
            Self::Unsigned(value) => value.to_string(),
            Self::Float(value) => f64::from(value).to_string(),
            Self::Double(value) => value.to_string(),
            Self::Bytes(bytes) => std::str::from_utf8(bytes)?.to_owned(),
            Self::Date(Moment {
                year, month, day, ..
            }) => format!("{year:04}-{month:02}-{day:02}"),
            Self::DateTime(moment) => moment.to_string(),
            Self::Time(micros) => {
                let sign = if micros < 0 { "-" } else { "" };
                let all = micros.unsigned_abs();
                let (seconds, micro) = (all / 1_000_000, all % 1_000_000);
                let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
                format!("{sign}{hour:02}:{minute:02}:{second:02}.{micro:06}")
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn of(kind: u8, unsigned: bool) -> Typed {
        Typed { kind, unsigned }
    }

    fn values(types: &[Typed], packet: &[u8]) -> Option<Vec<Option<String>>> {
        let mut row = Row::new(types, packet)?;
        (0..types.len()).map(|_| row.next()?.text().ok()).collect()
    }

    #[test]
    fn a_row_is_read_value_by_value() {
        let types = [
            of(8, true),
            of(3, false),
            of(253, false),
            of(12, false),
            of(11, false),
            of(5, false),
        ];
        let mut packet = vec![0, 0b10_0000];
        packet.extend_from_slice(&u64::MAX.to_le_bytes());
        packet.extend_from_slice(&(-7i32).to_le_bytes());
        packet.extend_from_slice(b"\x04");
        packet.extend_from_slice(&2024u16.to_le_bytes());
        packet.extend_from_slice(&[2, 0]);
        packet.extend_from_slice(&[8, 1, 1, 0, 0, 0, 7, 30, 5]);
        packet.extend_from_slice(&0.1f64.to_le_bytes());
        let text = |text: &str| Some(text.to_owned());
        // The text is the one that is NULL.
        packet[1] = 0b1_0000;
        let told = [
            text("18446744073709551615"),
            text("-7"),
            None,
            text("2024-02-00 00:00:00"),
            text("-31:30:05.000000"),
            text("0.1"),
        ];
        assert_eq!(values(&types, &packet).unwrap(), told);
        assert_eq!(values(&types, &packet[..packet.len() - 1]), None);
        packet.push(0);
        assert_eq!(values(&types, &packet), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(
            kinds in proptest::collection::vec(any::<u8>(), 0..12),
            packet in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            let types: Vec<Typed> = kinds.iter().map(|kind| of(*kind, kind % 2 == 0)).collect();
            let _ = values(&types, &packet);
            let _ = Typed::read(&packet);
        }
    }
}
