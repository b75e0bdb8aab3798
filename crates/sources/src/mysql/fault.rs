//! What the server's errors mean for a task.
//!
//! In: an error packet. Out: a [`ScanError`] whose class says whether trying again can help. What the
//! server says is told; a password never is in it.

use assay_scan::error::{Place, ScanError};

use super::wire::Parts;

/// An error as the server tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fault {
    /// The server's own number.
    pub(super) number: u16,
    pub(super) message: String,
}

impl Fault {
    /// Reads an error packet; one that ends early has no message.
    pub(super) fn read(packet: &[u8]) -> Self {
        let mut parts = Parts(packet.get(1..).unwrap_or_default());
        let Some(number) = parts.u16() else {
            return Self {
                number: 0,
                message: String::new(),
            };
        };
        // A number of SQLSTATE stands before the message, if a client of our kind is spoken to.
        if parts.0.first() == Some(&b'#') {
            parts.0 = parts.0.get(6..).unwrap_or_default();
        }
        Self {
            number,
            message: String::from_utf8_lossy(parts.0).into_owned(),
        }
    }

    /// Takes a password out of it, wherever it stands.
    pub(super) fn forget(&mut self, password: &str) {
        // A shorter one is a part of half the words of a sentence.
        if password.len() >= 4 {
            self.message = self.message.replace(password, "…");
        }
    }

    fn said(&self) -> String {
        let Self { message, number } = self;
        format!("the database says: {message} ({number})")
    }

    /// What it means. `credential` is the name of the reference that logs in.
    pub(super) fn error(&self, place: &str, credential: &str) -> ScanError {
        let wrong = |remedy: String| ScanError::Definition {
            path: place.to_owned(),
            place: Place::file(),
            what: self.said(),
            remedy,
        };
        let late = |doing| ScanError::Io {
            path: place.to_owned(),
            doing,
            source: std::io::Error::new(std::io::ErrorKind::TimedOut, self.said()),
        };
        match self.number {
            1045 | 1275 | 1698 | 1862 | 3118 | 4151 => wrong(format!(
                "see that {credential} holds the name and password of a user who may log in there"
            )),
            1044 | 1049 => wrong("correct `database` under `servers`, or grant it".to_owned()),
            1142 | 1143 | 1227 | 1356 => wrong(format!(
                "grant the user of {credential} SELECT on the table, or name a view of the columns \
                 that it may read"
            )),
            1146 => wrong("correct the table's name".to_owned()),
            1054 => wrong("correct the columns' names".to_owned()),
            1153 | 1301 => wrong(
                "raise `max_allowed_packet` there, or leave columns with values of that size out, \
                 by a view"
                    .to_owned(),
            ),
            // The limit of a statement's time, of each kind of server; a statement that was killed.
            1969 | 3024 | 1317 => late("finish a statement in its time"),
            1205 => late("wait for a lock on the table"),
            1412 | 1615 => ScanError::Changed {
                path: place.to_owned(),
                what: self.said(),
            },
            // Too many connections, a server that starts or ends, a host that is shut out for now, a
            // deadlock, no room.
            1040
            | 1053
            | 1077
            | 1079
            | 1129
            | 1152
            | 1158..=1161
            | 1184
            | 1203
            | 1213
            | 1226
            | 1836
            | 1927
            | 4031
            | 1021
            | 1037
            | 1041
            | 1135 => ScanError::Away {
                path: place.to_owned(),
                what: self.said(),
            },
            1033..=1035 | 1194 | 1195 | 1712 => {
                ScanError::corrupt(place, Place::file(), self.said())
            }
            _ => wrong("see the log of the database, and the dataset's definition".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_scan::ErrorClass;

    fn packet(number: u16, message: &str) -> Vec<u8> {
        let mut bytes = vec![0xff];
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(b"#42000");
        bytes.extend_from_slice(message.as_bytes());
        bytes
    }

    #[test]
    fn an_error_of_the_server_says_whether_to_try_again() {
        let class = |number: u16| {
            let fault = Fault::read(&packet(number, "too bad"));
            assert_eq!(fault.message, "too bad");
            let error = fault.error("mysql://db:3306/shop/t", "env:SHOP");
            assert!(error.to_string().contains("too bad"), "{error}");
            error.class()
        };
        for number in [1045, 1049, 1142, 1146, 1054, 1064, 1194] {
            assert_eq!(class(number), ErrorClass::Permanent, "{number}");
        }
        for number in [1969, 3024, 1205] {
            assert_eq!(class(number), ErrorClass::Retryable, "{number}");
        }
        for number in [1040, 1053, 1213] {
            assert_eq!(class(number), ErrorClass::Away, "{number}");
        }
        assert_eq!(class(1412), ErrorClass::Changed);
    }

    #[test]
    fn a_password_is_taken_out_and_an_early_end_is_no_panic() {
        let mut fault = Fault::read(&packet(1045, "no hunter2 here"));
        fault.forget("hunter2");
        assert_eq!(fault.message, "no … here");
        for bytes in [&b""[..], b"\xff", b"\xff\x15", b"\xff\x15\x04#4"] {
            assert_eq!(Fault::read(bytes).message, "");
        }
    }
}
