//! The footer of a Parquet file.
//!
//! In: an open object. Out: its metadata, after the counts and lengths in it were found to fit the
//! bytes that hold them, and the number of rows that it states was found to add up.

use std::panic::{AssertUnwindSafe, catch_unwind};

use parquet::file::metadata::{
    ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader,
    ParquetStatisticsPolicy,
};

use super::columns::FileColumn;
use super::header;
use crate::error::{Place, ScanError};
use crate::object::ReadAt;

/// Length of the footer's length and the mark that end a file.
const TAIL: u64 = 8;

/// Runs decoding of untrusted bytes; a panic in it becomes an error at `place`.
pub(crate) fn guarded<T>(
    path: &str,
    place: &Place,
    run: impl FnOnce() -> Result<T, ScanError>,
) -> Result<T, ScanError> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let said = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no reason given");
        let what = format!("its bytes cannot be decoded ({said})");
        Err(ScanError::corrupt(path, place.clone(), what))
    })
}

/// Reads the metadata of a file.
pub(crate) fn read(reader: &impl ReadAt, memory_bytes: u64) -> Result<ParquetMetaData, ScanError> {
    let path = reader.path();
    let corrupt = |what: String| ScanError::corrupt(path, Place::file(), what);
    let size = reader.size();
    if size < TAIL + 4 {
        return Err(corrupt(format!(
            "{size} bytes are too few for a Parquet file"
        )));
    }
    let mut tail = [0; TAIL as usize];
    reader.read_exact_at(size - TAIL, &mut tail)?;
    let [a, b, c, d, mark @ ..] = tail;
    let length = u64::from(u32::from_le_bytes([a, b, c, d]));
    if &mark == b"PARE" {
        return Err(encrypted(path));
    }
    if &mark != b"PAR1" {
        return Err(corrupt(
            "it does not end as a Parquet file does (PAR1)".to_owned(),
        ));
    }
    if length > size - TAIL - 4 {
        return Err(corrupt(format!(
            "its footer of {length} bytes does not fit {size} bytes"
        )));
    }
    if length > memory_bytes {
        return Err(ScanError::Unsupported {
            path: path.to_owned(),
            place: Place::file(),
            what: format!("its footer of {length} bytes does not fit the memory of a scan"),
            remedy: "write larger row groups, or give the scan more memory".to_owned(),
        });
    }
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    reader.read_exact_at(size - TAIL - length, &mut bytes)?;
    if header::verify_structure(&mut bytes).is_err() {
        return Err(corrupt(
            "its footer is not a whole Thrift structure".to_owned(),
        ));
    }
    let metadata = guarded(path, &Place::file(), || {
        // Histograms of levels are of no use here, and some writers store them malformed.
        let options = ParquetMetaDataOptions::new()
            .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll)
            .with_encoding_stats_policy(ParquetStatisticsPolicy::SkipAll);
        ParquetMetaDataReader::decode_metadata_with_options(&bytes, Some(&options))
            .map_err(|error| corrupt(error.to_string()))
    })?;
    let mut rows = 0i64;
    for group in metadata.row_groups() {
        rows = match (group.num_rows(), rows.checked_add(group.num_rows())) {
            (0.., Some(sum)) => sum,
            _ => {
                return Err(corrupt(
                    "a row group has an impossible number of rows".to_owned(),
                ));
            }
        };
    }
    let stated = metadata.file_metadata().num_rows();
    // Some writers leave it at 0.
    if stated != rows && stated != 0 {
        return Err(corrupt(format!(
            "it states {stated} rows, its row groups have {rows}"
        )));
    }
    Ok(metadata)
}

/// The error for files whose footer or columns are encrypted.
pub(crate) fn encrypted(path: &str) -> ScanError {
    ScanError::Unsupported {
        path: path.to_owned(),
        place: Place::file(),
        what: "it is encrypted".to_owned(),
        remedy: "point the dataset at a copy that is not; keys are not handled here".to_owned(),
    }
}

/// Where the pages of a chunk begin and end, in a file of `size` bytes. Some writers state a
/// dictionary at byte 0, where no page can be: the data pages' offset is then the beginning. Others
/// left the header of the dictionary out of the length: some bytes more may be read, and reading
/// ends with the last value in any case.
pub(crate) fn byte_range(chunk: &ColumnChunkMetaData, size: u64) -> Option<(u64, u64)> {
    const LEFT_OUT: u64 = 100;
    let data = u64::try_from(chunk.data_page_offset()).ok()?;
    let start = match chunk.dictionary_page_offset() {
        Some(offset) if offset > 0 => data.min(u64::try_from(offset).ok()?),
        _ => data,
    };
    let length = u64::try_from(chunk.compressed_size()).ok()?;
    let end = start.checked_add(length).filter(|end| *end <= size)?;
    Some((start, (end + LEFT_OUT).min(size)))
}

/// The NULLs of a chunk of a column without nesting, where they need not be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nulls {
    /// The type has none.
    Never,
    /// So many, as the statistics in the footer state.
    Stated(u64),
}

/// The NULLs of a chunk of a column without nesting; `None` where its levels have to be read.
pub(crate) fn stated_nulls(
    chunk: &ColumnChunkMetaData,
    column: &FileColumn,
    rows: u64,
) -> Option<Nulls> {
    if column.max_definition == 0 {
        return Some(Nulls::Never);
    }
    let stated = chunk.statistics()?.null_count_opt()?;
    (stated <= rows).then_some(Nulls::Stated(stated))
}

/// Compares the NULLs that were counted with those that the statistics state.
pub(crate) fn verify_nulls(chunk: &ColumnChunkMetaData, counted: u64) -> Result<(), String> {
    let stated = chunk.statistics().and_then(|stats| stats.null_count_opt());
    match stated {
        Some(stated) if stated != counted => Err(format!(
            "its statistics state {stated} NULLs, its pages have {counted}"
        )),
        _ => Ok(()),
    }
}

/// Checks that every chunk is in the file itself, and that all of them together fit `size` bytes.
pub(crate) fn verify_chunks(
    path: &str,
    metadata: &ParquetMetaData,
    size: u64,
) -> Result<(), ScanError> {
    let mut stored = 0u64;
    for (index, group) in metadata.row_groups().iter().enumerate() {
        let place = Place::row_group(index);
        for chunk in group.columns() {
            if chunk.file_path().is_some_and(|other| !other.is_empty()) {
                return Err(ScanError::Unsupported {
                    path: path.to_owned(),
                    place,
                    what: "its data is in another file".to_owned(),
                    remedy: "point the dataset at files that hold their own data".to_owned(),
                });
            }
            let length = u64::try_from(chunk.compressed_size()).map_err(|_| {
                let what = "the length of a column chunk is negative";
                ScanError::corrupt(path, place.clone(), what)
            })?;
            stored = stored.saturating_add(length);
        }
        if stored > size {
            let what = format!("its column chunks up to here are {stored} of {size} bytes");
            return Err(ScanError::corrupt(path, place, what));
        }
    }
    Ok(())
}
