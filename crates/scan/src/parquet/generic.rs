//! Pages in the rarer encodings (the DELTA family, byte stream split): numbers through the decoders
//! of the `parquet` crate, texts by their lengths.
//!
//! In: one page that is already decompressed. Out: its values. Slower than the paths for plain and
//! dictionary pages, and met page by page, so that one such page does not slow down the others.

use std::collections::VecDeque;

use bytes::Bytes;
use parquet::basic::{Encoding, Type as Physical};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::DataType;
use parquet::schema::types::ColumnDescPtr;

use super::columns::{FileColumn, Meaning};
use super::delta::{DELTA_LENGTH, DELTA_TEXTS, Texts};
use super::header::PageKind;
use super::hybrid::Fault;
use super::levels;
use super::pages::RawPage;
use super::sink::{Decoded, Sink};
use super::values::{half, int96, narrow_decimal, wide_decimal};

/// Values that are decoded at a time. These encodings can state any number of values in a few bytes.
const MOST_VALUES: usize = 1 << 22;

/// Hands out one page.
struct OnePage(VecDeque<Page>);

impl Iterator for OnePage {
    type Item = parquet::errors::Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.pop_front().map(Ok)
    }
}

impl PageReader for OnePage {
    fn get_next_page(&mut self) -> parquet::errors::Result<Option<Page>> {
        Ok(self.0.pop_front())
    }

    fn peek_next_page(&mut self) -> parquet::errors::Result<Option<PageMetadata>> {
        let metadata = self.0.front().map(|page| PageMetadata {
            num_rows: None,
            num_levels: Some(page.num_values() as usize),
            is_dict: page.is_dictionary_page(),
        });
        Ok(metadata)
    }

    fn skip_next_page(&mut self) -> parquet::errors::Result<()> {
        self.0.pop_front();
        Ok(())
    }
}

fn encoding(number: i32) -> Option<Encoding> {
    Some(match number {
        0 => Encoding::PLAIN,
        3 => Encoding::RLE,
        5 => Encoding::DELTA_BINARY_PACKED,
        9 => Encoding::BYTE_STREAM_SPLIT,
        _ => return None,
    })
}

fn page_of(page: &RawPage<'_>) -> Result<Page, Fault> {
    let header = &page.header;
    let unknown = || {
        format!(
            "a page has the encoding {}, which is not read",
            header.encoding
        )
    };
    let encoding_of_values = encoding(header.encoding).ok_or_else(unknown)?;
    let narrow = |size: usize| u32::try_from(size).map_err(|_| "a page is too large".to_owned());
    let buf = Bytes::copy_from_slice(page.body);
    if header.kind == PageKind::DataV2 {
        return Ok(Page::DataPageV2 {
            buf,
            num_values: narrow(header.values)?,
            encoding: encoding_of_values,
            num_nulls: narrow(header.nulls)?,
            num_rows: narrow(header.rows)?,
            def_levels_byte_len: narrow(header.definition_bytes)?,
            rep_levels_byte_len: narrow(header.repetition_bytes)?,
            is_compressed: false,
            statistics: None,
        });
    }
    let levels = |number| match number {
        #[expect(deprecated, reason = "old files have levels in this encoding")]
        4 => Encoding::BIT_PACKED,
        _ => Encoding::RLE,
    };
    Ok(Page::DataPage {
        buf,
        num_values: narrow(header.values)?,
        encoding: encoding_of_values,
        def_level_encoding: levels(header.definition_encoding),
        rep_level_encoding: levels(header.repetition_encoding),
        statistics: None,
    })
}

/// Reads every value of the page with a typed reader.
fn read<T: DataType>(mut reader: ColumnReaderImpl<T>, expected: usize) -> Result<Vec<T::T>, Fault> {
    let (mut definitions, mut repetitions) = (Vec::new(), Vec::new());
    let mut values = Vec::new();
    loop {
        definitions.clear();
        repetitions.clear();
        let (records, _, levels) = reader
            .read_records(
                4096,
                Some(&mut definitions),
                Some(&mut repetitions),
                &mut values,
            )
            .map_err(|error| error.to_string())?;
        if records == 0 && levels == 0 {
            break;
        }
    }
    if values.len() == expected {
        return Ok(values);
    }
    Err(format!(
        "a page has {} values where its levels tell of {expected}",
        values.len()
    ))
}

/// Whether the page holds texts or bytes by their lengths.
fn is_of_texts(column: &FileColumn, page: &RawPage<'_>) -> bool {
    matches!(
        column.physical,
        Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY
    ) && matches!(page.header.encoding, DELTA_LENGTH | DELTA_TEXTS)
}

fn texts<'a>(column: &FileColumn, page: &RawPage<'a>, expected: usize) -> Result<Texts<'a>, Fault> {
    let stored = levels::parts(page, column)?.values;
    Texts::read(stored, page.header.encoding, expected, page.budget)
}

/// Keeps texts and bytes, or the numbers that they are.
fn keep(column: &FileColumn, texts: &Texts<'_>) -> Result<Decoded, Fault> {
    let mut kept = Vec::with_capacity(usize::try_from(texts.total).unwrap_or(0));
    let mut ends = Vec::new();
    let mut wrong = None;
    texts.each(|text| {
        if column.physical == Physical::FIXED_LEN_BYTE_ARRAY && text.len() != column.fixed {
            wrong = Some(text.len());
        }
        kept.extend_from_slice(text);
        ends.push(kept.len());
    })?;
    if let Some(length) = wrong {
        return Err(format!(
            "a value of {length} bytes in a column of {} bytes each",
            column.fixed
        ));
    }
    let decoded = Decoded::Bytes(kept, ends);
    if matches!(column.meaning, Meaning::Float | Meaning::Decimal(_)) {
        return bytes(column, (0..decoded.len()).map(|at| decoded.bytes_at(at)));
    }
    Ok(decoded)
}

/// Feeds the values of a page that are not NULL, of which there are `expected`. Texts are not kept.
pub(crate) fn feed(
    column: &FileColumn,
    descriptor: &ColumnDescPtr,
    page: &RawPage<'_>,
    expected: usize,
    sink: &mut Sink<'_>,
) -> Result<(), Fault> {
    let is_text = matches!(column.meaning, Meaning::Text | Meaning::Binary);
    if is_text && column.physical == Physical::BYTE_ARRAY && is_of_texts(column, page) {
        return texts(column, page, expected)?.each(|text| sink.bytes(text, 1));
    }
    sink.all(&decode(column, descriptor, page, expected)?);
    Ok(())
}

/// The values of a page that are not NULL, of which there are `expected`.
pub(crate) fn decode(
    column: &FileColumn,
    descriptor: &ColumnDescPtr,
    page: &RawPage<'_>,
    expected: usize,
) -> Result<Decoded, Fault> {
    if expected > MOST_VALUES {
        return Err(format!(
            "a page of {expected} values; {MOST_VALUES} are read at most in its encoding"
        ));
    }
    // The widest representation of a value has 16 bytes; the decoder has as many again.
    let needed = expected as u64 * 16;
    if needed > page.budget {
        return Err(format!(
            "a page of {expected} values does not fit the memory of {} bytes that a scan may take",
            page.budget
        ));
    }
    if is_of_texts(column, page) {
        return keep(column, &texts(column, page, expected)?);
    }
    let pages = Box::new(OnePage(VecDeque::from([page_of(page)?])));
    let wide = matches!(column.meaning, Meaning::Decimal(_));
    Ok(match get_column_reader(descriptor.clone(), pages) {
        ColumnReader::BoolColumnReader(reader) => Decoded::Bools(read(reader, expected)?),
        ColumnReader::Int32ColumnReader(reader) => {
            let values = read(reader, expected)?.into_iter();
            match column.meaning {
                Meaning::Unsigned32 => Decoded::Ints(values.map(|v| i64::from(v as u32)).collect()),
                _ if wide => Decoded::Wide(values.map(i128::from).collect()),
                _ => Decoded::Ints(values.map(i64::from).collect()),
            }
        }
        ColumnReader::Int64ColumnReader(reader) => {
            let values = read(reader, expected)?;
            match column.meaning {
                Meaning::Unsigned64 => {
                    Decoded::Unsigned(values.into_iter().map(|v| v as u64).collect())
                }
                _ if wide => Decoded::Wide(values.into_iter().map(i128::from).collect()),
                _ => Decoded::Ints(values),
            }
        }
        ColumnReader::Int96ColumnReader(reader) => {
            let values = read(reader, expected)?;
            let nanos = values.iter().map(|value| {
                let mut bytes = [0; 12];
                for (to, word) in bytes.chunks_exact_mut(4).zip(value.data()) {
                    to.copy_from_slice(&word.to_le_bytes());
                }
                int96(bytes)
            });
            Decoded::Wide(nanos.collect())
        }
        ColumnReader::FloatColumnReader(reader) => {
            Decoded::Floats(read(reader, expected)?.into_iter().map(f64::from).collect())
        }
        ColumnReader::DoubleColumnReader(reader) => Decoded::Floats(read(reader, expected)?),
        ColumnReader::ByteArrayColumnReader(reader) => {
            let values = read(reader, expected)?;
            bytes(column, values.iter().map(|value| value.data()))?
        }
        ColumnReader::FixedLenByteArrayColumnReader(reader) => {
            let values = read(reader, expected)?;
            bytes(column, values.iter().map(|value| value.data()))?
        }
    })
}

fn bytes<'a>(
    column: &FileColumn,
    values: impl Iterator<Item = &'a [u8]>,
) -> Result<Decoded, Fault> {
    match column.meaning {
        Meaning::Float => {
            let floats = values.map(|value| value.try_into().map(half));
            let floats: Result<_, _> = floats.collect();
            floats
                .map(Decoded::Floats)
                .map_err(|_| "a half is not two bytes long".to_owned())
        }
        Meaning::Decimal(_) if column.fixed > 0 && column.fixed <= 16 => {
            Ok(Decoded::Wide(values.map(narrow_decimal).collect()))
        }
        Meaning::Decimal(_) => {
            let all: Option<Vec<_>> = values.map(wide_decimal).collect();
            all.map(Decoded::Widest)
                .ok_or_else(|| "a decimal needs more than 256 bits".to_owned())
        }
        _ => {
            let (mut kept, mut ends) = (Vec::new(), Vec::new());
            for value in values {
                kept.extend_from_slice(value);
                ends.push(kept.len());
            }
            Ok(Decoded::Bytes(kept, ends))
        }
    }
}
