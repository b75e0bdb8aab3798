//! Headers of pages: a reader of the Thrift compact encoding, only as far as pages need it.
//!
//! In: bytes that begin with a page header. Out: the header and its length, or what is wrong with
//! it. It never reads statistics (a page's statistics are not needed), and ends on
//! any input: nesting and every length are bounded by the bytes in hand.
//!
//! Source of the layout: `parquet.thrift` (PageHeader) and the Thrift compact protocol.

/// Nesting of structures that is followed. Statistics, the deepest part, nest two deep.
const DEEPEST: u32 = 16;

/// What a page holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PageKind {
    /// The dictionary of the chunk.
    Dictionary,
    /// Data, levels and values compressed together.
    DataV1,
    /// Data, levels apart from the values and not compressed.
    DataV2,
    /// Anything else; it is skipped.
    Other,
}

/// A page's header. Numbers are as stated in the file, only proven not to be negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageHeader {
    pub(crate) kind: PageKind,
    /// Bytes after the header, as stored.
    pub(crate) compressed: usize,
    /// Bytes after decompression.
    pub(crate) uncompressed: usize,
    /// CRC-32 of the bytes after the header, where the writer stored one.
    pub(crate) checksum: Option<u32>,
    /// Values with NULLs; entries of a dictionary.
    pub(crate) values: usize,
    /// Number of the encoding of the values.
    pub(crate) encoding: i32,
    /// Number of the encoding of the definition levels (version 1).
    pub(crate) definition_encoding: i32,
    /// Number of the encoding of the repetition levels (version 1).
    pub(crate) repetition_encoding: i32,
    /// NULLs (version 2).
    pub(crate) nulls: usize,
    /// Rows (version 2).
    pub(crate) rows: usize,
    /// Bytes of the definition levels (version 2).
    pub(crate) definition_bytes: usize,
    /// Bytes of the repetition levels (version 2).
    pub(crate) repetition_bytes: usize,
    /// Whether the values are compressed (version 2).
    pub(crate) is_compressed: bool,
}

/// Why bytes are not a page header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// They end before the header does: with more bytes it may be one.
    Short,
    /// No bytes that follow can make it one.
    Broken(&'static str),
}

type Result<T> = std::result::Result<T, HeaderError>;

struct Compact<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where fields begin that have number 15 and hold a list.
    odd_fields: Vec<usize>,
}

/// Types of fields in the compact protocol.
mod wire {
    pub(super) const TRUE: u8 = 1;
    pub(super) const FALSE: u8 = 2;
    pub(super) const BYTE: u8 = 3;
    pub(super) const I16: u8 = 4;
    pub(super) const I32: u8 = 5;
    pub(super) const I64: u8 = 6;
    pub(super) const DOUBLE: u8 = 7;
    pub(super) const BINARY: u8 = 8;
    pub(super) const LIST: u8 = 9;
    pub(super) const SET: u8 = 10;
    pub(super) const MAP: u8 = 11;
    pub(super) const STRUCT: u8 = 12;
}

impl Compact<'_> {
    fn byte(&mut self) -> Result<u8> {
        let byte = *self.bytes.get(self.at).ok_or(HeaderError::Short)?;
        self.at += 1;
        Ok(byte)
    }

    fn varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(HeaderError::Broken("a number is longer than ten bytes"))
    }

    fn integer(&mut self) -> Result<i64> {
        let coded = self.varint()?;
        Ok((coded >> 1) as i64 ^ -((coded & 1) as i64))
    }

    fn number(&mut self) -> Result<i32> {
        i32::try_from(self.integer()?)
            .map_err(|_| HeaderError::Broken("a number needs over 32 bits"))
    }

    fn size(&mut self) -> Result<usize> {
        usize::try_from(self.number()?).map_err(|_| HeaderError::Broken("a size is negative"))
    }

    /// The next field's number and type, or `None` at the end of the structure.
    fn field(&mut self, last: &mut i16) -> Result<Option<(i16, u8)>> {
        let head = self.byte()?;
        if head == 0 {
            return Ok(None);
        }
        let delta = i16::from(head >> 4);
        let id = if delta == 0 {
            self.integer()? as i16
        } else {
            last.wrapping_add(delta)
        };
        *last = id;
        Ok(Some((id, head & 0x0f)))
    }

    fn skip_bytes(&mut self, len: u64) -> Result<()> {
        let left = (self.bytes.len() - self.at) as u64;
        if len > left {
            return Err(HeaderError::Short);
        }
        self.at += len as usize;
        Ok(())
    }

    fn skip(&mut self, kind: u8, depth: u32) -> Result<()> {
        if depth > DEEPEST {
            return Err(HeaderError::Broken("structures nest too deep"));
        }
        match kind {
            wire::TRUE | wire::FALSE => Ok(()),
            wire::BYTE => self.skip_bytes(1),
            wire::I16 | wire::I32 | wire::I64 => self.varint().map(|_| ()),
            wire::DOUBLE => self.skip_bytes(8),
            wire::BINARY => {
                let len = self.varint()?;
                self.skip_bytes(len)
            }
            wire::LIST | wire::SET => {
                let head = self.byte()?;
                let count = if head >> 4 == 15 {
                    self.varint()?
                } else {
                    u64::from(head >> 4)
                };
                self.skip_items(count, &[head & 0x0f], depth)
            }
            wire::MAP => {
                let count = self.varint()?;
                if count == 0 {
                    return Ok(());
                }
                let kinds = self.byte()?;
                self.skip_items(count, &[kinds >> 4, kinds & 0x0f], depth)
            }
            wire::STRUCT => {
                let mut last = 0;
                while let Some((id, kind)) = self.field(&mut last)? {
                    if (id, kind) == (15, wire::LIST) {
                        self.odd_fields.push(self.at - 1);
                    }
                    self.skip(kind, depth + 1)?;
                }
                Ok(())
            }
            _ => Err(HeaderError::Broken(
                "a field has a type that does not exist",
            )),
        }
    }

    fn skip_items(&mut self, count: u64, kinds: &[u8], depth: u32) -> Result<()> {
        for _ in 0..count {
            for kind in kinds {
                // Within a collection a boolean takes a byte.
                let kind = if matches!(*kind, wire::TRUE | wire::FALSE) {
                    wire::BYTE
                } else {
                    *kind
                };
                self.skip(kind, depth + 1)?;
            }
        }
        Ok(())
    }

    /// Runs `take` on each field of a structure; fields that it does not want are skipped.
    fn structure(
        &mut self,
        mut take: impl FnMut(&mut Self, i16, u8) -> Result<bool>,
    ) -> Result<()> {
        let mut last = 0;
        while let Some((id, kind)) = self.field(&mut last)? {
            if !take(self, id, kind)? {
                self.skip(kind, 1)?;
            }
        }
        Ok(())
    }
}

/// Walks a structure in which no length or count may be larger than the bytes that follow it:
/// decoders that reserve memory for a stated count are safe on such bytes.
///
/// Some writers use the number 15 for a list of their own, where column metadata has a number, and
/// the decoder of footers does not compare types. Such a field gets a number that nobody uses.
pub(crate) fn verify_structure(bytes: &mut [u8]) -> Result<()> {
    let mut from = Compact {
        bytes,
        at: 0,
        odd_fields: Vec::new(),
    };
    from.skip(wire::STRUCT, 0)?;
    for at in from.odd_fields {
        // A step of 0 means that the number follows in full; it is then left as it is.
        if bytes[at] >> 4 != 0 {
            bytes[at] |= 0xf0;
        }
    }
    Ok(())
}

/// Reads the page header at the front of `bytes`, and how many bytes it takes.
pub(crate) fn read(bytes: &[u8]) -> Result<(PageHeader, usize)> {
    let mut from = Compact {
        bytes,
        at: 0,
        odd_fields: Vec::new(),
    };
    let mut header = PageHeader {
        kind: PageKind::Other,
        compressed: 0,
        uncompressed: 0,
        checksum: None,
        values: 0,
        encoding: -1,
        definition_encoding: -1,
        repetition_encoding: -1,
        nulls: 0,
        rows: 0,
        definition_bytes: 0,
        repetition_bytes: 0,
        is_compressed: true,
    };
    let mut seen = 0u32;
    from.structure(|from, id, kind| {
        seen |= 1 << (id.clamp(0, 31));
        match (id, kind) {
            (1, wire::I32) => {
                header.kind = match from.number()? {
                    0 => PageKind::DataV1,
                    2 => PageKind::Dictionary,
                    3 => PageKind::DataV2,
                    _ => PageKind::Other,
                };
            }
            (2, wire::I32) => header.uncompressed = from.size()?,
            (3, wire::I32) => header.compressed = from.size()?,
            (4, wire::I32) => header.checksum = Some(from.number()? as u32),
            (5, wire::STRUCT) => read_v1(from, &mut header)?,
            (7, wire::STRUCT) => read_dictionary(from, &mut header)?,
            (8, wire::STRUCT) => read_v2(from, &mut header)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let detail = match header.kind {
        PageKind::DataV1 => 1 << 5,
        PageKind::Dictionary => 1 << 7,
        PageKind::DataV2 => 1 << 8,
        PageKind::Other => 0,
    };
    let needed = 0b1110 | detail;
    if seen & needed != needed {
        return Err(HeaderError::Broken(
            "a page header lacks a field that it must have",
        ));
    }
    Ok((header, from.at))
}

fn read_v1(from: &mut Compact<'_>, header: &mut PageHeader) -> Result<()> {
    from.structure(|from, id, kind| {
        match (id, kind) {
            (1, wire::I32) => header.values = from.size()?,
            (2, wire::I32) => header.encoding = from.number()?,
            (3, wire::I32) => header.definition_encoding = from.number()?,
            (4, wire::I32) => header.repetition_encoding = from.number()?,
            _ => return Ok(false),
        }
        Ok(true)
    })
}

fn read_dictionary(from: &mut Compact<'_>, header: &mut PageHeader) -> Result<()> {
    from.structure(|from, id, kind| {
        match (id, kind) {
            (1, wire::I32) => header.values = from.size()?,
            (2, wire::I32) => header.encoding = from.number()?,
            _ => return Ok(false),
        }
        Ok(true)
    })
}

fn read_v2(from: &mut Compact<'_>, header: &mut PageHeader) -> Result<()> {
    from.structure(|from, id, kind| {
        match (id, kind) {
            (1, wire::I32) => header.values = from.size()?,
            (2, wire::I32) => header.nulls = from.size()?,
            (3, wire::I32) => header.rows = from.size()?,
            (4, wire::I32) => header.encoding = from.number()?,
            (5, wire::I32) => header.definition_bytes = from.size()?,
            (6, wire::I32) => header.repetition_bytes = from.size()?,
            (7, wire::TRUE) => header.is_compressed = true,
            (7, wire::FALSE) => header.is_compressed = false,
            _ => return Ok(false),
        }
        Ok(true)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // type 0, uncompressed 300, compressed 20, data_page_header { 5 values, PLAIN, RLE, RLE }
    const V1: &[u8] = &[
        0x15, 0x00, 0x15, 0xd8, 0x04, 0x15, 0x28, 0x2c, 0x15, 0x0a, 0x15, 0, 0x15, 6, 0x15, 6, 0, 0,
    ];

    #[test]
    fn a_header_is_read_to_its_end_and_not_beyond() {
        let mut bytes = V1.to_vec();
        bytes.push(0xff);
        let (header, len) = read(&bytes).unwrap();
        assert_eq!(len, V1.len());
        assert_eq!(header.kind, PageKind::DataV1);
        assert_eq!(
            (header.uncompressed, header.compressed, header.values),
            (300, 20, 5)
        );
        assert_eq!((header.encoding, header.definition_encoding), (0, 3));
    }

    #[test]
    fn every_front_of_a_header_asks_for_more() {
        for len in 0..V1.len() {
            assert_eq!(read(&V1[..len]), Err(HeaderError::Short), "{len}");
        }
    }

    #[test]
    fn a_negative_size_and_endless_nesting_are_broken() {
        assert!(matches!(
            read(&[0x15, 0, 0x15, 1, 0]),
            Err(HeaderError::Broken(_))
        ));
        assert!(matches!(read(&[0x9c; 64]), Err(HeaderError::Broken(_))));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(0u8.., 0..64)) {
            let _ = read(&bytes);
        }
    }
}
