//! Byte encoding of states: varints and length-prefixed pieces.
//!
//! In: scalars and slices. Out: bytes, and from bytes the same values again or a [`DecodeError`].
//! The reader must never panic, and never allocate more than the bytes in hand can justify:
//! every announced length is compared with what is left before anything is reserved.

use num_bigint::BigInt;
use thiserror::Error;

/// Why bytes are not a state. The remedy is the same for each: drop the bytes and scan the batch
/// again; a state that does not decode is never read in part.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The bytes do not begin with the mark of a metric state.
    #[error("not a metric state: it begins with {found:02x?} instead of {expected:02x?}")]
    Magic {
        /// The first bytes met.
        found: Vec<u8>,
        /// The mark of a metric state.
        expected: [u8; 4],
    },
    /// Written by another version of the encoding: scan the batch again with this version.
    #[error(
        "metric state has encoding version {found}, this program reads {supported}; scan the batch again"
    )]
    Version {
        /// Version found in the bytes.
        found: u8,
        /// The only version that this program reads.
        supported: u8,
    },
    /// The checksum at the end does not match: the bytes were damaged on the way.
    #[error("metric state is damaged: its checksum does not match; scan the batch again")]
    Checksum,
    /// The bytes end in the middle of something.
    #[error("metric state ends at byte {at} inside {what}; scan the batch again")]
    Truncated {
        /// Offset where more bytes were needed.
        at: usize,
        /// What was being read.
        what: &'static str,
    },
    /// A value that no encoder writes.
    #[error("metric state holds an impossible {what} at byte {at}; scan the batch again")]
    Invalid {
        /// Offset just behind the value.
        at: usize,
        /// What was being read.
        what: &'static str,
    },
    /// Bytes are left behind the end of the state.
    #[error("metric state has {left} bytes behind its end; scan the batch again")]
    Trailing {
        /// How many bytes are left.
        left: usize,
    },
}

/// Longest big integer that is read, in bytes. Squares of doubles need 4,196 bits and 64 more for
/// the count; nothing legitimate is longer.
const LONGEST_INTEGER: usize = 1024;

/// Appends values to a byte vector.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.bytes.push(u8::from(value));
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.u128(u128::from(value));
    }

    /// LEB128: seven bits a byte, low bits first.
    pub(crate) fn u128(&mut self, mut value: u128) {
        while value >= 0x80 {
            self.bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    pub(crate) fn i128(&mut self, value: i128) {
        self.u128(((value << 1) ^ (value >> 127)) as u128);
    }

    pub(crate) fn f64(&mut self, value: f64) {
        self.raw(&value.to_bits().to_le_bytes());
    }

    pub(crate) fn raw(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) {
        self.u64(value.len() as u64);
        self.raw(value);
    }

    pub(crate) fn text(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    pub(crate) fn integer(&mut self, value: &BigInt) {
        self.bytes(&value.to_signed_bytes_le());
    }
}

/// Takes values off the front of a byte slice.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) fn invalid(&self, what: &'static str) -> DecodeError {
        DecodeError::Invalid { at: self.at, what }
    }

    pub(crate) fn end(&self) -> Result<(), DecodeError> {
        match self.bytes.len() - self.at {
            0 => Ok(()),
            left => Err(DecodeError::Trailing { left }),
        }
    }

    pub(crate) fn raw(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let rest = &self.bytes[self.at..];
        let Some(taken) = rest.get(..len) else {
            return Err(DecodeError::Truncated {
                at: self.bytes.len(),
                what,
            });
        };
        self.at += len;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(
        &mut self,
        what: &'static str,
    ) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.raw(N, what)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        Ok(self.raw(1, what)?[0])
    }

    pub(crate) fn bool(&mut self, what: &'static str) -> Result<bool, DecodeError> {
        match self.u8(what)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.invalid(what)),
        }
    }

    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        u64::try_from(self.u128(what)?).map_err(|_| self.invalid(what))
    }

    pub(crate) fn u128(&mut self, what: &'static str) -> Result<u128, DecodeError> {
        let mut value = 0u128;
        for shift in (0..128).step_by(7) {
            let byte = self.u8(what)?;
            let part = u128::from(byte & 0x7f);
            // The last group has room for two bits, and a closing zero would be a longer spelling.
            if (shift == 126 && part > 3) || (byte == 0 && shift > 0) {
                return Err(self.invalid(what));
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.invalid(what))
    }

    pub(crate) fn i128(&mut self, what: &'static str) -> Result<i128, DecodeError> {
        let coded = self.u128(what)?;
        Ok((coded >> 1) as i128 ^ -((coded & 1) as i128))
    }

    pub(crate) fn f64(&mut self, what: &'static str) -> Result<f64, DecodeError> {
        Ok(f64::from_bits(u64::from_le_bytes(self.array(what)?)))
    }

    /// A number of items that each take at least `item_bytes` bytes.
    pub(crate) fn count(
        &mut self,
        item_bytes: usize,
        what: &'static str,
    ) -> Result<usize, DecodeError> {
        let count = usize::try_from(self.u64(what)?).map_err(|_| self.invalid(what))?;
        let left = self.bytes.len() - self.at;
        match count.checked_mul(item_bytes) {
            Some(needed) if needed <= left => Ok(count),
            _ => Err(DecodeError::Truncated {
                at: self.bytes.len(),
                what,
            }),
        }
    }

    pub(crate) fn bytes(&mut self, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let len = self.count(1, what)?;
        self.raw(len, what)
    }

    pub(crate) fn text(&mut self, what: &'static str) -> Result<String, DecodeError> {
        let bytes = self.bytes(what)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(self.invalid(what)),
        }
    }

    pub(crate) fn integer(&mut self, what: &'static str) -> Result<BigInt, DecodeError> {
        let bytes = self.bytes(what)?;
        if bytes.is_empty() || bytes.len() > LONGEST_INTEGER {
            return Err(self.invalid(what));
        }
        Ok(BigInt::from_signed_bytes_le(bytes))
    }
}

/// What every state has: an encoding, and a merge with [`Default`] as its identity.
///
/// Merge is associative and commutative bit for bit: states that absorbed the same values in any
/// order and any split are equal and encode to equal bytes.
pub trait State: Default + Clone + PartialEq + std::fmt::Debug {
    /// Adds the other state's values to this one.
    fn merge(&mut self, other: &Self);

    /// The bytes of this state. Equal states give equal bytes.
    ///
    /// These are the bare bytes; [`crate::TableState::encode`] adds mark, version and checksum.
    fn to_bytes(&self) -> Vec<u8>;

    /// Reads [`State::to_bytes`] back.
    ///
    /// # Errors
    /// Any byte sequence that no state encodes to gives a [`DecodeError`].
    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError>;
}

/// The part of a state that composes: write into, read from a shared stream.
pub(crate) trait Codec: Sized {
    fn write(&self, to: &mut Writer);
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError>;

    fn encode_alone(&self) -> Vec<u8> {
        let mut to = Writer::default();
        self.write(&mut to);
        to.finish()
    }

    fn decode_alone(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut from = Reader::new(bytes);
        let value = Self::read(&mut from)?;
        from.end()?;
        Ok(value)
    }
}

/// Writes the public half of [`State`] for a type that has [`Codec`] and an inherent `absorb`.
macro_rules! impl_state {
    ($($name:ty),+ $(,)?) => {$(
        impl $crate::codec::State for $name {
            fn merge(&mut self, other: &Self) {
                self.absorb(other);
            }
            fn to_bytes(&self) -> Vec<u8> {
                $crate::codec::Codec::encode_alone(self)
            }
            fn from_bytes(bytes: &[u8]) -> Result<Self, $crate::codec::DecodeError> {
                $crate::codec::Codec::decode_alone(bytes)
            }
        }
    )+};
}
pub(crate) use impl_state;
