//! The programs under test.
//!
//! Comes in: a name. Goes out: the path of the program that cargo has built. It must never build
//! one itself, and never pass over one that is not there.

use std::path::{Path, PathBuf};

/// How they are built.
const BUILD: &str = "cargo build -p assay-manager -p assay-datanode -p assay-query -p assay-scheduler --features \
                     assay-manager/cloud,assay-datanode/cluster,assay-scheduler/lambda";

/// The path of `assay-manager`, `assay-datanode` or `bootstrap`: in the folder `ASSAY_BIN_DIR`, or beside this
/// program in cargo's target folder.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn path_of(name: &str) -> PathBuf {
    let folder = match std::env::var_os("ASSAY_BIN_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => target(),
    };
    let path = folder.join(name);
    assert!(
        path.is_file(),
        "the program {} is not there; build it: {BUILD}",
        path.display()
    );
    path
}

/// The folder above `deps`, where this program lies.
fn target() -> PathBuf {
    let program = std::env::current_exe().expect("a program knows its path");
    let folder = program.ancestors().find(|folder| folder.ends_with("deps"));
    folder
        .and_then(Path::parent)
        .expect("cargo puts tests into a folder `deps`")
        .to_owned()
}
