//! The standard's own examples: each parses, and what is said about it is pinned.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::{Path, PathBuf};

use assay_contract::{parse, parse_document, render_plain};

/// The folder of test data with known truth.
fn shared() -> PathBuf {
    let root = std::env::var_os("ASSAY_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    assert!(
        root.join("data/odcs/examples").is_dir(),
        "test data is not at {}: set ASSAY_SHARED",
        root.display()
    );
    root
}

#[test]
fn every_example_of_the_standard_says_what_it_always_said() {
    let mut said = String::new();
    let mut files: Vec<PathBuf> = std::fs::read_dir(shared().join("data/odcs/examples"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    files.sort();
    assert_eq!(files.len(), 18);
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        let parsed = parse(&name, &text, Path::new("/base"));
        said.push_str(&format!(
            "== {name}: {}\n{}",
            if parsed.has_errors() {
                "invalid"
            } else {
                "valid"
            },
            render_plain(&parsed.diagnostics)
        ));
        assert!(
            parsed.dataset.is_none(),
            "{name} is of a source that is not run"
        );
        assert_eq!(
            parse_document(&name, &text).document.is_some(),
            !parsed.has_errors()
        );
    }
    let pinned = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/examples.txt");
    if std::env::var_os("ASSAY_PIN").is_some() {
        std::fs::write(&pinned, &said).unwrap();
    }
    let expected = std::fs::read_to_string(&pinned).unwrap();
    assert_eq!(
        said, expected,
        "set ASSAY_PIN=1 to pin what is said, and read the difference"
    );
}
