//! Rules about the documents that people follow: commands that were run, or say that they were not,
//! and names that are there.

use std::collections::BTreeSet;

use crate::{none, shown};

/// What a block of commands that no test runs begins with.
const ACCOUNT: &str = "# needs an AWS account";

/// The blocks of commands of a document: line, what is said of it, its text.
fn blocks(text: &str) -> Vec<(usize, &str, String)> {
    let mut found: Vec<(usize, &str, String)> = Vec::new();
    let mut open = false;
    for (at, line) in text.lines().enumerate() {
        if let Some(info) = line.strip_prefix("```") {
            open = !open;
            if open {
                found.push((at + 1, info, String::new()));
            }
        } else if open && let Some((.., block)) = found.last_mut() {
            block.push_str(line);
            block.push('\n');
        }
    }
    found
}

/// The runbooks, and the page that sends people to them.
fn runbooks() -> Vec<std::path::PathBuf> {
    let root = assay_tests::workspace_root();
    let mut pages: Vec<_> = std::fs::read_dir(root.join("docs/operations"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "md"))
        .collect();
    pages.push(root.join("README.md"));
    pages.sort();
    assert!(pages.len() > 7, "{pages:?}");
    pages
}

#[test]
fn every_block_of_commands_is_run_by_a_test_or_says_that_it_needs_an_account() {
    let mut bad = Vec::new();
    for path in runbooks() {
        let text = std::fs::read_to_string(&path).unwrap();
        for (line, info, block) in blocks(&text) {
            let marked = match info {
                "sh test" => true,
                "sh" => block.starts_with(ACCOUNT),
                // What is shown, and not typed.
                "text" | "toml" | "yaml" | "json" => true,
                _ => false,
            };
            if !marked {
                bad.push(format!("{}:{line} ```{info}", shown(&path)));
            }
        }
    }
    none(
        "a block of commands is marked `sh test` and run, or begins with `# needs an AWS account`",
        &bad,
    );
}

/// The names of all blocks of a kind in Terraform's files: `output "url"`.
fn declared(file: &str, kind: &str) -> BTreeSet<String> {
    let path = assay_tests::workspace_root()
        .join("infra/staging")
        .join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().filter_map(|line| {
        let name = line.strip_prefix(kind)?.trim().strip_prefix('"')?;
        Some(name.split('"').next()?.to_owned())
    });
    lines.collect()
}

/// The words that come after `before` in a text.
fn after<'a>(text: &'a str, before: &str) -> Vec<&'a str> {
    let word = |rest: &'a str| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        &rest[..end.unwrap_or(rest.len())]
    };
    let parts = text.split(before).skip(1);
    parts
        .map(|rest| word(rest.trim_start_matches(['\'', '"'])))
        .collect()
}

#[test]
fn outputs_and_variables_that_are_named_are_those_of_the_staging_root() {
    let outputs = declared("outputs.tf", "output");
    let variables = declared("variables.tf", "variable");
    let mut bad = Vec::new();
    for path in runbooks() {
        let text = std::fs::read_to_string(&path).unwrap();
        for (line, _, block) in blocks(&text) {
            for kind in ["terraform output -raw ", "terraform output -json "] {
                let strange = after(&block, kind).into_iter();
                let strange = strange.filter(|name| !outputs.contains(*name));
                bad.extend(strange.map(|name| format!("{}:{line} output {name}", shown(&path))));
            }
            let strange = after(&block, "-var ").into_iter();
            let strange = strange.filter(|name| !variables.contains(*name));
            bad.extend(strange.map(|name| format!("{}:{line} variable {name}", shown(&path))));
        }
    }
    none(
        "infra/staging has an output or a variable of this name",
        &bad,
    );
}
