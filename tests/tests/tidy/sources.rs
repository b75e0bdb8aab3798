//! Rules about source files: sizes, documentation, and what must not stand in them.

use std::path::Path;

use syn::spanned::Spanned;
use syn::visit::Visit;

use crate::{files, none, shown};

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;

fn parse(path: &Path) -> (String, syn::File) {
    let text = std::fs::read_to_string(path).unwrap();
    let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", shown(path)));
    (text, file)
}

fn is_test_file(path: &Path) -> bool {
    let name = shown(path);
    name.split('/')
        .any(|part| matches!(part, "tests" | "benches" | "examples") || part == "tests.rs")
}

fn is_test_only(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|a| {
        a.path().is_ident("test")
            || a.path().segments.last().is_some_and(|s| s.ident == "test")
            || (a.path().is_ident("cfg")
                && a.meta
                    .require_list()
                    .is_ok_and(|l| l.tokens.to_string().contains("test")))
    })
}

/// Lines of a span, both ends included.
fn lines(span: proc_macro2::Span) -> usize {
    span.end().line - span.start().line + 1
}

#[test]
fn no_file_is_longer_than_six_hundred_lines_tests_apart() {
    let mut bad = Vec::new();
    for path in files(&[".rs"]) {
        let (text, file) = parse(&path);
        let tests: usize = file
            .items
            .iter()
            .filter_map(|item| match item {
                syn::Item::Mod(m) if is_test_only(&m.attrs) => Some(lines(m.span())),
                _ => None,
            })
            .sum();
        let net = text.lines().count() - tests;
        if net > FILE_LINES_MAX {
            bad.push(format!("{}: {net} lines", shown(&path)));
        }
    }
    none("a file holds one idea in at most 600 lines:", &bad);
}

struct LongFunctions {
    file: String,
    found: Vec<String>,
}

impl LongFunctions {
    fn look(&mut self, name: &syn::Ident, attributes: &[syn::Attribute], span: proc_macro2::Span) {
        let length = lines(span);
        if length > FUNCTION_LINES_MAX && !is_test_only(attributes) {
            self.found
                .push(format!("{}: {name} has {length} lines", self.file));
        }
    }
}

impl<'ast> Visit<'ast> for LongFunctions {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.look(&item.sig.ident, &item.attrs, item.block.span());
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.look(&item.sig.ident, &item.attrs, item.block.span());
        syn::visit::visit_impl_item_fn(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test_only(&item.attrs) {
            syn::visit::visit_item_mod(self, item);
        }
    }
}

#[test]
fn no_function_is_longer_than_seventy_lines_tests_apart() {
    let mut bad = Vec::new();
    for path in files(&[".rs"]) {
        if is_test_file(&path) {
            continue;
        }
        let (_, file) = parse(&path);
        let mut visit = LongFunctions {
            file: shown(&path),
            found: Vec::new(),
        };
        visit.visit_file(&file);
        bad.append(&mut visit.found);
    }
    none("a function fits a screen:", &bad);
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    let mut bad = Vec::new();
    for path in files(&[".rs"]) {
        let text = std::fs::read_to_string(&path).unwrap();
        if !text.starts_with("//!") {
            bad.push(shown(&path));
        }
    }
    none("a file's first line says what it is for (`//!`):", &bad);
}

#[test]
fn nothing_is_unfinished_or_silenced() {
    let marks = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("#[", "ignore"),
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("dbg", "!("),
    ];
    let mut bad = Vec::new();
    for path in files(&[".rs", ".sql", ".proto", ".toml", ".sh", ".py"]) {
        let text = std::fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            if let Some(mark) = marks.iter().find(|mark| line.contains(**mark)) {
                bad.push(format!("{}:{} has {mark}", shown(&path), number + 1));
            }
        }
    }
    none("what stands here is finished:", &bad);
}

#[test]
fn the_project_speaks_of_itself_alone() {
    let words = [
        concat!("/wo", "rk/"),
        concat!("/fa", "rm/"),
        concat!("sub", "agent"),
        concat!("../sha", "red/design"),
    ];
    let mut bad = Vec::new();
    for path in files(&[
        ".rs", ".md", ".toml", ".sql", ".proto", ".sh", ".py", ".yaml",
    ]) {
        let text = std::fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            if let Some(word) = words.iter().find(|word| line.contains(**word)) {
                bad.push(format!("{}:{} says `{word}`", shown(&path), number + 1));
            }
        }
    }
    none(
        "no path of a machine, no word of how the work was organised:",
        &bad,
    );
}

#[test]
fn pure_crates_never_wait() {
    let mut bad = Vec::new();
    for path in files(&[".rs"]) {
        let name = shown(&path);
        let pure = [
            "crates/model/",
            "crates/metrics/",
            "crates/judge/",
            "crates/past/",
            "manager/core/",
        ]
        .iter()
        .any(|root| name.starts_with(root));
        if pure && !is_test_file(&path) {
            let text = std::fs::read_to_string(&path).unwrap();
            let waits = text.match_indices(concat!(".aw", "ait")).any(|(at, word)| {
                let next = text[at + word.len()..].chars().next();
                !next.is_some_and(|c| c.is_alphanumeric() || c == '_')
            });
            if waits {
                bad.push(name);
            }
        }
    }
    none("pure crates hold no `.await`:", &bad);
}
