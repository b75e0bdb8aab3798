//! Avro object container files.
//!
//! In: an object. Out: its rows as record batches. The container is taken apart and unpacked by
//! [`container`]; the library that reads the rows sees a few blocks at a time, as a file of their
//! own. It stops after as many rows as they declare, and is then asked whether bytes are left: blocks
//! that together have more or fewer rows than they declare are an error. Given such a block as it is,
//! the library reads for ever.
//!
//! Blocks that are read together are counted together: one with a row too many beside one with a row
//! too few is no error. No row is lost or made up by that: all their bytes are read, each once and in
//! order, and are as many rows as all of them declare.

mod container;

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_avro::reader::{Reader, ReaderBuilder};
use arrow_schema::{DataType, Schema, SchemaRef};

use self::container::{Blocks, MAGIC, SYNC};
use super::files::Batches;
use crate::error::{Place, ScanError};
use crate::object::{ObjectReader, ReadAt};

/// Rows from which on no further block is read into a batch.
const BATCH_ROWS: u64 = 8192;
/// Plain bytes from which on no further block is read into a batch.
const BATCH_BYTES: usize = 1 << 20;
/// Rows that a batch may have.
const ROWS_MAX: u64 = 1 << 24;
/// Bytes that a value may take as a part of an array: a decimal's.
const VALUE_BYTES: u64 = 16;
/// The rows that a made block claims: more than any batch may have, so that the library never
/// arrives at a block's count with bytes left.
const CLAIMED: i64 = 1 << 32;

/// A number as Avro writes it.
fn long(value: i64, to: &mut Vec<u8>) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        to.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    to.push(rest as u8);
}

/// A file of these plain rows alone.
fn file(schema: &[u8], plain: &[u8]) -> Vec<u8> {
    let key = b"avro.schema";
    let mut bytes = Vec::with_capacity(schema.len() + plain.len() + 64);
    bytes.extend_from_slice(MAGIC);
    long(1, &mut bytes);
    for text in [key.as_slice(), schema] {
        long(text.len() as i64, &mut bytes);
        bytes.extend_from_slice(text);
    }
    long(0, &mut bytes);
    bytes.extend_from_slice(&[0; SYNC]);
    if !plain.is_empty() {
        long(CLAIMED, &mut bytes);
        long(plain.len() as i64, &mut bytes);
        bytes.extend_from_slice(plain);
        bytes.extend_from_slice(&[0; SYNC]);
    }
    bytes
}

fn is_without_bytes(kind: &DataType) -> bool {
    match kind {
        DataType::Null | DataType::FixedSizeBinary(0) => true,
        DataType::Struct(fields) => fields.iter().all(|f| is_without_bytes(f.data_type())),
        _ => false,
    }
}

/// Whether a type has items that take no bytes: a file may state any number of them.
fn has_endless_items(kind: &DataType) -> bool {
    match kind {
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) => {
            is_without_bytes(item.data_type()) || has_endless_items(item.data_type())
        }
        DataType::Map(entries, _) => has_endless_items(entries.data_type()),
        DataType::Struct(fields) => fields.iter().any(|f| has_endless_items(f.data_type())),
        DataType::Union(fields, _) => fields.iter().any(|(_, f)| has_endless_items(f.data_type())),
        _ => false,
    }
}

/// Values of a row at most, those of lists not counted.
fn leaves(schema: &Schema) -> u64 {
    schema.flattened_fields().len() as u64
}

/// The rows of one file.
pub(super) struct Avro<'a> {
    blocks: Blocks<'a>,
    schema: SchemaRef,
    path: String,
    budget: u64,
    plain: Vec<u8>,
}

impl<'a> Avro<'a> {
    /// Opens a file and reads its schema.
    pub(super) fn open(reader: &'a ObjectReader, budget: u64) -> Result<Self, ScanError> {
        let blocks = Blocks::open(reader, budget)?;
        let empty = file(&blocks.schema, &[]);
        let built = ReaderBuilder::new().build(empty.as_slice());
        let schema = built.map(|rows| rows.schema()).map_err(|error| {
            let what = format!("its schema cannot be read: {error}");
            ScanError::corrupt(reader.path(), Place::file(), what)
        })?;
        let fields = schema.fields();
        let unsupported = |what: &str, remedy: &str| ScanError::Unsupported {
            path: reader.path().to_owned(),
            place: Place::file(),
            what: what.to_owned(),
            remedy: remedy.to_owned(),
        };
        if fields.iter().all(|f| is_without_bytes(f.data_type())) {
            let remedy = "write at least one column that has values";
            return Err(unsupported("its rows take no bytes", remedy));
        }
        if fields.iter().any(|f| has_endless_items(f.data_type())) {
            let remedy = "leave the column of such lists out";
            return Err(unsupported("items of a list take no bytes", remedy));
        }
        Ok(Self {
            blocks,
            schema,
            path: reader.path().to_owned(),
            budget,
            plain: Vec::new(),
        })
    }

    /// Unpacks the next blocks; gives their rows, 0 at the end of the file.
    fn fill(&mut self) -> Result<u64, ScanError> {
        self.plain.clear();
        let mut rows = 0;
        while rows < BATCH_ROWS && self.plain.len() < BATCH_BYTES {
            let Some(more) = self.blocks.append(&mut self.plain)? else {
                break;
            };
            rows += more;
            let values = rows.saturating_mul(leaves(&self.schema));
            if rows > ROWS_MAX || values.saturating_mul(VALUE_BYTES) > self.budget {
                return Err(self.blocks.too_large(&format!("{more} rows")));
            }
        }
        Ok(rows)
    }

    /// The rows of the blocks at hand, all of them and no more.
    fn decode(&self, rows: u64) -> Result<RecordBatch, ScanError> {
        let unread = |error: String| ScanError::corrupt(&self.path, Place::file(), error);
        let bytes = file(&self.blocks.schema, &self.plain);
        let mut reader: Reader<&[u8]> = ReaderBuilder::new()
            .with_batch_size(rows as usize)
            .build(bytes.as_slice())
            .map_err(|error| unread(error.to_string()))?;
        let batch = match reader.next() {
            Some(Ok(batch)) if batch.num_rows() as u64 == rows => batch,
            Some(Err(error)) => return Err(unread(error.to_string())),
            Some(Ok(_)) | None => {
                return Err(self
                    .blocks
                    .corrupt("a block holds fewer rows than it declares"));
            }
        };
        match reader.next() {
            None => Ok(batch),
            Some(_) => Err(self
                .blocks
                .corrupt("a block holds more rows than it declares")),
        }
    }
}

impl Batches for Avro<'_> {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn next(&mut self) -> Result<Option<RecordBatch>, ScanError> {
        match self.fill()? {
            0 => Ok(None),
            rows => self.decode(rows).map(Some),
        }
    }
}
