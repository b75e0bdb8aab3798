//! Sources to metric states: discovery, batches, and the fused scan.
//!
//! What comes in: a dataset's definition and what a task is told to do. What goes out: the plan of
//! a run ([`discover`]), the encoded metric states of one batch ([`measure`]), and the metrics that
//! a merged state stands for ([`points`]). The scan is *fused*: bytes of a page or of a text block
//! go straight into the metric states; no table is ever built.
//!
//! It must never answer in part: a batch that cannot be read to its end is an error that names the
//! file and the place. It never reads what no metric needs, trusts no length that a file states
//! about itself, and holds no column chunk beyond the memory budget of its [`context`].

mod clock;
pub mod columnar;
pub mod compress;
pub mod context;
pub mod delta;
pub mod discover;
pub mod error;
pub mod introspect;
pub mod measure;
pub mod object;
pub mod parquet;
pub mod plan;
pub mod points;
pub mod reach;
pub mod rules;
pub mod slices;
pub mod storage;
pub mod text;

pub use context::{ScanContext, ScanProgress};
pub use error::{ErrorClass, Place, ScanError};
