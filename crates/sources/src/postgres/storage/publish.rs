//! Publication: the version of a partition that readers see.
//!
//! In: a partition version whose batches are stored. Out: the parts of the dataset's table, changed
//! in one transaction: those of the version come, those of the one before go, so that a statement
//! sees one of them whole. Batches of versions that were never published go with it, but for those
//! that came after the evaluation began: they are somebody's work. A repeat changes nothing.
//!
//! What else is dropped (too old, gone, left behind) must never keep a version from being seen.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use assay_scan::ScanContext;
use assay_scan::error::{Place, ScanError};
use assay_scan::storage::{Publication, Published};
use jiff::{Span, Timestamp};

use super::super::connect::Server;
use super::super::session::{Row, Session, literal, name};
use super::bookkeeping::{parent, table};

/// Attempts to have the locks, which somebody's long statement may hold.
const ATTEMPTS: u32 = 8;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(500);
/// Days after which a batch that nobody published is nobody's work any more.
const LEFT_DAYS: u32 = 7;
/// Batches left behind that one publication drops.
const LEFT_MOST: u32 = 100;

/// A batch of the partition that is stored.
struct Stored {
    id: i64,
    cut: String,
    rows: u64,
    attached: bool,
    /// Whether it was there when the evaluation began.
    earlier: bool,
}

fn cell(row: &Row, at: usize) -> &str {
    row.get(at).and_then(Option::as_deref).unwrap_or_default()
}

/// Publishes.
pub(super) fn publish(
    session: &mut Session,
    server: &Server,
    publication: &Publication,
    context: &ScanContext,
) -> Result<Published, ScanError> {
    let mut swap = |session: &mut Session| {
        let mut swap = Swap {
            session,
            server,
            of: publication,
            parent: parent(publication.dataset.as_str()),
        };
        swap.run()
    };
    let mut published = patiently(session, server, context, ATTEMPTS, &mut swap)?;
    match tidy(session, publication, context, &mut published.dropped) {
        Err(error) if error.is_cancelled() => Err(error),
        Err(error) => {
            tracing::warn!(
                dataset = %publication.dataset,
                %error,
                "what is stored and no longer wanted is dropped by a later publication"
            );
            Ok(published)
        }
        Ok(()) => Ok(published),
    }
}

/// Drops what is too old, what is gone from the source, and what was left behind. Each that readers
/// hold is left for later: the publication stands whatever comes of this.
fn tidy(
    session: &mut Session,
    publication: &Publication,
    context: &ScanContext,
    dropped: &mut u64,
) -> Result<(), ScanError> {
    let (dataset, now) = (publication.dataset.as_str(), publication.now);
    let mut unwanted = match oldest(publication) {
        Some(limit) => too_old(session, dataset, limit)?,
        None => Vec::new(),
    };
    unwanted.extend(gone(session, publication)?);
    let server = session.server().clone();
    let mut held = None;
    for key in unwanted {
        let mut drop_all = |session: &mut Session| drop_partition(session, dataset, &key, now);
        match patiently(session, &server, context, 1, &mut drop_all) {
            Ok(()) => *dropped += 1,
            Err(error) if error.is_cancelled() => return Err(error),
            Err(error) => held = Some(error),
        }
    }
    let mut drop_left = |session: &mut Session| sweep(session, dataset);
    patiently(session, &server, context, 1, &mut drop_left)?;
    held.map_or(Ok(()), Err)
}

/// The partitions that readers see and the source has no longer.
fn gone(session: &mut Session, publication: &Publication) -> Result<Vec<String>, ScanError> {
    if publication.gone.is_empty() {
        return Ok(Vec::new());
    }
    let gone: BTreeSet<&str> = publication.gone.iter().map(|key| key.as_str()).collect();
    let mut found = Vec::new();
    let statement = format!(
        "SELECT partition FROM assay_ingest.partition WHERE dataset = {} ORDER BY partition",
        literal(publication.dataset.as_str())
    );
    session.each_row(&statement, |row| {
        let key = cell(&row, 0);
        if gone.contains(key) && key != publication.partition.key.as_str() {
            found.push(key.to_owned());
        }
        Ok(())
    })?;
    Ok(found)
}

/// Drops batches of the dataset that nobody has published for days, and rows without their table.
fn sweep(session: &mut Session, dataset: &str) -> Result<(), ScanError> {
    lock(session, dataset)?;
    let rows = session.rows(&format!(
        "SELECT b.id FROM assay_ingest.batch b \
         LEFT JOIN pg_class c ON c.oid = to_regclass('assay_ingest.\"b' || b.id || '\"') \
         WHERE b.dataset = {} AND b.written_at < now() - interval '{LEFT_DAYS} days' \
         AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid) \
         ORDER BY b.id LIMIT {LEFT_MOST}",
        literal(dataset)
    ))?;
    for row in rows {
        if let Ok(id) = cell(&row, 0).parse() {
            drop_batch(session, id)?;
        }
    }
    Ok(())
}

/// Drops all that is stored of a partition.
pub(super) fn remove(
    session: &mut Session,
    dataset: &str,
    partition: &str,
    now: Timestamp,
    context: &ScanContext,
) -> Result<(), ScanError> {
    let mut drop_all = |session: &mut Session| drop_partition(session, dataset, partition, now);
    let server = session.server().clone();
    patiently(session, &server, context, ATTEMPTS, &mut drop_all)
}

/// Drops a partition with its batches, but for those that came after `now`.
fn drop_partition(
    session: &mut Session,
    dataset: &str,
    partition: &str,
    now: Timestamp,
) -> Result<(), ScanError> {
    lock(session, dataset)?;
    not_outrun(session, dataset, partition, now, None)?;
    for stored in stored(session, dataset, partition, now)? {
        if stored.attached || stored.earlier {
            drop_batch(session, stored.id)?;
        }
    }
    session.rows(&format!(
        "DELETE FROM assay_ingest.partition WHERE dataset = {} AND partition = {}",
        literal(dataset),
        literal(partition)
    ))?;
    Ok(())
}

/// Runs a transaction, again while others hold the locks that it needs.
fn patiently<T>(
    session: &mut Session,
    server: &Server,
    context: &ScanContext,
    attempts: u32,
    run: &mut dyn FnMut(&mut Session) -> Result<T, ScanError>,
) -> Result<T, ScanError> {
    let mut attempt = 1;
    loop {
        context.check(&server.place)?;
        session.rows("BEGIN")?;
        // Who waits for the table keeps new readers waiting: not for long.
        session.rows("SET LOCAL lock_timeout = '1s'")?;
        let done = run(session);
        let held = match done {
            Ok(done) => {
                session.rows("COMMIT")?;
                return Ok(done);
            }
            Err(error) => error,
        };
        // Where that fails, the connection is lost and the transaction with it.
        let ended = session.rows("ROLLBACK");
        let is_lock = matches!(&held, ScanError::Io { doing, .. } if doing.contains("lock"));
        if !is_lock || ended.is_err() {
            return Err(held);
        }
        if attempt >= attempts {
            return Err(ScanError::Away {
                path: server.place.clone(),
                what: "readers have held the table all the time".to_owned(),
            });
        }
        attempt += 1;
        std::thread::sleep(PAUSE);
    }
}

fn lock(session: &mut Session, dataset: &str) -> Result<(), ScanError> {
    let key = literal(dataset);
    session.rows(&format!(
        "SELECT pg_advisory_xact_lock(hashtextextended({key}, 8))"
    ))?;
    Ok(())
}

/// Refuses what an evaluation that was started later has gone beyond: a node that was thought lost
/// may still be at work on a version of yesterday.
fn not_outrun(
    session: &mut Session,
    dataset: &str,
    partition: &str,
    now: Timestamp,
    version: Option<&str>,
) -> Result<(), ScanError> {
    let rows = session.rows(&format!(
        "SELECT version FROM assay_ingest.partition \
         WHERE dataset = {} AND partition = {} AND as_of > {}::timestamptz",
        literal(dataset),
        literal(partition),
        literal(&now.to_string())
    ))?;
    let later = rows.first().map(|row| cell(row, 0));
    match later.filter(|later| Some(*later) != version) {
        None => Ok(()),
        Some(later) => Err(ScanError::Changed {
            path: format!("{}: {partition}", parent(dataset)),
            what: format!("an evaluation that was started later has published version {later}"),
        }),
    }
}

/// The batches of a partition whose tables are there.
fn stored(
    session: &mut Session,
    dataset: &str,
    partition: &str,
    now: Timestamp,
) -> Result<Vec<Stored>, ScanError> {
    let rows = session.rows(&format!(
        "SELECT b.id, b.cut, b.row_count, \
           EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid), \
           b.written_at <= {}::timestamptz \
         FROM assay_ingest.batch b \
         JOIN pg_class c ON c.oid = to_regclass('assay_ingest.\"b' || b.id || '\"') \
         WHERE b.dataset = {} AND b.partition = {} ORDER BY b.id",
        literal(&now.to_string()),
        literal(dataset),
        literal(partition)
    ))?;
    let one = |row: &Row| Stored {
        id: cell(row, 0).parse().unwrap_or_default(),
        cut: cell(row, 1).to_owned(),
        rows: cell(row, 2).parse().unwrap_or_default(),
        attached: cell(row, 3) == "t",
        earlier: cell(row, 4) == "t",
    };
    Ok(rows.iter().map(one).collect())
}

fn drop_batch(session: &mut Session, id: i64) -> Result<(), ScanError> {
    session.rows(&format!("DROP TABLE IF EXISTS {}", table(id)))?;
    session.rows(&format!("DELETE FROM assay_ingest.batch WHERE id = {id}"))?;
    Ok(())
}

/// A table that is gone while its row is read has been dropped by another evaluation.
fn not_there(error: ScanError, place: &str) -> ScanError {
    match &error {
        ScanError::Definition { what, .. } if what.contains("(42P01)") => ScanError::Changed {
            path: place.to_owned(),
            what: what.clone(),
        },
        _ => error,
    }
}

/// The instant before which data is not kept.
fn oldest(publication: &Publication) -> Option<Timestamp> {
    let days = i64::from(publication.retention_days?);
    let span = Span::new().try_hours(days.checked_mul(24)?).ok()?;
    publication.now.checked_sub(span).ok()
}

/// The partitions whose data time ended before `limit`.
fn too_old(
    session: &mut Session,
    dataset: &str,
    limit: Timestamp,
) -> Result<Vec<String>, ScanError> {
    let rows = session.rows(&format!(
        "SELECT partition FROM assay_ingest.partition \
         WHERE dataset = {} AND data_until <= {}::timestamptz ORDER BY data_until",
        literal(dataset),
        literal(&limit.to_string())
    ))?;
    Ok(rows.iter().map(|row| cell(row, 0).to_owned()).collect())
}

/// One publication at work.
struct Swap<'a> {
    session: &'a mut Session,
    server: &'a Server,
    of: &'a Publication,
    parent: String,
}

impl Swap<'_> {
    fn run(&mut self) -> Result<Published, ScanError> {
        let dataset = self.of.dataset.as_str();
        let key = self.of.partition.key.as_str();
        lock(self.session, dataset)?;
        let version = Some(self.of.version.as_str());
        not_outrun(self.session, dataset, key, self.of.now, version)?;
        let all = stored(self.session, dataset, key, self.of.now)?;
        let until = self.of.partition.end;
        let old = oldest(self.of)
            .zip(until)
            .is_some_and(|(limit, until)| until <= limit);
        let wanted: BTreeSet<&str> = self.of.cuts.iter().map(String::as_str).collect();
        let (shown, others): (Vec<&Stored>, Vec<&Stored>) = all
            .iter()
            .partition(|stored| !old && wanted.contains(stored.cut.as_str()));
        if !old && shown.len() != wanted.len() {
            return Err(ScanError::Changed {
                path: format!("{}: {}", self.server.place, self.parent),
                what: format!(
                    "{} of {} batches of the partition {key} are stored",
                    shown.len(),
                    wanted.len()
                ),
            });
        }
        // A repeat drops nothing: what else is there came after the version was published.
        let again = !old && shown.iter().all(|s| s.attached) && !others.iter().any(|s| s.attached);
        for stored in others {
            let own = old && wanted.contains(stored.cut.as_str());
            if own || stored.attached || (stored.earlier && !again) {
                drop_batch(self.session, stored.id)?;
            }
        }
        if !old {
            let gone = |error| not_there(error, &self.server.place);
            self.attach(&shown).map_err(gone)?;
        }
        let rows = shown.iter().map(|stored| stored.rows).sum();
        self.note(rows, old)?;
        Ok(Published {
            rows,
            tables: shown.len() as u64,
            too_old: old,
            dropped: 0,
        })
    }

    /// Makes tables parts of the dataset's.
    fn attach(&mut self, shown: &[&Stored]) -> Result<(), ScanError> {
        self.session.rows(&format!(
            "CREATE TABLE IF NOT EXISTS {} (_assay_partition text COLLATE \"C\" NOT NULL, \
             _assay_batch int8 NOT NULL) PARTITION BY RANGE (_assay_partition, _assay_batch)",
            self.parent
        ))?;
        let key = literal(self.of.partition.key.as_str());
        for stored in shown.iter().filter(|stored| !stored.attached) {
            let own = table(stored.id);
            self.fit(&own)?;
            let (id, after) = (stored.id, stored.id.saturating_add(1));
            self.session.rows(&format!(
                "ALTER TABLE {} ATTACH PARTITION {own} \
                 FOR VALUES FROM ({key}, {id}) TO ({key}, {after})",
                self.parent
            ))?;
        }
        Ok(())
    }

    /// Gives the dataset's table the columns of a batch, and the batch those of the table: rows
    /// that were written before a column was are NULL in it.
    fn fit(&mut self, own: &str) -> Result<(), ScanError> {
        let parent = self.parent.clone();
        let (theirs, ours) = (self.columns(&parent)?, self.columns(own)?);
        let mut in_order: Vec<_> = ours.iter().collect();
        in_order.sort_by_key(|(_, (place, _))| *place);
        for (column, (_, kind)) in in_order {
            match theirs.get(column) {
                None => {
                    let column = name(column);
                    self.session
                        .rows(&format!("ALTER TABLE {parent} ADD COLUMN {column} {kind}"))?;
                }
                Some((_, there)) if there == kind => {}
                Some(_) if !self.is_used(column)? => {
                    // Only what was dropped a moment ago had values of it.
                    let column = name(column);
                    self.session
                        .rows(&format!("ALTER TABLE {parent} DROP COLUMN {column}"))?;
                    self.session
                        .rows(&format!("ALTER TABLE {parent} ADD COLUMN {column} {kind}"))?;
                }
                Some((_, there)) => {
                    return Err(ScanError::Definition {
                        path: format!("{}: {parent}", self.server.place),
                        place: Place::file().in_column(column),
                        what: format!(
                            "it is {kind} in the partition {}, and {there} in those that are \
                             stored: one table cannot hold both",
                            self.of.partition.key
                        ),
                        remedy: format!(
                            "give the dataset another id, or drop what is stored \
                             (DROP TABLE {parent}) and run it again with --rescan"
                        ),
                    });
                }
            }
        }
        for (column, (_, kind)) in theirs
            .iter()
            .filter(|(column, _)| !ours.contains_key(*column))
        {
            let column = name(column);
            self.session
                .rows(&format!("ALTER TABLE {own} ADD COLUMN {column} {kind}"))?;
        }
        Ok(())
    }

    /// Whether a part of the dataset's table came with this column.
    fn is_used(&mut self, column: &str) -> Result<bool, ScanError> {
        let rows = self.session.rows(&format!(
            "SELECT EXISTS (SELECT FROM assay_ingest.batch b \
             JOIN pg_inherits i ON i.inhrelid = to_regclass('assay_ingest.\"b' || b.id || '\"') \
             WHERE b.dataset = {} AND (json_typeof(b.told -> 'columns') <> 'array' \
             OR EXISTS (SELECT FROM json_array_elements(b.told -> 'columns') c \
               WHERE c ->> 'name' = {} AND coalesce(c ->> 'void', 'false') <> 'true')))",
            literal(self.of.dataset.as_str()),
            literal(column)
        ))?;
        Ok(rows.first().is_none_or(|row| cell(row, 0) != "f"))
    }

    /// The columns of a table with their types.
    fn columns(&mut self, of: &str) -> Result<BTreeMap<String, (i64, String)>, ScanError> {
        let rows = self.session.rows(&format!(
            "SELECT attname, attnum, format_type(atttypid, atttypmod) FROM pg_attribute \
             WHERE attrelid = {}::regclass AND attnum > 0 AND NOT attisdropped",
            literal(of)
        ))?;
        let one = |row: &Row| {
            let place = cell(row, 1).parse().unwrap_or_default();
            (cell(row, 0).to_owned(), (place, cell(row, 2).to_owned()))
        };
        Ok(rows.iter().map(one).collect())
    }

    fn note(&mut self, rows: u64, old: bool) -> Result<(), ScanError> {
        let dataset = literal(self.of.dataset.as_str());
        let key = literal(self.of.partition.key.as_str());
        if old {
            self.session.rows(&format!(
                "DELETE FROM assay_ingest.partition WHERE dataset = {dataset} AND partition = {key}"
            ))?;
            return Ok(());
        }
        let version = literal(self.of.version.as_str());
        let now = literal(&self.of.now.to_string());
        let until = match self.of.partition.end {
            Some(end) => format!("{}::timestamptz", literal(&end.to_string())),
            None => "NULL".to_owned(),
        };
        self.session.rows(&format!(
            "INSERT INTO assay_ingest.partition AS p \
             (dataset, partition, version, row_count, data_until, as_of) \
             VALUES ({dataset}, {key}, {version}, {rows}, {until}, least({now}::timestamptz, now())) \
             ON CONFLICT (dataset, partition) DO UPDATE SET version = EXCLUDED.version, \
             row_count = EXCLUDED.row_count, data_until = EXCLUDED.data_until, \
             as_of = greatest(p.as_of, EXCLUDED.as_of), \
             published_at = CASE WHEN p.version = EXCLUDED.version THEN p.published_at \
             ELSE now() END"
        ))?;
        Ok(())
    }
}
