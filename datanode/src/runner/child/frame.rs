//! Frames between a node and its children: a length, a JSON head, raw bytes.
//!
//! ```text
//! u32 LE: bytes of the head | u32 LE: bytes of the blob | head: JSON | blob: encoded states
//! ```
//!
//! In: messages, or the bytes of a pipe. Out: bytes, or whole frames. It must never make room for
//! a stated length before the bytes are there, or take a frame beyond its bound.

use std::io::Read;

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes before the head.
const HEADER: usize = 8;
/// Room that is made at a time.
const STEP: usize = 64 << 10;

/// Why a frame cannot be written or read.
#[derive(Debug, Error)]
pub(super) enum FrameError {
    /// The pipe broke.
    #[error("the pipe broke: {0}")]
    Io(#[from] std::io::Error),
    /// The pipe ended inside a frame.
    #[error("the pipe ended inside a frame")]
    Torn,
    /// More than is taken.
    #[error("a frame of {bytes} bytes, where at most {max} are taken")]
    TooLong { bytes: u64, max: u64 },
    /// Not a message.
    #[error("a frame that is no message: {0}")]
    Json(#[from] serde_json::Error),
}

/// A whole frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) head: Vec<u8>,
    pub(super) blob: Vec<u8>,
}

impl Frame {
    /// The message in the head. What follows it is refused.
    pub(super) fn message<T: DeserializeOwned>(&self) -> Result<T, FrameError> {
        Ok(serde_json::from_slice(&self.head)?)
    }
}

/// The bytes of a frame.
///
/// # Errors
/// [`FrameError::TooLong`] beyond `max` bytes of head and blob together.
pub(super) fn encode<'a>(
    message: &impl Serialize,
    blobs: impl Iterator<Item = &'a [u8]>,
    max: u64,
) -> Result<Vec<u8>, FrameError> {
    let mut bytes = vec![0; HEADER];
    serde_json::to_writer(&mut bytes, message)?;
    let head = bytes.len() - HEADER;
    for blob in blobs {
        bytes.extend_from_slice(blob);
    }
    let total = (bytes.len() - HEADER) as u64;
    let blob = bytes.len() - HEADER - head;
    let (Ok(head), Ok(blob), true) = (u32::try_from(head), u32::try_from(blob), total <= max)
    else {
        return Err(FrameError::TooLong { bytes: total, max });
    };
    bytes[..4].copy_from_slice(&head.to_le_bytes());
    bytes[4..HEADER].copy_from_slice(&blob.to_le_bytes());
    Ok(bytes)
}

/// Lengths of head and blob.
fn lengths(header: [u8; HEADER], max: u64) -> Result<(u64, u64), FrameError> {
    let [a, b, c, d, e, f, g, h] = header;
    let head = u64::from(u32::from_le_bytes([a, b, c, d]));
    let blob = u64::from(u32::from_le_bytes([e, f, g, h]));
    let bytes = head + blob;
    if bytes > max {
        return Err(FrameError::TooLong { bytes, max });
    }
    Ok((head, blob))
}

/// Reads the next frame, waiting for it; `None` at the end of the pipe.
pub(super) fn read(from: &mut impl Read, max: u64) -> Result<Option<Frame>, FrameError> {
    let mut header = [0; HEADER];
    let mut have = 0;
    while have < HEADER {
        match from.read(&mut header[have..]) {
            Ok(0) if have == 0 => return Ok(None),
            Ok(0) => return Err(FrameError::Torn),
            Ok(n) => have += n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    let (head_bytes, blob_bytes) = lengths(header, max)?;
    let mut exact = |bytes: u64| {
        let mut buffer = Vec::new();
        from.by_ref().take(bytes).read_to_end(&mut buffer)?;
        if (buffer.len() as u64) < bytes {
            return Err(FrameError::Torn);
        }
        Ok(buffer)
    };
    let head = exact(head_bytes)?;
    let blob = exact(blob_bytes)?;
    Ok(Some(Frame { head, blob }))
}

/// Reads frames from a pipe; a read that is given up loses nothing.
#[derive(Debug)]
pub(super) struct FrameReader<R> {
    pipe: R,
    buffer: Vec<u8>,
    max: u64,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(super) fn new(pipe: R, max: u64) -> Self {
        Self {
            pipe,
            buffer: Vec::new(),
            max,
        }
    }

    /// The next frame; `None` at the end of the pipe.
    pub(super) async fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        loop {
            if let Some(frame) = self.whole()? {
                return Ok(Some(frame));
            }
            if self.buffer.capacity() - self.buffer.len() < STEP / 2 {
                self.buffer.reserve(STEP);
            }
            if self.pipe.read_buf(&mut self.buffer).await? == 0 {
                return if self.buffer.is_empty() {
                    Ok(None)
                } else {
                    Err(FrameError::Torn)
                };
            }
        }
    }

    /// Whether bytes wait that nobody has asked for.
    pub(super) fn has_more(&self) -> bool {
        !self.buffer.is_empty()
    }

    fn whole(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some((header, rest)) = self.buffer.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let (head, blob) = lengths(*header, self.max)?;
        if (rest.len() as u64) < head + blob {
            return Ok(None);
        }
        // Both fit: they lie in the buffer.
        let (head, blob) = (head as usize, blob as usize);
        let frame = Frame {
            head: rest[..head].to_vec(),
            blob: rest[head..head + blob].to_vec(),
        };
        self.buffer.drain(..HEADER + head + blob);
        if self.buffer.capacity() > STEP * 16 {
            self.buffer.shrink_to(STEP);
        }
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes() -> Vec<u8> {
        encode(&"word", [&b"ab"[..], &b"c"[..]].into_iter(), 100).unwrap()
    }

    #[tokio::test]
    async fn a_frame_comes_through_a_pipe_byte_by_byte() {
        let mut twice = bytes();
        twice.extend(bytes());
        let pipe = tokio_test_pipe(twice);
        let mut frames = FrameReader::new(pipe, 100);
        for _ in 0..2 {
            let frame = frames.next().await.unwrap().unwrap();
            assert_eq!(frame.message::<String>().unwrap(), "word");
            assert_eq!(frame.blob, b"abc");
        }
        assert!(frames.next().await.unwrap().is_none());
    }

    fn tokio_test_pipe(bytes: Vec<u8>) -> tokio::io::DuplexStream {
        let (mut write, read) = tokio::io::duplex(1);
        tokio::spawn(async move {
            tokio::io::AsyncWriteExt::write_all(&mut write, &bytes)
                .await
                .unwrap();
        });
        read
    }

    #[tokio::test]
    async fn what_is_torn_too_long_or_no_message_is_told_apart() {
        for cut in 1..bytes().len() {
            let torn = &bytes()[..cut];
            assert!(matches!(read(&mut &torn[..], 100), Err(FrameError::Torn)));
            let next = FrameReader::new(torn, 100).next().await;
            assert!(matches!(next, Err(FrameError::Torn)), "{cut}");
        }
        // A stated length of 8 GiB, and no byte behind it.
        let lie = [0xff; 8];
        let next = FrameReader::new(&lie[..], 1 << 20).next().await;
        assert!(matches!(next, Err(FrameError::TooLong { .. })));
        assert!(matches!(
            read(&mut &lie[..], 1 << 20),
            Err(FrameError::TooLong { .. })
        ));
        let long = encode(&"word", std::iter::once(&[0; 200][..]), 100);
        assert!(matches!(long, Err(FrameError::TooLong { .. })));
        let trailing = Frame {
            head: b"\"word\" 1".to_vec(),
            blob: Vec::new(),
        };
        assert!(matches!(
            trailing.message::<String>(),
            Err(FrameError::Json(_))
        ));
    }
}
