//! Deletion vectors: which rows of a file are no rows of the table.
//!
//! In: what the log says of a vector, and its bytes. Out: the rows, by their place in the file. A
//! vector is taken whole or not at all: its length, its checksum, and the number of its rows must
//! be as they are stated.

use roaring::RoaringTreemap;

use super::actions::Vector;
use super::path;
use crate::error::{Place, ScanError};
use crate::object::ReadAt;
use crate::parquet::footer;

/// What portable bitmaps in such vectors begin with.
const MAGIC: u32 = 1_681_511_377;
/// The version that a file of vectors begins with.
const VERSION: u8 = 1;
/// The alphabet of ZeroMQ's base 85.
const ALPHABET: &[u8; 85] =
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
/// Characters of a UUID in that base.
const UUID_CHARS: usize = 20;

/// Where a vector is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kept {
    /// In the log itself.
    Inline(Vec<u8>),
    /// In a file (relative to the table's root), from this byte on.
    File(String, u64),
}

/// Where the vector is that the log describes.
///
/// # Errors
/// What is wrong with the description, or where it leads.
pub(super) fn kept(vector: &Vector, root: &str) -> Result<Kept, String> {
    let told = &vector.path_or_inline_dv;
    let offset = || {
        let offset = vector.offset.and_then(|offset| u64::try_from(offset).ok());
        offset.ok_or_else(|| "the place of its deletion vector is not told".to_owned())
    };
    match vector.storage_type.as_str() {
        "i" => {
            let size = usize::try_from(vector.size_in_bytes).unwrap_or(usize::MAX);
            let mut bytes = unpack(told)?;
            if size > bytes.len() || bytes.len() - size > 3 {
                return Err(format!(
                    "its deletion vector states {size} bytes and has {}",
                    bytes.len()
                ));
            }
            bytes.truncate(size);
            Ok(Kept::Inline(bytes))
        }
        "u" => {
            let split = told.len().checked_sub(UUID_CHARS);
            let parts = split.and_then(|at| told.split_at_checked(at));
            let (prefix, coded) = parts.ok_or("the name of its deletion vector is too short")?;
            let uuid = unpack(coded)?;
            let hex: String = uuid.iter().map(|byte| format!("{byte:02x}")).collect();
            let parts = [
                &hex[..8],
                &hex[8..12],
                &hex[12..16],
                &hex[16..20],
                &hex[20..],
            ];
            let name = format!("deletion_vector_{}.bin", parts.join("-"));
            let whole = match prefix {
                "" => name,
                prefix => format!("{prefix}/{name}"),
            };
            Ok(Kept::File(path::resolve(&whole, root)?, offset()?))
        }
        "p" => Ok(Kept::File(path::resolve(told, root)?, offset()?)),
        other => Err(format!(
            "its deletion vector is kept as {other:?}, which is not known"
        )),
    }
}

/// The bytes of a text in base 85.
fn unpack(text: &str) -> Result<Vec<u8>, String> {
    let broken = || "its deletion vector is not in base 85".to_owned();
    if !text.len().is_multiple_of(5) {
        return Err(broken());
    }
    let mut bytes = Vec::with_capacity(text.len() / 5 * 4);
    for five in text.as_bytes().chunks_exact(5) {
        let mut value = 0u64;
        for byte in five {
            let digit = ALPHABET.iter().position(|known| known == byte);
            value = value * 85 + digit.ok_or_else(broken)? as u64;
        }
        let word = u32::try_from(value).map_err(|_| broken())?;
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    Ok(bytes)
}

/// The bytes of a vector in a file of vectors, after its length and checksum were compared.
pub(super) fn read(
    reader: &impl ReadAt,
    offset: u64,
    vector: &Vector,
    memory_bytes: u64,
) -> Result<Vec<u8>, ScanError> {
    let corrupt = |what: String| ScanError::corrupt(reader.path(), Place::byte(offset), what);
    let size = u64::try_from(vector.size_in_bytes)
        .map_err(|_| corrupt("the log states a negative size of it".to_owned()))?;
    if size > memory_bytes / 4 {
        return Err(ScanError::Unsupported {
            path: reader.path().to_owned(),
            place: Place::byte(offset),
            what: format!(
                "a deletion vector of {size} bytes does not fit the memory of {memory_bytes} bytes \
                 that a scan may take"
            ),
            remedy: "have the table optimised, or give the scan more memory".to_owned(),
        });
    }
    let end = offset.checked_add(size + 8);
    if offset == 0 || end.is_none_or(|end| end > reader.size()) {
        return Err(corrupt(format!(
            "a deletion vector of {size} bytes is not in its {} bytes",
            reader.size()
        )));
    }
    let mut version = [0];
    reader.read_exact_at(0, &mut version)?;
    if version != [VERSION] {
        return Err(corrupt(format!(
            "it is a file of deletion vectors of the version {}; {VERSION} is known",
            version[0]
        )));
    }
    let mut whole = vec![0; (size + 8) as usize];
    reader.read_exact_at(offset, &mut whole)?;
    let (head, rest) = whole.split_at(4);
    let (bytes, checksum) = rest.split_at(size as usize);
    let stated = |four: &[u8]| {
        four.iter()
            .fold(0u32, |all, byte| all << 8 | u32::from(*byte))
    };
    if u64::from(stated(head)) != size {
        return Err(corrupt(format!(
            "a deletion vector of {} bytes lies where the log states one of {size}",
            stated(head)
        )));
    }
    if crc32fast::hash(bytes) != stated(checksum) {
        return Err(corrupt(
            "the checksum of a deletion vector is another".to_owned(),
        ));
    }
    Ok(bytes.to_vec())
}

/// The rows of a vector.
pub(super) fn rows(bytes: &[u8], vector: &Vector, path: &str) -> Result<RoaringTreemap, ScanError> {
    let corrupt = |what: String| ScanError::corrupt(path, Place::file(), what);
    let broken = || corrupt("its deletion vector is no bitmap".to_owned());
    let (magic, mut rest) = bytes.split_first_chunk::<4>().ok_or_else(broken)?;
    let magic = u32::from_le_bytes(*magic);
    if magic != MAGIC {
        return Err(corrupt(format!(
            "its deletion vector begins with {magic}; a portable bitmap begins with {MAGIC}"
        )));
    }
    let rows = footer::guarded(path, &Place::file(), || {
        RoaringTreemap::deserialize_from(&mut rest).map_err(|_| broken())
    })?;
    if !rest.is_empty() {
        return Err(corrupt(format!(
            "its deletion vector has {} bytes behind its end",
            rest.len()
        )));
    }
    if i64::try_from(rows.len()) != Ok(vector.cardinality) {
        return Err(corrupt(format!(
            "its deletion vector has {} rows, and the log states {}",
            rows.len(),
            vector.cardinality
        )));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(kind: &str, told: &str, offset: Option<i32>, size: i32, rows: i64) -> Vector {
        Vector {
            storage_type: kind.to_owned(),
            path_or_inline_dv: told.to_owned(),
            offset,
            size_in_bytes: size,
            cardinality: rows,
        }
    }

    #[test]
    fn vectors_of_other_writers_are_read() {
        let of = vector("u", "ab^-aqEH.-t@S}K{vb[*k^", Some(4), 40, 6);
        let file = "ab/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin";
        assert_eq!(kept(&of, "/t").unwrap(), Kept::File(file.to_owned(), 4));
        let inline = "^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L";
        let of = vector("i", inline, None, 44, 6);
        let Kept::Inline(bytes) = kept(&of, "/t").unwrap() else {
            panic!("{of:?}");
        };
        let found = rows(&bytes, &of, "f").unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), [3, 4, 7, 11, 18, 29]);
        // The form that the protocol's older texts show is not what tables hold.
        let old = "wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L";
        let of = vector("i", old, None, 40, 6);
        let Kept::Inline(bytes) = kept(&of, "/t").unwrap() else {
            panic!("{of:?}");
        };
        assert!(rows(&bytes, &of, "f").is_err());
        let outside = vector("p", "file:///elsewhere/x.bin", Some(1), 40, 6);
        assert!(kept(&outside, "/t").unwrap_err().contains("outside"));
        assert!(kept(&vector("u", "../%2E%2E", Some(1), 40, 6), "/t").is_err());
        assert!(kept(&vector("x", "a", None, 1, 1), "/t").is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(0u8.., 0..200)) {
            let mut whole = MAGIC.to_le_bytes().to_vec();
            whole.extend(&bytes);
            let of = vector("i", "", None, 0, 1);
            let _ = rows(&whole, &of, "f");
            let _ = rows(&bytes, &of, "f");
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let _ = kept(&vector("i", &text, None, 4, 1), "/t");
            let _ = kept(&vector("u", &text, Some(1), 4, 1), "/t");
        }
    }
}
