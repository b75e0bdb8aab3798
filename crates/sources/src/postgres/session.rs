//! Statements on one connection.
//!
//! In: statements of our own making. Out: their rows as text, or the bytes of a COPY. Each is one
//! statement by the extended protocol, so that no text can hide a second one. Every connection may
//! only read, waits for nothing without end, looks names up nowhere but in the system's schema, and
//! counts itself among those of this machine: [`MOST_SESSIONS`] at a time. One that is dropped
//! while a statement runs has the server end it.

use std::time::{Duration, Instant};

use assay_scan::ScanContext;
use assay_scan::error::ScanError;

use super::connect::{CancelKey, Server};
use super::fault::Fault;
use super::wire::{Wire, message};

/// How connections are named in `pg_stat_activity`.
pub(super) const APPLICATION: &str = "assay source";
/// Connections of one machine to one database that work at a time.
pub(super) const MOST_SESSIONS: u32 = 4;
/// How long the others wait for their turn.
const TURN: Duration = Duration::from_secs(60);

/// A row: its values as text.
pub(super) type Row = Vec<Option<String>>;

/// A connection that is logged in and set up.
pub(super) struct Session {
    server: Server,
    wire: Wire,
    cancel: CancelKey,
    encoding: String,
    busy: bool,
}

impl Session {
    /// Connects, and waits for its turn. No statement may take longer than `limit`.
    pub(super) fn open(
        server: &Server,
        limit: Duration,
        context: &ScanContext,
    ) -> Result<Self, ScanError> {
        let begun = Instant::now();
        let mut pause = Duration::from_millis(50);
        loop {
            let connected = server.connect(context)?;
            let mut session = Self {
                server: server.clone(),
                wire: connected.wire,
                cancel: connected.cancel,
                encoding: connected.encoding,
                busy: false,
            };
            session.set_up(limit)?;
            if session.place_in_line()? <= u64::from(MOST_SESSIONS) {
                return Ok(session);
            }
            drop(session);
            if begun.elapsed() > TURN {
                return Err(ScanError::Away {
                    path: server.place.clone(),
                    what: format!(
                        "{MOST_SESSIONS} connections of this machine are at work there, the most \
                         that one database is burdened with"
                    ),
                });
            }
            let until = Instant::now() + pause;
            while Instant::now() < until {
                context.check(&server.place)?;
                std::thread::sleep(Duration::from_millis(20));
            }
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    fn set_up(&mut self, limit: Duration) -> Result<(), ScanError> {
        let limit_ms = limit.as_millis();
        // What a server of that version does not know is not set.
        let set = format!(
            "SELECT pg_catalog.set_config(s.name, w.value, false) \
             FROM (VALUES ('statement_timeout', '{limit_ms}'), ('lock_timeout', '5000'), \
             ('idle_in_transaction_session_timeout', '60000'), ('search_path', 'pg_catalog'), \
             ('default_transaction_read_only', 'on'), ('client_connection_check_interval', '2000'), \
             ('tcp_user_timeout', '10000'), ('row_security', 'off')) AS w(name, value) \
             JOIN pg_catalog.pg_settings s ON s.name OPERATOR(pg_catalog.=) w.name"
        );
        self.rows(&set)?;
        self.wire.patience = limit + Duration::from_secs(15);
        Ok(())
    }

    /// Which of this machine's connections to the database this is, by age.
    fn place_in_line(&mut self) -> Result<u64, ScanError> {
        let before = "SELECT count(*) FROM pg_stat_activity a, pg_stat_activity me \
             WHERE me.pid = pg_backend_pid() AND a.datid = me.datid AND a.usesysid = me.usesysid \
             AND a.application_name = me.application_name \
             AND a.client_addr IS NOT DISTINCT FROM me.client_addr \
             AND (a.backend_start, a.pid) <= (me.backend_start, me.pid)";
        let rows = self.rows(before)?;
        Ok(number(&rows, 0).unwrap_or(1))
    }

    /// Whether texts are ordered by their bytes as UTF-8.
    pub(super) fn is_utf8(&self) -> bool {
        self.encoding == "UTF8"
    }

    /// Begins a transaction that sees one state of the database throughout and changes nothing.
    pub(super) fn begin(&mut self) -> Result<(), ScanError> {
        self.rows("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .map(drop)
    }

    /// Ends the transaction.
    pub(super) fn end(&mut self) -> Result<(), ScanError> {
        self.rows("COMMIT").map(drop)
    }

    /// Whether a statement was left before its end.
    pub(super) fn is_busy(&self) -> bool {
        self.busy
    }

    /// Runs a statement; all of its rows.
    pub(super) fn rows(&mut self, sql: &str) -> Result<Vec<Row>, ScanError> {
        let mut rows = Vec::new();
        self.each(sql, |kind, body| {
            if kind == b'D' {
                rows.push(row(body));
            }
            Ok(())
        })?;
        Ok(rows)
    }

    /// Runs a statement; each of its rows as it comes.
    pub(super) fn each_row(
        &mut self,
        sql: &str,
        mut take: impl FnMut(Row) -> Result<(), ScanError>,
    ) -> Result<(), ScanError> {
        self.each(sql, |kind, body| match kind {
            b'D' => take(row(body)),
            _ => Ok(()),
        })
    }

    /// Runs a `COPY … TO STDOUT`; each piece of its bytes as it comes.
    pub(super) fn copy_out(
        &mut self,
        sql: &str,
        mut take: impl FnMut(&[u8]) -> Result<(), ScanError>,
    ) -> Result<(), ScanError> {
        self.each(sql, |kind, body| match kind {
            b'd' => take(body),
            _ => Ok(()),
        })
    }

    fn each(
        &mut self,
        sql: &str,
        mut take: impl FnMut(u8, &[u8]) -> Result<(), ScanError>,
    ) -> Result<(), ScanError> {
        let mut bytes = message(b'P', &[b"\0", sql.as_bytes(), b"\0\0\0"].concat());
        bytes.extend(message(b'B', &[0; 8]));
        bytes.extend(message(b'E', &[0; 5]));
        bytes.extend(message(b'S', &[]));
        self.busy = true;
        self.wire.send(&bytes)?;
        let mut fault = None;
        let mut seen = 0u32;
        loop {
            let (kind, at) = self.wire.next()?;
            match kind {
                b'D' | b'd' => {
                    seen = seen.wrapping_add(1);
                    if seen.is_multiple_of(1024) {
                        self.wire.context().check(&self.server.place)?;
                    }
                    take(kind, self.wire.body(at))?;
                }
                b'E' => fault = Some(Fault::read(self.wire.body(at))),
                b'Z' => break,
                _ => {}
            }
        }
        self.busy = false;
        match fault {
            Some(fault) => Err(fault.error(&self.server.place, &self.server.credential)),
            None => Ok(()),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.busy {
            self.server.cancel(self.cancel);
        } else {
            // The server notices an end without a farewell, too.
            let _ = self.wire.send(&message(b'X', &[]));
        }
    }
}

/// The values of a row.
fn row(body: &[u8]) -> Row {
    let mut values = Vec::new();
    let mut rest = body.get(2..).unwrap_or_default();
    while let Some((length, more)) = rest.split_at_checked(4) {
        let length = i32::from_be_bytes(length.try_into().unwrap_or_default());
        let length = usize::try_from(length).ok();
        let (value, after) = match length {
            Some(length) => more.split_at_checked(length).unwrap_or((more, &[])),
            None => (&more[..0], more),
        };
        values.push(length.map(|_| String::from_utf8_lossy(value).into_owned()));
        rest = after;
    }
    values
}

/// A number in the first row.
pub(super) fn number(rows: &[Row], at: usize) -> Option<u64> {
    rows.first()?.get(at)?.as_ref()?.parse().ok()
}

/// A name in quotes.
pub(super) fn name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as a literal, whatever the server takes a backslash for.
pub(super) fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''").replace('\0', "");
    if quoted.contains('\\') {
        format!("E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_texts_cannot_leave_their_quotes() {
        assert_eq!(name("a\"; DROP TABLE t --"), "\"a\"\"; DROP TABLE t --\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("\\' OR 1=1"), "E'\\\\'' OR 1=1'");
    }

    #[test]
    fn a_row_is_read_and_a_broken_one_ends_early() {
        let body = [&[0u8, 2, 0, 0, 0, 1, b'x'][..], &(-1i32).to_be_bytes()].concat();
        assert_eq!(row(&body), [Some("x".to_owned()), None]);
        assert_eq!(row(&[0, 1, 0, 0, 0, 9, b'x']).len(), 1);
        assert!(row(&[]).is_empty());
    }
}
