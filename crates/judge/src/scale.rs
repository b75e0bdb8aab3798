//! The scale on which deviations of a series are measured.
//!
//! In: a number. Out: the same number on a scale where its spread depends little on its level:
//! amounts on a log scale, amounts with zeros by their square root, shares by the arcsine of their
//! square root (which respects 0 and 1). It must never give a value that cannot be turned back.

use std::f64::consts::FRAC_PI_2;

use crate::series::SeriesKind;

/// Amounts whose greatest value is below this multiple of the least are measured as they are; counts
/// of rows and bytes never are.
const LOG_RATIO: f64 = 1.5;

/// A monotone transform and its inverse.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scale {
    Plain,
    Log,
    Sqrt,
    /// Shares of this whole (1 or 100).
    Arcsine(f64),
}

impl Scale {
    /// The scale for a series whose past values span `min..=max`.
    pub(crate) fn choose(kind: SeriesKind, min: f64, max: f64) -> Self {
        match kind {
            SeriesKind::Fraction if min >= 0.0 && max <= 1.0 => Self::Arcsine(1.0),
            SeriesKind::Percent if min >= 0.0 && max <= 100.0 => Self::Arcsine(100.0),
            // However wide, a limit of what is there lies above nothing.
            SeriesKind::Volume if min > 0.0 => Self::Log,
            _ if min > 0.0 && max > LOG_RATIO * min => Self::Log,
            _ if min == 0.0 => Self::Sqrt,
            _ => Self::Plain,
        }
    }

    /// Onto the scale. Values outside its domain are taken at its nearest end.
    pub(crate) fn to(self, x: f64) -> f64 {
        match self {
            Self::Plain => x,
            Self::Log => x.max(f64::MIN_POSITIVE).ln(),
            Self::Sqrt => x.max(0.0).sqrt(),
            Self::Arcsine(whole) => (x / whole).clamp(0.0, 1.0).sqrt().asin(),
        }
    }

    /// Back from the scale.
    pub(crate) fn back(self, y: f64) -> f64 {
        match self {
            Self::Plain => y,
            Self::Log => y.exp(),
            Self::Sqrt => y.max(0.0).powi(2),
            Self::Arcsine(whole) => whole * y.clamp(0.0, FRAC_PI_2).sin().powi(2),
        }
    }

    /// Back from the scale, for a limit: nothing lies beyond the ends of a share, so that a limit
    /// there would be none. An amount that never was negative keeps its zero: the first negative
    /// one is told.
    pub(crate) fn limit(self, y: f64) -> Option<f64> {
        match self {
            Self::Arcsine(_) if y <= 0.0 || y >= FRAC_PI_2 => None,
            _ => Some(self.back(y)).filter(|limit| limit.is_finite()),
        }
    }

    /// The least half-width that limits may have around `level` (in plain numbers), on the scale:
    /// 0.2 % of the level; half the standard error of a count (√n, so that one of a few dozen rows
    /// has room for one or two); or two standard errors of a share of `rows` rows (the arcsine of a
    /// share has standard error 1 / (2 √rows) whatever the share).
    pub(crate) fn floor(
        self,
        kind: SeriesKind,
        level: f64,
        rows: impl FnOnce() -> Option<f64>,
    ) -> f64 {
        const RELATIVE: f64 = 0.002;
        match self {
            Self::Plain => RELATIVE * level.abs(),
            Self::Log if kind == SeriesKind::Volume => RELATIVE.max(0.5 / level.max(1.0).sqrt()),
            Self::Log => RELATIVE,
            Self::Sqrt => RELATIVE * level.abs().sqrt(),
            Self::Arcsine(_) => rows().filter(|n| *n >= 1.0).map_or(0.0, |n| 1.0 / n.sqrt()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scale_turns_back_what_it_took() {
        for scale in [Scale::Plain, Scale::Log, Scale::Sqrt, Scale::Arcsine(100.0)] {
            for x in [0.25, 3.0, 99.0] {
                assert!((scale.back(scale.to(x)) - x).abs() < 1e-9 * x);
            }
        }
    }

    #[test]
    fn rows_that_hardly_vary_are_on_the_log_scale_and_their_limit_is_never_below_none() {
        let scale = Scale::choose(SeriesKind::Volume, 680.0, 994.0);
        assert_eq!(scale, Scale::Log);
        let center = scale.to(900.0);
        let lower = scale.limit(center - 5.0);
        assert!(lower.is_some_and(|lower| lower > 0.0), "{lower:?}");
        let floor = |level| scale.floor(SeriesKind::Volume, level, || None);
        assert!((floor(100.0) - 0.05).abs() < 1e-12);
        assert!((floor(1e9) - 0.002).abs() < 1e-12);
        assert_eq!(
            Scale::choose(SeriesKind::Amount, 680.0, 994.0),
            Scale::Plain
        );
    }

    #[test]
    fn a_share_has_no_limit_where_it_ends_and_an_amount_has_its_zero() {
        let share = Scale::Arcsine(100.0);
        let low = share.to(0.5);
        assert_eq!(share.limit(low - 1.0), None);
        assert_eq!(share.limit(low + 3.0), None);
        assert!(share.limit(low + 0.1).is_some());
        assert_eq!(Scale::Sqrt.limit(-2.0), Some(0.0));
        assert_eq!(Scale::Log.limit(1e6), None);
    }

    #[test]
    fn limits_of_a_share_stay_between_nothing_and_all() {
        let scale = Scale::Arcsine(1.0);
        assert!(scale.back(scale.to(0.01) - 9.0).abs() < 1e-12);
        assert!((scale.back(scale.to(0.99) + 9.0) - 1.0).abs() < 1e-12);
    }
}
