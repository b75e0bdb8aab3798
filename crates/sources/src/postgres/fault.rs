//! What the server's errors mean for a task.
//!
//! In: the fields of an error message. Out: a [`ScanError`] whose class says whether trying again
//! can help. What the server says is told; a password never is in it.

use assay_scan::error::{Place, ScanError};
use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::ErrorFields;

/// An error as the server tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fault {
    /// SQLSTATE.
    pub(super) code: String,
    pub(super) message: String,
}

impl Fault {
    /// Reads an error message; fields that cannot be read end it.
    pub(super) fn read(mut fields: ErrorFields<'_>) -> Self {
        let mut fault = Self::default();
        while let Ok(Some(field)) = fields.next() {
            let value = String::from_utf8_lossy(field.value_bytes()).into_owned();
            match field.type_() {
                b'C' => fault.code = value,
                b'M' => fault.message = value,
                _ => {}
            }
        }
        fault
    }

    /// Takes a password out of it, wherever it stands.
    pub(super) fn forget(&mut self, password: &str) {
        // A shorter one is a part of half the words of a sentence.
        if password.len() >= 4 {
            self.message = self.message.replace(password, "…");
        }
    }

    fn said(&self) -> String {
        let Self { message, code, .. } = self;
        format!("the database says: {message} ({code})")
    }

    /// What it means. `credential` is the name of the reference that logs in.
    pub(super) fn error(&self, place: &str, credential: &str) -> ScanError {
        let wrong = |remedy: String| ScanError::Definition {
            path: place.to_owned(),
            place: Place::file(),
            what: self.said(),
            remedy,
        };
        let away = || ScanError::Away {
            path: place.to_owned(),
            what: self.said(),
        };
        let late = |doing| ScanError::Io {
            path: place.to_owned(),
            doing,
            source: std::io::Error::new(std::io::ErrorKind::TimedOut, self.said()),
        };
        match self.code.as_str() {
            "28000" | "28P01" => wrong(format!(
                "see that {credential} holds the user and password of a role that may log in there"
            )),
            "3D000" => wrong("correct `database` under `servers`".to_owned()),
            "42501" => wrong(format!(
                "grant the role of {credential} USAGE on the schema and SELECT on the table"
            )),
            "42P01" | "3F000" => wrong("correct `schema` and the table's name".to_owned()),
            "42703" => wrong("correct the columns' names".to_owned()),
            "57014" => late("finish a statement in its time"),
            "55P03" => late("wait for a lock on the table"),
            "53200" if self.message.contains("shared memory") => ScanError::Away {
                path: place.to_owned(),
                what: format!(
                    "{}: it has room for too few locks; raise its max_locks_per_transaction",
                    self.said()
                ),
            },
            // Limits of the server: too many columns, a row that no page holds, a value of 1 GB.
            "54000" | "54001" | "54011" => wrong(
                "this is beyond what a table of Postgres holds: leave columns out, or write \
                 `mode: in-place` under assayStorage"
                    .to_owned(),
            ),
            "25P03" | "57P05" => late("keep a transaction open that long"),
            code if code.starts_with("XX") => ScanError::corrupt(place, Place::file(), self.said()),
            code if matches!(code.get(..2), Some("08" | "53" | "57" | "58" | "40")) => away(),
            _ => wrong("see the log of the database, and the dataset's definition".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_scan::ErrorClass;
    use bytes::BytesMut;
    use postgres_protocol::message::backend::Message;

    fn read(body: &[u8]) -> Fault {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        let mut bytes = BytesMut::from(&[&b"E"[..], &length, body].concat()[..]);
        match Message::parse(&mut bytes) {
            Ok(Some(Message::ErrorResponse(body))) => Fault::read(body.fields()),
            _ => panic!("no error"),
        }
    }

    #[test]
    fn an_error_of_the_server_says_whether_to_try_again() {
        let class = |code: &str| {
            let body = format!("SERROR\0C{code}\0Mtoo bad\0Dof old\0\0");
            let fault = read(body.as_bytes());
            assert_eq!(fault.message, "too bad");
            let error = fault.error("postgres://db:5432/shop/public.t", "env:SHOP");
            assert!(error.to_string().contains("too bad"), "{error}");
            error.class()
        };
        for code in [
            "28P01", "3D000", "42501", "42P01", "42703", "22003", "XX001",
        ] {
            assert_eq!(class(code), ErrorClass::Permanent, "{code}");
        }
        for code in ["57014", "55P03", "25P03"] {
            assert_eq!(class(code), ErrorClass::Retryable, "{code}");
        }
        for code in ["57P01", "57P03", "53300", "08006", "40001"] {
            assert_eq!(class(code), ErrorClass::Away, "{code}");
        }
        let locks = read(b"SERROR\0C53200\0Mout of shared memory\0\0").error("postgres://db", "x");
        assert_eq!(locks.class(), ErrorClass::Away);
        assert!(
            locks.to_string().contains("max_locks_per_transaction"),
            "{locks}"
        );
        assert_eq!(read(b""), Fault::default());
        let mut telling = read(b"Mno hunter2 here\0\0");
        telling.forget("hunter2");
        assert_eq!(telling.message, "no … here");
        assert_eq!(read(b"Mhalf").message, "");
    }
}
