//! Statements on one connection.
//!
//! In: statements of our own making. Out: their rows. Each that has rows is prepared and executed, so
//! that its values come as the database holds them and no text can hide a second statement. Every
//! connection may only read, waits for nothing without end, sees times in UTC and texts as UTF-8, and
//! takes one of the server's [`MOST_SESSIONS`] places for such work. One that is dropped while a
//! statement runs has the server end it.

use std::time::{Duration, Instant};

use assay_scan::ScanContext;
use assay_scan::error::{Place, ScanError};
use bytes::BytesMut;

use super::connect::Server;
use super::value::{Row, Typed};
use super::wire::{Parts, WORD_BYTES, Wire, broken};

/// How connections are named in `performance_schema`.
pub(super) const APPLICATION: &str = "assay source";
/// Connections to one server that work at a time, of all machines together.
pub(super) const MOST_SESSIONS: u32 = 4;
/// How long the others wait for their turn.
const TURN: Duration = Duration::from_secs(60);
/// Rows and bytes of an answer that is held as a whole.
const HELD_ROWS: usize = 200_000;
const HELD_BYTES: usize = 64 << 20;
/// Columns of an answer: a table has fewer.
const COLUMNS: u64 = 5_000;
/// The longest statement that is sent.
const STATEMENT: usize = 12 << 20;
/// What a task has beyond the time of its statements.
const BEYOND: Duration = Duration::from_secs(15);

/// The commands of the protocol.
const QUIT: u8 = 1;
const QUERY: u8 = 3;
const PREPARE: u8 = 0x16;
const EXECUTE: u8 = 0x17;
const CLOSE: u8 = 0x19;

/// A row: its values as text.
pub(super) type Texts = Vec<Option<String>>;

/// A connection that is logged in and set up.
pub(super) struct Session {
    server: Server,
    wire: Wire,
    id: u32,
    maria: bool,
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
                id: connected.id,
                maria: connected.maria,
                busy: false,
            };
            session.wire.line.give(limit + BEYOND);
            session.set_up(limit)?;
            if session.has_place()? {
                return Ok(session);
            }
            drop(session);
            if begun.elapsed() > TURN {
                return Err(ScanError::Away {
                    path: server.place.clone(),
                    what: format!(
                        "{MOST_SESSIONS} connections of this kind are at work there, the most that \
                         one server is burdened with"
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
        let time = match self.maria {
            true => format!("max_statement_time = {}", limit.as_secs()),
            false => format!("max_execution_time = {}", limit.as_millis()),
        };
        let patience = limit.as_secs() + 60;
        // What an operator has set for all may change what a statement means, or cut its rows short.
        self.tell("SET NAMES utf8mb4 COLLATE utf8mb4_bin")?;
        self.tell(&format!(
            "SET SESSION sql_mode = '', time_zone = '+00:00', {time}, lock_wait_timeout = 5, \
             net_write_timeout = {patience}, wait_timeout = {patience}, sql_auto_is_null = 0, \
             sql_select_limit = 18446744073709551615, sql_big_selects = 1, sql_safe_updates = 0, \
             max_sort_length = 8388608, autocommit = 1"
        ))?;
        self.tell("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")?;
        self.tell("SET SESSION TRANSACTION READ ONLY")?;
        self.wire.line.patience = limit + BEYOND;
        Ok(())
    }

    /// Takes one of the places for such work, if one is free. It is given back with the connection.
    fn has_place(&mut self) -> Result<bool, ScanError> {
        for place in 1..=MOST_SESSIONS {
            let rows = self.rows(&format!("SELECT GET_LOCK('{APPLICATION} {place}', 0)"))?;
            if number(&rows, 0) == Some(1) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Begins a transaction that sees one state of the database throughout and changes nothing.
    pub(super) fn begin(&mut self) -> Result<(), ScanError> {
        self.tell("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
    }

    /// Ends the transaction.
    pub(super) fn end(&mut self) -> Result<(), ScanError> {
        self.tell("COMMIT")
    }

    /// Whether a statement was left before its end.
    pub(super) fn is_busy(&self) -> bool {
        self.busy
    }

    /// Runs a statement that has no rows.
    fn tell(&mut self, sql: &str) -> Result<(), ScanError> {
        self.busy = true;
        self.wire.command(QUERY, sql.as_bytes())?;
        let packet = self.wire.packet(WORD_BYTES)?;
        match packet.first() {
            Some(0) => {
                self.busy = false;
                Ok(())
            }
            Some(0xff) => Err(self.failed(&packet)),
            _ => Err(self.wire.broken("rows that nobody asked for")),
        }
    }

    /// Runs a statement; all of its rows, of which there are few.
    pub(super) fn rows(&mut self, sql: &str) -> Result<Vec<Texts>, ScanError> {
        let (mut rows, mut bytes) = (Vec::new(), 0);
        let place = self.server.place.clone();
        self.each_text(sql, |row| {
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

    /// Runs a statement; the texts of each of its rows as it comes.
    pub(super) fn each_text(
        &mut self,
        sql: &str,
        mut take: impl FnMut(Texts) -> Result<(), ScanError>,
    ) -> Result<(), ScanError> {
        let place = self.server.place.clone();
        self.each(sql, |mut row, columns| {
            let text = |_| {
                let value = row.next().ok_or_else(|| early(&place))?;
                let text = value.text();
                text.map_err(|_| broken(&place, "a text that is not UTF-8"))
            };
            take((0..columns).map(text).collect::<Result<_, _>>()?)
        })
    }

    /// Runs a statement; each of its rows, and how many columns it has, as it comes. An error of
    /// `take` ends the statement. What the server warns of is an error: it may have put another value
    /// in the place of one that it could not tell.
    pub(super) fn each(
        &mut self,
        sql: &str,
        take: impl FnMut(Row<'_>, usize) -> Result<(), ScanError>,
    ) -> Result<(), ScanError> {
        if self.run(sql, take)? == 0 {
            return Ok(());
        }
        let told = self.warnings()?;
        if told.is_empty() {
            return Ok(());
        }
        Err(ScanError::Unsupported {
            path: self.server.place.clone(),
            place: Place::file(),
            what: format!(
                "the database warns that it cannot tell every value: {}",
                told.join("; ")
            ),
            remedy: "mend the values, or leave them out by a view".to_owned(),
        })
    }

    /// The same; how often the server warns.
    fn run(
        &mut self,
        sql: &str,
        mut take: impl FnMut(Row<'_>, usize) -> Result<(), ScanError>,
    ) -> Result<u16, ScanError> {
        self.busy = true;
        let id = self.prepare(sql)?;
        let mut body = id.to_vec();
        // No cursor: the rows are sent as they are found. Once.
        body.extend_from_slice(&[0, 1, 0, 0, 0]);
        self.wire.command(EXECUTE, &body)?;
        let head = self.wire.packet(WORD_BYTES)?;
        let columns = match head.first() {
            Some(0xff) => return Err(self.failed(&head)),
            Some(0) => 0,
            Some(0xfb) => return Err(self.wire.broken("it asks for a file of this machine")),
            _ => Parts(&head).count().unwrap_or(u64::MAX),
        };
        if columns == 0 || columns > COLUMNS {
            return Err(self.wire.broken(format!("an answer of {columns} columns")));
        }
        let types = self.types(columns)?;
        let most = self.wire.line.row_bytes();
        let warnings = loop {
            let packet = self.wire.packet(most)?;
            match packet.first() {
                Some(0) => {
                    let row = Row::new(&types, &packet);
                    take(row.ok_or_else(|| early(&self.server.place))?, types.len())?;
                }
                Some(0xff) => return Err(self.failed(&packet)),
                Some(0xfe) if packet.len() < 9 => {
                    break Parts(packet.get(1..).unwrap_or_default())
                        .u16()
                        .unwrap_or_default();
                }
                _ => return Err(self.wire.broken("what is neither a row nor an end")),
            }
        };
        self.wire.command(CLOSE, &id)?;
        self.busy = false;
        Ok(warnings)
    }

    /// Prepares a statement; what it is called by.
    fn prepare(&mut self, sql: &str) -> Result<[u8; 4], ScanError> {
        if sql.len() > STATEMENT {
            return Err(ScanError::Definition {
                path: self.server.place.clone(),
                place: Place::file(),
                what: format!("a statement would have {} bytes", sql.len()),
                remedy: "leave columns out by a view".to_owned(),
            });
        }
        self.wire.command(PREPARE, sql.as_bytes())?;
        let packet = self.wire.packet(WORD_BYTES)?;
        if packet.first() == Some(&0xff) {
            return Err(self.failed(&packet));
        }
        let mut parts = Parts(&packet);
        let told = (|| {
            let first = parts.byte()?;
            let id = parts.fixed::<4>()?;
            Some((first, id, parts.u16()?, parts.u16()?))
        })();
        match told {
            Some((0, id, columns @ 1.., 0)) => {
                self.types(u64::from(columns))?;
                Ok(id)
            }
            _ => Err(self.wire.broken("a statement that it does not prepare")),
        }
    }

    /// The descriptions of so many columns.
    fn types(&mut self, columns: u64) -> Result<Vec<Typed>, ScanError> {
        let mut types = Vec::new();
        for _ in 0..columns {
            let packet = self.wire.packet(WORD_BYTES)?;
            let typed = Typed::read(&packet);
            types
                .push(typed.ok_or_else(|| self.wire.broken("a column that it does not describe"))?);
        }
        let end = self.wire.packet(WORD_BYTES)?;
        match end.first() {
            Some(0xfe) => Ok(types),
            _ => Err(self.wire.broken("columns without an end")),
        }
    }

    /// The server has ended the statement.
    fn failed(&mut self, packet: &BytesMut) -> ScanError {
        self.busy = false;
        self.server.fault(packet)
    }

    /// What the server warns of. It is asked in the plain way: to prepare would make it forget.
    /// That a word of SQL will be gone one day says nothing of a value.
    fn warnings(&mut self) -> Result<Vec<String>, ScanError> {
        self.busy = true;
        self.wire.command(QUERY, b"SHOW WARNINGS LIMIT 64")?;
        let head = self.wire.packet(WORD_BYTES)?;
        if head.first() != Some(&3) {
            return Err(self.wire.broken("warnings of another form"));
        }
        self.types(3)?;
        let mut told = Vec::new();
        for _ in 0..65 {
            let packet = self.wire.packet(WORD_BYTES)?;
            if packet.first() == Some(&0xfe) {
                self.busy = false;
                told.truncate(3);
                return Ok(told);
            }
            let mut parts = Parts(&packet);
            let _ = parts.counted();
            let mut text = || String::from_utf8_lossy(parts.counted().unwrap_or_default());
            let (number, said) = (text(), text());
            if !matches!(number.as_ref(), "1287" | "1681") {
                let text: String = said.chars().take(200).collect();
                told.push(format!("{text} ({number})"));
            }
        }
        Err(self.wire.broken("warnings without an end"))
    }
}

fn early(place: &str) -> ScanError {
    broken(place, "a row that does not have the values that it should")
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.busy {
            self.server.end(self.id);
        } else {
            // The server notices an end without a farewell, too.
            let _ = self.wire.command(QUIT, &[]);
        }
    }
}

/// A number in the first row.
pub(super) fn number(rows: &[Texts], at: usize) -> Option<u64> {
    rows.first()?.get(at)?.as_ref()?.parse().ok()
}

/// A name in quotes.
pub(super) fn name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text as a literal that no setting of the server reads otherwise.
pub(super) fn literal(text: &str) -> String {
    let mut literal = String::with_capacity(2 * text.len() + 14);
    literal.push_str("_utf8mb4 X'");
    for byte in text.bytes() {
        literal.push_str(&format!("{byte:02x}"));
    }
    literal.push('\'');
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_texts_cannot_leave_their_quotes() {
        assert_eq!(name("a`; DROP TABLE t --"), "`a``; DROP TABLE t --`");
        assert_eq!(literal("it's\\"), "_utf8mb4 X'697427735c'");
    }
}
