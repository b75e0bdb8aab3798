//! The kinds of refusals, each with its page.
//!
//! Comes in: what went wrong. Goes out: problem details (RFC 9457). It must never show a password,
//! or tell the owner of somebody else's object that it exists.

use assay_answers::Problem;
use assay_proto::link::leader_of;
use assay_registry::RegistryError;
use assay_store::StoreError;
use tonic::{Code, Status};

/// A kind of refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// The last part of its address.
    pub slug: &'static str,
    /// The status that it is answered with.
    pub status: u16,
    /// The kind in a few words.
    pub title: &'static str,
    /// What it means and what to do, for its page.
    pub about: &'static str,
}

macro_rules! kinds {
    ($($(#[$doc:meta])+ $name:ident = $slug:literal, $status:literal, $title:literal, $about:literal;)+) => {
        $($(#[$doc])+ pub const $name: Kind = Kind { slug: $slug, status: $status, title: $title, about: $about };)+

        /// Every kind.
        pub const KINDS: &[Kind] = &[$($name),+];
    };
}

kinds! {
    /// See its page.
    BAD_PARAMETER = "bad-parameter", 400, "A parameter cannot be read",
        "A parameter of the path, the query or a header is not of its kind. The detail names it and what it may be.";
    /// See its page.
    UNKNOWN_PARAMETER = "unknown-parameter", 400, "A parameter is not known",
        "The query has a parameter that this path does not take. Nothing is ignored: a misspelt filter would give a wrong answer. The detail lists those that are known.";
    /// See its page.
    BAD_CURSOR = "bad-cursor", 400, "The cursor does not lead on",
        "The cursor is of another list, or what it stood at is gone. Begin the list again without a cursor.";
    /// See its page.
    UNAUTHORIZED = "unauthorized", 401, "Who asks is not known",
        "The request carries no token, or one that is not valid any more. Send `Authorization: Bearer TOKEN`.";
    /// See its page.
    FORBIDDEN = "forbidden", 403, "This may not be done",
        "Who asks may not do this. What belongs to somebody else is answered as if it did not exist.";
    /// See its page.
    NOT_FOUND = "not-found", 404, "There is no such thing",
        "The path leads to nothing, or to something of another owner, which is answered alike.";
    /// See its page.
    METHOD_NOT_ALLOWED = "method-not-allowed", 405, "The path does not take this method",
        "The header `Allow` lists the methods that it takes.";
    /// See its page.
    NOT_ACCEPTABLE = "not-acceptable", 406, "None of the wanted formats is spoken",
        "The header `Accept` leaves out every format that this path answers in.";
    /// See its page.
    CONFLICT = "conflict", 409, "What is there stands against it",
        "The state of what is asked for does not allow it: a run that goes on is not retried, a key is that of another request. The detail says what is there.";
    /// See its page.
    PRECONDITION_FAILED = "precondition-failed", 412, "It was changed by someone else",
        "The ETag of `If-Match` is not that of what is there, or `If-None-Match: *` found something. Read it again, look at what changed, and send the change with the new ETag.";
    /// See its page.
    TOO_LARGE = "too-large", 413, "The body is too large",
        "The body has more bytes than this path takes; `limit` says how many.";
    /// See its page.
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type", 415, "The body is of another type",
        "The header `Content-Type` names a type that this path does not read. The detail lists those that it does.";
    /// See its page.
    BAD_BODY = "bad-body", 422, "The body cannot be read",
        "The body is not JSON of the fields that this path takes. Unknown fields are errors. The detail names the place.";
    /// See its page.
    INVALID_DEFINITION = "invalid-definition", 422, "The definition is invalid",
        "The document is no valid definition; `diagnostics` lists every error with its line and column, as `assay dataset validate` does.";
    /// See its page.
    KEY_REUSED = "idempotency-key-reused", 422, "The key is that of another request",
        "The `Idempotency-Key` was sent before with another request. Repeats must be equal; take a new key for a new request.";
    /// See its page.
    PRECONDITION_REQUIRED = "precondition-required", 428, "Say what is to be changed",
        "A definition is there, and the request does not say which version it changes: send its ETag as `If-Match`, so that nobody's change is lost.";
    /// See its page.
    RATE_LIMITED = "rate-limited", 429, "Too many requests",
        "Your quota is used up; `Retry-After` says when there is some again.";
    /// See its page.
    DAMAGED = "damaged", 500, "What is stored cannot be read",
        "A stored row was written by another version or is damaged. Nothing is shown in its place. An operator looks at it: assay doctor.";
    /// See its page.
    INTERNAL = "internal", 500, "The gateway has failed",
        "This is a defect of the program. Report it with the time of the request.";
    /// See its page.
    STORE_AWAY = "store-away", 503, "The store does not answer",
        "Nothing is known of this yet, and the store does not answer. What was read before is still shown, with its age. Try again after `Retry-After`.";
    /// See its page.
    NO_LEADER = "no-leader", 503, "No manager leads",
        "Wishes are carried to the manager that leads, and none does or none is reached. Nothing was done. Try again after `Retry-After`.";
    /// See its page.
    UNCONFIRMED = "unconfirmed", 503, "Whether it was done is not known",
        "The manager or the registry did not confirm in time: it may have been done. Look at how it stands. What starts a run, adds a subscription or answers back may be repeated with the same `Idempotency-Key`, and what changes an incident or a subscription as it is: it is done once. What has something tried or sent again (`:retry`, `:test`, `:again`) may be done twice.";
    /// See its page.
    REGISTRY_AWAY = "registry-away", 503, "Definitions cannot be reached",
        "The place where definitions are kept does not answer. Try again after `Retry-After`.";
    /// See its page.
    OVERLOADED = "overloaded", 503, "Too busy",
        "More is asked than can be answered in time. Try again after `Retry-After`.";
    /// See its page.
    DRAINING = "draining", 503, "This gateway is leaving",
        "Another gateway answers; try again.";
}

impl Kind {
    /// A refusal of this kind.
    #[must_use]
    pub fn because(&self, detail: impl Into<String>) -> Problem {
        Problem {
            kind: format!("/problems/{}", self.slug),
            title: self.title.to_owned(),
            status: self.status,
            detail: detail.into(),
            instance: None,
            limit: None,
            retry_after_ms: (self.status == 503).then_some(1000),
            diagnostics: Vec::new(),
            etag: None,
            trace_id: None,
        }
    }
}

/// There is no `what` called `name`, or it is of another owner.
#[must_use]
pub fn no(what: &str, name: &str) -> Problem {
    NOT_FOUND.because(format!("there is no {what} `{}`", shown(name)))
}

/// A name of a request, fit to be shown.
#[must_use]
pub fn shown(name: &str) -> String {
    const MOST: usize = 120;
    let plain: String = name
        .chars()
        .filter(|c| !c.is_control())
        .take(MOST)
        .collect();
    if plain.len() < name.len() {
        plain + "…"
    } else {
        plain
    }
}

/// Why a question had no answer.
#[derive(Debug)]
pub enum Miss {
    /// Where it is kept does not answer.
    Away(String),
    /// There is no turn to have it asked.
    Busy(&'static str),
    /// What it is made of is only known as it was.
    Old,
    /// It is refused.
    Problem(Box<Problem>),
}

impl From<Problem> for Miss {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

impl From<StoreError> for Miss {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Unavailable(_)
            | StoreError::Unknown(_)
            | StoreError::Open { .. }
            | StoreError::Full { .. } => Self::Away(error.to_string()),
            StoreError::NotFound { what, name } => no(what, name).into(),
            StoreError::Corrupt { .. }
            | StoreError::Refused { .. }
            | StoreError::FencedEpoch { .. } => DAMAGED.because(error.to_string()).into(),
        }
    }
}

impl From<RegistryError> for Miss {
    fn from(error: RegistryError) -> Self {
        match &error {
            RegistryError::NotFound(id) => no("dataset", id.as_str()).into(),
            RegistryError::Io { .. }
            | RegistryError::Unavailable { .. }
            | RegistryError::Stopped(_) => Self::Away(error.to_string()),
            _ => CONFLICT.because(error.to_string()).into(),
        }
    }
}

/// What a manager's refusal of a question means, by which nothing is done.
#[must_use]
pub fn of_status(status: &Status) -> Problem {
    let said = assay_proto::link::why(status);
    match status.code() {
        Code::NotFound => NOT_FOUND.because(said),
        Code::InvalidArgument => BAD_BODY.because(said),
        Code::FailedPrecondition | Code::AlreadyExists | Code::Aborted => CONFLICT.because(said),
        Code::DataLoss => DAMAGED.because(said),
        Code::ResourceExhausted => STORE_AWAY.because(said),
        _ => NO_LEADER.because(said),
    }
}

/// What a manager's refusal of a wish means: where its answer was lost, it may have been done.
#[must_use]
pub fn of_wish(status: &Status) -> Problem {
    let lost = match status.code() {
        Code::Unavailable
        | Code::Internal
        | Code::Unknown
        | Code::Cancelled
        | Code::DeadlineExceeded => !unsent(status) && leader_of(status).is_none(),
        _ => false,
    };
    match lost {
        true => UNCONFIRMED.because(assay_proto::link::why(status)),
        false => of_status(status),
    }
}

/// Whether connecting failed, so that nothing was sent.
fn unsent(status: &Status) -> bool {
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        if error.is::<tonic::ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_an_address_of_its_own_and_says_what_to_do() {
        let mut slugs: Vec<&str> = KINDS.iter().map(|kind| kind.slug).collect();
        slugs.sort_unstable();
        slugs.dedup();
        assert_eq!(slugs.len(), KINDS.len());
        assert!(KINDS.iter().all(|kind| kind.about.len() > 20));
        assert!(KINDS.iter().all(|kind| (400..600).contains(&kind.status)));
    }

    #[test]
    fn a_name_is_shown_without_what_would_break_a_line() {
        assert_eq!(shown("a\nb\u{7}c"), "abc…");
        assert!(shown(&"x".repeat(10_000)).chars().count() <= 121);
    }

    #[test]
    fn a_wish_whose_answer_was_lost_may_have_been_done_and_a_question_does_nothing() {
        for (code, wish, question) in [
            (Code::Unavailable, "unconfirmed", "no-leader"),
            (Code::Internal, "unconfirmed", "no-leader"),
            (Code::Unknown, "unconfirmed", "no-leader"),
            (Code::Cancelled, "unconfirmed", "no-leader"),
            (Code::DeadlineExceeded, "unconfirmed", "no-leader"),
            (Code::NotFound, "not-found", "not-found"),
            (Code::InvalidArgument, "bad-body", "bad-body"),
            (Code::FailedPrecondition, "conflict", "conflict"),
            (Code::DataLoss, "damaged", "damaged"),
            (Code::ResourceExhausted, "store-away", "store-away"),
            (Code::PermissionDenied, "no-leader", "no-leader"),
        ] {
            let status = Status::new(code, "why");
            assert_eq!(of_wish(&status).slug(), wish, "{code:?}");
            assert_eq!(of_status(&status).slug(), question, "{code:?}");
        }
    }

    #[test]
    fn a_wish_that_was_not_sent_was_surely_not_done() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let unsent = Status::from_error(Box::new(tonic::ConnectError(Box::new(refused))));
        assert_eq!(unsent.code(), Code::Unavailable);
        assert_eq!(of_wish(&unsent).slug(), "no-leader");
        let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        let lost = Status::from_error(Box::new(broken));
        assert_eq!(of_wish(&lost).slug(), "unconfirmed");
        let mut elsewhere = Status::unavailable("another leads");
        let address = "http://127.0.0.1:2".parse().unwrap();
        let header = assay_proto::link::LEADER_HEADER;
        elsewhere.metadata_mut().insert(header, address);
        assert_eq!(of_wish(&elsewhere).slug(), "no-leader");
    }
}
