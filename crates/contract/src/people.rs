//! The people of a document: `team`, `support`, `roles`, `price`.
//!
//! In: those keys. Out: the owner and the subscribers; the rest is checked and not kept.

use assay_model::dataset::Subscriber;

use crate::context::Context;
use crate::decode::{At, DEFINITIONS, Keys, Shape};
use crate::diagnostic::Code;
use crate::tree::Value;

const T: Shape = Shape::Text;

/// The keys of a role.
pub const ROLE_KEYS: Keys = &[
    ("id", T),
    ("!role", T),
    ("description", T),
    ("access", T),
    ("firstLevelApprovers", T),
    ("secondLevelApprovers", T),
    ("customProperties", Shape::Custom),
];

/// The keys of `price`.
pub const PRICE_KEYS: Keys = &[
    ("id", T),
    ("priceAmount", Shape::Number),
    ("priceCurrency", T),
    ("priceUnit", T),
];

const MEMBER_KEYS: Keys = &[
    ("id", T),
    ("!username", T),
    ("name", T),
    ("description", T),
    ("role", T),
    ("dateIn", T),
    ("dateOut", T),
    ("replacedByUsername", T),
    ("tags", Shape::Texts),
    ("customProperties", Shape::Custom),
    ("authoritativeDefinitions", DEFINITIONS),
];

const TEAM_KEYS: Keys = &[
    ("id", T),
    ("name", T),
    ("description", T),
    ("members", Shape::Any),
    ("tags", Shape::Texts),
    ("customProperties", Shape::Custom),
    ("authoritativeDefinitions", DEFINITIONS),
];

const SUPPORT_KEYS: Keys = &[
    ("id", T),
    ("!channel", T),
    ("url", T),
    ("description", T),
    ("tool", T),
    ("scope", T),
    ("invitationUrl", T),
    ("customProperties", Shape::Custom),
];

/// Who answers for the dataset: the team's name, or its member with the role of an owner.
pub fn team(cx: &mut Context<'_>, at: &At<'_>) -> Option<String> {
    // Before v3.1 a team was the list of its members.
    if matches!(at.node.value, Value::List(_)) {
        return members(cx, at);
    }
    let map = at.map(cx, TEAM_KEYS)?;
    let owner = map.get("members").and_then(|list| members(cx, &list));
    map.text("name").or(owner)
}

fn members(cx: &mut Context<'_>, at: &At<'_>) -> Option<String> {
    let mut owner = None;
    for item in at.items(cx) {
        let Some(member) = item.map(cx, MEMBER_KEYS) else {
            continue;
        };
        let owns = member
            .text("role")
            .is_some_and(|role| role.eq_ignore_ascii_case("owner"));
        if owns && owner.is_none() && member.get("dateOut").is_none() {
            owner = member.text("username");
        }
    }
    owner
}

/// Who is told: the channels whose scope is `notifications`.
pub fn support(cx: &mut Context<'_>, at: &At<'_>) -> Vec<Subscriber> {
    let mut subscribers = Vec::new();
    for item in at.items(cx) {
        let Some(map) = item.map(cx, SUPPORT_KEYS) else {
            continue;
        };
        let (Some(channel), Some("notifications")) =
            (map.text("channel"), map.text("scope").as_deref())
        else {
            continue;
        };
        let url = map.text("url");
        let guessed = match url.as_deref() {
            Some(url) if url.starts_with("mailto:") => Some("email"),
            Some(url) if url.starts_with("http") => Some("webhook"),
            _ if channel.contains('@') => Some("email"),
            _ => None,
        };
        let Some(tool) = map.text("tool").or_else(|| guessed.map(str::to_owned)) else {
            map.at
                .report(
                    cx,
                    Code::NotUsed,
                    format!("nothing says how `{channel}` is reached"),
                )
                .hint("add `tool: slack`, `email` or `webhook`");
            continue;
        };
        subscribers.push(Subscriber { channel, tool, url });
    }
    subscribers
}
