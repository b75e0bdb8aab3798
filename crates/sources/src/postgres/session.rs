//! Statements on one connection.
//!
//! In: statements of our own making. Out: their rows as text, or the bytes of a COPY. Each is one
//! statement by the extended protocol, so that no text can hide a second one. Every connection may
//! only read, waits for nothing without end, looks names up nowhere but in the system's schema, and
//! takes one of the [`MOST_SESSIONS`] places that this machine has there. One that is dropped while a
//! statement runs has the server end it.

use std::time::{Duration, Instant};

use assay_scan::ScanContext;
use assay_scan::error::ScanError;
use bytes::{Bytes, BytesMut};
use fallible_iterator::FallibleIterator;
use postgres_protocol::IsNull;
use postgres_protocol::message::backend::{DataRowBody, Message};
use postgres_protocol::message::frontend;

use super::connect::{CancelKey, Server};
use super::wire::{Wire, broken};

/// How connections are named in `pg_stat_activity`.
pub(super) const APPLICATION: &str = "assay source";
/// Connections of one machine to one database that work at a time.
pub(super) const MOST_SESSIONS: u32 = 4;
/// How long the others wait for their turn.
const TURN: Duration = Duration::from_secs(60);

/// Rows and bytes of an answer that is held as a whole.
const HELD_ROWS: usize = 200_000;
const HELD_BYTES: usize = 64 << 20;
/// Messages beside the rows of one statement: notices, mostly.
const WORDS: usize = 10_000;
/// What a task has beyond the time of its statements.
const BEYOND: Duration = Duration::from_secs(15);

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
            session.wire.give(limit + BEYOND);
            session.set_up(limit)?;
            if session.take_place()? {
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

    /// Connects to a database that may be written to.
    pub(super) fn open_writing(
        server: &Server,
        limit: Duration,
        context: &ScanContext,
    ) -> Result<Self, ScanError> {
        let connected = server.connect(context)?;
        let mut session = Self {
            server: server.clone(),
            wire: connected.wire,
            cancel: connected.cancel,
            encoding: connected.encoding,
            busy: false,
        };
        // To wait for another, to copy and to read back may each take as long.
        session.wire.give(limit * 3 + BEYOND);
        // Rows are read back in the order in which they were written.
        session.set(
            limit,
            "('default_transaction_read_only', 'off'), ('synchronize_seqscans', 'off'), \
             ('max_parallel_workers_per_gather', '0'), ('synchronous_commit', 'on'), \
             ('client_min_messages', 'warning')",
        )?;
        Ok(session)
    }

    fn set_up(&mut self, limit: Duration) -> Result<(), ScanError> {
        self.set(limit, "('default_transaction_read_only', 'on')")
    }

    fn set(&mut self, limit: Duration, own: &str) -> Result<(), ScanError> {
        let limit_ms = limit.as_millis();
        // What a server of that version does not know is not set.
        let set = format!(
            "SELECT pg_catalog.set_config(s.name, w.value, false) \
             FROM (VALUES ('statement_timeout', '{limit_ms}'), ('lock_timeout', '5000'), \
             ('idle_in_transaction_session_timeout', '60000'), ('search_path', 'pg_catalog'), \
             ('client_connection_check_interval', '2000'), {own}, \
             ('tcp_keepalives_idle', '5'), ('tcp_keepalives_interval', '5'), \
             ('tcp_keepalives_count', '3'), \
             ('tcp_user_timeout', '10000'), ('row_security', 'off')) AS w(name, value) \
             JOIN pg_catalog.pg_settings s ON s.name OPERATOR(pg_catalog.=) w.name"
        );
        self.rows(&set)?;
        self.wire.patience = limit + BEYOND;
        Ok(())
    }

    /// Takes one of the places that this machine has in the database for this role, if one is free. It
    /// is held until the server has ended the session: one that still works is counted, whoever has
    /// given it up. A standby has such locks, too.
    fn take_place(&mut self) -> Result<bool, ScanError> {
        let taken = (1..=MOST_SESSIONS)
            .map(|place| format!("WHEN pg_catalog.pg_try_advisory_lock(k.key, {place}) THEN 1"))
            .collect::<Vec<_>>()
            .join(" ");
        let rows = self.rows(&format!(
            "SELECT CASE {taken} ELSE 0 END FROM (SELECT pg_catalog.hashtext('{APPLICATION}/' || \
             session_user || '/' || coalesce(inet_client_addr()::text, 'here')) AS key) AS k"
        ))?;
        Ok(number(&rows, 0) == Some(1))
    }

    /// The server that it is connected to.
    pub(super) fn server(&self) -> &Server {
        &self.server
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

    /// The longest row that is taken.
    pub(super) fn row_bytes(&self) -> usize {
        usize::try_from(self.wire.row_bytes()).unwrap_or(usize::MAX)
    }

    /// Runs a statement; all of its rows, of which there are few.
    pub(super) fn rows(&mut self, sql: &str) -> Result<Vec<Row>, ScanError> {
        let (mut rows, mut bytes) = (Vec::new(), 0);
        let place = self.server.place.clone();
        self.each_row(sql, |row| {
            let length = |value: &Option<String>| 24 + value.as_ref().map_or(0, String::len);
            bytes += row.iter().map(length).sum::<usize>();
            rows.push(row);
            if rows.len() > HELD_ROWS || bytes > HELD_BYTES {
                return Err(broken(&place, "an answer without an end"));
            }
            Ok(())
        })?;
        Ok(rows)
    }

    /// Runs a statement; each of its rows as it comes. An error of `take` ends the statement.
    pub(super) fn each_row(
        &mut self,
        sql: &str,
        mut take: impl FnMut(Row) -> Result<(), ScanError>,
    ) -> Result<(), ScanError> {
        let place = self.server.place.clone();
        self.each(sql, |piece| match piece {
            Piece::Row(body) => take(row(body).map_err(|error| broken(&place, error))?),
            Piece::Copied(_) => Err(broken(&place, "a copy that nobody asked for")),
        })
    }

    /// Runs a `COPY … TO STDOUT`; each piece of its bytes as it comes.
    pub(super) fn copy_out(
        &mut self,
        sql: &str,
        mut take: impl FnMut(&[u8]) -> Result<(), ScanError>,
    ) -> Result<(), ScanError> {
        let place = self.server.place.clone();
        self.each(sql, |piece| match piece {
            Piece::Copied(bytes) => take(bytes),
            Piece::Row(_) => Err(broken(&place, "rows in the midst of a copy")),
        })
    }

    /// Begins a `COPY … FROM STDIN`.
    pub(super) fn copy_in(&mut self, sql: &str) -> Result<CopyIn<'_>, ScanError> {
        let mut bytes = BytesMut::new();
        self.server.sayable(frontend::query(sql, &mut bytes))?;
        self.busy = true;
        self.wire.send(&bytes)?;
        let (mut fault, mut words) = (None, 0);
        loop {
            match self.wire.next()? {
                Message::CopyInResponse(_) => break,
                Message::ReadyForQuery(_) => {
                    self.busy = false;
                    let none = || self.wire.broken("a copy that it does not begin");
                    return Err(fault.unwrap_or_else(none));
                }
                other => self.heard(&other, &mut fault, &mut words)?,
            }
        }
        Ok(CopyIn {
            session: self,
            pending: Vec::with_capacity(SEND + SEND / 4),
        })
    }

    /// Begins a `COPY … TO STDOUT` whose pieces are asked for one by one.
    pub(super) fn pull(&mut self, sql: &str) -> Result<CopyOut<'_>, ScanError> {
        self.ask(sql)?;
        Ok(CopyOut {
            session: self,
            ended: false,
            held: Bytes::new(),
        })
    }

    /// Sends a statement.
    fn ask(&mut self, sql: &str) -> Result<(), ScanError> {
        let mut bytes = BytesMut::new();
        self.server.sayable(statement(sql, &mut bytes))?;
        self.busy = true;
        self.wire.send(&bytes)
    }

    /// Takes a message beside those that are waited for.
    fn heard(
        &self,
        message: &Message,
        fault: &mut Option<ScanError>,
        words: &mut usize,
    ) -> Result<(), ScanError> {
        *words += 1;
        if *words > WORDS {
            return Err(self.wire.broken("words without an end"));
        }
        if let Message::ErrorResponse(body) = message {
            *fault = Some(self.server.fault(body.fields()));
        }
        Ok(())
    }

    fn each(
        &mut self,
        sql: &str,
        mut take: impl FnMut(Piece<'_>) -> Result<(), ScanError>,
    ) -> Result<(), ScanError> {
        self.ask(sql)?;
        let (mut fault, mut words) = (None, 0);
        loop {
            match self.wire.next()? {
                Message::DataRow(body) => take(Piece::Row(&body))?,
                Message::CopyData(body) => take(Piece::Copied(body.data()))?,
                Message::ReadyForQuery(_) => break,
                other => self.heard(&other, &mut fault, &mut words)?,
            }
        }
        self.busy = false;
        fault.map_or(Ok(()), Err)
    }
}

/// A piece of an answer.
enum Piece<'a> {
    Row(&'a DataRowBody),
    Copied(&'a [u8]),
}

/// One statement without parameters, whose values come as text.
fn statement(sql: &str, bytes: &mut BytesMut) -> std::io::Result<()> {
    frontend::parse("", sql, std::iter::empty(), bytes)?;
    let nothing = std::iter::empty::<i16>;
    let none = |(), _: &mut BytesMut| Ok(IsNull::Yes);
    let bound = frontend::bind(
        "",
        "",
        nothing(),
        std::iter::empty::<()>(),
        none,
        nothing(),
        bytes,
    );
    bound.map_err(|_| std::io::Error::other("it cannot be bound"))?;
    frontend::execute("", 0, bytes)?;
    frontend::sync(bytes);
    Ok(())
}

/// Bytes of rows that are sent at a time.
const SEND: usize = 128 << 10;

/// Rows on their way into a table.
pub(super) struct CopyIn<'s> {
    session: &'s mut Session,
    pending: Vec<u8>,
}

impl CopyIn<'_> {
    /// The longest row that could be read back.
    pub(super) fn row_bytes(&self) -> usize {
        self.session.row_bytes()
    }

    /// Has `fill` add bytes of whole rows, or of a part of them.
    pub(super) fn add<E: From<ScanError>>(
        &mut self,
        fill: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.pending.is_empty() {
            self.pending.extend_from_slice(b"d\0\0\0\0");
        }
        fill(&mut self.pending)?;
        if self.pending.len() >= SEND {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ScanError> {
        let Some(length) = self.pending.len().checked_sub(1).filter(|n| *n > 4) else {
            self.pending.clear();
            return Ok(());
        };
        self.session.wire.check()?;
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        self.pending[1..5].copy_from_slice(&length.to_be_bytes());
        let sent = self.session.wire.send(&self.pending);
        self.pending.clear();
        sent
    }

    /// Ends the copy; the number of rows that the server took.
    pub(super) fn finish(mut self) -> Result<u64, ScanError> {
        self.flush()?;
        let session = self.session;
        let mut done = BytesMut::new();
        frontend::copy_done(&mut done);
        session.wire.send(&done)?;
        let (mut fault, mut words, mut rows) = (None, 0, 0);
        loop {
            match session.wire.next()? {
                Message::CommandComplete(body) => {
                    let tag = body.tag().unwrap_or_default();
                    let told = tag.strip_prefix("COPY ").and_then(|n| n.parse().ok());
                    rows = told.unwrap_or(0);
                }
                Message::ReadyForQuery(_) => break,
                other => session.heard(&other, &mut fault, &mut words)?,
            }
        }
        session.busy = false;
        fault.map_or(Ok(rows), Err)
    }
}

/// Rows on their way out of a table.
pub(super) struct CopyOut<'s> {
    session: &'s mut Session,
    ended: bool,
    held: Bytes,
}

impl CopyOut<'_> {
    /// The next piece; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, ScanError> {
        let (mut fault, mut words) = (None, 0);
        while !self.ended {
            match self.session.wire.next()? {
                Message::CopyData(body) => {
                    self.held = body.into_bytes();
                    return Ok(Some(&self.held));
                }
                Message::ReadyForQuery(_) => {
                    self.session.busy = false;
                    self.ended = true;
                }
                other => self.session.heard(&other, &mut fault, &mut words)?,
            }
        }
        fault.map_or(Ok(None), Err)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.busy {
            self.server.cancel(self.cancel);
        } else {
            let mut farewell = BytesMut::new();
            frontend::terminate(&mut farewell);
            // The server notices an end without a farewell, too.
            let _ = self.wire.send(&farewell);
        }
    }
}

/// The values of a row.
fn row(body: &DataRowBody) -> std::io::Result<Row> {
    let text =
        |at: std::ops::Range<usize>| String::from_utf8_lossy(&body.buffer()[at]).into_owned();
    body.ranges().map(|value| Ok(value.map(text))).collect()
}

/// A number in the first row.
pub(super) fn number(rows: &[Row], at: usize) -> Option<u64> {
    rows.first()?.get(at)?.as_ref()?.parse().ok()
}

pub(super) use crate::table::range::quoted as name;

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
    fn a_row_is_read_and_a_broken_one_is_none() {
        let read = |body: &[u8]| {
            let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
            let mut bytes = BytesMut::from(&[&b"D"[..], &length, body].concat()[..]);
            match Message::parse(&mut bytes) {
                Ok(Some(Message::DataRow(body))) => row(&body).ok(),
                _ => None,
            }
        };
        let body = [&[0u8, 2, 0, 0, 0, 1, b'x'][..], &(-1i32).to_be_bytes()].concat();
        assert_eq!(read(&body).unwrap(), [Some("x".to_owned()), None]);
        assert_eq!(read(&[0, 1, 0, 0, 0, 9, b'x']), None);
        assert_eq!(read(&[0, 2, 0, 0, 0, 1, b'x']), None);
        assert_eq!(read(&[]), None);
    }
}
