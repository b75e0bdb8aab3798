//! How often each principal may ask: token buckets, of which each gateway grants its part.
//!
//! Comes in: who asks. Goes out: whether it may, and else how long to wait. It must never hold buckets
//! without end, or let a flood of strangers take the buckets of those who are known: each kind has
//! its own. A bucket that was not used for long is forgotten; it would be full again.

use std::collections::HashMap;
use std::hash::Hash;
use std::mem;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::settings::{QuotaSettings, Rate};

/// Whom a bucket is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bucket {
    /// A principal that is known.
    Principal(Arc<str>),
    /// An address without a credential.
    Address(IpAddr),
}

/// A quota that is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// Requests per second, over all gateways.
    pub limit: u32,
    /// When one more is granted.
    pub retry_after: Duration,
}

/// The buckets of one gateway.
pub struct Quotas<C: Clock + Clone> {
    principals: Mutex<Buckets<Arc<str>, C>>,
    addresses: Mutex<Buckets<IpAddr, C>>,
}

type Limiter<C> = RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// Buckets in two generations: those of the older one that are asked for move into the younger one,
/// and when that is full the older one is forgotten.
struct Buckets<K, C: Clock> {
    clock: C,
    quota: Quota,
    limit: u32,
    most: usize,
    young: HashMap<K, Limiter<C>>,
    old: HashMap<K, Limiter<C>>,
}

/// The part of a rate that one of `gateways` grants.
fn part(rate: Rate, gateways: NonZeroU32) -> Quota {
    let (per_second, gateways) = (u64::from(rate.per_second.get()), u64::from(gateways.get()));
    let period = Duration::from_nanos(gateways.saturating_mul(1_000_000_000) / per_second);
    let burst = u64::from(rate.burst.get()).div_ceil(gateways);
    let burst = u32::try_from(burst).ok().and_then(NonZeroU32::new);
    // A period of no time at all is that of a rate above 10^9.
    Quota::with_period(period.max(Duration::from_nanos(1)))
        .unwrap_or(Quota::per_second(rate.per_second))
        .allow_burst(burst.unwrap_or(NonZeroU32::MIN))
}

impl<K: Eq + Hash + Clone, C: Clock + Clone> Buckets<K, C> {
    fn new(rate: Rate, settings: &QuotaSettings, clock: C) -> Self {
        Self {
            clock,
            quota: part(rate, settings.gateways),
            limit: rate.per_second.get(),
            most: (settings.buckets / 2).max(1),
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }

    fn take(&mut self, key: &K) -> Result<(), Exceeded> {
        if !self.young.contains_key(key) {
            let bucket = self
                .old
                .remove(key)
                .unwrap_or_else(|| RateLimiter::direct_with_clock(self.quota, self.clock.clone()));
            if self.young.len() >= self.most {
                self.old = mem::take(&mut self.young);
            }
            self.young.insert(key.clone(), bucket);
        }
        let Some(bucket) = self.young.get(key) else {
            return Ok(());
        };
        bucket.check().map_err(|until| Exceeded {
            limit: self.limit,
            retry_after: until.wait_time_from(self.clock.now()),
        })
    }
}

impl<C: Clock + Clone> Quotas<C>
where
    C::Instant: Reference,
{
    /// Full buckets.
    #[must_use]
    pub fn new(settings: &QuotaSettings, clock: &C) -> Self {
        let of = |rate| (rate, settings, clock.clone());
        let (rate, settings, clock) = of(settings.principal);
        let principals = Buckets::new(rate, settings, clock.clone());
        let addresses = Buckets::new(settings.anonymous, settings, clock);
        Self {
            principals: Mutex::new(principals),
            addresses: Mutex::new(addresses),
        }
    }

    /// Takes one request out of a bucket.
    ///
    /// # Errors
    /// [`Exceeded`], when it is empty.
    pub fn take(&self, bucket: &Bucket) -> Result<(), Exceeded> {
        // A bucket is whole after each statement.
        match bucket {
            Bucket::Principal(id) => {
                let mut buckets = self
                    .principals
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                buckets.take(id)
            }
            Bucket::Address(address) => {
                let mut buckets = self
                    .addresses
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                buckets.take(address)
            }
        }
    }

    /// How many buckets are held.
    #[must_use]
    pub fn held(&self) -> usize {
        let principals = self
            .principals
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let addresses = self
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        principals.young.len() + principals.old.len() + addresses.young.len() + addresses.old.len()
    }
}

/// The clock of the program, for buckets.
#[derive(Debug, Clone, Copy)]
pub struct Uptime(std::time::Instant);

impl Uptime {
    /// A clock that begins here.
    #[must_use]
    pub fn begin() -> Self {
        Self(std::time::Instant::now())
    }
}

impl Clock for Uptime {
    type Instant = Duration;
    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn settings(gateways: u32, per_second: u32, burst: u32, buckets: usize) -> QuotaSettings {
        QuotaSettings {
            gateways: NonZeroU32::new(gateways).unwrap(),
            principal: Rate::of(per_second, burst),
            anonymous: Rate::of(1, 1),
            buckets,
        }
    }

    fn who(id: &str) -> Bucket {
        Bucket::Principal(Arc::from(id))
    }

    fn granted(quotas: &Quotas<FakeRelativeClock>, bucket: &Bucket, asked: u32) -> u32 {
        (0..asked)
            .map(|_| u32::from(quotas.take(bucket).is_ok()))
            .sum()
    }

    #[test]
    fn a_burst_and_then_the_rate_are_granted() {
        let clock = FakeRelativeClock::default();
        let quotas = Quotas::new(&settings(1, 20, 20, 100), &clock);
        assert_eq!(granted(&quotas, &who("a"), 50), 20);
        let exceeded = quotas.take(&who("a")).unwrap_err();
        assert_eq!(
            (exceeded.limit, exceeded.retry_after),
            (20, Duration::from_millis(50))
        );
        assert_eq!(granted(&quotas, &who("b"), 50), 20, "each has its own");
        clock.advance(Duration::from_millis(50));
        assert_eq!(granted(&quotas, &who("a"), 50), 1);
        clock.advance(Duration::from_secs(10));
        assert_eq!(
            granted(&quotas, &who("a"), 50),
            20,
            "no more than the burst"
        );
    }

    #[test]
    fn three_gateways_together_grant_what_one_would() {
        let clock = FakeRelativeClock::default();
        let of = |gateways| -> Vec<Quotas<FakeRelativeClock>> {
            (0..gateways)
                .map(|_| Quotas::new(&settings(gateways, 30, 30, 100), &clock))
                .collect()
        };
        let (one, three) = (of(1), of(3));
        let all = |gateways: &[Quotas<FakeRelativeClock>]| -> u32 {
            gateways.iter().map(|g| granted(g, &who("a"), 100)).sum()
        };
        assert_eq!((all(&one), all(&three)), (30, 30));
        clock.advance(Duration::from_millis(500));
        assert_eq!((all(&one), all(&three)), (15, 15));
    }

    #[test]
    fn buckets_are_bounded_and_strangers_take_none_of_the_known() {
        let clock = FakeRelativeClock::default();
        let quotas = Quotas::new(&settings(1, 1, 5, 100), &clock);
        assert_eq!(granted(&quotas, &who("a"), 9), 5);
        for n in 0..100_000_u32 {
            let address = IpAddr::V4(n.into());
            assert!(quotas.take(&Bucket::Address(address)).is_ok());
        }
        assert!(quotas.held() <= 101, "{}", quotas.held());
        assert_eq!(
            granted(&quotas, &who("a"), 9),
            0,
            "it is as empty as it was"
        );
    }

    #[test]
    fn a_bucket_that_is_used_is_not_forgotten() {
        let clock = FakeRelativeClock::default();
        let quotas = Quotas::new(&settings(1, 1, 5, 10), &clock);
        assert_eq!(granted(&quotas, &who("a"), 9), 5);
        for n in 0..100 {
            assert!(quotas.take(&who(&format!("other {n}"))).is_ok());
            assert!(quotas.take(&who("a")).is_err(), "after {n}");
        }
    }
}
