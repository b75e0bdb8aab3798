//! What Postgres' errors mean for the caller.
//!
//! Comes in: an error of the driver and where it happened. Goes out: a [`StoreError`] that says
//! whether anything may have been written. It must never call a doubtful write certain: an error that
//! the server tells of a statement means that it was rolled back, a lost connection means nothing.

use sqlx::Error;
use sqlx::postgres::PgDatabaseError;

use crate::error::StoreError;

/// `RAISE … ERRCODE` of our functions.
pub(super) const FENCED_EPOCH: &str = "AS001";
const NO_DEFINITION: &str = "AS002";
const CONTRADICTION: &str = "AS003";

/// The server's word on an error, if it was the server that spoke.
fn told(error: &Error) -> Option<&PgDatabaseError> {
    error.as_database_error()?.try_downcast_ref()
}

/// Whether the connection can be used after `error`.
pub(super) fn leaves_connection(error: &Error) -> bool {
    match error {
        Error::Database(_) => !told(error)
            .is_some_and(|e| matches!(e.code(), "57P01" | "57P02" | "57P03" | "57P05" | "25P03")),
        Error::RowNotFound
        | Error::ColumnDecode { .. }
        | Error::ColumnNotFound(_)
        | Error::Decode(_)
        | Error::Encode(_) => true,
        _ => false,
    }
}

/// Whether it lost a race for locks, so that it may be tried again at once.
pub(super) fn is_lost_race(error: &Error) -> bool {
    told(error).is_some_and(|e| matches!(e.code(), "40001" | "40P01"))
}

/// An error with the server that it is of.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {error}")]
struct At {
    place: String,
    #[source]
    error: Error,
}

fn at(place: &str, error: Error) -> Box<At> {
    let place = place.to_owned();
    Box::new(At { place, error })
}

/// An error of a statement that commits by itself.
fn of_statement(place: &str, error: Error) -> StoreError {
    let Some(server) = told(&error) else {
        return match error {
            Error::Encode(e) => StoreError::Refused {
                what: "value",
                detail: e.to_string(),
            },
            // The connection was lost, or answers nonsense: the statement may have been committed.
            error => StoreError::Unknown(at(place, error)),
        };
    };
    let code = server.code();
    let detail = || format!("{} ({code})", server.message());
    match code {
        FENCED_EPOCH => StoreError::FencedEpoch { epoch: 0 },
        NO_DEFINITION => StoreError::NotFound {
            what: "definition",
            name: server.message().to_owned(),
        },
        CONTRADICTION => StoreError::Refused {
            what: match server.table() {
                Some("incident") => "incident",
                _ => "verdict",
            },
            detail: server.message().to_owned(),
        },
        "53100" => StoreError::Full {
            place: place.to_owned(),
        },
        "XX001" | "XX002" => StoreError::Corrupt {
            what: "page",
            detail: detail(),
        },
        // The server was told to end while it waited for a standby: the commit may be there.
        "57P01" | "57P02" | "40003" => StoreError::Unknown(at(place, error)),
        _ => match code.get(..2) {
            // A constraint, a value that no column takes, a statement that the schema refuses.
            Some("21" | "22" | "23" | "42") => StoreError::Refused {
                what: "row",
                detail: detail(),
            },
            Some("08") => StoreError::Unknown(at(place, error)),
            // Rolled back: time-outs (55P03, 57014), lost races, no memory, a read-only server.
            _ => StoreError::Unavailable(at(place, error)),
        },
    }
}

/// An error of a statement that writes. That a role may not, or that a function or a table is not there
/// (a schema that is being put back), is put right by somebody, and the same is written then.
pub(super) fn of_write(place: &str, error: Error) -> StoreError {
    let of_the_place =
        |e: &PgDatabaseError| matches!(e.code(), "42501" | "42883" | "42P01" | "3F000");
    if told(&error).is_some_and(of_the_place) {
        return StoreError::Unavailable(at(place, error));
    }
    of_statement(place, error)
}

/// An error of a read: nothing was written in any case.
pub(super) fn of_read(place: &str, error: Error) -> StoreError {
    match of_statement(place, error) {
        StoreError::Unknown(error) => StoreError::Unavailable(error),
        error => error,
    }
}

/// An error of connecting: nothing was sent yet.
pub(super) fn of_connect(place: &str, error: Error) -> StoreError {
    let detail = match told(&error).map(PgDatabaseError::code) {
        Some("28P01" | "28000") => "the server refuses the user or the password; check the address",
        Some("3D000") => "there is no such database; create it, or name another",
        Some("42501") => "the user may not connect; grant it CONNECT",
        None if matches!(error, Error::Configuration(_)) => "the address cannot be read",
        None if matches!(error, Error::Tls(_)) => {
            "no safe connection; check sslmode and sslrootcert"
        }
        _ => return StoreError::Unavailable(at(place, error)),
    };
    StoreError::Open {
        place: place.to_owned(),
        detail: format!("{detail} ({error})"),
    }
}
