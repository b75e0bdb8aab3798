//! Decompression of pages.
//!
//! In: a page's bytes as stored, and how many bytes the header says they become. Out: exactly that
//! many bytes in a buffer that is used again, or what is wrong. It never makes more bytes than the
//! header states; the caller has compared that with the memory budget.

use std::io::Read;

use parquet::basic::Compression;

/// Decoders that are costly to make, made once.
#[derive(Default)]
pub(crate) struct Codecs {
    snappy: Option<snap::raw::Decoder>,
    zstd: Option<zstd::bulk::Decompressor<'static>>,
}

impl Codecs {
    /// Appends the `size` bytes that `from` decompresses to, to `to`.
    pub(crate) fn decompress(
        &mut self,
        codec: Compression,
        from: &[u8],
        size: usize,
        to: &mut Vec<u8>,
    ) -> Result<(), String> {
        let start = to.len();
        match codec {
            Compression::UNCOMPRESSED => to.extend_from_slice(from),
            Compression::SNAPPY => self.snappy(from, size, to)?,
            Compression::ZSTD(_) => self.zstd(from, size, to)?,
            Compression::GZIP(_) => at_most(flate2::read::MultiGzDecoder::new(from), size, to)?,
            Compression::BROTLI(_) => at_most(brotli::Decompressor::new(from, 4096), size, to)?,
            Compression::LZ4_RAW => lz4_block(from, size, to)?,
            Compression::LZ4 => lz4_hadoop(from, size, to)?,
            Compression::LZO => return Err("LZO compression is not read".to_owned()),
        }
        match to.len() - start {
            made if made == size => Ok(()),
            made => Err(format!(
                "a page of {size} bytes decompresses to {made} bytes"
            )),
        }
    }

    fn snappy(&mut self, from: &[u8], size: usize, to: &mut Vec<u8>) -> Result<(), String> {
        let stated = snap::raw::decompress_len(from).map_err(|error| error.to_string())?;
        if stated != size {
            return Err(format!(
                "a page of {size} bytes says that it decompresses to {stated}"
            ));
        }
        let start = to.len();
        to.resize(start + size, 0);
        let decoder = self.snappy.get_or_insert_with(snap::raw::Decoder::new);
        decoder
            .decompress(from, &mut to[start..])
            .map_err(|error| error.to_string())?;
        Ok(())
    }

    fn zstd(&mut self, from: &[u8], size: usize, to: &mut Vec<u8>) -> Result<(), String> {
        let decoder = match &mut self.zstd {
            Some(decoder) => decoder,
            none => {
                let made = zstd::bulk::Decompressor::new().map_err(|error| error.to_string())?;
                none.insert(made)
            }
        };
        let start = to.len();
        to.resize(start + size, 0);
        let made = decoder
            .decompress_to_buffer(from, &mut to[start..])
            .map_err(|error| format!("zstd: {error}"))?;
        to.truncate(start + made);
        Ok(())
    }
}

/// Reads to the end, and stops one byte after `size`: enough to know that it is too long.
fn at_most(reader: impl Read, size: usize, to: &mut Vec<u8>) -> Result<(), String> {
    reader
        .take(size as u64 + 1)
        .read_to_end(to)
        .map_err(|error| error.to_string())?;
    Ok(())
}

fn lz4_block(from: &[u8], size: usize, to: &mut Vec<u8>) -> Result<(), String> {
    let start = to.len();
    to.resize(start + size, 0);
    let made = lz4_flex::block::decompress_into(from, &mut to[start..])
        .map_err(|error| format!("lz4: {error}"))?;
    to.truncate(start + made);
    Ok(())
}

/// The old `LZ4` of Parquet is written in three ways by different producers: blocks with Hadoop's
/// two lengths before each, LZ4 frames, or one bare block. They are tried in that order, as every
/// reader does.
fn lz4_hadoop(from: &[u8], size: usize, to: &mut Vec<u8>) -> Result<(), String> {
    let start = to.len();
    if hadoop_blocks(from, size, to).is_some() && to.len() - start == size {
        return Ok(());
    }
    to.truncate(start);
    if at_most(lz4_flex::frame::FrameDecoder::new(from), size, to).is_ok()
        && to.len() - start == size
    {
        return Ok(());
    }
    to.truncate(start);
    lz4_block(from, size, to)
}

fn hadoop_blocks(mut from: &[u8], size: usize, to: &mut Vec<u8>) -> Option<()> {
    let end = to.len() + size;
    while !from.is_empty() {
        let (lengths, rest) = from.split_first_chunk::<8>()?;
        let length = |at: usize| -> Option<usize> {
            let bytes = lengths.get(at..at + 4)?.try_into().ok()?;
            usize::try_from(u32::from_be_bytes(bytes)).ok()
        };
        let (made, stored) = (length(0)?, length(4)?);
        if stored > rest.len() || made > end - to.len() {
            return None;
        }
        lz4_block(&rest[..stored], made, to).ok()?;
        from = &rest[stored..];
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_becomes_more_or_less_than_it_says_is_refused() {
        let text = b"one two one two one two one two one two";
        let zstd = zstd::bulk::compress(text, 1).unwrap();
        let snappy = snap::raw::Encoder::new().compress_vec(text).unwrap();
        let lz4 = lz4_flex::block::compress(text);
        let cases = [
            (Compression::ZSTD(Default::default()), zstd),
            (Compression::SNAPPY, snappy),
            (Compression::LZ4_RAW, lz4.clone()),
            (Compression::LZ4, lz4),
            (Compression::UNCOMPRESSED, text.to_vec()),
        ];
        let mut codecs = Codecs::default();
        for (codec, bytes) in cases {
            let mut to = vec![9];
            codecs
                .decompress(codec, &bytes, text.len(), &mut to)
                .unwrap();
            assert_eq!(&to[1..], text);
            for wrong in [text.len() - 1, text.len() + 1, 0] {
                let got = codecs.decompress(codec, &bytes, wrong, &mut Vec::new());
                assert!(got.is_err(), "{codec:?} {wrong}");
            }
        }
    }
}
