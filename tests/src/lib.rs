//! What the cross-crate tests share: where the workspace is.
//!
//! Comes in: nothing. Goes out: paths. It must never know what a test is about.

use std::path::PathBuf;

/// The root of the workspace.
#[must_use]
pub fn workspace_root() -> PathBuf {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root
}
