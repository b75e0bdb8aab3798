//! Decompression of pages.
//!
//! In: a page's bytes as stored, and room for as many bytes as the header says they become. Out:
//! exactly that room filled, or what is wrong. It never makes more bytes than the header states; the
//! caller has compared that with the memory budget.

use std::io::Read;

use parquet::basic::Compression;

/// Decoders that are costly to make, made once.
#[derive(Default)]
pub(crate) struct Codecs {
    snappy: Option<snap::raw::Decoder>,
    zstd: Option<zstd::bulk::Decompressor<'static>>,
}

impl Codecs {
    /// Fills `to` with what `from` decompresses to: no byte more, and none less.
    pub(crate) fn decompress(
        &mut self,
        codec: Compression,
        from: &[u8],
        to: &mut [u8],
    ) -> Result<(), String> {
        let size = to.len();
        let made = match codec {
            Compression::UNCOMPRESSED => {
                if let Some(to) = to.get_mut(..from.len()) {
                    to.copy_from_slice(from);
                }
                from.len()
            }
            Compression::SNAPPY => self.snappy(from, to)?,
            Compression::ZSTD(_) => self.zstd(from, to)?,
            Compression::GZIP(_) => at_most(flate2::read::MultiGzDecoder::new(from), to)?,
            Compression::BROTLI(_) => at_most(brotli::Decompressor::new(from, 4096), to)?,
            Compression::LZ4_RAW => lz4_block(from, to)?,
            Compression::LZ4 => lz4_hadoop(from, to)?,
            Compression::LZO => return Err("LZO compression is not read".to_owned()),
        };
        match made {
            made if made == size => Ok(()),
            made => Err(format!(
                "a page of {size} bytes decompresses to {made} bytes"
            )),
        }
    }

    fn snappy(&mut self, from: &[u8], to: &mut [u8]) -> Result<usize, String> {
        let stated = snap::raw::decompress_len(from).map_err(|error| error.to_string())?;
        if stated != to.len() {
            let size = to.len();
            return Err(format!(
                "a page of {size} bytes says that it decompresses to {stated}"
            ));
        }
        let decoder = self.snappy.get_or_insert_with(snap::raw::Decoder::new);
        decoder
            .decompress(from, to)
            .map_err(|error| error.to_string())
    }

    fn zstd(&mut self, from: &[u8], to: &mut [u8]) -> Result<usize, String> {
        let decoder = match &mut self.zstd {
            Some(decoder) => decoder,
            none => {
                let made = zstd::bulk::Decompressor::new().map_err(|error| error.to_string())?;
                none.insert(made)
            }
        };
        decoder
            .decompress_to_buffer(from, to)
            .map_err(|error| format!("zstd: {error}"))
    }
}

/// Reads to the end, and one byte beyond `to`: enough to know that it is too long.
fn at_most(mut reader: impl Read, to: &mut [u8]) -> Result<usize, String> {
    let mut made = 0;
    let mut beyond = [0];
    loop {
        let (room, extra) = match to.get_mut(made..) {
            Some(room) if !room.is_empty() => (room, 0),
            _ => (&mut beyond[..], 1),
        };
        match reader.read(room) {
            Ok(0) => return Ok(made),
            Ok(_) if extra == 1 => return Ok(made + 1),
            Ok(read) => made += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.to_string()),
        }
    }
}

fn lz4_block(from: &[u8], to: &mut [u8]) -> Result<usize, String> {
    lz4_flex::block::decompress_into(from, to).map_err(|error| format!("lz4: {error}"))
}

/// The old `LZ4` of Parquet is written in three ways by different producers: blocks with Hadoop's
/// two lengths before each, LZ4 frames, or one bare block. They are tried in that order, as every
/// reader does.
fn lz4_hadoop(from: &[u8], to: &mut [u8]) -> Result<usize, String> {
    if hadoop_blocks(from, to) == Some(to.len()) {
        return Ok(to.len());
    }
    let frames = at_most(lz4_flex::frame::FrameDecoder::new(from), to);
    if frames == Ok(to.len()) {
        return frames;
    }
    lz4_block(from, to)
}

fn hadoop_blocks(mut from: &[u8], to: &mut [u8]) -> Option<usize> {
    let mut at = 0;
    while !from.is_empty() {
        let (lengths, rest) = from.split_first_chunk::<8>()?;
        let length = |at: usize| -> Option<usize> {
            let bytes = lengths.get(at..at + 4)?.try_into().ok()?;
            usize::try_from(u32::from_be_bytes(bytes)).ok()
        };
        let (made, stored) = (length(0)?, length(4)?);
        if stored > rest.len() || made > to.len() - at {
            return None;
        }
        at += lz4_block(&rest[..stored], &mut to[at..at + made]).ok()?;
        from = &rest[stored..];
    }
    Some(at)
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
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), Default::default());
        std::io::Write::write_all(&mut gzip, text).unwrap();
        let cases = [
            (Compression::ZSTD(Default::default()), zstd),
            (Compression::SNAPPY, snappy),
            (Compression::LZ4_RAW, lz4.clone()),
            (Compression::LZ4, lz4),
            (
                Compression::GZIP(Default::default()),
                gzip.finish().unwrap(),
            ),
            (Compression::UNCOMPRESSED, text.to_vec()),
        ];
        let mut codecs = Codecs::default();
        for (codec, bytes) in cases {
            // What an earlier page left in the room is of no matter.
            let mut to = vec![9; text.len()];
            codecs.decompress(codec, &bytes, &mut to).unwrap();
            assert_eq!(to, text);
            for wrong in [text.len() - 1, text.len() + 1, 0] {
                let got = codecs.decompress(codec, &bytes, &mut vec![9; wrong]);
                assert!(got.is_err(), "{codec:?} {wrong}");
            }
        }
    }
}
