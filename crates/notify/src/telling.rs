//! Who is told what, and when: state changes only, and not too often.
//!
//! Comes in: a cause, who subscribes, what each was told last, and the present. Goes out: what each
//! is to be told at once, and when to look again. Pure. It must never tell anybody twice that a
//! cause stands as it stood, tell more than one thing of a cause within an hour, tell of what was
//! over before somebody subscribed, tell the end of what it did not tell the beginning of, or forget
//! what waits for its hour: it is owed until it is told.

use assay_model::incident::IncidentStatus;
use assay_model::notice::{Cause, NoticeKind, Subscription, Told};
use jiff::{SignedDuration, Timestamp};

/// Between two messages of one cause to one subscription.
pub const QUIET: SignedDuration = SignedDuration::from_hours(1);
/// How long a cause is open before people are told that it still is.
pub const REMINDED_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// What somebody is to be told of a cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owed {
    /// Nothing, unless something changes.
    Nothing,
    /// This, at once.
    Now(NoticeKind),
    /// Perhaps something, then.
    At(Timestamp),
}

/// Whether `subscription` is one for `cause` at all.
#[must_use]
pub fn concerns(subscription: &Subscription, cause: &Cause) -> bool {
    let among = |list: &[String], one: &str| list.is_empty() || list.iter().any(|l| l == one);
    let of_dataset = subscription.dataset.as_ref();
    subscription.is_live()
        && of_dataset.is_none_or(|dataset| *dataset == cause.dataset)
        && subscription.operator == cause.is_of_operators()
        && cause.severity >= subscription.severity
        && among(&subscription.dimensions, &cause.dimension)
        && among(&subscription.columns, &cause.column)
}

/// What `subscription`, which was told `told` last, is owed of `cause`.
#[must_use]
pub fn owed(
    cause: &Cause,
    subscription: &Subscription,
    told: Option<&Told>,
    now: Timestamp,
) -> Owed {
    if !concerns(subscription, cause) {
        return Owed::Nothing;
    }
    let told_of_this = told.filter(|told| told.episode == cause.episode);
    let (kind, from) = match change(cause, subscription, (told, told_of_this)) {
        Some(change) => change,
        None => match reminder(cause, told_of_this) {
            Some(at) => (NoticeKind::StillOpen, at),
            None => return Owed::Nothing,
        },
    };
    if !subscription.events.contains(&kind) {
        // Who does not ask for one kind may ask for the next: the reminder is looked at for itself.
        return match reminder(cause, told_of_this) {
            Some(at) if subscription.events.contains(&NoticeKind::StillOpen) => {
                due(cause, told, NoticeKind::StillOpen, at, now)
            }
            _ => Owed::Nothing,
        };
    }
    due(cause, told, kind, from, now)
}

/// What has changed since the last word of all, or of this opening, and when it did.
fn change(
    cause: &Cause,
    subscription: &Subscription,
    (last, of_this): (Option<&Told>, Option<&Told>),
) -> Option<(NoticeKind, Timestamp)> {
    let since = |at: Timestamp| at >= subscription.since;
    if !cause.is_open() {
        let at = cause.resolved_at?;
        return match (last, of_this) {
            (_, Some(told)) if !told.open => None,
            // Who heard last that it was open hears that it is over.
            (Some(told), _) if told.open => since(at).then_some((NoticeKind::Resolved, at)),
            // It was over before anybody was told: that it was there is told before its end is.
            _ if since(cause.opened_at) && subscription.events.contains(&NoticeKind::Opened) => {
                Some((NoticeKind::Opened, cause.opened_at))
            }
            _ => since(at).then_some((NoticeKind::Resolved, at)),
        };
    }
    match of_this {
        None if since(cause.opened_at) && subscription.events.contains(&NoticeKind::Opened) => {
            Some((NoticeKind::Opened, cause.opened_at))
        }
        // Who came later knows of it; what becomes of it is news.
        None => {
            let at = cause.escalated_at.filter(|at| since(*at))?;
            Some((NoticeKind::Escalated, at))
        }
        Some(told) if cause.severity > told.severity => {
            let at = cause.escalated_at.unwrap_or(cause.opened_at);
            since(at).then_some((NoticeKind::Escalated, at))
        }
        Some(_) => None,
    }
}

/// When it is to be told that it is still open; never where somebody looks.
fn reminder(cause: &Cause, told: Option<&Told>) -> Option<Timestamp> {
    let reminded = told.is_some_and(|told| told.reminded);
    if cause.status != IncidentStatus::Open || reminded {
        return None;
    }
    cause.opened_at.checked_add(REMINDED_AFTER).ok()
}

/// When `kind`, owed from `from` on, may be told.
fn due(
    cause: &Cause,
    told: Option<&Told>,
    kind: NoticeKind,
    from: Timestamp,
    now: Timestamp,
) -> Owed {
    let quiet = told.and_then(|told| told.at.checked_add(QUIET).ok());
    let at = [quiet, cause.muted_until]
        .into_iter()
        .flatten()
        .fold(from, Timestamp::max);
    if at <= now {
        Owed::Now(kind)
    } else {
        Owed::At(at)
    }
}

/// What is known of what was told, once `kind` has been.
#[must_use]
pub fn after(
    cause: &Cause,
    subscription: &Subscription,
    told: Option<&Told>,
    kind: NoticeKind,
    now: Timestamp,
) -> Told {
    let before = told.filter(|told| told.episode == cause.episode);
    Told {
        cause: cause.id,
        subscription: subscription.id,
        episode: cause.episode,
        open: kind != NoticeKind::Resolved,
        severity: cause.severity,
        reminded: kind == NoticeKind::StillOpen || before.is_some_and(|told| told.reminded),
        messages: told.map_or(0, |told| told.messages).saturating_add(1),
        at: now,
    }
}

#[cfg(test)]
#[path = "telling_tests.rs"]
mod tests;
