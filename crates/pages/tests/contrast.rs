//! Contrast, computed from the style sheet: text at least 4.5 to 1 on whatever it stands on, what is
//! only drawn at least 3 to 1, in light and in dark.

#![allow(clippy::unwrap_used, reason = "a test that cannot prepare fails")]

use std::collections::{BTreeMap, BTreeSet};

const CSS: &str = include_str!("../assets/app.css");

/// The colours of `:root`, light or dark.
fn colours(dark: bool) -> BTreeMap<String, [f64; 3]> {
    let blocks: Vec<&str> = CSS
        .match_indices(":root {")
        .map(|(at, _)| &CSS[at..])
        .collect();
    assert_eq!(blocks.len(), 2);
    let mut found = BTreeMap::new();
    for block in &blocks[..=usize::from(dark)] {
        let block = &block[..block.find('}').unwrap()];
        for line in block.lines().filter_map(|l| l.trim().strip_prefix("--")) {
            let (name, value) = line.split_once(':').unwrap();
            let value = value.trim().trim_end_matches(';');
            if let Some(hex) = value.strip_prefix('#') {
                let part = |at: usize| {
                    f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0
                };
                found.insert(name.trim().to_owned(), [part(0), part(2), part(4)]);
            }
        }
    }
    found
}

/// Relative luminance, as WCAG defines it.
fn luminance(colour: [f64; 3]) -> f64 {
    let [r, g, b] = colour.map(|c| {
        if c <= 0.04045 {
            c / 12.92
        } else {
            ((c + 0.055) / 1.055).powf(2.4)
        }
    });
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

const GROUNDS: [&str; 3] = ["bg", "surface", "sunken"];
const OUTCOMES: [&str; 7] = [
    "pass", "warn", "fail", "error", "missing", "learning", "skipped",
];

/// Text and what it stands on.
fn texts() -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for ground in GROUNDS {
        for text in ["ink", "soft", "faint", "link"].into_iter().chain(OUTCOMES) {
            pairs.push((text.to_owned(), ground.to_owned()));
        }
    }
    pairs.extend(OUTCOMES.map(|outcome| (outcome.to_owned(), format!("{outcome}-bg"))));
    // Lines of documents that are marked, in the colours of the document.
    for ground in ["warn-bg", "pass-bg", "fail-bg"] {
        for text in ["ink", "faint", "learning", "pass", "error"] {
            pairs.push((text.to_owned(), ground.to_owned()));
        }
    }
    pairs.push(("button-ink".to_owned(), "button".to_owned()));
    pairs.push(("surface".to_owned(), "ink".to_owned()));
    pairs
}

#[test]
fn text_is_read_on_whatever_it_stands_on() {
    let mut low = Vec::new();
    for dark in [false, true] {
        let colours = colours(dark);
        for (text, ground) in texts() {
            let found = contrast(colours[&text], colours[&ground]);
            if found < 4.5 {
                low.push(format!("{text} on {ground}, dark {dark}: {found:.2}"));
            }
        }
    }
    assert!(low.is_empty(), "{}", low.join("\n"));
}

#[test]
fn what_is_drawn_is_seen() {
    let mut low = Vec::new();
    for dark in [false, true] {
        let colours = colours(dark);
        let drawn = [
            "data", "edge", "c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "bound",
        ];
        for name in drawn.into_iter().chain(OUTCOMES) {
            let found = contrast(colours[name], colours["surface"]);
            if found < 3.0 {
                low.push(format!("{name} on surface, dark {dark}: {found:.2}"));
            }
        }
        // Marks of outcomes also lie on the band and in the window of an incident.
        for name in ["data", "pass", "warn", "fail", "error"] {
            for ground in ["band", "incident"] {
                let found = contrast(colours[name], colours[ground]);
                if found < 3.0 {
                    low.push(format!("{name} on {ground}, dark {dark}: {found:.2}"));
                }
            }
        }
    }
    assert!(low.is_empty(), "{}", low.join("\n"));
}

#[test]
fn every_colour_of_text_is_one_that_is_measured() {
    let known: BTreeSet<String> = texts().into_iter().map(|pair| pair.0).collect();
    let mut strange = Vec::new();
    for line in CSS.lines() {
        for declaration in line.split([';', '{', '}']) {
            if let Some(value) = declaration.trim().strip_prefix("color:") {
                let value = value.trim();
                let name = value
                    .strip_prefix("var(--")
                    .and_then(|v| v.strip_suffix(')'));
                if !name.is_some_and(|name| known.contains(name)) {
                    strange.push(value.to_owned());
                }
            }
        }
    }
    assert!(
        strange.is_empty(),
        "colours of text that no pair holds: {strange:?}"
    );
}

#[test]
fn green_is_the_colour_of_pass_alone() {
    for line in CSS.lines().filter(|line| line.contains("var(--pass")) {
        let of_pass = [
            ".o-pass",
            ".s-good",
            ".g-done",
            ".banner.good",
            ".doc li.added",
            ".y-text",
        ];
        assert!(of_pass.iter().any(|name| line.contains(name)), "{line}");
    }
}
