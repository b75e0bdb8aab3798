//! Tidiness: the rules of ARCHITECTURE.md and CONTRIBUTING.md that a compiler does not check.
//!
//! Each rule is one test that lists every offender, so that one run shows all there is to mend.

#![allow(clippy::unwrap_used, reason = "a test that cannot read the tree fails")]

mod dependencies;
mod documents;
mod manifests;
mod sources;

use std::path::{Path, PathBuf};

/// Every file of the workspace with one of `endings`, build output and version control apart.
fn files(endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    walk(&assay_tests::workspace_root(), endings, &mut found);
    found.sort();
    assert!(!found.is_empty(), "no file ends in {endings:?}");
    found
}

fn walk(folder: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && (!name.starts_with('.') || name == ".ci") {
                walk(&path, endings, found);
            }
        } else if endings.iter().any(|e| name.ends_with(e)) {
            found.push(path);
        }
    }
}

fn shown(path: &Path) -> String {
    path.strip_prefix(assay_tests::workspace_root())
        .unwrap()
        .display()
        .to_string()
}

/// Fails with the list of offenders, if there is one.
fn none(rule: &str, offenders: &[String]) {
    assert!(offenders.is_empty(), "{rule}\n  {}", offenders.join("\n  "));
}
