//! `type: local`: a folder or files of this machine.
//!
//! In: a server's keys. Out: its location, absolute. Nothing is looked up.

use std::path::{Component, Path, PathBuf};

use assay_model::dataset::Location;

use super::{ServerSource, expanded, format_of};
use crate::context::Context;
use crate::decode::Map;

/// Decodes one; `None` after a report, `Err` with the reason when this version cannot read it.
pub(super) fn decode(
    cx: &mut Context<'_>,
    map: &Map<'_>,
    base_dir: &Path,
) -> Option<Result<ServerSource, String>> {
    let path = expanded(cx, &map.get("path")?)?;
    map.get("format")?;
    let format = match format_of(cx, map, &path)? {
        Ok(format) => format,
        Err(reason) => return Some(Err(reason)),
    };
    let path = path.strip_prefix("file://").unwrap_or(&path);
    let location = Location::Local {
        path: absolute(base_dir, path),
    };
    Some(Ok(ServerSource {
        location,
        format,
        credential: None,
    }))
}

/// `path` made absolute against `base`, with `.` and `..` resolved in the text.
fn absolute(base: &Path, path: &str) -> String {
    let base = std::path::absolute(base).unwrap_or_else(|_| base.to_path_buf());
    let joined = base.join(path);
    let mut clean = PathBuf::new();
    for part in joined.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    let mut text = clean.to_string_lossy().into_owned();
    if path.ends_with('/') && !text.ends_with('/') {
        text.push('/');
    }
    text
}
