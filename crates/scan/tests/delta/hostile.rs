//! Broken and hostile logs: an error that names its file, or rows; never a panic, never a hang.

use std::fs;
use std::path::{Path, PathBuf};

use assay_model::dataset::FormatKind;
use serde_json::json;

use crate::common::{dataset, run};
use crate::log::{file, table};
use crate::writer::{in_file, inline, remove, without};

/// Numbers that look like chance and are the same every time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % most.max(1)
    }
}

/// A change of some bytes.
fn changed(bytes: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = chance.below(bytes.len());
    match chance.below(6) {
        0 => bytes[at] ^= 1 << chance.below(8),
        1 => bytes.truncate(at),
        2 => {
            bytes.remove(at);
        }
        3 => bytes.insert(at, b"{}[]\",:0-9\n%\0\xff"[chance.below(14)]),
        4 => {
            let end = (at + chance.below(40)).min(bytes.len());
            let part = bytes[at..end].to_vec();
            bytes.splice(at..at, part);
        }
        _ => {
            let with = chance.below(256) as u8;
            let end = (at + 8).min(bytes.len());
            bytes[at..end].fill(with);
        }
    }
    bytes
}

/// Every file of the table is changed so many times, one at a time.
fn mutate(root: &Path, files: &[PathBuf], times: usize) -> (usize, usize) {
    let (mut read, mut refused) = (0, 0);
    let mut chance = Chance(2026);
    for path in files {
        let whole = fs::read(path).unwrap();
        for _ in 0..times {
            fs::write(path, changed(&whole, &mut chance)).unwrap();
            match run(&dataset(root, FormatKind::Delta)) {
                Ok(_) => read += 1,
                Err(error) => {
                    refused += 1;
                    let told = error.to_string();
                    let name = root.file_name().unwrap().to_str().unwrap();
                    let named = told.contains(name) || told.contains(".parquet");
                    assert!(named && told.contains("; "), "{told}");
                }
            }
        }
        fs::write(path, &whole).unwrap();
    }
    (read, refused)
}

fn below(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(below(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

#[test]
fn no_change_of_a_table_makes_a_panic() {
    for form in ["json", "v1", "v2 json", "v2 parquet"] {
        let root = tempfile::tempdir().unwrap();
        let mut table = table(root.path(), true, &["deletionVectors", "v2Checkpoint"]);
        let own = |part: &str| json!({ "part": part });
        let one = file(&mut table, "part=a/1.parquet", 0..50, &own("a"));
        file(&mut table, "part=b/1.parquet", 0..50, &own("b"));
        let two = file(&mut table, "part=b/2.parquet", 0..50, &own("b"));
        table.commit(&[remove(&one), without(&one, &inline(&[1, 2, 40]))]);
        let vector = &in_file(root.path(), 99, &[&[0, 7]])[0];
        match form {
            "v1" => table.checkpoint(1),
            "v2 json" => table.checkpoint_v2(true),
            "v2 parquet" => table.checkpoint_v2(false),
            _ => {}
        }
        table.commit(&[remove(&two), without(&two, vector)]);
        let rows: u64 = run(&dataset(root.path(), FormatKind::Delta))
            .unwrap()
            .states
            .values()
            .map(|state| state.rows)
            .sum();
        assert_eq!(rows, 145);
        let files = below(root.path());
        let (read, refused) = mutate(root.path(), &files, 60);
        assert_eq!(read + refused, files.len() * 60);
        assert!(refused > read, "{form}: {read} read, {refused} refused");
    }
}

#[test]
fn a_deep_or_endless_action_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    let mut table = table(root.path(), false, &[]);
    file(&mut table, "1.parquet", 0..5, &json!({}));
    let log = root.path().join("_delta_log/00000000000000000002.json");
    let deep = |open: &str, close: &str| open.repeat(200_000) + &close.repeat(200_000);
    for text in [
        deep("[", "]"),
        deep("{\"a\":", "}"),
        format!(
            "{{\"add\":{{\"path\":\"a\",\"size\":1,\"partitionValues\":{{}},\"tags\":{}}}}}",
            deep("[", "]")
        ),
        format!(
            "{{\"add\":{{\"path\":\"{}\",\"size\":-1}}}}",
            "a".repeat(1 << 20)
        ),
        "{\"add\":{\"path\":\"a\",\"size\":1e400}}".to_owned(),
        "{\"protocol\":{\"minReaderVersion\":-2147483649}}".to_owned(),
        "\u{feff}{}".to_owned(),
    ] {
        fs::write(&log, text).unwrap();
        let told = match run(&dataset(root.path(), FormatKind::Delta)) {
            Ok(_) => panic!("it was read"),
            Err(error) => error.to_string(),
        };
        // What readers do not need is passed over, however deep it is.
        let lost = "version 2 of the table has the file \"a\", which is not there";
        let named = told.contains("00000000000000000002.json");
        assert!(named || told.contains(lost), "{told}");
    }
}
