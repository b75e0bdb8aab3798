//! What a gateway has let in, refused and kept waiting since it started.
//!
//! Comes in: the series that the guard counts. Goes out: the same as numbers, for its page. It must
//! never count a second time: what is told here is what a scraper sees.

use assay_telemetry::Telemetry;

use crate::problem::REASONS;
use crate::queue::{REQUESTS, Rank};

/// Requests that found a place.
pub(crate) const ALLOWED: &str = "assay_requests_allowed_total";
/// Requests above a quota.
pub(crate) const EXCEEDED: &str = "assay_rate_limit_exceeded_total";
/// Requests that were refused, by reason.
pub(crate) const REJECTED: &str = "assay_requests_rejected_total";
/// Requests at work.
pub(crate) const ACTIVE: &str = "http_server_active_requests";

/// Of those that waited, the share of which it is told how long they waited at most.
pub const SHARE: f64 = 0.99;

/// Who waited for a place, of one rank.
#[derive(Debug, Clone, PartialEq)]
pub struct Waits {
    /// The rank.
    pub rank: Rank,
    /// Requests that wait now.
    pub waiting: u64,
    /// Requests that entered, or were sent away.
    pub came: u64,
    /// How long they waited on average, in seconds; `None` while none came.
    pub mean_s: Option<f64>,
    /// How long [`SHARE`] of them waited at most, in seconds; `None` while none came, and beyond the
    /// greatest bound of the series.
    pub most_s: Option<f64>,
}

/// What a gateway let in, refused and kept waiting.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// Requests at work.
    pub active: u64,
    /// Requests that found a place.
    pub allowed: u64,
    /// Requests above the quota of who sent them.
    pub exceeded: u64,
    /// Refused requests by reason, each reason told of.
    pub rejected: Vec<(&'static str, u64)>,
    /// Who waited, the first rank first.
    pub queues: Vec<Waits>,
}

/// Counts are whole and not negative.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of requests, exact up to 2^53"
)]
fn whole(value: f64) -> u64 {
    value.max(0.0) as u64
}

fn waits(telemetry: &Telemetry, rank: Rank) -> Waits {
    let labels = [("queue", rank.word())];
    let waiting = telemetry.value(REQUESTS.waiting, &labels);
    let seen = telemetry.observed(REQUESTS.duration, &labels, SHARE);
    #[expect(clippy::cast_precision_loss, reason = "fewer requests than 2^53")]
    let mean_s = seen.map(|seen| seen.sum / seen.count as f64);
    Waits {
        rank,
        waiting: whole(waiting.unwrap_or_default()),
        came: seen.map_or(0, |seen| seen.count),
        mean_s,
        most_s: seen.and_then(|seen| seen.within),
    }
}

impl Load {
    /// What the series of a gateway tell.
    #[must_use]
    pub fn of(telemetry: &Telemetry) -> Self {
        let rejected = REASONS.map(|reason| {
            let count = telemetry.value(REJECTED, &[("reason", reason)]);
            (reason, whole(count.unwrap_or_default()))
        });
        Self {
            active: whole(telemetry.value(ACTIVE, &[]).unwrap_or_default()),
            allowed: whole(telemetry.value(ALLOWED, &[]).unwrap_or_default()),
            exceeded: whole(telemetry.total(EXCEEDED)),
            rejected: rejected.to_vec(),
            queues: Rank::ALL.map(|rank| waits(telemetry, rank)).to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_is_told_and_none_is_made_up() {
        let telemetry = Telemetry::default();
        let nothing = Load::of(&telemetry);
        assert_eq!((nothing.allowed, nothing.exceeded), (0, 0));
        assert!(nothing.rejected.iter().all(|(_, count)| *count == 0));
        assert!(
            nothing
                .queues
                .iter()
                .all(|of| of.mean_s.is_none() && of.most_s.is_none())
        );
        telemetry.count(ALLOWED, &[], 5);
        for route in ["/a", "/b"] {
            telemetry.count(EXCEEDED, &[("scope", "client"), ("route", route)], 2);
        }
        telemetry.count(REJECTED, &[("reason", "overloaded")], 3);
        let owner = [("queue", "owner")];
        telemetry.set(REQUESTS.waiting, &owner, 7.0);
        for seconds in [0.001, 0.003] {
            telemetry.observe(REQUESTS.duration, &owner, &[0.002, 0.01], seconds);
        }
        let load = Load::of(&telemetry);
        assert_eq!((load.allowed, load.exceeded), (5, 4));
        assert_eq!(load.rejected.iter().map(|(_, count)| count).sum::<u64>(), 3);
        let of = &load.queues[0];
        assert_eq!((of.rank, of.waiting, of.came), (Rank::Owner, 7, 2));
        assert_eq!((of.mean_s, of.most_s), (Some(0.002), Some(0.01)));
    }
}
