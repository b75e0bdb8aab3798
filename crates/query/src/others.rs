//! Other servers of a document as tables of a query.
//!
//! In: a server, and the partition that is asked of. Out: the objects that a table of its rows is
//! made of. Where the server's path has placeholders, its table is the partition of the same key;
//! else it is all of its rows. A server that has no such partition is an error of the query: rows
//! that are held against nothing would look as if all were well.

use assay_model::dataset::{Dataset, FormatKind, Layout, Location, Source as Server};
use assay_model::partition::{ObjectRef, Partition};
use assay_scan::discover::layout::{Where, assign};
use assay_scan::discover::pattern::Pattern;
use assay_scan::error::Place;
use assay_scan::object::Objects;
use assay_scan::{ScanContext, ScanError};
use jiff::Timestamp;

use crate::request::{Source, Table};

/// The table of a server, for the queries of `partition` of `dataset`.
///
/// # Errors
/// [`ScanError`] when the server cannot be listed, or has no rows to hold against.
pub(crate) fn table(
    dataset: &Dataset,
    server: &Server,
    partition: &Partition,
    context: &ScanContext,
) -> Result<Table, ScanError> {
    let mut other = dataset.clone();
    other.source = server.clone();
    other.others.clear();
    // The columns that the document declares are those of its own table.
    other.columns.clear();
    other.partitions.layout = Layout::Single;
    let objects = match &server.location {
        Location::Database(_) => ranges(&other, context)?,
        // All rows of its newest version.
        _ if server.format.kind == FormatKind::Delta => assay_scan::delta::files(&other, context)?,
        _ => files(&mut other, partition, context)?,
    };
    Ok(Table {
        name: server.server.clone(),
        rows: Source::Files {
            dataset: Box::new(other),
            objects,
            partition: None,
        },
    })
}

/// All rows of a database's table.
fn ranges(other: &Dataset, context: &ScanContext) -> Result<Vec<ObjectRef>, ScanError> {
    let reach = context.reach(&other.source.location.address())?;
    let seen = reach
        .table(&other.source)?
        .partitions(other, Timestamp::now(), context)?;
    Ok(seen.into_iter().flat_map(|seen| seen.objects).collect())
}

fn files(
    other: &mut Dataset,
    partition: &Partition,
    context: &ScanContext,
) -> Result<Vec<ObjectRef>, ScanError> {
    let objects = Objects::open(&other.source, context)?;
    let listing = objects.walk("").collect::<Result<Vec<_>, _>>()?;
    let pattern = objects.pattern();
    let names = match pattern {
        Some(text) => Pattern::new(text, &other.partitions.keys)?.names,
        None => Vec::new(),
    };
    if !names.is_empty() {
        other.partitions.layout = Layout::Auto;
    }
    let from = Where {
        pattern,
        single: objects.single().is_some(),
    };
    let assigned = assign(other, from, &listing)?;
    other.partitions.layout = Layout::Single;
    let mut groups = assigned.groups.into_values();
    let found = match names.is_empty() {
        true => groups.next(),
        false => groups.find(|group| group.key.partition.key == partition.key),
    };
    match found {
        Some(group) if !group.objects.is_empty() => Ok(group.objects),
        _ => Err(nothing(&other.source, partition, !names.is_empty())),
    }
}

fn nothing(server: &Server, partition: &Partition, is_keyed: bool) -> ScanError {
    let name = &server.server;
    let (what, remedy) = if is_keyed {
        (
            format!(
                "the server {name} has no partition {}, so that nothing can be held against it",
                partition.key
            ),
            "write that partition and have this one measured again (--rescan); where one table \
             serves all partitions, write the server's path without placeholders",
        )
    } else {
        (
            format!("the server {name} has no file"),
            "correct the path under `servers`",
        )
    };
    ScanError::Definition {
        path: server.location.address(),
        place: Place::file(),
        what,
        remedy: remedy.to_owned(),
    }
}
