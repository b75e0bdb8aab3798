//! The root of a document, and the dataset that it defines.
//!
//! In: the tree. Out: a [`Document`], which is what the file says; and from one that can be run,
//! a [`Dataset`]. It must never give a dataset for a document with errors.

use std::path::Path;

use assay_model::check::{Bound, Check, Expectation};
use assay_model::dataset::{
    Column, Dataset, DatasetStatus, FormatKind, Layout, Location, Source, Subscriber,
};
use assay_model::ids::DatasetId;
use assay_model::metric::{Metric, MetricKey};
use assay_model::source::{StorageMode, StoragePolicy};

use crate::context::Context;
use crate::custom::{self, Settings};
use crate::decode::{At, DEFINITIONS, Keys, Map, Shape};
use crate::diagnostic::Code;
use crate::fields;
use crate::people;
use crate::quality::{Collected, Placed};
use crate::schema::{self, Table};
use crate::secrets;
use crate::servers::{self, Server, ServerSource};
use crate::sla;
use crate::tree::{Node, Span};

const T: Shape = Shape::Text;

const ROOT_KEYS: Keys = &[
    ("!apiVersion", T),
    ("!kind", T),
    ("!id", T),
    ("!version", T),
    ("!status", T),
    ("name", T),
    ("tenant", T),
    ("tags", Shape::Texts),
    ("servers", Shape::Items),
    ("dataProduct", T),
    ("description", Shape::Any),
    ("domain", T),
    ("schema", Shape::Items),
    ("support", Shape::Items),
    ("price", Shape::Any),
    ("team", Shape::Any),
    ("roles", Shape::List(people::ROLE_KEYS)),
    ("slaDefaultElement", T),
    ("slaProperties", Shape::Items),
    ("authoritativeDefinitions", DEFINITIONS),
    ("customProperties", Shape::Items),
    ("contractCreatedTs", T),
];

const DESCRIPTION_KEYS: Keys = &[
    ("usage", T),
    ("purpose", T),
    ("limitations", T),
    ("authoritativeDefinitions", DEFINITIONS),
    ("customProperties", Shape::Custom),
];

/// The versions of the standard, newest first.
const API_VERSIONS: &[&str] = &[
    "v3.1.0", "v3.0.2", "v3.0.1", "v3.0.0", "v2.2.2", "v2.2.1", "v2.2.0",
];

/// What a valid document says, whether or not this version can run it.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The dataset's stable name.
    pub id: DatasetId,
    /// The version that it states.
    pub version: String,
    /// Where it is in its life.
    pub status: DatasetStatus,
    /// Where the data is.
    pub servers: Vec<Server>,
    /// The tables by name, with the number of columns and rules.
    pub tables: Vec<DocumentTable>,
}

/// A table of a document.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentTable {
    /// Its name.
    pub name: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rules, with the implied ones.
    pub checks: Vec<Check>,
}

/// Decodes the root. The document is absent when there was an error; the dataset also when
/// nothing in it can be run.
pub fn decode(
    cx: &mut Context<'_>,
    root: &Node,
    base_dir: &Path,
) -> (Option<Document>, Option<Dataset>) {
    secrets::check(cx, root);
    let at = At::root(root);
    let Some(map) = at.map(cx, ROOT_KEYS) else {
        return (None, None);
    };
    let head = head(cx, &map);
    let servers = map
        .get("servers")
        .map(|at| servers::decode(cx, &at, base_dir))
        .unwrap_or_default();
    let mut tables = map
        .get("schema")
        .map(|at| schema::decode(cx, &at))
        .unwrap_or_default();
    let mut loose = Collected::default();
    if let Some(at) = map.get("slaProperties") {
        let default = map.get("slaDefaultElement");
        sla::decode(cx, &at, default.as_ref(), &mut tables, &mut loose);
    }
    let mut settings = map
        .get("customProperties")
        .map(|at| custom::decode(cx, &at))
        .unwrap_or_default();
    let owner = map.get("team").and_then(|at| people::team(cx, &at));
    let subscribers = map
        .get("support")
        .map(|at| people::support(cx, &at))
        .unwrap_or_default();
    if let Some(at) = map.get("price") {
        at.map(cx, people::PRICE_KEYS);
    }
    // Before v3 a description was a text.
    if let Some(at) = map.get("description").filter(|at| at.scalar().is_none()) {
        at.map(cx, DESCRIPTION_KEYS);
    }
    unique_ids(cx, &mut tables, &mut loose);
    mask(cx, &mut tables, &settings);
    adopt_schedule(cx, &tables, &loose, &mut settings);
    let source = source(cx, &map, &servers, &tables, &settings);
    if cx.has_errors() {
        return (None, None);
    }
    let Some(head) = head else {
        return (None, None);
    };
    let document = Document {
        id: head.id.clone(),
        version: head.version.clone(),
        status: head.status,
        servers,
        tables: tables.iter().map(summary).collect(),
    };
    let people = (owner.or(settings.owner.take()), subscribers);
    let dataset = dataset(cx, &map, head, (tables, loose), settings, people, source);
    (Some(document), dataset)
}

fn summary(table: &Table) -> DocumentTable {
    DocumentTable {
        name: table.name.clone(),
        columns: table.columns.clone(),
        checks: table
            .collected
            .checks
            .iter()
            .map(|p| p.check.clone())
            .collect(),
    }
}

/// The keys that every document must have.
struct Head {
    id: DatasetId,
    version: String,
    status: DatasetStatus,
}

fn head(cx: &mut Context<'_>, map: &Map<'_>) -> Option<Head> {
    if let Some(at) = map.get("apiVersion") {
        at.word(cx, API_VERSIONS);
    }
    if let Some(at) = map.get("kind") {
        at.word(cx, &["DataContract"]);
    }
    let status = map.get("status").map(|at| status(cx, &at));
    let version = map.get("version").and_then(|at| at.name(cx));
    let id = map.get("id").and_then(|at| {
        let text = at.scalar()?;
        DatasetId::new(text)
            .map_err(|error| {
                at.report(cx, Code::InvalidId, format!("`{text}` is not a dataset id"))
                    .hint(error.rule);
            })
            .ok()
    });
    Some(Head {
        id: id?,
        version: version?,
        status: status?,
    })
}

/// The standard leaves the word free; one that says nothing to us runs by hand only.
fn status(cx: &mut Context<'_>, at: &At<'_>) -> DatasetStatus {
    let text = at.scalar().unwrap_or_default();
    if text == "proposed" {
        return DatasetStatus::Draft;
    }
    text.parse().unwrap_or_else(|_| {
        let words: Vec<&'static str> = DatasetStatus::ALL.iter().map(|s| s.as_str()).collect();
        let hint = crate::suggest::hint(text, &words);
        at.report(
            cx,
            Code::FreeWord,
            format!("the status `{text}` is read as `draft`"),
        )
        .maybe(hint);
        DatasetStatus::Draft
    })
}

/// Two rules of a table with one id are an error. Rules that are only kept and skipped, and have no id of
/// their own, are numbered.
fn unique_ids(cx: &mut Context<'_>, tables: &mut [Table], loose: &mut Collected) {
    for table in tables {
        unique_in(cx, &mut table.collected.checks);
    }
    unique_in(cx, &mut loose.checks);
}

/// The ids of results that every dataset has. Only a rule that states the very same may have one:
/// it then takes the place of the exact rule.
fn reserved(cx: &mut Context<'_>, check: &Check, span: Span, path: &str) {
    let id = check.id.as_str();
    let states_it = match id {
        "schema" => check.expect == Expectation::SameSchema,
        "empty" => {
            check.metric == MetricKey::table(Metric::RowCount)
                && check.expect == Expectation::MustBeGreaterThan(Bound::from(0))
        }
        "stale" | "restated" | "missing" | "gone" | "future" | "unjudged" => false,
        _ => return,
    };
    if !states_it {
        let message = format!("the id `{id}` is that of a rule which every dataset has");
        cx.report(Code::InvalidId, span, path, message)
            .hint("give the rule another `id`");
    }
}

fn unique_in(cx: &mut Context<'_>, checks: &mut [Placed]) {
    let mut seen: Vec<(String, u32)> = Vec::new();
    for Placed {
        check,
        span,
        path,
        derived,
    } in checks
    {
        let skipped = matches!(check.expect, Expectation::NotRunHere { .. });
        if skipped && *derived {
            let base = check.id.as_str().to_owned();
            let mut no = 2;
            while seen.iter().any(|(id, _)| id == check.id.as_str()) {
                check.id.0 = format!("{base}_{no}");
                no += 1;
            }
        }
        reserved(cx, check, *span, path);
        if let Some((id, line)) = seen.iter().find(|(id, _)| id == check.id.as_str()) {
            let hint = if *derived {
                "give each of the two rules an `id` of its own"
            } else {
                "an id keys the rule's history; give each rule its own"
            };
            cx.report(
                Code::DuplicateId,
                *span,
                path,
                format!("the id `{id}` is taken by the rule in line {line}"),
            )
            .hint(hint);
        }
        seen.push((check.id.as_str().to_owned(), check.line.unwrap_or(0)));
    }
}

/// Masks the columns that `assayPrivacy` names; a name that matches no column is an error, since
/// its values would be shown.
fn mask(cx: &mut Context<'_>, tables: &mut [Table], settings: &Settings) {
    for (name, span, path) in &settings.masked {
        let mut found = false;
        for table in tables.iter_mut() {
            let physical = table.names.iter().find(|(l, p)| l == name || p == name);
            let physical = physical.map(|(_, p)| p.clone());
            for column in &mut table.columns {
                if Some(&column.name) == physical.as_ref() {
                    column.masked = true;
                    found = true;
                }
            }
        }
        if !found {
            let names: Vec<&str> = tables
                .iter()
                .flat_map(|t| t.names.iter().map(|(l, _)| l.as_str()))
                .collect();
            let meant = crate::suggest::closest(name, names).map(str::to_owned);
            let message = format!("the masked column `{name}` is not declared");
            cx.report(Code::UnknownWord, *span, path, message)
                .hint(meant.map_or_else(
                    || {
                        "declare it under the table's `properties`, so that it is surely masked"
                            .to_owned()
                    },
                    |m| format!("did you mean `{m}`?"),
                ));
        }
    }
}

/// The schedule of a rule or service level stands in for that of `assayRun`.
fn adopt_schedule(
    cx: &mut Context<'_>,
    tables: &[Table],
    loose: &Collected,
    settings: &mut Settings,
) {
    if settings.run.schedule.is_some() {
        return;
    }
    let of_rules = tables.iter().flat_map(|t| t.collected.schedules.iter());
    let mut all = loose.schedules.iter().chain(of_rules);
    let Some(first) = all.next() else {
        return;
    };
    settings.run.schedule = Some(first.cron.clone());
    for other in all.filter(|s| s.cron != first.cron) {
        let message = format!("a dataset runs all its rules at once: by `{}`", first.cron);
        cx.report(Code::Ambiguous, other.span, &other.path, message)
            .hint("write one `schedule` in `assayRun`");
    }
}

/// The server that is read, with the options of `assayFormat`; warnings when there is none.
fn source(
    cx: &mut Context<'_>,
    map: &Map<'_>,
    servers: &[Server],
    tables: &[Table],
    settings: &Settings,
) -> Option<(Source, Vec<Source>)> {
    let runnable: Vec<(&Server, &ServerSource)> = servers
        .iter()
        .filter_map(|s| s.source.as_ref().ok().map(|source| (s, source)))
        .collect();
    let Some(at) = map.get("servers") else {
        let (span, path) = (map.first(), String::new());
        cx.report(Code::NothingToRun, span, &path, "no server says where the data is").hint(
            "add `servers: [{ server: local, type: local, path: ./data/*.parquet, format: parquet }]`",
        );
        return None;
    };
    let Some((server, found)) = runnable.first() else {
        let items = at.items(cx);
        for (server, item) in servers.iter().zip(&items) {
            if let Err(reason) = &server.source {
                let place = item.node.get("type").map_or(item.span, |n| n.span);
                let path = format!("{}.type", item.path);
                cx.report(Code::UnsupportedSource, place, &path, reason.clone())
                    .hint("the definition is valid; this version reads files of type `local` and objects of type `s3`, `azure` or `custom` (gs://…), tables of type `postgres` or `mysql`");
            }
        }
        return None;
    };
    if let Some((other, _)) = runnable.get(1) {
        let message = format!("the server `{}` is read, not `{}`", server.name, other.name);
        at.report(cx, Code::Ambiguous, message)
            .hint("the first one that can be read is used");
    }
    let mut format = found.format.clone();
    let options = &settings.format;
    format.delimiter = options.delimiter.unwrap_or(format.delimiter);
    format.quote = options.quote.unwrap_or(format.quote);
    format.header = options.header.unwrap_or(format.header);
    if let Some(tokens) = &options.null_tokens {
        format.null_tokens.clone_from(tokens);
    }
    if *options != custom::FormatOptions::default() && format.kind != FormatKind::Csv {
        let message = format!("`assayFormat` has no effect on {}", format.kind);
        at.report(cx, Code::NotUsed, message)
            .hint("its options are those of `csv`");
    }
    let others = runnable[1..].iter().map(|(server, found)| Source {
        credential: found.credential.clone(),
        server: server.name.clone(),
        location: place(found, tables),
        format: found.format.clone(),
    });
    let source = Source {
        credential: found.credential.clone(),
        server: server.name.clone(),
        location: place(found, tables),
        format,
    };
    if let Location::Database(database) = &source.location
        && database.table.is_empty()
    {
        at.report(cx, Code::NothingToRun, "no `schema` names the table that is read")
            .hint("add `schema: [{ name: orders }]`, with `physicalName` where the table is called otherwise");
        return None;
    }
    Some((source, others.collect()))
}

/// Where a server's data is; of a database, the table that the schema names.
fn place(found: &ServerSource, tables: &[Table]) -> Location {
    let mut location = found.location.clone();
    if let (Location::Database(database), Some(table)) = (&mut location, tables.first())
        && database.table.is_empty()
    {
        database.table.clone_from(&table.physical);
    }
    location
}

fn dataset(
    cx: &mut Context<'_>,
    map: &Map<'_>,
    head: Head,
    (tables, loose): (Vec<Table>, Collected),
    settings: Settings,
    (owner, subscribers): (Option<String>, Vec<Subscriber>),
    source: Option<(Source, Vec<Source>)>,
) -> Option<Dataset> {
    let (source, others) = source?;
    if tables.len() > 1 {
        let at = map.get("schema")?;
        at.report(
            cx,
            Code::NothingToRun,
            format!("the file describes {} tables", tables.len()),
        )
        .hint("a dataset is one table: write one file for each");
        return None;
    }
    let (mut columns, mut placed) = (Vec::new(), Vec::new());
    for table in tables {
        columns.extend(table.columns);
        placed.extend(table.collected.checks);
    }
    placed.extend(loose.checks);
    if let Layout::Column { .. } = &settings.partitions.layout
        && !settings.partitions.keys.is_empty()
    {
        let message = "`keys` has no effect with the layout `column`";
        cx.report(Code::NotUsed, map.first(), "customProperties", message);
    }
    if let Some(what) = not_stored(&settings.storage, &settings.partitions.layout, &source) {
        cx.report(Code::InvalidValue, map.first(), "customProperties", what)
            .hint("write `mode: in-place` under assayStorage");
    }
    let mut checks: Vec<_> = placed.into_iter().map(|p| p.check).collect();
    checks.extend(fields::of_types(&columns, source.format.kind, &checks));
    Some(Dataset {
        id: head.id,
        version: head.version,
        status: head.status,
        name: map.text("name"),
        tenant: map.text("tenant"),
        owner,
        subscribers,
        tags: map.texts("tags"),
        source,
        others,
        storage: settings.storage,
        partitions: settings.partitions,
        columns,
        checks,
        profile: settings.profile,
        limits: settings.limits,
        run: settings.run,
        scan: settings.scan,
    })
}

/// Why partitions of this dataset cannot be ingested, if it asks for that.
fn not_stored(storage: &StoragePolicy, layout: &Layout, source: &Source) -> Option<&'static str> {
    if storage.mode != StorageMode::Ingest {
        return None;
    }
    match (&source.location, layout, source.format.kind) {
        (Location::Database(_), ..) => None,
        (_, Layout::Column { .. }, _) => {
            Some("files whose partitions a column inside them tells apart are not ingested")
        }
        (_, _, FormatKind::Ndjson) => Some("JSON lines are not ingested"),
        _ => None,
    }
}
