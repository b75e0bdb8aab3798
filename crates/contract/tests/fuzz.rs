//! No text makes the parser panic, and none is passed over in silence.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use assay_contract::{parse_bytes, render_fancy, render_plain};
use proptest::prelude::*;

fn examples() -> Vec<Vec<u8>> {
    let root = std::env::var_os("ASSAY_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let folder = root.join("data/odcs/examples");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("{}: {e}; set ASSAY_SHARED", folder.display()))
        .map(|e| e.unwrap().path())
        .collect();
    files.sort();
    let mut texts: Vec<Vec<u8>> = files.iter().map(|f| std::fs::read(f).unwrap()).collect();
    texts.retain(|t| t.len() < 20_000);
    texts.push(include_bytes!("orders.odcs.yaml").to_vec());
    texts
}

/// A dataset, or something to tell; and all of it can be shown.
fn answered(bytes: &[u8]) -> Result<(), TestCaseError> {
    let parsed = parse_bytes("fuzz.yaml", bytes, Path::new("/base"));
    prop_assert!(parsed.dataset.is_some() || !parsed.diagnostics.is_empty());
    prop_assert!(!(parsed.dataset.is_some() && parsed.has_errors()));
    for d in &parsed.diagnostics {
        prop_assert!(
            d.line >= 1 && d.column >= 1 && d.span.end <= bytes.len(),
            "{d:?}"
        );
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let few = parsed.diagnostics.get(..3).unwrap_or(&parsed.diagnostics);
        let shown = render_fancy(text, few, false);
        prop_assert_eq!(shown.is_empty(), few.is_empty());
    }
    prop_assert!(render_plain(&parsed.diagnostics).lines().count() >= parsed.diagnostics.len());
    Ok(())
}

/// So many cases, unless `PROPTEST_CASES` says otherwise.
fn cases(usual: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|n| n.parse().ok());
    ProptestConfig::with_cases(asked.unwrap_or(usual))
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn a_mangled_example_is_answered(
        which in any::<prop::sample::Index>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        cut in prop::option::of(any::<prop::sample::Index>()),
        drop in prop::option::of((any::<prop::sample::Index>(), 1_usize..200)),
    ) {
        let all = examples();
        let mut bytes = which.get(&all).clone();
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Some((at, length)) = drop && !bytes.is_empty() {
            let at = at.index(bytes.len());
            let end = (at + length).min(bytes.len());
            bytes.drain(at..end);
        }
        answered(&bytes)?;
    }

    #[test]
    fn any_text_of_yaml_s_own_characters_is_answered(text in "[-:{}\\[\\],&*!|>'\"%@`#a0 \\n\\t\\r~?<.]{0,80}") {
        answered(text.as_bytes())?;
    }
}
