//! A batch into a table of its own.
//!
//! In: a batch, as it was listed. Out: its table and the row that tells of it, made in one
//! transaction: whatever is cut off leaves nothing, and whoever tries again finds what is whole.
//! Two that write the same batch do so one after the other, and the second finds it written.

use std::time::{Duration, Instant};

use assay_model::dataset::{Dataset, Location};
use assay_model::source::DatabaseKind;
use assay_model::task::MeasureSpec;
use assay_scan::ScanContext;
use assay_scan::error::{Place, ScanError};
use assay_scan::reach::Access;

use super::super::connect::Server;
use super::super::session::{Session, literal, name};
use super::beyond::BeyondSource;
use super::bookkeeping::{self, Batch, Name, Told, table};
use super::encode::{HEADER, TRAILER};
use super::kept::Kept;
use super::source::{FileSource, TableSource};

/// Between two looks whether another attempt has ended.
const LOOK: Duration = Duration::from_millis(100);

/// How long it is waited for.
const TURN: Duration = Duration::from_secs(20);

/// Columns that a table of a batch has at most: two more are its own.
const COLUMNS_MAX: usize = 1600 - 2;

/// The refusal of a batch that is wider than any table.
fn too_many(dataset: &Dataset, first: &str, columns: usize) -> ScanError {
    ScanError::Unsupported {
        path: dataset.source.location.address(),
        place: Place::file().in_column(first),
        what: format!(
            "it has {columns} columns, and a table of Postgres keeps {COLUMNS_MAX} of them: this is \
             the first that has no room"
        ),
        remedy: "write `mode: in-place` under assayStorage, or have the data written as several \
                 datasets of fewer columns"
            .to_owned(),
    }
}

/// What is copied.
enum Source<'a> {
    Table(Box<TableSource>),
    Beyond(Box<BeyondSource<'a>>),
    Files(FileSource<'a>),
}

/// Writes one batch.
pub(super) struct Writer<'a> {
    pub(super) session: &'a mut Session,
    pub(super) server: &'a Server,
    pub(super) access: &'a Access,
    pub(super) dataset: &'a Dataset,
    pub(super) spec: &'a MeasureSpec,
    pub(super) context: &'a ScanContext,
}

impl<'a> Writer<'a> {
    /// The batch of this name, written if it is not there.
    pub(super) fn write(&mut self, of: &Name<'_>) -> Result<Batch, ScanError> {
        if let Some(batch) = self.written(of)? {
            return Ok(batch);
        }
        // Opened first: no transaction of the storage waits for what is to be copied.
        let source = self.source()?;
        self.session.rows("BEGIN")?;
        self.alone(of)?;
        let found = bookkeeping::find(self.session, of)?;
        let batch = match found {
            Some(batch) => Some(batch),
            None => {
                let batch = self.fill(of, source)?;
                bookkeeping::add(self.session, of, &batch)?.then_some(batch)
            }
        };
        if let Some(batch) = batch {
            self.session.rows("COMMIT")?;
            return Ok(batch);
        }
        // Whoever was not waited for any longer has written it after all.
        self.session.rows("ROLLBACK")?;
        self.written(of)?.ok_or_else(|| ScanError::Away {
            path: self.server.place.clone(),
            what: "another attempt has written the batch, and it is gone again".to_owned(),
        })
    }

    fn written(&mut self, of: &Name<'_>) -> Result<Option<Batch>, ScanError> {
        self.session.rows("BEGIN")?;
        let found = bookkeeping::find(self.session, of)?;
        self.session.rows("COMMIT")?;
        Ok(found)
    }

    fn source(&self) -> Result<Source<'a>, ScanError> {
        Ok(match &self.dataset.source.location {
            Location::Database(of) if of.kind == DatabaseKind::Mysql => Source::Beyond(Box::new(
                BeyondSource::open(self.dataset, of, self.spec, self.access, self.context)?,
            )),
            Location::Database(_) => Source::Table(Box::new(TableSource::open(
                self.dataset,
                self.spec,
                self.access,
                self.context,
            )?)),
            _ => Source::Files(FileSource::open(self.dataset, self.spec, self.context)?),
        })
    }

    /// Waits a while for another that writes this batch. One that has stopped, or is cut off, may
    /// hold it for long: then both write, and the first to say so has written it.
    fn alone(&mut self, of: &Name<'_>) -> Result<(), ScanError> {
        let key = literal(&format!("{:?}", (of.dataset, of.partition, of.cut)));
        let statement = format!("SELECT pg_try_advisory_xact_lock(hashtextextended({key}, 7))");
        let begun = Instant::now();
        loop {
            let rows = self.session.rows(&statement)?;
            let first = rows.first().and_then(|row| row.first()?.as_deref());
            if first == Some("t") || begun.elapsed() > TURN {
                return Ok(());
            }
            self.context.check(&self.server.place)?;
            std::thread::sleep(LOOK);
        }
    }

    /// Makes the table and fills it.
    fn fill(&mut self, of: &Name<'_>, source: Source<'a>) -> Result<Batch, ScanError> {
        let id = bookkeeping::next_id(self.session)?;
        let told = match source {
            Source::Table(mut source) => {
                self.make(id, &source.columns)?;
                let columns = source.columns.clone();
                let parts = self.copy(id, &columns, |copy| source.copy(copy))?;
                Told {
                    text: false,
                    columns,
                    parts,
                }
            }
            Source::Beyond(source) => {
                self.make(id, &source.columns)?;
                let parts = self.copy(id, &source.columns, |copy| source.copy(copy))?;
                Told {
                    text: false,
                    columns: source.columns,
                    parts,
                }
            }
            Source::Files(source) => {
                self.make(id, &source.columns)?;
                let parts = self.copy(id, &source.columns, |copy| source.copy(copy))?;
                Told {
                    text: source.text,
                    columns: source.columns,
                    parts,
                }
            }
        };
        self.mark(id, of)?;
        let rows = told.parts.iter().map(|part| part.rows).sum();
        Ok(Batch { id, rows, told })
    }

    fn make(&mut self, id: i64, columns: &[Kept]) -> Result<(), ScanError> {
        let mut kept = columns.iter().filter(|column| !column.void);
        if let Some(beyond) = kept.nth(COLUMNS_MAX) {
            return Err(too_many(self.dataset, &beyond.name, columns.len()));
        }
        let columns: Vec<String> = columns
            .iter()
            .filter(|column| !column.void)
            .map(|column| format!("{} {}", name(&column.name), column.sql))
            .collect();
        let columns = columns.join(", ");
        self.session
            .rows(&format!("CREATE TABLE {} ({columns})", table(id)))?;
        Ok(())
    }

    fn copy(
        &mut self,
        id: i64,
        columns: &[Kept],
        fill: impl FnOnce(
            &mut super::super::session::CopyIn<'_>,
        ) -> Result<Vec<bookkeeping::Part>, ScanError>,
    ) -> Result<Vec<bookkeeping::Part>, ScanError> {
        let lost = |what: String| ScanError::Away {
            path: format!("{}: {}", self.server.place, table(id)),
            what,
        };
        let kept = columns.iter().filter(|column| !column.void);
        let names: Vec<String> = kept.map(|column| name(&column.name)).collect();
        let names = match names.is_empty() {
            // Rows without a column that has values.
            true => String::new(),
            false => format!(" ({})", names.join(", ")),
        };
        // Nobody else sees the table yet: its rows need no second look once they are there.
        let statement = format!(
            "COPY {}{names} FROM STDIN (FORMAT binary, FREEZE)",
            table(id)
        );
        let mut copy = self.session.copy_in(&statement)?;
        copy.add(|to| {
            to.extend_from_slice(HEADER);
            Ok::<_, ScanError>(())
        })?;
        let parts = fill(&mut copy)?;
        copy.add(|to| {
            to.extend_from_slice(&TRAILER);
            Ok::<_, ScanError>(())
        })?;
        let taken = copy.finish()?;
        let sent: u64 = parts.iter().map(|part| part.rows).sum();
        if taken != sent {
            return Err(lost(format!("{taken} rows were taken of {sent}")));
        }
        self.context.progress.add_rows(sent);
        Ok(parts)
    }

    /// Gives every row the partition and the number of its batch, without writing them, and the
    /// proof by which the table becomes a part of its dataset's without being read again.
    fn mark(&mut self, id: i64, of: &Name<'_>) -> Result<(), ScanError> {
        let key = literal(of.partition);
        self.session.rows(&format!(
            "ALTER TABLE {} \
             ADD COLUMN _assay_partition text COLLATE \"C\" NOT NULL DEFAULT {key}, \
             ADD COLUMN _assay_batch int8 NOT NULL DEFAULT {id}, \
             ADD CONSTRAINT _assay_part CHECK (_assay_partition = {key} AND _assay_batch = {id})",
            table(id)
        ))?;
        Ok(())
    }
}
