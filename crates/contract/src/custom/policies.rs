//! The settings of ours other than partitions.
//!
//! In: the value of one property. Out: the policy, with its defaults where nothing is written.

use assay_model::dataset::CatchUp;
use assay_model::metric::Metric;
use assay_model::source::StorageMode;

use super::Settings;
use crate::context::Context;
use crate::decode::{At, Keys, Map, Shape};
use crate::diagnostic::Code;
use crate::servers::one_byte;
use crate::suggest;
use crate::units;

const T: Shape = Shape::Text;
const I: Shape = Shape::Integer;

/// Seconds of the duration of `key`, from `least` to `most`.
pub fn duration(
    cx: &mut Context<'_>,
    map: &Map<'_>,
    key: &str,
    least: u64,
    most: u64,
) -> Option<u64> {
    let at = map.get(key)?;
    let text = at.scalar().unwrap_or_default();
    match units::seconds(text) {
        Ok(seconds) if (least..=most).contains(&seconds) => Some(seconds),
        Ok(seconds) => {
            at.report(
                cx,
                Code::InvalidValue,
                format!("{seconds} s is not from {least} to {most} s"),
            );
            None
        }
        Err(why) => {
            at.report(cx, Code::InvalidValue, why)
                .hint("write `30s`, `20m`, `1h30m` or `2d`");
            None
        }
    }
}

/// The zone of `key`.
pub fn zone(cx: &mut Context<'_>, map: &Map<'_>, key: &str) -> Option<String> {
    let at = map.get(key)?;
    let name = at.scalar()?;
    match units::zone(name) {
        Ok(()) => Some(name.to_owned()),
        Err(meant) => {
            let hint = meant.map_or_else(
                || "write an IANA name, such as `Europe/Berlin` or `UTC`".to_owned(),
                |zone| format!("did you mean `{zone}`?"),
            );
            at.report(cx, Code::UnknownZone, format!("unknown time zone `{name}`"))
                .hint(hint);
            None
        }
    }
}

const RUN_KEYS: Keys = &[
    ("schedule", T),
    ("timeZone", T),
    ("timeout", Shape::Scalar),
    ("retries", I),
    ("catchUp", T),
    ("poll", Shape::Scalar),
    ("paused", Shape::Boolean),
    ("pausedReason", T),
];

/// `assayRun`.
pub fn run(cx: &mut Context<'_>, at: &At<'_>, settings: &mut Settings) {
    let Some(map) = at.map(cx, RUN_KEYS) else {
        return;
    };
    let run = &mut settings.run;
    if let Some(at) = map.get("schedule")
        && let Some(text) = at.scalar()
    {
        match units::schedule(text) {
            Ok(()) => run.schedule = Some(text.to_owned()),
            Err(why) => {
                at.report(cx, Code::InvalidCron, why).hint(
                    "five fields: minute hour day-of-month month day-of-week, as in `15 * * * *`",
                );
            }
        }
    }
    if let Some(name) = zone(cx, &map, "timeZone") {
        run.time_zone = name;
    }
    if let Some(seconds) = duration(cx, &map, "timeout", 1, 7 * 86_400) {
        run.timeout_s = seconds;
    }
    if let Some(retries) = map.get("retries").and_then(|at| at.integer(cx, 0, 10)) {
        run.retries = u32::try_from(retries).unwrap_or(2);
    }
    let words: Vec<&'static str> = CatchUp::ALL.iter().map(|c| c.as_str()).collect();
    if let Some(word) = map.get("catchUp").and_then(|at| at.word(cx, &words)) {
        run.catch_up = word.parse().unwrap_or(run.catch_up);
    }
    run.poll_s = duration(cx, &map, "poll", 60, 86_400);
    if let (Some(at), Some(_)) = (map.key_at("poll"), &run.schedule) {
        at.report(
            cx,
            Code::NotUsed,
            "`poll` has no effect beside a schedule".to_owned(),
        )
        .hint("leave out one of the two");
    }
    run.paused = map.truth("paused").unwrap_or(false);
    run.paused_reason = map.text("pausedReason");
    if let (Some(at), false) = (map.key_at("pausedReason"), run.paused) {
        at.report(
            cx,
            Code::NotUsed,
            "`pausedReason` has no effect without `paused: true`".to_owned(),
        )
        .hint("leave it out, or pause the dataset");
        run.paused_reason = None;
    }
}

const SCAN_KEYS: Keys = &[
    ("targetBytes", Shape::Scalar),
    ("distinctLimit", I),
    ("uniquenessLimit", I),
    ("mode", T),
    ("watermark", T),
    ("splitBy", T),
    ("targetRowsPerTask", I),
];

/// `assayScan`.
pub fn scan(cx: &mut Context<'_>, at: &At<'_>, settings: &mut Settings) {
    let Some(map) = at.map(cx, SCAN_KEYS) else {
        return;
    };
    if let Some(at) = map.get("mode") {
        at.word(cx, &["full", "incremental"]);
    }
    for key in ["mode", "watermark", "splitBy", "targetRowsPerTask"] {
        if let Some(at) = map.key_at(key) {
            at.report(
                cx,
                Code::NotUsed,
                format!("`{key}` is accepted and has no effect"),
            )
            .hint("files are cut by `targetBytes`; unchanged partitions are not read again");
        }
    }
    if let Some(at) = map.get("targetBytes") {
        match units::bytes(at.scalar().unwrap_or_default()) {
            Ok(bytes) if bytes >= 1 << 16 => settings.scan.target_bytes = bytes,
            Ok(_) => {
                at.report(cx, Code::InvalidValue, "a batch is at least 64 KiB");
            }
            Err(why) => {
                at.report(cx, Code::InvalidValue, why)
                    .hint("write `128MiB`");
            }
        }
    }
    let limit = |cx: &mut Context<'_>, key: &str, most: i64| {
        let value = map.get(key).and_then(|at| at.integer(cx, 1, most));
        value.and_then(|v| u32::try_from(v).ok())
    };
    if let Some(value) = limit(cx, "distinctLimit", 10_000_000) {
        settings.scan.distinct_limit = value;
    }
    if let Some(value) = limit(cx, "uniquenessLimit", 1_000_000_000) {
        settings.scan.uniqueness_limit = value;
    }
}

const PROFILE_KEYS: Keys = &[
    ("columns", Shape::Any),
    ("metrics", Shape::Texts),
    ("quantiles", Shape::Items),
    ("judged", Shape::Boolean),
];

/// `assayProfile`.
pub fn profile(cx: &mut Context<'_>, at: &At<'_>, settings: &mut Settings) {
    let Some(map) = at.map(cx, PROFILE_KEYS) else {
        return;
    };
    let profile = &mut settings.profile;
    if let Some(at) = map.get("columns") {
        profile.columns = match at.scalar() {
            Some("all") => None,
            Some("none") => Some(Vec::new()),
            _ => Some(at.texts(cx)),
        };
    }
    if let Some(at) = map.get("metrics") {
        let words: Vec<&'static str> = Metric::ALL
            .iter()
            .filter(|m| profiled(**m))
            .map(|m| m.as_str())
            .collect();
        let mut metrics = Vec::new();
        for item in at.items(cx) {
            let Some(text) = item.scalar() else { continue };
            let name = if text == "quantiles" {
                "quantile"
            } else {
                text
            };
            match name.parse::<Metric>() {
                Ok(metric) if profiled(metric) => {
                    if !metrics.contains(&metric) {
                        metrics.push(metric);
                    }
                }
                _ => {
                    let hint = suggest::metric(text, &words).map_or_else(
                        || format!("use some of {}", suggest::listed(&words)),
                        |meant| format!("did you mean `{meant}`?"),
                    );
                    item.report(
                        cx,
                        Code::UnknownMetric,
                        format!("`{text}` is no metric of a profile"),
                    )
                    .hint(hint);
                }
            }
        }
        profile.metrics = metrics;
    }
    if let Some(at) = map.get("quantiles") {
        profile.quantiles = at
            .items(cx)
            .iter()
            .filter_map(|i| i.float(cx, 0.0, 1.0))
            .collect();
    }
    if let Some(judged) = map.truth("judged") {
        profile.judged = judged;
    }
}

/// Metrics that a profile measures: of a column, without a rule of their own.
fn profiled(metric: Metric) -> bool {
    !metric.is_of_table()
        && !metric.is_of_query()
        && !matches!(
            metric,
            Metric::MissingCount
                | Metric::MissingPercent
                | Metric::InvalidCount
                | Metric::InvalidPercent
                | Metric::DuplicateCount
                | Metric::DuplicatePercent
                | Metric::Latency
        )
}

const LIMIT_KEYS: Keys = &[
    ("learned", Shape::Boolean),
    ("alarmsPerPartition", Shape::Number),
    ("backfill", Shape::Scalar),
    ("exclude", Shape::List(RANGE_KEYS)),
    ("learnFrom", Shape::Scalar),
];

const RANGE_KEYS: Keys = &[("!from", Shape::Scalar), ("!to", Shape::Scalar)];

/// `assayLimits`.
pub fn limits(cx: &mut Context<'_>, at: &At<'_>, settings: &mut Settings) {
    let Some(map) = at.map(cx, LIMIT_KEYS) else {
        return;
    };
    let limits = &mut settings.limits;
    if let Some(learned) = map.truth("learned") {
        limits.learned = learned;
    }
    if let Some(budget) = map
        .get("alarmsPerPartition")
        .and_then(|at| at.float(cx, 0.0001, 1.0))
    {
        limits.alarms_per_partition = budget;
    }
    if map.get("backfill").and_then(|at| at.scalar()) != Some("all")
        && let Some(seconds) = duration(cx, &map, "backfill", 86_400, 36_500 * 86_400)
    {
        limits.backfill_days = u32::try_from(seconds.div_ceil(86_400)).ok();
    }
    for item in map
        .get("exclude")
        .map(|at| at.items(cx))
        .unwrap_or_default()
    {
        let part = |key: &str| match item.node.get(key).map(|n| &n.value) {
            Some(crate::tree::Value::Scalar { text, .. }) => Some(text.clone()),
            _ => None,
        };
        if let (Some(from), Some(to)) = (part("from"), part("to")) {
            if from > to {
                item.report(
                    cx,
                    Code::InvalidValue,
                    format!("`{from}` comes after `{to}`"),
                )
                .hint("write the earlier partition as `from`");
            } else {
                limits.exclude.push((from, to));
            }
        }
    }
    limits.learn_from = map.text("learnFrom");
}

/// Rows that are shown with a broken rule at most.
const SAMPLE_ROWS_MAX: i64 = 20;

/// `assayPrivacy`.
pub fn privacy(cx: &mut Context<'_>, at: &At<'_>, settings: &mut Settings) {
    let keys = &[
        ("maskedColumns", Shape::Texts),
        ("sampleRows", Shape::Integer),
    ];
    let Some(map) = at.map(cx, keys) else {
        return;
    };
    if let Some(at) = map.get("sampleRows") {
        let rows = at.integer(cx, 0, SAMPLE_ROWS_MAX);
        let rows = rows.and_then(|rows| u32::try_from(rows).ok());
        settings.scan.sample_rows = rows.unwrap_or_default();
    }
    for item in map
        .get("maskedColumns")
        .map(|at| at.items(cx))
        .unwrap_or_default()
    {
        if let Some(name) = item.scalar() {
            settings
                .masked
                .push((name.to_owned(), item.span, item.path.clone()));
        }
    }
}

const FORMAT_KEYS: Keys = &[
    ("delimiter", Shape::Scalar),
    ("quote", Shape::Scalar),
    ("header", Shape::Boolean),
    ("nullTokens", Shape::Items),
];

/// `assayFormat`.
pub fn format(cx: &mut Context<'_>, at: &At<'_>, settings: &mut Settings) {
    let Some(map) = at.map(cx, FORMAT_KEYS) else {
        return;
    };
    settings.format.delimiter = map.get("delimiter").and_then(|at| one_byte(cx, &at));
    settings.format.quote = map.get("quote").and_then(|at| one_byte(cx, &at));
    settings.format.header = map.truth("header");
    if let Some(at) = map.get("nullTokens") {
        let mut tokens = Vec::new();
        for item in at.items(cx) {
            // `null` here is the word itself: it is what such files hold.
            match &item.node.value {
                crate::tree::Value::Scalar { text, .. } => tokens.push(text.clone()),
                _ => item.check(cx, Shape::Scalar),
            }
        }
        settings.format.null_tokens = Some(tokens);
    }
    if let (Some(a), Some(b)) = (settings.format.delimiter, settings.format.quote)
        && a == b
    {
        at.report(cx, Code::InvalidValue, "delimiter and quote are the same")
            .hint("write two different characters");
    }
}

/// `assayStorage`: where partitions are checked, and how long copies are kept.
pub fn storage(cx: &mut Context<'_>, at: &At<'_>, settings: &mut Settings) {
    let Some(map) = at.map(cx, &[("!mode", T), ("retentionDays", I)]) else {
        return;
    };
    let word = map
        .get("mode")
        .and_then(|at| at.word(cx, &["in-place", "ingest"]));
    let ingest = word == Some("ingest");
    if ingest {
        settings.storage.mode = StorageMode::Ingest;
    }
    let Some(days) = map.get("retentionDays") else {
        return;
    };
    if !ingest {
        days.report(
            cx,
            Code::InvalidValue,
            "nothing is kept of data that stays where it is",
        )
        .hint("write `mode: ingest`, or leave `retentionDays` out");
    } else if let Some(kept) = days.integer(cx, 1, 36_500) {
        settings.storage.retention_days = u32::try_from(kept).ok();
    }
}
