//! `customProperties`: the settings of ours, and those of others.
//!
//! In: the root's list. Out: the policies of the dataset. Every key of ours has one spelling,
//! in the table below; an unknown `assay*` key is an error, a key of someone else is left alone.
//!
//! | property | value |
//! |---|---|
//! | `assayRun` | `schedule` (cron), `timeZone`, `timeout` (`20m`), `retries`, `catchUp` (`none`, `latest`, `all`), `poll` (`15m`: how often a dataset without a schedule is looked at), `paused`, `pausedReason` |
//! | `assayScan` | `targetBytes` (`128MiB`), `distinctLimit`, `uniquenessLimit`; accepted without effect: `mode`, `watermark`, `splitBy`, `targetRowsPerTask` |
//! | `assayProfile` | `columns` (`all`, `none` or a list), `metrics` (a list), `quantiles` (a list from 0 to 1), `judged` |
//! | `assayPartitions` | `layout` (`auto`, `single`, `hive`, `template`, `column`), `template`, `column`, `granularity` (`hourly`, `daily`, `weekly`, `monthly`), `keys` (`[{ name, type }]`), `timeZone`, `sealing` (`immediately`, `{ quiet: 15m }`, `{ marker: _SUCCESS }`), `deadline` (`6h`), `cadence` |
//! | `assayLimits` | `learned`, `alarmsPerPartition` (0.02), `backfill` (`all` or `90d`), `exclude` (`[{ from, to }]`), `learnFrom` |
//! | `assayPrivacy` | `maskedColumns` (a list), `sampleRows` (0: rows shown with a broken rule on rows) |
//! | `assayFormat` | `delimiter`, `quote`, `header`, `nullTokens` |
//! | `assayStorage` | `mode: in-place` or `ingest`, `retentionDays` |
//! | `assayGroupBy` | a list of columns; accepted without effect |
//! | `finops` | a mapping of anything; accepted without effect |

mod partitions;
mod policies;

use assay_model::dataset::{
    LimitPolicy, Partitioning, Profile, RunPolicy, ScanPolicy, StoragePolicy,
};

use crate::context::Context;
use crate::decode::{At, CUSTOM_KEYS, Shape};
use crate::diagnostic::Code;
use crate::suggest;
use crate::tree::Span;

/// The properties that are ours.
const OURS: &[&str] = &[
    "assayRun",
    "assayScan",
    "assayProfile",
    "assayGroupBy",
    "assayPartitions",
    "assayLimits",
    "assayStorage",
    "assayPrivacy",
    "assayFormat",
    "finops",
];

/// What `assayFormat` changes of the server's format.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FormatOptions {
    /// The field delimiter.
    pub delimiter: Option<char>,
    /// The quote.
    pub quote: Option<char>,
    /// Whether the first record names the columns.
    pub header: Option<bool>,
    /// Fields that mean NULL.
    pub null_tokens: Option<Vec<String>>,
}

/// The settings of a document.
#[derive(Debug, Default)]
pub struct Settings {
    /// `assayRun`.
    pub run: RunPolicy,
    /// `assayScan`.
    pub scan: ScanPolicy,
    /// `assayProfile`.
    pub profile: Profile,
    /// `assayPartitions`.
    pub partitions: Partitioning,
    /// `assayLimits`.
    pub limits: LimitPolicy,
    /// `assayFormat`.
    pub format: FormatOptions,
    /// `assayPrivacy`: names with their places.
    pub masked: Vec<(String, Span, String)>,
    /// `assayStorage`.
    pub storage: StoragePolicy,
    /// `finops.owner`.
    pub owner: Option<String>,
}

/// Decodes the root's `customProperties`.
pub fn decode(cx: &mut Context<'_>, at: &At<'_>) -> Settings {
    let mut settings = Settings::default();
    let mut seen: Vec<String> = Vec::new();
    for item in at.items(cx) {
        let Some(map) = item.map(cx, CUSTOM_KEYS) else {
            continue;
        };
        let (Some(name_at), Some(value)) = (map.get("property"), map.get_any("value")) else {
            if map.get("property").is_some() {
                map.missing(cx, "value");
            }
            continue;
        };
        let Some(name) = name_at.scalar() else {
            continue;
        };
        if !OURS.contains(&name) {
            foreign(cx, &name_at, name);
            continue;
        }
        if seen.iter().any(|s| s == name) {
            name_at
                .report(cx, Code::DuplicateKey, format!("`{name}` is given twice"))
                .hint("put both together");
            continue;
        }
        seen.push(name.to_owned());
        apply(cx, name, &name_at, &value, &mut settings);
    }
    settings
}

fn apply(
    cx: &mut Context<'_>,
    name: &str,
    name_at: &At<'_>,
    value: &At<'_>,
    settings: &mut Settings,
) {
    match name {
        "assayRun" => policies::run(cx, value, settings),
        "assayScan" => policies::scan(cx, value, settings),
        "assayProfile" => policies::profile(cx, value, settings),
        "assayPartitions" => partitions::decode(cx, value, settings),
        "assayLimits" => policies::limits(cx, value, settings),
        "assayPrivacy" => policies::privacy(cx, value, settings),
        "assayFormat" => policies::format(cx, value, settings),
        "assayStorage" => policies::storage(cx, value, settings),
        "assayGroupBy" => {
            value.check(cx, Shape::Texts);
            name_at
                .report(
                    cx,
                    Code::NotUsed,
                    "`assayGroupBy` is accepted and has no effect",
                )
                .hint("metrics are of the whole partition");
        }
        _ => {
            value.check(cx, Shape::Mapping);
            settings.owner = value.node.get("owner").and_then(|n| match &n.value {
                crate::tree::Value::Scalar { text, .. } => Some(text.clone()),
                _ => None,
            });
        }
    }
}

/// A property that is not ours: left alone, unless it was meant to be.
fn foreign(cx: &mut Context<'_>, at: &At<'_>, name: &str) {
    let starts = name.to_ascii_lowercase().starts_with("assay");
    let meant = suggest::closest(
        name,
        OURS.iter().copied().filter(|o| o.starts_with("assay")),
    );
    if starts || meant.is_some() {
        at.report(cx, Code::UnknownKey, format!("unknown property `{name}`"))
            .hint(meant.map_or_else(
                || format!("ours are {}", suggest::listed(OURS)),
                |word| format!("did you mean `{word}`?"),
            ));
    }
}

/// Checks one of `customProperties` below the root, where none of ours has a meaning.
pub fn check_nested(cx: &mut Context<'_>, at: &At<'_>) {
    let Some(map) = at.map(cx, CUSTOM_KEYS) else {
        return;
    };
    if map.get_any("value").is_none() {
        map.missing(cx, "value");
    }
    if let Some(at) = map.get("property")
        && let Some(name) = at.scalar()
        && name.starts_with("assay")
    {
        at.report(
            cx,
            Code::UnknownKey,
            format!("`{name}` has no meaning here"),
        )
        .hint("move it to the `customProperties` of the root");
    }
}
