//! Places where a text may be cut into batches: always the end of a record.
//!
//! In: a plain (not compressed) text object and the wanted size of a batch. Out: byte ranges that
//! together are the whole object. In delimited text a line end within quotes ends no record; quotes
//! are therefore counted from the beginning of the file to each cut, in one pass that does nothing
//! else. Text without quotes around line ends is read at its cuts alone.

use assay_model::dataset::{Dataset, FormatKind};
use assay_model::partition::Part;

use super::csv::marks;
use crate::compress::{self, Compression};
use crate::context::ScanContext;
use crate::error::ScanError;
use crate::object::ReadAt;

/// Bytes read at a time.
const STEP: usize = 1 << 20;

/// Cuts an object into parts of about `target` bytes. A compressed object is never cut.
///
/// # Errors
/// [`ScanError`] when it cannot be read.
pub fn cut(
    dataset: &Dataset,
    reader: &dyn ReadAt,
    target: u64,
    context: &ScanContext,
) -> Result<Vec<(Part, u64)>, ScanError> {
    let whole = vec![(Part::Whole, reader.size())];
    if reader.size() <= target || compress::of(reader)? != Compression::None {
        return Ok(whole);
    }
    let quote = match dataset.source.format.kind {
        FormatKind::Csv => Some(marks(&dataset.source.format, reader.path())?.quote),
        FormatKind::Ndjson => None,
        _ => return Ok(whole),
    };
    let ends = record_ends(reader, quote, target.max(1), context)?;
    let mut parts = Vec::with_capacity(ends.len() + 1);
    let mut start = 0;
    for end in ends.into_iter().chain([reader.size()]) {
        if end > start {
            parts.push((Part::Bytes { start, end }, end - start));
            start = end;
        }
    }
    Ok(parts)
}

/// The first record end at or behind each multiple of `target` after the last cut.
fn record_ends(
    reader: &dyn ReadAt,
    quote: Option<u8>,
    target: u64,
    context: &ScanContext,
) -> Result<Vec<u64>, ScanError> {
    let size = reader.size();
    let mut buffer = vec![0u8; STEP.min(usize::try_from(size).unwrap_or(STEP))];
    let (mut ends, mut at, mut within) = (Vec::new(), 0u64, false);
    let mut wanted = target;
    while at < size {
        context.check(reader.path())?;
        if quote.is_none() {
            // Nothing that lies before the wanted cut moves it.
            at = at.max(wanted.saturating_sub(1).min(size - 1));
        }
        let length = (size - at).min(buffer.len() as u64) as usize;
        let bytes = &mut buffer[..length];
        reader.read_exact_at(at, bytes)?;
        let mut from = 0usize;
        while wanted < at + length as u64 && wanted < size {
            // A record that ends right before `wanted` may end a part there.
            let place = usize::try_from(wanted.saturating_sub(1).saturating_sub(at)).unwrap_or(0);
            let place = place.max(from);
            within ^= quotes(quote, &bytes[from..place]) % 2 == 1;
            from = place;
            let Some(end) = next_end(quote, &bytes[from..], &mut within) else {
                from = length;
                break;
            };
            from += end;
            ends.push(at + from as u64);
            wanted = at + from as u64 + target;
        }
        within ^= quotes(quote, &bytes[from..]) % 2 == 1;
        at += length as u64;
    }
    Ok(ends)
}

fn quotes(quote: Option<u8>, bytes: &[u8]) -> usize {
    quote.map_or(0, |quote| memchr::memchr_iter(quote, bytes).count())
}

/// The offset behind the first line end that is not within quotes; the state of the quotes is then
/// that of the line end, or of the end of `bytes` when there is none.
fn next_end(quote: Option<u8>, bytes: &[u8], within: &mut bool) -> Option<usize> {
    let Some(quote) = quote else {
        return memchr::memchr(b'\n', bytes).map(|at| at + 1);
    };
    for at in memchr::memchr2_iter(quote, b'\n', bytes) {
        if bytes[at] == quote {
            *within = !*within;
        } else if !*within {
            return Some(at + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use proptest::prelude::*;

    use super::*;

    struct Text(Vec<u8>, AtomicU64);

    impl ReadAt for Text {
        fn path(&self) -> &str {
            "text"
        }

        fn size(&self) -> u64 {
            self.0.len() as u64
        }

        fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ScanError> {
            let from = usize::try_from(offset).unwrap();
            buffer.copy_from_slice(&self.0[from..from + buffer.len()]);
            self.1.fetch_add(buffer.len() as u64, Ordering::Relaxed);
            Ok(())
        }
    }

    fn ends(text: &Text, quote: Option<u8>, target: u64) -> Vec<u64> {
        record_ends(text, quote, target, &ScanContext::default()).unwrap()
    }

    /// Line ends one by one: a cut at the first that is not before the wanted place.
    fn slow(text: &[u8], target: u64) -> Vec<u64> {
        let (mut found, mut wanted) = (Vec::new(), target);
        for (at, _) in text.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
            let end = at as u64 + 1;
            if end >= wanted && wanted < text.len() as u64 {
                found.push(end);
                wanted = end + target;
            }
        }
        found
    }

    proptest! {
        #[test]
        fn without_quotes_cuts_are_those_of_a_walk_over_all_lines(
            lengths in prop::collection::vec(0usize..40, 0..60),
            last in 0usize..5,
            target in 1u64..200,
        ) {
            let mut text: Vec<u8> = Vec::new();
            for length in lengths {
                text.extend(std::iter::repeat_n(b'x', length));
                text.push(b'\n');
            }
            text.extend(std::iter::repeat_n(b'x', last));
            let expected = slow(&text, target);
            let text = Text(text, AtomicU64::new(0));
            prop_assert_eq!(&ends(&text, None, target), &expected);
            prop_assert_eq!(&ends(&text, Some(b'"'), target), &expected);
        }
    }

    #[test]
    fn text_without_quotes_is_read_at_its_cuts_alone() {
        // The second line is longer than what is read at a time.
        let mut text = vec![b'x'; 40 * STEP];
        for end in [5, 9 * STEP, 20 * STEP, 31 * STEP, 40 * STEP - 1] {
            text[end] = b'\n';
        }
        let (target, expected) = (10 * STEP as u64, slow(&text, 10 * STEP as u64));
        assert_eq!(expected.len(), 2);
        let text = Text(text, AtomicU64::new(0));
        assert_eq!(ends(&text, None, target), expected);
        let skipped = text.size() - text.1.load(Ordering::Relaxed);
        assert!(skipped > 15 * STEP as u64, "{skipped} bytes were not read");
        assert_eq!(ends(&text, Some(b'"'), target), expected);
    }
}
