//! Reads of one object, pinned to the version that was listed.
//!
//! In: reads at an offset, which mostly follow one another. Out: their bytes. Every request asks for
//! the listed tag, so that bytes of two versions never meet. A request costs tens of milliseconds
//! whatever its length: small reads are served from a window that grows while reads follow one
//! another, over gaps, too; the next window is under way while this one is worked. No more than
//! three windows are held.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use assay_model::partition::ObjectRef;
use assay_scan::error::ScanError;
use assay_scan::object::ReadAt;
use assay_scan::reach::PinnedRead;
use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, GetRange};

use super::http::Heard;
use super::io::{self, UnderWay};
use super::trouble::{self, Tried};
use super::{About, Bucketed};

/// The window of a read that follows no other, and the smallest.
const WINDOW_MIN: u64 = 256 << 10;
/// The largest window.
const WINDOW_MAX: u64 = 8 << 20;
/// A gap that is cheaper to read over than to ask anew.
const GAP: u64 = 512 << 10;
/// Windows that are kept beside the one under way.
const KEPT: usize = 2;

/// The largest window of a reader that may take so much memory.
pub(super) fn window_within(memory_bytes: u64) -> u64 {
    (memory_bytes / 8).clamp(WINDOW_MIN, WINDOW_MAX)
}

type Got = Result<Bytes, ScanError>;

/// A part of the object.
#[derive(Debug)]
struct Window {
    start: u64,
    bytes: Bytes,
}

impl Window {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    fn holds(&self, at: u64) -> bool {
        self.start <= at && at < self.end()
    }
}

#[derive(Debug)]
struct Ahead {
    range: Range<u64>,
    under_way: UnderWay<Got>,
}

#[derive(Debug)]
struct State {
    kept: VecDeque<Window>,
    ahead: Option<Ahead>,
    /// Where the last read ended.
    at: u64,
    /// The window of the next request.
    window: u64,
    /// Whether any byte has come.
    any: bool,
}

/// An object of a bucket.
pub(super) struct Reader {
    of: Bucketed,
    object: ObjectRef,
    path: Path,
    address: String,
    state: Mutex<State>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Reader {
    pub(super) fn new(of: Bucketed, object: ObjectRef, path: Path) -> Self {
        Self {
            address: of.address_of(path.as_ref()),
            of,
            object,
            path,
            state: Mutex::new(State {
                kept: VecDeque::new(),
                ahead: None,
                at: u64::MAX,
                window: WINDOW_MIN,
                any: false,
            }),
        }
    }

    /// A request for a part of the object; for none of it, whether it is still there.
    fn request(&self, range: Range<u64>) -> impl Future<Output = Got> + Send + use<> {
        let heard = Heard::default();
        let head = range.is_empty();
        let options = GetOptions {
            if_match: self.object.etag.clone(),
            range: (!head).then_some(GetRange::Bounded(range.clone())),
            head,
            extensions: heard.extensions(),
            ..GetOptions::default()
        };
        let (of, path, address) = (self.of.clone(), self.path.clone(), self.address.clone());
        let pinned = self.object.clone();
        async move {
            let meant =
                |error: object_store::Error| trouble::meaning(&error, &heard, about(&of, &address));
            let got = of
                .client
                .store
                .get_opts(&path, options)
                .await
                .map_err(meant)?;
            let changed = |what: String| ScanError::Changed {
                path: address.clone(),
                what,
            };
            if got.meta.size != pinned.size {
                return Err(changed(format!(
                    "{} bytes became {}",
                    pinned.size, got.meta.size
                )));
            }
            match (&pinned.etag, &got.meta.e_tag) {
                (Some(listed), Some(found)) if listed != found => {
                    return Err(changed(format!("its tag {listed} became {found}")));
                }
                (None, _) if super::timestamp(got.meta.last_modified) != Some(pinned.modified) => {
                    return Err(changed("its time of change is another".to_owned()));
                }
                _ => {}
            }
            if head {
                return Ok(Bytes::new());
            }
            let broke = |error| trouble::of_body(&error, &heard, about(&of, &address));
            let bytes = got.bytes().await.map_err(broke)?;
            if bytes.len() as u64 != range.end - range.start {
                return Err(ScanError::Away {
                    path: address.clone(),
                    what: format!("{} of {} bytes came", bytes.len(), range.end - range.start),
                });
            }
            Ok(bytes)
        }
    }

    /// Makes the window at `at` the last that is kept; `wanted` bytes are asked for at once.
    fn window_at(&self, state: &mut State, at: u64, wanted: u64) -> Result<(), ScanError> {
        if let Some(place) = state.kept.iter().position(|window| window.holds(at)) {
            if let Some(window) = state.kept.remove(place) {
                state.kept.push_back(window);
            }
            return Ok(());
        }
        let bytes;
        let start;
        match state.ahead.take() {
            Some(ahead) if ahead.range.contains(&at) => {
                start = ahead.range.start;
                bytes = ahead.under_way.wait(&self.address, &self.of.task)??;
            }
            _ => {
                let follows = state.at <= at && at - state.at <= GAP;
                let max = self.of.window;
                state.window = if follows {
                    (state.window * 2).min(max)
                } else {
                    WINDOW_MIN
                };
                let length = state.window.max(wanted.min(max));
                let size = self.object.size;
                // The end of an object is read backwards: a footer, then what it tells of.
                start = if size - at < WINDOW_MIN && !follows {
                    size.saturating_sub(length).min(at)
                } else {
                    at
                };
                let range = start..start.saturating_add(length).min(size);
                bytes = io::run(&self.address, &self.of.task, self.request(range))?;
            }
        }
        state.any = true;
        while state.kept.len() >= KEPT {
            state.kept.pop_front();
        }
        state.kept.push_back(Window { start, bytes });
        Ok(())
    }

    /// Asks for what follows the last window, while reads follow one another.
    fn look_ahead(&self, state: &mut State) -> Result<(), ScanError> {
        let Some(last) = state.kept.back() else {
            return Ok(());
        };
        let (start, size) = (last.end(), self.object.size);
        let worked = state.at.saturating_sub(last.start);
        let far = worked * 2 >= last.bytes.len() as u64;
        let grown = state.window > WINDOW_MIN;
        let known = state.kept.iter().any(|window| window.holds(start));
        if state.ahead.is_some() || !grown || !far || known || start >= size {
            return Ok(());
        }
        state.window = (state.window * 2).min(self.of.window);
        let range = start..start.saturating_add(state.window).min(size);
        let under_way = io::begin(&self.address, self.request(range.clone()))?;
        state.ahead = Some(Ahead { range, under_way });
        Ok(())
    }
}

fn about<'a>(of: &'a Bucketed, address: &'a str) -> About<'a> {
    of.about(address, Tried::Read)
}

impl ReadAt for Reader {
    fn path(&self) -> &str {
        &self.address
    }

    fn size(&self) -> u64 {
        self.object.size
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ScanError> {
        let length = buffer.len() as u64;
        if offset
            .checked_add(length)
            .is_none_or(|end| end > self.object.size)
        {
            return Err(ScanError::Changed {
                path: self.address.clone(),
                what: format!(
                    "{length} bytes at {offset} were asked for, it has {}",
                    self.object.size
                ),
            });
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut done = 0;
        while done < buffer.len() {
            let at = offset + done as u64;
            self.window_at(&mut state, at, length - done as u64)?;
            let Some(window) = state.kept.back() else {
                break;
            };
            let from = usize::try_from(at - window.start).unwrap_or(usize::MAX);
            let part = &window.bytes[from..];
            let part = &part[..part.len().min(buffer.len() - done)];
            buffer[done..done + part.len()].copy_from_slice(part);
            done += part.len();
            state.at = offset + done as u64;
            self.look_ahead(&mut state)?;
        }
        Ok(())
    }
}

impl PinnedRead for Reader {
    /// What was read is of the listed version, each request asked for it. Where none was made, or
    /// the store gives no tags to ask for, the object is looked at.
    fn verify_unchanged(&self) -> Result<(), ScanError> {
        let any = self
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .any;
        if any && self.object.etag.is_some() {
            return Ok(());
        }
        io::run(&self.address, &self.of.task, self.request(0..0)).map(drop)
    }
}
