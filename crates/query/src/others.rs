//! Other servers of a document as tables of a query.
//!
//! In: a server, and the partition that is asked of. Out: the table of its rows with the version that
//! they are read in, or why there is none. A server that has no such partition is an error of the
//! query: rows that are held against nothing would look as if all were well.

use assay_model::beside::Beside;
use assay_model::dataset::{Dataset, Source as Server};
use assay_model::partition::{Partition, PartitionVersion};
use assay_scan::ScanContext;
use assay_scan::discover::beside;

use crate::error::QueryError;
use crate::request::{Source, Table};

/// The table of a server, for the queries of `partition` of `dataset`; what is read of it is told
/// whether there is a table or not.
pub(crate) fn table(
    dataset: &Dataset,
    server: &Server,
    partition: &Partition,
    context: &ScanContext,
) -> (Option<Beside>, Result<Table, QueryError>) {
    let listed = match beside::list(dataset, server, context) {
        Ok(listed) => listed,
        Err(error) => return (None, Err(QueryError::Scan(error))),
    };
    let told = |version| {
        Some(Beside {
            server: server.server.clone(),
            version,
        })
    };
    match listed.of(&partition.key).cloned() {
        Some((objects, version)) => {
            let rows = Source::Files {
                dataset: Box::new(listed.dataset),
                objects,
                partition: None,
            };
            let name = server.server.clone();
            (told(version), Ok(Table { name, rows }))
        }
        None => {
            let nothing = nothing(server, partition, listed.is_keyed);
            (told(PartitionVersion::missing()), Err(nothing))
        }
    }
}

fn nothing(server: &Server, partition: &Partition, is_keyed: bool) -> QueryError {
    let (name, path) = (&server.server, server.location.address());
    let (what, next) = if is_keyed {
        (
            format!(
                "the server {name} has no partition {}, so that nothing can be held against it \
                 ({path})",
                partition.key
            ),
            "write that partition, and the next run finds it; where one table serves all \
             partitions, write the server's path without placeholders",
        )
    } else {
        (
            format!("the server {name} has no file ({path})"),
            "correct the path under `servers`, or write a file: the next run finds it",
        )
    };
    QueryError::Value {
        what,
        next: next.to_owned(),
    }
}
