//! Adapters to where data lives: buckets of object stores and tables of databases.
//!
//! In: a source of a dataset's definition, and what one task may reach with which secrets. Out: the
//! ports of [`assay_scan::reach`]. A place outside the allowed ones is refused before anything is
//! looked up or connected to, and no secret ever leaves in an error, a log line or a name.

pub mod policy;

use std::sync::Arc;

use assay_model::dataset::Source;
use assay_scan::error::{Place, ScanError};
use assay_scan::reach::{Access, Reach, RemoteObjects, Table};

/// The way to the sources of one task.
#[derive(Debug)]
struct Ways {
    #[expect(dead_code, reason = "read by the adapters")]
    access: Access,
}

/// Makes the way to the sources that `access` allows.
#[must_use]
pub fn reach(access: Access) -> Arc<dyn Reach> {
    Arc::new(Ways { access })
}

impl Reach for Ways {
    fn objects(&self, source: &Source) -> Result<Arc<dyn RemoteObjects>, ScanError> {
        Err(unknown(source))
    }

    fn table(&self, source: &Source) -> Result<Arc<dyn Table>, ScanError> {
        Err(unknown(source))
    }
}

fn unknown(source: &Source) -> ScanError {
    ScanError::Unsupported {
        path: source.location.address(),
        place: Place::file(),
        what: "this kind of place is not reached".to_owned(),
        remedy: "copy the data to a folder".to_owned(),
    }
}
