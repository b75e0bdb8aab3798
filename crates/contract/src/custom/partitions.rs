//! `assayPartitions`: how a dataset falls into partitions.
//!
//! In: the value of the property. Out: a [`Partitioning`](assay_model::dataset::Partitioning).

use assay_model::dataset::{Cadence, KeyKind, KeySpec, Layout, Sealing};

use super::Settings;
use super::policies::{duration, zone};
use crate::context::Context;
use crate::decode::{At, Keys, Map, Shape};
use crate::diagnostic::Code;
use crate::tree::Value;
use crate::units;

const T: Shape = Shape::Text;

const KEYS: Keys = &[
    ("layout", T),
    ("template", T),
    ("column", T),
    ("granularity", T),
    ("keys", Shape::List(PART_KEYS)),
    ("timeZone", T),
    ("sealing", Shape::Any),
    ("deadline", Shape::Scalar),
    ("cadence", T),
];

const PART_KEYS: Keys = &[("!name", T), ("!type", T)];

/// Ten years, the longest wait that is taken.
const WAIT_MAX_S: u64 = 3650 * 86_400;

/// Decodes `assayPartitions`.
pub fn decode(cx: &mut Context<'_>, at: &At<'_>, settings: &mut Settings) {
    let Some(map) = at.map(cx, KEYS) else {
        return;
    };
    if let Some(layout) = layout(cx, &map) {
        settings.partitions.layout = layout;
    }
    let kinds: Vec<&'static str> = KeyKind::ALL.iter().map(|k| k.as_str()).collect();
    let mut keys: Vec<KeySpec> = Vec::new();
    for item in map.get("keys").map(|at| at.items(cx)).unwrap_or_default() {
        let Some(part) = item.map(cx, PART_KEYS) else {
            continue;
        };
        let kind = part.get("type").and_then(|at| at.word(cx, &kinds));
        let (Some(name), Some(kind)) = (part.text("name"), kind) else {
            continue;
        };
        if keys.iter().any(|k| k.name == name) {
            item.report(
                cx,
                Code::DuplicateId,
                format!("the key `{name}` is listed twice"),
            )
            .hint("list each part once");
            continue;
        }
        if let Ok(kind) = kind.parse() {
            keys.push(KeySpec { name, kind });
        }
    }
    keys_of_template(cx, &map, &settings.partitions.layout, &keys);
    settings.partitions.keys = keys;
    if let Some(name) = zone(cx, &map, "timeZone") {
        settings.partitions.time_zone = name;
    }
    if let Some(sealing) = sealing(cx, &map) {
        settings.partitions.sealing = sealing;
    }
    settings.partitions.deadline_s = duration(cx, &map, "deadline", 0, WAIT_MAX_S);
    settings.partitions.cadence = cadence(cx, &map, "cadence");
}

fn cadence(cx: &mut Context<'_>, map: &Map<'_>, key: &str) -> Option<Cadence> {
    let words: Vec<&'static str> = Cadence::ALL.iter().map(|c| c.as_str()).collect();
    map.get(key)?.word(cx, &words)?.parse().ok()
}

fn layout(cx: &mut Context<'_>, map: &Map<'_>) -> Option<Layout> {
    let word = match map.get("layout") {
        Some(at) => at.word(cx, &["auto", "single", "hive", "template", "column"])?,
        // One that is written says the layout.
        None if map.get("template").is_some() => "template",
        None if map.get("column").is_some() => "column",
        None => "auto",
    };
    for (key, owner) in [
        ("template", "template"),
        ("column", "column"),
        ("granularity", "column"),
    ] {
        if word != owner
            && let Some(at) = map.key_at(key)
        {
            at.report(
                cx,
                Code::InvalidValue,
                format!("`{key}` does not go with the layout `{word}`"),
            )
            .hint(format!("write `layout: {owner}`, or leave `{key}` out"));
        }
    }
    match word {
        "single" => Some(Layout::Single),
        "hive" => Some(Layout::Hive),
        "template" => {
            let Some(at) = map.get("template") else {
                map.missing(cx, "template");
                return None;
            };
            let text = at.scalar()?;
            match template_names(text) {
                Ok(_) => Some(Layout::Template(text.to_owned())),
                Err(why) => {
                    at.report(cx, Code::InvalidValue, why)
                        .hint("name the parts in braces: `trips_{year}-{month}.csv`");
                    None
                }
            }
        }
        "column" => {
            let Some(at) = map.get("column") else {
                map.missing(cx, "column");
                return None;
            };
            let column = at.name(cx)?;
            Some(Layout::Column {
                column,
                granularity: cadence(cx, map, "granularity"),
            })
        }
        _ => Some(Layout::Auto),
    }
}

/// The names of a template's parts.
fn template_names(text: &str) -> Result<Vec<&str>, String> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let Some(body) = rest[at..].strip_prefix('{') else {
            return Err(format!("`{text}` has a `}}` without its `{{`"));
        };
        let end = body
            .find('}')
            .ok_or_else(|| format!("`{text}` has a `{{` without its `}}`"))?;
        let name = &body[..end];
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(format!("`{{{name}}}` is not a name"));
        }
        if names.contains(&name) {
            return Err(format!("`{{{name}}}` is used twice"));
        }
        names.push(name);
        rest = &body[end + 1..];
    }
    if names.is_empty() {
        Err(format!("`{text}` has no parts"))
    } else {
        Ok(names)
    }
}

/// The keys of a template and its parts are the same set.
fn keys_of_template(cx: &mut Context<'_>, map: &Map<'_>, layout: &Layout, keys: &[KeySpec]) {
    let Layout::Template(text) = layout else {
        return;
    };
    let (Ok(names), Some(at)) = (template_names(text), map.get("keys")) else {
        return;
    };
    for name in &names {
        if !keys.iter().any(|k| k.name == *name) {
            at.report(
                cx,
                Code::InvalidValue,
                format!("the part `{{{name}}}` has no key"),
            )
            .hint(format!(
                "add `{{ name: {name}, type: text }}`, or leave `keys` out"
            ));
        }
    }
    for key in keys {
        if !names.contains(&key.name.as_str()) {
            at.report(
                cx,
                Code::InvalidValue,
                format!("the template has no part `{{{}}}`", key.name),
            )
            .hint(format!("its parts are {}", crate::suggest::listed(&names)));
        }
    }
}

fn sealing(cx: &mut Context<'_>, map: &Map<'_>) -> Option<Sealing> {
    let at = map.get("sealing")?;
    if !matches!(at.node.value, Value::Map(_)) {
        at.word(cx, &["immediately"])?;
        return Some(Sealing::Immediately);
    }
    let inner = at.map(cx, &[("quiet", Shape::Scalar), ("marker", T)])?;
    match (inner.get("quiet"), inner.get("marker")) {
        (Some(quiet), None) => match units::seconds(quiet.scalar()?) {
            Ok(quiet_s) if quiet_s <= WAIT_MAX_S => Some(Sealing::Quiet { quiet_s }),
            Ok(_) => {
                quiet.report(cx, Code::InvalidValue, "nothing is quiet for so long");
                None
            }
            Err(why) => {
                quiet
                    .report(cx, Code::InvalidValue, why)
                    .hint("write `15m` or `1h`");
                None
            }
        },
        (None, Some(marker)) => {
            let name = marker.name(cx)?;
            if name.contains('/') {
                marker
                    .report(
                        cx,
                        Code::InvalidValue,
                        "a marker is the name of a file, not a path",
                    )
                    .hint("write `marker: _SUCCESS`");
                return None;
            }
            Some(Sealing::Marker { name })
        }
        _ => {
            at.report(cx, Code::InvalidValue, "one way of sealing belongs here")
                .hint("write `{ quiet: 15m }`, `{ marker: _SUCCESS }` or `immediately`");
            None
        }
    }
}
