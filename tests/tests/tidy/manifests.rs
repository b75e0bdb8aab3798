//! Rules about crates: who may depend on whom, and what every manifest says.

use std::collections::{BTreeMap, BTreeSet};

use crate::{files, none, shown};

struct Manifest {
    path: String,
    name: String,
    table: toml::Table,
}

fn manifests() -> Vec<Manifest> {
    files(&["Cargo.toml"])
        .into_iter()
        .filter_map(|path| {
            let table: toml::Table = std::fs::read_to_string(&path).unwrap().parse().unwrap();
            let name = table.get("package")?.get("name")?.as_str()?.to_owned();
            Some(Manifest {
                path: shown(&path),
                name,
                table,
            })
        })
        .collect()
}

fn dependencies(manifest: &Manifest) -> BTreeSet<String> {
    manifest
        .table
        .get("dependencies")
        .and_then(toml::Value::as_table)
        .map(|t| t.keys().cloned().collect())
        .unwrap_or_default()
}

const PURE: [&str; 5] = [
    "assay-past",
    "assay-model",
    "assay-metrics",
    "assay-judge",
    "assay-manager-core",
];

#[test]
fn pure_crates_know_no_runtime_no_sdk_and_no_wire() {
    let banned = [
        "tokio",
        "tonic",
        "sqlx",
        "prost",
        "object_store",
        "reqwest",
        "hyper",
        "rand",
        "assay-proto",
        "assay-store",
        "assay-scan",
    ];
    let mut bad = Vec::new();
    for manifest in manifests() {
        if PURE.contains(&manifest.name.as_str()) {
            for dependency in dependencies(&manifest) {
                if banned.contains(&dependency.as_str()) || dependency.starts_with("aws-") {
                    bad.push(format!("{} depends on {dependency}", manifest.name));
                }
            }
        }
    }
    none("pure crates decide, they do not act:", &bad);
}

#[test]
fn every_crate_inherits_the_lints_and_one_version_of_each_dependency() {
    let mut bad = Vec::new();
    for manifest in manifests() {
        let inherits = manifest
            .table
            .get("lints")
            .and_then(|l| l.get("workspace"))
            .and_then(toml::Value::as_bool);
        if inherits != Some(true) {
            bad.push(format!("{}: no `[lints] workspace = true`", manifest.path));
        }
        if let Some(table) = manifest
            .table
            .get("dependencies")
            .and_then(toml::Value::as_table)
        {
            for (name, value) in table {
                if value.get("workspace").is_none() {
                    bad.push(format!(
                        "{}: `{name}` is not a workspace one",
                        manifest.path
                    ));
                }
            }
        }
    }
    none("manifests inherit from the workspace:", &bad);
}

#[test]
fn dependencies_between_crates_have_no_cycle_and_are_at_most_seven_deep() {
    let graph: BTreeMap<String, BTreeSet<String>> = manifests()
        .iter()
        .map(|m| (m.name.clone(), dependencies(m)))
        .collect();
    fn depth(
        name: &str,
        graph: &BTreeMap<String, BTreeSet<String>>,
        path: &mut Vec<String>,
    ) -> usize {
        assert!(!path.iter().any(|p| p == name), "cycle: {path:?} -> {name}");
        path.push(name.to_owned());
        let below = graph
            .get(name)
            .into_iter()
            .flatten()
            .filter(|d| graph.contains_key(*d))
            .map(|d| depth(d, graph, path))
            .max()
            .unwrap_or(0);
        path.pop();
        below + 1
    }
    for name in graph.keys() {
        let deep = depth(name, &graph, &mut Vec::new());
        assert!(deep <= 7, "{name} is {deep} crates deep");
    }
}

#[test]
fn only_wiring_files_name_adapters() {
    // Each program composes itself in one file; everything else sees ports.
    let wiring = [
        "cli/src/cloud.rs",
        "cli/src/dev.rs",
        "manager/src/bin/assay-manager/wiring.rs",
        "datanode/src/bin/assay-datanode/wiring.rs",
        "gateway/src/bin/assay-gateway/wiring.rs",
    ];
    let adapters = [
        "SqliteStore",
        "PostgresStore",
        "FolderRegistry",
        "DynamoRegistry",
        "LocalCoordinator",
        "EtcdCoordinator",
    ];
    let mut bad = Vec::new();
    for path in files(&[".rs"]) {
        let name = shown(&path);
        let program = ["cli/src/", "manager/src/", "datanode/src/", "gateway/src/"];
        // A test may compare what lies in two stores.
        if name.ends_with("_tests.rs") {
            continue;
        }
        if program.iter().any(|root| name.starts_with(root)) && !wiring.contains(&name.as_str()) {
            let text = std::fs::read_to_string(&path).unwrap();
            for adapter in adapters {
                if text.contains(adapter) {
                    bad.push(format!("{name} names {adapter}"));
                }
            }
        }
    }
    none("adapters are named in wiring files only:", &bad);
}
