//! What an object store's refusal means, and what to do about it.
//!
//! In: an error of `object_store`, with what the service said beside it. Out: a [`ScanError`] that
//! names the place, the reason and the remedy, and whose class says whether a retry helps. It never
//! shows a credential: of a request only its kind and the key are told.

use std::error::Error as _;

use assay_scan::error::{Place, ScanError};
use object_store::Error;

use super::http::{Answer, Heard, TooLong};
use super::identity::{GIVEN_KEY, NoIdentity};

/// What was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tried {
    /// A listing.
    List,
    /// A read of an object.
    Read,
}

/// The place of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About<'a> {
    /// The address of the object, or of the prefix that was listed.
    pub address: &'a str,
    /// The bucket as its kind names it: `s3://trips`.
    pub bucket: &'a str,
    /// What the identity is to be granted for a listing and a read.
    pub grants: (&'a str, &'a str),
    /// Who asks.
    pub identity: &'a str,
    /// Whether the user of this machine runs this, and waits.
    pub of_user: bool,
    /// What was tried.
    pub tried: Tried,
}

impl About<'_> {
    fn definition(self, what: String, remedy: &str) -> ScanError {
        ScanError::Definition {
            path: self.address.to_owned(),
            place: Place::file(),
            what,
            remedy: remedy.to_owned(),
        }
    }

    fn away(self, what: String) -> ScanError {
        ScanError::Away {
            path: self.address.to_owned(),
            what,
        }
    }
}

/// What an error means.
pub(crate) fn meaning(error: &Error, heard: &Heard, about: About<'_>) -> ScanError {
    let mut cause = error.source();
    while let Some(one) = cause {
        if let Some(none) = one.downcast_ref::<NoIdentity>() {
            return no_identity(none, about);
        }
        if let Some(long) = one.downcast_ref::<TooLong>() {
            return too_long(*long, about);
        }
        cause = one.source();
    }
    match heard.last() {
        Some(answer) => said(&answer, error, about),
        // No request of the bucket was made: what failed is the way to an identity.
        None if about.tried == Tried::List || !is_of_answer(error) => {
            let what = format!(
                "no request could be made as {}: {}",
                about.identity,
                chain(error)
            );
            if !about.of_user {
                return about.away(what);
            }
            about.definition(
                what,
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or what your provider reads), or \
                 name a `credentialRef`: `anonymous` for a bucket that is open to all",
            )
        }
        None => about.definition(
            format!("the service's answer is none: {}", chain(error)),
            "see that the endpoint speaks the protocol of this kind of store",
        ),
    }
}

/// What an error in the midst of an object's bytes means: they began to come, so that the place and
/// the identity are good. The store has asked for the rest again before.
pub(crate) fn of_body(error: &Error, heard: &Heard, about: About<'_>) -> ScanError {
    let mut cause = error.source();
    while let Some(one) = cause {
        if let Some(long) = one.downcast_ref::<TooLong>() {
            return too_long(*long, about);
        }
        cause = one.source();
    }
    match heard.last() {
        Some(answer) => said(&answer, error, about),
        None => about.away(format!("its bytes stopped coming: {}", chain(error))),
    }
}

fn too_long(long: TooLong, about: About<'_>) -> ScanError {
    about.definition(
        long.to_string(),
        "see that the endpoint speaks the protocol of this kind of store",
    )
}

/// What it means that nobody says who the machine is.
pub(crate) fn of_identity(error: &Error, address: &str) -> ScanError {
    let mut cause = error.source();
    while let Some(one) = cause {
        if let Some(NoIdentity::Refused(what)) = one.downcast_ref::<NoIdentity>() {
            return ScanError::Definition {
                path: address.to_owned(),
                place: Place::file(),
                what: what.clone(),
                remedy: TRUST.to_owned(),
            };
        }
        cause = one.source();
    }
    ScanError::Away {
        path: address.to_owned(),
        what: format!("who it is read as is not to be had: {}", chain(error)),
    }
}

/// What is done about a role that is refused.
const TRUST: &str = "let the role trust this identity, and the external id that it comes with";

fn no_identity(none: &NoIdentity, about: About<'_>) -> ScanError {
    match none {
        NoIdentity::Away(what) => about.away(what.clone()),
        NoIdentity::Refused(what) => about.definition(what.clone(), TRUST),
    }
}

/// Whether an answer came and was no good.
fn is_of_answer(error: &Error) -> bool {
    let text = chain(error);
    ["range", "Range", "partial", "header", "XML", "response"]
        .iter()
        .any(|word| text.contains(word))
}

fn said(answer: &Answer, error: &Error, about: About<'_>) -> ScanError {
    if let Some(why) = &answer.refused {
        return about.definition(
            why.clone(),
            "point the dataset at the place that holds the data",
        );
    }
    let detail = match (answer.code.as_str(), answer.message.as_str()) {
        ("", "") => String::new(),
        (code, "") => format!(" ({code})"),
        (code, message) => format!(" ({code}: {})", message.trim_end_matches('.')),
    };
    let changed = |what: &str| ScanError::Changed {
        path: about.address.to_owned(),
        what: what.to_owned(),
    };
    let bucket = about.bucket;
    match (answer.status, answer.code.as_str()) {
        (0, _) => about.away(format!("no answer: {}", or(&answer.broken, error))),
        (_, "NoSuchBucket" | "ContainerNotFound") => about.definition(
            format!("there is no bucket {bucket}"),
            "correct its name, or the endpoint that it is asked of, under `servers`",
        ),
        (404, _) if about.tried == Tried::Read => changed("it is gone"),
        (404, _) => about.definition(
            format!("{bucket} is not found{detail}"),
            "correct the bucket or the endpoint under `servers`",
        ),
        (412 | 304, _) => changed("it was replaced by another of the same name"),
        (416, _) => changed("it is shorter than listed"),
        (
            301 | 302 | 307 | 308 | 400,
            "PermanentRedirect"
            | "TemporaryRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException"
            | "",
        ) if answer.status != 400 || answer.region.is_some() => wrong_region(answer, about),
        // What was handed to a task ends soon; the next attempt is handed anew.
        (_, "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired")
            if !about.of_user && about.identity != GIVEN_KEY =>
        {
            about.away(format!("the credentials of this task have run out{detail}"))
        }
        (_, "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired") => about.definition(
            format!("{} has expired{detail}", about.identity),
            "renew it where it is kept; a role does so by itself",
        ),
        (_, "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken") | (401, _) => about
            .definition(
                format!("{} is not known there{detail}", about.identity),
                "correct the secret that `credentialRef` names",
            ),
        (_, "RequestTimeTooSkewed") => about.definition(
            format!("this machine's clock is wrong{detail}"),
            "set the clock, then run again",
        ),
        (403, _) => forbidden(&detail, about),
        (429 | 500..=599, _) | (_, "SlowDown" | "RequestTimeout" | "Throttling") => {
            about.away(format!(
                "the service answers {}{detail}, also when asked again",
                answer.status
            ))
        }
        (status, _) => about.definition(
            format!("the service answers {status}{detail}"),
            "see that bucket, region and endpoint under `servers` belong together",
        ),
    }
}

fn forbidden(detail: &str, about: About<'_>) -> ScanError {
    let (list, read) = about.grants;
    let (doing, grant) = match about.tried {
        Tried::List => ("list", list),
        Tried::Read => ("read", read),
    };
    about.definition(
        format!(
            "{} may not {doing} {} there{detail}",
            about.identity, about.bucket
        ),
        &format!("grant it {grant}"),
    )
}

fn wrong_region(answer: &Answer, about: About<'_>) -> ScanError {
    let bucket = about.bucket;
    match &answer.region {
        Some(region) => about.definition(
            format!("the bucket {bucket} is in the region {region}, which was not the one asked"),
            &format!("add the custom property `region: {region}` to the server"),
        ),
        None => about.definition(
            format!("the bucket {bucket} is in another region than was asked, or elsewhere"),
            "name its region in the custom property `region` of the server",
        ),
    }
}

fn or(told: &str, error: &Error) -> String {
    if told.is_empty() {
        chain(error)
    } else {
        told.to_owned()
    }
}

/// An error with its causes, each told once.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(one) = cause {
        let more = one.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = one.source();
    }
    text
}
