//! Rules about what is built in: what is banned, what there is one of, and what nobody uses.
//!
//! They read `Cargo.lock` and need no network. `deny.toml` says the same and more, for `cargo deny`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::{files, none, shown};

/// Sections of a manifest that name dependencies.
const SECTIONS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// Named by generated code, which lies outside the tree.
const GENERATED: [(&str, &str); 1] = [("proto/Cargo.toml", "tonic-prost")];

/// Name, version and source of every package of the lock file.
fn locked() -> Vec<(String, String, Option<String>)> {
    let path = assay_tests::workspace_root().join("Cargo.lock");
    let lock: toml::Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
    let text = |package: &toml::Value, key: &str| Some(package.get(key)?.as_str()?.to_owned());
    lock["package"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| {
            (
                text(p, "name").unwrap(),
                text(p, "version").unwrap(),
                text(p, "source"),
            )
        })
        .collect()
}

#[test]
fn tls_is_rustls_with_ring_and_everything_comes_from_crates_io() {
    let banned = [
        "openssl",
        "openssl-sys",
        "native-tls",
        "aws-lc-rs",
        "aws-lc-sys",
    ];
    let registry = "registry+https://github.com/rust-lang/crates.io-index";
    let mut bad = Vec::new();
    for (name, version, source) in locked() {
        if banned.contains(&name.as_str()) {
            bad.push(format!("{name} {version} is banned"));
        }
        if source.is_some_and(|s| s != registry) {
            bad.push(format!("{name} {version} is not from crates.io"));
        }
    }
    none("the build needs cargo, a C compiler and crates.io:", &bad);
}

#[test]
fn there_is_one_version_of_what_crosses_crates() {
    let single = |name: &str| {
        [
            "arrow",
            "parquet",
            "object_store",
            "rustls",
            "tonic",
            "prost",
            "sqlx",
            "tokio",
            "jiff",
        ]
        .contains(&name)
            || name.starts_with("arrow-")
    };
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, version, _) in locked() {
        versions.entry(name).or_default().insert(version);
    }
    let bad: Vec<String> = versions
        .iter()
        .filter(|(name, found)| single(name) && found.len() > 1)
        .map(|(name, found)| format!("{name}: {found:?}"))
        .collect();
    assert!(
        versions.contains_key("parquet"),
        "the lock file names no parquet"
    );
    none("types of these crates pass between crates:", &bad);
}

/// Whether `text` holds `word` with no letter, digit or underscore beside it.
fn has_word(text: &str, word: &str) -> bool {
    let joins = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        !text[..at].chars().next_back().is_some_and(joins)
            && !text[at + word.len()..].chars().next().is_some_and(joins)
    })
}

/// The sources of the crate in `folder`, without those of crates inside it.
fn sources(folder: &Path, others: &[std::path::PathBuf]) -> String {
    files(&[".rs"])
        .iter()
        .filter(|path| {
            path.starts_with(folder)
                && !others
                    .iter()
                    .any(|o| o != folder && o.starts_with(folder) && path.starts_with(o))
        })
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect()
}

#[test]
fn every_dependency_is_used() {
    let manifests: Vec<_> = files(&["Cargo.toml"])
        .into_iter()
        .map(|path| {
            let table: toml::Table = std::fs::read_to_string(&path).unwrap().parse().unwrap();
            (path, table)
        })
        .collect();
    let folders: Vec<_> = manifests
        .iter()
        .filter(|(_, table)| table.contains_key("package"))
        .map(|(path, _)| path.parent().unwrap().to_owned())
        .collect();
    let mut named = BTreeSet::new();
    let mut bad = Vec::new();
    for (path, table) in &manifests {
        let folder = path.parent().unwrap();
        let mut text = None;
        for name in SECTIONS
            .iter()
            .filter_map(|section| table.get(*section)?.as_table())
            .flat_map(|dependencies| dependencies.keys())
        {
            named.insert(name.clone());
            let text = text.get_or_insert_with(|| sources(folder, &folders));
            let generated = GENERATED.contains(&(shown(path).as_str(), name.as_str()));
            if !generated && !has_word(text, &name.replace('-', "_")) {
                bad.push(format!("{}: {name} is in no source file", shown(path)));
            }
        }
    }
    let root: toml::Table =
        std::fs::read_to_string(assay_tests::workspace_root().join("Cargo.toml"))
            .unwrap()
            .parse()
            .unwrap();
    for name in root["workspace"]["dependencies"].as_table().unwrap().keys() {
        if !named.contains(name) && !name.starts_with("assay-") {
            bad.push(format!("Cargo.toml: {name} is used by no crate"));
        }
    }
    none("what nobody uses is not built:", &bad);
}
