//! Other servers of a document, as a query reads them beside a partition.
//!
//! In: a server's definition, or the versions that verdicts rest on. Out: the objects that stand
//! for a partition there, with their version; and the partitions whose verdicts rest on versions
//! that are there no more. Where the server's path has placeholders, a partition is held against
//! that of the same key; else against all of it.
//!
//! A server that cannot be looked at takes no verdict back: it is told in a sentence.

use std::collections::{BTreeMap, BTreeSet};

use assay_model::beside::Beside;
use assay_model::dataset::{Dataset, FormatKind, Layout, Location, Source};
use assay_model::partition::{ObjectRef, PartitionKey, PartitionVersion};
use jiff::Timestamp;

use super::decide::Redo;
use super::layout::{Where, assign};
use super::pattern::Pattern;
use crate::context::ScanContext;
use crate::error::ScanError;
use crate::object::Objects;

/// A server's rows, as a listing shows them.
#[derive(Debug, Clone)]
pub struct Listed {
    /// How they are read.
    pub dataset: Dataset,
    /// Whether they fall into partitions by the server's path.
    pub is_keyed: bool,
    /// The objects by key; one entry under the key of no partition, when it is not keyed.
    groups: BTreeMap<String, (Vec<ObjectRef>, PartitionVersion)>,
}

impl Listed {
    /// What stands for the partition of this key there; `None` when nothing does.
    #[must_use]
    pub fn of(&self, key: &PartitionKey) -> Option<&(Vec<ObjectRef>, PartitionVersion)> {
        let key = if self.is_keyed { key.as_str() } else { "" };
        self.groups.get(key)
    }

    /// The version of what stands for the partition of this key there.
    #[must_use]
    pub fn version(&self, key: &PartitionKey) -> PartitionVersion {
        let found = self.of(key);
        found.map_or_else(PartitionVersion::missing, |(_, version)| version.clone())
    }
}

/// Lists a server of `dataset`'s document.
///
/// # Errors
/// [`ScanError`] when it cannot be listed.
pub fn list(
    dataset: &Dataset,
    server: &Source,
    context: &ScanContext,
) -> Result<Listed, ScanError> {
    let mut other = dataset.clone();
    other.source = server.clone();
    other.others.clear();
    // The columns that the document declares are those of its own table.
    other.columns.clear();
    other.partitions.layout = Layout::Single;
    match &server.location {
        Location::Database(_) => table(other, context),
        _ if server.format.kind == FormatKind::Delta => delta(other, context),
        _ => files(other, context),
    }
}

/// All rows of a database's table.
fn table(other: Dataset, context: &ScanContext) -> Result<Listed, ScanError> {
    let reach = context.reach(&other.source.location.address())?;
    let table = reach.table(&other.source)?;
    let seen = table.partitions(&other, Timestamp::now(), context)?;
    let versions: Vec<String> = seen.iter().map(|seen| seen.version().0).collect();
    let version = match versions.as_slice() {
        [one] => PartitionVersion(one.clone()),
        many => PartitionVersion::of_mark(&many.join(" ")),
    };
    let objects = seen.into_iter().flat_map(|seen| seen.objects).collect();
    Ok(Listed {
        dataset: other,
        is_keyed: false,
        groups: BTreeMap::from([(String::new(), (objects, version))]),
    })
}

/// All rows of the newest version of a Delta table. Its version is that of the table: a commit that
/// moves none of the rows counts as a change, too.
fn delta(other: Dataset, context: &ScanContext) -> Result<Listed, ScanError> {
    let objects = crate::delta::files(&other, context)?;
    let version = PartitionVersion::of_objects(&objects);
    Ok(Listed {
        dataset: other,
        is_keyed: false,
        groups: BTreeMap::from([(String::new(), (objects, version))]),
    })
}

fn files(mut other: Dataset, context: &ScanContext) -> Result<Listed, ScanError> {
    let objects = Objects::open(&other.source, context)?;
    let listing = objects.walk("").collect::<Result<Vec<_>, _>>()?;
    let pattern = objects.pattern();
    let names = match pattern {
        Some(text) => Pattern::new(text, &other.partitions.keys)?.names,
        None => Vec::new(),
    };
    let is_keyed = !names.is_empty();
    if is_keyed {
        other.partitions.layout = Layout::Auto;
    }
    let from = Where {
        pattern,
        single: objects.single().is_some(),
    };
    let assigned = assign(&other, from, &listing)?;
    other.partitions.layout = Layout::Single;
    let groups = assigned.groups.into_values();
    let groups = groups.filter(|group| !group.objects.is_empty());
    let by_key = groups.map(|group| {
        let key = match is_keyed {
            true => group.key.partition.key.0,
            false => String::new(),
        };
        let version = PartitionVersion::of_objects(&group.objects);
        (key, (group.objects, version))
    });
    Ok(Listed {
        groups: by_key.collect(),
        dataset: other,
        is_keyed,
    })
}

/// The partitions whose verdicts rest on versions of other servers that are there no more, and what
/// people should know of it.
pub(super) fn moved(
    dataset: &Dataset,
    redo: &Redo,
    context: &ScanContext,
) -> (BTreeSet<String>, Vec<String>) {
    let (mut moved, mut notices) = (BTreeSet::new(), Vec::new());
    for server in &dataset.others {
        let rests = |beside: &&Beside| beside.server == server.server;
        if !redo.beside.values().flatten().any(|b| rests(&b)) {
            continue;
        }
        let listed = match list(dataset, server, context) {
            Ok(listed) => listed,
            Err(error) => {
                notices.push(format!(
                    "whether the server {} has changed cannot be seen, so that what was held \
                     against it stands: {error}",
                    server.server
                ));
                continue;
            }
        };
        let before = moved.len();
        for (key, read) in &redo.beside {
            let now = listed.version(&PartitionKey(key.clone()));
            if read.iter().filter(rests).any(|then| then.version != now) {
                moved.insert(key.clone());
            }
        }
        if moved.len() > before {
            notices.push(format!(
                "the server {} has changed: what was held against it is measured and judged again",
                server.server
            ));
        }
    }
    (moved, notices)
}
