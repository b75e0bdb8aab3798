//! The words in which the guard refuses.
//!
//! Comes in: why. Goes out: a problem. It must never tell more of the reason than whoever asks may
//! know.

use std::time::Duration;

use crate::body::{Bounds, Broken};
use crate::identity::Refusal;
use crate::principal::Principal;
use crate::problem::{Kind, Problem};
use crate::queue::Full;

/// How long clients are told to wait when there is no place.
pub(crate) const BUSY: Duration = Duration::from_secs(1);

/// This gateway is about to stop.
pub(crate) fn draining() -> Problem {
    let detail = "this gateway is about to stop; another one takes the request";
    Problem::new(Kind::Draining, detail).retry_after(BUSY)
}

/// Nobody is known, and this is not for everybody.
pub(crate) fn unidentified() -> Problem {
    Problem::new(
        Kind::Unauthorized,
        "this asks for a credential: send `Authorization: Bearer TOKEN`, with a token of \
         `assay token new` or of your identity provider",
    )
}

/// A page of another site used the cookie.
pub(crate) fn foreign() -> Problem {
    let detail =
        "a page of another site asked for this in your name; open the page of this gateway";
    Problem::new(Kind::Forbidden, detail)
}

/// It may not be done by `who`.
pub(crate) fn forbidden(who: &Principal) -> Problem {
    Problem::new(
        Kind::Forbidden,
        format!(
            "{} may not do this: its rights are {}",
            who.id,
            who.rights()
        ),
    )
}

/// What was brought does not hold.
pub(crate) fn not_identified(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Wrong(why) => Problem::new(Kind::Unauthorized, why),
        Refusal::Ended(why) => Problem::new(Kind::Unauthorized, why).ends_session(),
        Refusal::Foreign => foreign(),
        Refusal::Unavailable => Problem::new(
            Kind::IdentityUnavailable,
            "the keys of the identity provider cannot be had, so that nobody can be known by its \
             tokens; ask again, or use a token of `assay token new`",
        )
        .retry_after(Duration::from_secs(5)),
    }
}

/// There is no place.
pub(crate) fn full(full: Full) -> Problem {
    Problem::new(Kind::Overloaded, full.words()).retry_after(BUSY)
}

/// A body broke its bounds.
pub(crate) fn broke(broken: Broken, bounds: Bounds) -> Problem {
    match broken {
        Broken::TooLong => {
            let detail = format!("a body has {} bytes at most", bounds.bytes);
            let limit = u64::try_from(bounds.bytes).unwrap_or(u64::MAX);
            Problem::new(Kind::BodyTooLarge, detail).limit(limit)
        }
        Broken::TooSlow => Problem::new(
            Kind::BodyTooSlow,
            format!(
                "a body comes within {} s, without a pause of {} s",
                bounds.whole.as_secs(),
                bounds.idle.as_secs()
            ),
        ),
        Broken::Cut => Problem::new(Kind::BodyCut, "the body broke off before its end"),
    }
}
