//! `customProperties` of a server that mean something here.
//!
//! In: the list and the names that this kind of server knows. Out: their texts, with variables
//! expanded. A name that was meant to be one of them is reported; others are somebody else's.

use std::collections::BTreeMap;

use assay_model::dataset::Credential;

use super::expanded;
use crate::context::Context;
use crate::decode::{At, CUSTOM_KEYS, Map};
use crate::diagnostic::Code;
use crate::suggest;

/// The property that names what logs in.
pub(super) const CREDENTIAL: &str = "credentialRef";

/// The texts of the properties in `names`, with where each stands; `None` after a report.
pub(super) fn decode<'n>(
    cx: &mut Context<'_>,
    map: &Map<'n>,
    names: &[&'static str],
) -> Option<BTreeMap<&'static str, (String, At<'n>)>> {
    let mut found = BTreeMap::new();
    let Some(list) = map.get("customProperties") else {
        return Some(found);
    };
    for item in list.items(cx) {
        // Their shapes are reported with those of all custom properties.
        let Some(entry) = item.map(cx, CUSTOM_KEYS) else {
            continue;
        };
        let Some(name_at) = entry.get("property") else {
            continue;
        };
        let Some(name) = name_at.scalar() else {
            continue;
        };
        let Some(known) = names.iter().find(|known| **known == name) else {
            if let Some(meant) = suggest::closest(name, names.iter().copied()) {
                name_at
                    .report(cx, Code::UnknownKey, format!("unknown property `{name}`"))
                    .hint(format!("did you mean `{meant}`?"));
                return None;
            }
            continue;
        };
        let Some(value) = entry.get("value") else {
            name_at
                .report(cx, Code::MissingKey, format!("`{name}` has no value"))
                .hint("write one text");
            return None;
        };
        if value.scalar().is_none() {
            value
                .report(cx, Code::WrongType, format!("`{name}` is one text"))
                .hint("write one text");
            return None;
        }
        let text = expanded(cx, &value)?;
        if found.insert(*known, (text, value)).is_some() {
            name_at
                .report(cx, Code::DuplicateKey, format!("`{name}` is given twice"))
                .hint("keep one of them");
            return None;
        }
    }
    Some(found)
}

/// What logs in, by reference; the outer `None` after a report. The text is never quoted: it may be
/// the secret.
pub(super) fn credential(
    cx: &mut Context<'_>,
    found: &BTreeMap<&'static str, (String, At<'_>)>,
) -> Option<Option<Credential>> {
    let Some((text, at)) = found.get(CREDENTIAL) else {
        return Some(None);
    };
    if let Ok(credential) = text.parse() {
        return Some(Some(credential));
    }
    at.report(cx, Code::Secret, "this names no secret")
        .hint("write `env:NAME`, `file:path`, `aws-sm:name` or `anonymous`; a secret itself never stands in a dataset file")
        .redact(at.node.span);
    None
}
