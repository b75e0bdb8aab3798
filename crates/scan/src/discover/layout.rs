//! Which partition each listed object belongs to.
//!
//! In: a listing (paths relative to the root) and the layout of the definition. Out: the objects
//! of each partition, the marker files met, and every object that belongs to none, with the reason.
//! Pure: nothing is read. A key that does not parse is never a real partition: where the document
//! declares the keys it is an error of that name alone, where they are told by looking and nearly
//! all others agree, the object is passed over with the reason.

use std::collections::{BTreeMap, BTreeSet};

use assay_model::dataset::{Dataset, FormatKind, KeyKind, KeySpec, Layout, Sealing};
use assay_model::partition::ObjectRef;

use super::auto::{self, Found};
use super::keys::{Key, KeyMaker, zone};
use super::pattern::{Pattern, kind_by_name};
use super::refused::Refused;
use super::value::{NULL_KEY, Value, parse_time};
use crate::error::{Place, ScanError};

/// A partition and the objects that it is made of.
#[derive(Debug, Clone)]
pub struct Group {
    /// Its key.
    pub key: Key,
    /// Its objects, in the order of the listing.
    pub objects: Vec<ObjectRef>,
}

/// A listing, told apart.
#[derive(Debug, Clone)]
pub struct Assigned {
    /// The partitions, by order and key.
    pub groups: BTreeMap<(String, String), Group>,
    /// Data objects that are told apart by a column inside them; empty for every other layout.
    pub files: Vec<ObjectRef>,
    /// Folders (relative, empty for the root) that hold the marker file.
    pub markers: BTreeSet<String>,
    /// Objects that belong to no partition, with the reason.
    pub ignored: Vec<String>,
    /// Objects whose key does not parse as the document declares it, by how it is spelt.
    pub refused: BTreeMap<String, Refused>,
    /// The parts of the key, with the kinds of their values.
    pub keys: Vec<KeySpec>,
    /// Makes further keys of the same shape.
    pub maker: KeyMaker,
}

/// Where the listing comes from.
#[derive(Debug, Clone, Copy, Default)]
pub struct Where<'a> {
    /// The location's pattern below the root.
    pub pattern: Option<&'a str>,
    /// Whether the location is one file.
    pub single: bool,
}

/// The location, as its definition writes it.
fn place(dataset: &Dataset) -> String {
    let location = &dataset.source.location;
    location
        .local()
        .map_or_else(|| location.address(), str::to_owned)
}

/// The layout that the paths show.
fn guessed(
    dataset: &Dataset,
    data: &[&ObjectRef],
    declared: &[String],
) -> Result<Found, ScanError> {
    auto::look(data, declared).map_err(|what| ScanError::Definition {
        path: place(dataset),
        place: Place::file(),
        what,
        remedy: "under assayPartitions, write the `template` of the names that are its \
                 partitions, such as `orders_{date}.csv`, or `layout: single`"
            .to_owned(),
    })
}

/// Tells the objects of `listing` apart.
///
/// # Errors
/// [`ScanError::Definition`] for a bad pattern or zone, and for a layout that is not plain to see.
pub fn assign(
    dataset: &Dataset,
    from: Where<'_>,
    listing: &[ObjectRef],
) -> Result<Assigned, ScanError> {
    let partitions = &dataset.partitions;
    let mut ignored = Vec::new();
    let (mut data, markers, hidden) = visible(dataset, listing);
    let location = from
        .pattern
        .map(|p| Pattern::new(p, &partitions.keys))
        .transpose()?;
    if let Some(pattern) = &location {
        keep(
            &mut data,
            &mut ignored,
            |path| pattern.captures(path).is_some(),
            |_| "the location's pattern does not match it".to_owned(),
        );
    } else if !from.single && !matches!(partitions.layout, Layout::Template(_)) {
        by_extension(dataset.source.format.kind, &mut data, &mut ignored);
    }
    let template = match (&partitions.layout, location) {
        (Layout::Template(text), _) => Some(Pattern::new(text, &partitions.keys)?),
        (Layout::Auto, Some(pattern)) if !pattern.names.is_empty() => Some(pattern),
        _ => None,
    };
    let declared: Vec<String> = partitions.keys.iter().map(|key| key.name.clone()).collect();
    let found = match (&partitions.layout, template) {
        (_, Some(pattern)) => Found::Template(pattern),
        (Layout::Hive, None) => Found::Hive(auto::hive_names(&data, &declared)),
        (Layout::Auto, None) if !from.single => guessed(dataset, &data, &declared)?,
        _ => Found::All,
    };
    let names = found.names();
    let maker = KeyMaker::new(names.clone(), zone(partitions)?, partitions.cadence);
    let mut assigned = Assigned {
        groups: BTreeMap::new(),
        files: Vec::new(),
        markers,
        ignored: [ignored, hidden].concat(),
        refused: BTreeMap::new(),
        keys: Vec::new(),
        maker,
    };
    if matches!(partitions.layout, Layout::Column { .. }) {
        assigned.files = data.into_iter().cloned().collect();
        return Ok(assigned);
    }
    let mut raw = Vec::with_capacity(data.len());
    for object in data {
        match found.raw(&object.path) {
            Some(values) => raw.push((object, values)),
            None => assigned
                .ignored
                .push(format!("{}: {}", object.path, found.why_not())),
        }
    }
    let kinds = kinds(dataset, &names, &raw);
    assigned.maker = assigned.maker.with_kinds(&kinds);
    let spec = |(name, kind): (&String, &KeyKind)| KeySpec {
        name: name.clone(),
        kind: *kind,
    };
    assigned.keys = names.iter().zip(&kinds).map(spec).collect();
    for (object, values) in raw {
        match parse_key(&assigned.maker, &names, &kinds, &values) {
            Ok(key) => assigned.add(key, object),
            Err(what) if declared.is_empty() => assigned.ignored.push(odd(object, &what)),
            Err(what) => assigned.refuse(&values, &what, object),
        }
    }
    Ok(assigned)
}

impl Assigned {
    fn add(&mut self, key: Key, object: &ObjectRef) {
        let place = (key.partition.order.clone(), key.partition.key.0.clone());
        let group = self.groups.entry(place).or_insert_with(|| Group {
            key,
            objects: Vec::new(),
        });
        group.objects.push(object.clone());
    }

    pub(super) fn refuse(&mut self, raw: &[String], what: &str, object: &ObjectRef) {
        let texts = raw.iter().cloned().map(Value::Text).collect();
        // Texts name no day of the calendar that could be wrong.
        let spelt = self.maker.key(texts).map(|key| key.partition.key.0);
        let spelt = spelt.unwrap_or_else(|_| raw.join("/"));
        let refused = self.refused.entry(spelt.clone()).or_insert_with(|| {
            let what = format!(
                "{}: {what}; rename or move the file, or correct the keys under assayPartitions",
                object.path
            );
            Refused::new(spelt, what)
        });
        refused.objects.push(object.clone());
    }
}

fn odd(object: &ObjectRef, what: &str) -> String {
    format!("{}: {what}, as the others have", object.path)
}

pub(super) fn parse_key(
    maker: &KeyMaker,
    names: &[String],
    kinds: &[KeyKind],
    raw: &[String],
) -> Result<Key, String> {
    let mut values = Vec::with_capacity(raw.len());
    for ((name, kind), raw) in names.iter().zip(kinds).zip(raw) {
        let value = Value::parse(*kind, raw)
            .map_err(|form| format!("the key part {name} is {raw:?}, expected {form}"))?;
        values.push(value);
    }
    maker.key(values)
}

/// The declared kind of each part, or the narrowest kind that nearly all of its values have.
pub(super) fn kinds(
    dataset: &Dataset,
    names: &[String],
    raw: &[(&ObjectRef, Vec<String>)],
) -> Vec<KeyKind> {
    let kind = |(i, name): (usize, &String)| {
        if let Some(key) = dataset.partitions.keys.iter().find(|key| key.name == *name) {
            return key.kind;
        }
        let values: BTreeSet<&str> = raw
            .iter()
            .map(|(_, v)| v.get(i).map_or("", String::as_str))
            .filter(|v| *v != NULL_KEY)
            .collect();
        let fits = |kind| {
            let good = values.iter().filter(|v| Value::parse(kind, v).is_ok());
            good.count()
        };
        match kind_by_name(name) {
            Some(kind) if auto::nearly_all(fits(kind), values.len()) => kind,
            _ => kind_of_values(&values),
        }
    };
    names.iter().enumerate().map(kind).collect()
}

/// The narrowest kind that nearly all values have: one odd name must not make texts of dates, which
/// have no gaps. Six digits are a number, not a month.
fn kind_of_values(values: &BTreeSet<&str>) -> KeyKind {
    let dated = |v: &&&str| parse_time(v).is_some() && v.len() != 6;
    let dates = values.iter().filter(dated).count();
    let integers = values
        .iter()
        .filter(|v| Value::parse(KeyKind::Integer, v).is_ok())
        .count();
    if integers == values.len() && dates < integers {
        KeyKind::Integer
    } else if !values.is_empty() && auto::nearly_all(dates, values.len()) {
        KeyKind::Date
    } else if auto::nearly_all(integers, values.len()) {
        KeyKind::Integer
    } else {
        KeyKind::Text
    }
}

/// Data objects, the folders with a marker, and why each hidden object is passed over.
fn visible<'a>(
    dataset: &Dataset,
    listing: &'a [ObjectRef],
) -> (Vec<&'a ObjectRef>, BTreeSet<String>, Vec<String>) {
    let marker = match &dataset.partitions.sealing {
        Sealing::Marker { name } => Some(name.as_str()),
        Sealing::Quiet { .. } | Sealing::Immediately => None,
    };
    let (mut data, mut markers, mut hidden) = (Vec::new(), BTreeSet::new(), Vec::new());
    for object in listing {
        let (folder, name) = object.path.rsplit_once('/').unwrap_or(("", &object.path));
        if Some(name) == marker {
            markers.insert(folder.to_owned());
        } else if is_hidden(&object.path) {
            hidden.push(format!(
                "{}: hidden or temporary (a name that begins with `_` or `.`, or ends in .tmp)",
                object.path
            ));
        } else {
            data.push(object);
        }
    }
    (data, markers, hidden)
}

/// Whether a path is a writer's own business: a part that begins with `.` or, unless it is a Hive
/// folder, with `_`; or the name of a file that is still being written.
#[must_use]
pub fn is_hidden(path: &str) -> bool {
    let part = |p: &str| p.starts_with('.') || (p.starts_with('_') && !p.contains('='));
    path.split('/').any(part) || path.ends_with(".tmp") || path.ends_with("._COPYING_")
}

fn keep(
    data: &mut Vec<&ObjectRef>,
    ignored: &mut Vec<String>,
    wanted: impl Fn(&str) -> bool,
    why: impl Fn(&str) -> String,
) {
    data.retain(|object| {
        let stays = wanted(&object.path);
        if !stays {
            ignored.push(format!("{}: {}", object.path, why(&object.path)));
        }
        stays
    });
}

/// In a plain folder, files of another kind are no data. Where no file has an extension of the
/// format, files without any extension are.
fn by_extension(kind: FormatKind, data: &mut Vec<&ObjectRef>, ignored: &mut Vec<String>) {
    let is_kind = |path: &str| format_by_name(path) == Some(kind);
    let any = data.iter().any(|object| is_kind(&object.path));
    let bare = |path: &str| !path.rsplit('/').next().unwrap_or(path).contains('.');
    let wanted = |path: &str| is_kind(path) || (!any && bare(path));
    keep(data, ignored, wanted, |_| {
        format!("its name is not of a {kind} file; name it in the location's pattern to read it")
    });
}

/// The format that a file's name tells, without a compression suffix.
#[must_use]
pub fn format_by_name(path: &str) -> Option<FormatKind> {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let bare = [".gz", ".gzip", ".zst", ".zstd"]
        .iter()
        .find_map(|s| name.strip_suffix(s));
    let (_, extension) = bare.unwrap_or(&name).rsplit_once('.')?;
    match extension {
        "parquet" | "parq" | "pq" => Some(FormatKind::Parquet),
        "csv" | "tsv" | "psv" | "tab" | "txt" => Some(FormatKind::Csv),
        "ndjson" | "jsonl" | "json" | "ldjson" => Some(FormatKind::Ndjson),
        "avro" => Some(FormatKind::Avro),
        "arrow" | "arrows" | "ipc" | "feather" => Some(FormatKind::Arrow),
        _ => None,
    }
}
