//! The parameters of the queries, by endpoint.

use super::params::{Kind, Param};

const fn param(name: &'static str, kind: Kind, about: &'static str) -> Param {
    Param { name, about, kind }
}

pub(super) const LIMIT: Param = param(
    "limit",
    Kind::Number(1, 1000),
    "At most so many items; 100 when absent.",
);
pub(super) const CURSOR: Param =
    param("cursor", Kind::Text, "The `nextCursor` of the part before.");
pub(super) const FROM: Param = param(
    "from",
    Kind::Text,
    "Only this partition and later ones, in the order of keys.",
);
pub(super) const TO: Param = param("to", Kind::Text, "Only this partition and earlier ones.");

pub(super) const CUT: &[Param] = &[LIMIT, CURSOR];
pub(super) const DATASETS: &[Param] = &[
    param(
        "search",
        Kind::Text,
        "Only those whose id, name or owner contains this, in any case.",
    ),
    param("tag", Kind::Text, "Only those with this tag."),
    param("owner", Kind::Text, "Only those of this owner."),
    param("health", Kind::Text, "Only those of this health."),
    param(
        "sort",
        Kind::Word(&["id", "health", "last_run"]),
        "The order: `id` when absent.",
    ),
    LIMIT,
    CURSOR,
];
pub(super) const DRY_RUN: &[Param] = &[param(
    "dryRun",
    Kind::Flag,
    "Say what it would do, and do nothing.",
)];
pub(super) const DIFF: &[Param] = &[param(
    "to",
    Kind::Number(1, u32::MAX as u64),
    "The newer version; the one in force when absent.",
)];
pub(super) const RESULTS: &[Param] = &[
    FROM,
    TO,
    param("outcome", Kind::Text, "Only with this outcome."),
    param(
        "superseded",
        Kind::Flag,
        "Also those of versions that were replaced.",
    ),
    LIMIT,
    CURSOR,
];
pub(super) const METRICS: &[Param] = &[
    param("column", Kind::Text, "Only of this column."),
    LIMIT,
    CURSOR,
];
pub(super) const POINTS: &[Param] = &[
    param(
        "column",
        Kind::Text,
        "The column, where the name of the metric does not say it.",
    ),
    param("series", Kind::Text, "Only of this series of partitions."),
    FROM,
    TO,
    param(
        "maxPoints",
        Kind::Number(0, 100_000),
        "At most so many, by leaving least and greatest of each stretch; 0 is no bound.",
    ),
];
pub(super) const CHART: &[Param] = &[
    param(
        "metric",
        Kind::Text,
        "The metric, as its list names it; `rowCount` when absent.",
    ),
    param(
        "column",
        Kind::Text,
        "The column, where the name of the metric does not say it.",
    ),
    param("series", Kind::Text, "Only of this series of partitions."),
    FROM,
    TO,
];
pub(super) const LINEAGE: &[Param] = &[param(
    "namespace",
    Kind::Text,
    "The namespace of its job, as the managers are told; `assay` when absent.",
)];
pub(super) const HISTORY: &[Param] = &[
    param(
        "metric",
        Kind::Text,
        "Only this metric (`rowCount`), of every column.",
    ),
    param("column", Kind::Text, "Only of this column."),
    param(
        "last",
        Kind::Number(1, 2000),
        "Only of the last so many partitions; 30 when absent.",
    ),
];
pub(super) const RUN_RESULTS: &[Param] = &[
    param("partition", Kind::Text, "Only of this partition."),
    LIMIT,
    CURSOR,
];
pub(super) const RUNS: &[Param] = &[
    param("dataset", Kind::Text, "Only of this dataset."),
    param(
        "state",
        Kind::Text,
        "Only in this state; `active` is every state that is no end.",
    ),
    LIMIT,
    CURSOR,
];
pub(super) const INCIDENTS: &[Param] = &[
    param("dataset", Kind::Text, "Only of this dataset."),
    param(
        "status",
        Kind::Text,
        "Only in this status; `active` is every status that is no end.",
    ),
    param("severity", Kind::Text, "Only of this severity."),
    LIMIT,
    CURSOR,
];
pub(super) const SUBSCRIPTIONS: &[Param] = &[
    param(
        "dataset",
        Kind::Text,
        "Only of this dataset; those of all datasets are among them.",
    ),
    param("removed", Kind::Flag, "Also those that were removed."),
    LIMIT,
    CURSOR,
];
pub(super) const DELIVERIES: &[Param] = &[
    param(
        "state",
        Kind::Word(&["pending", "delivered", "dead"]),
        "Only those that stand so.",
    ),
    LIMIT,
    CURSOR,
];
