//! From values to places: the axes of a chart.
//!
//! Comes in: the values that a chart shows. Goes out: a range with round marks, and the place of a
//! value. It must never divide by nothing, and never let a value that is not finite near a drawing.

/// A vertical axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    /// The value at the bottom.
    pub low: f64,
    /// The value at the top.
    pub high: f64,
    /// Round values between, with a line each.
    pub marks: Vec<f64>,
    top: f64,
    bottom: f64,
}

/// The greatest size that is drawn: beyond it, differences of doubles overflow.
const MOST: f64 = 1e300;

impl Scale {
    /// The axis of `values` between the places `top` and `bottom`, with about `wanted` marks.
    pub fn of(
        values: impl Iterator<Item = f64>,
        from_zero: bool,
        top: f64,
        bottom: f64,
        wanted: u32,
    ) -> Self {
        let mut low = f64::INFINITY;
        let mut high = f64::NEG_INFINITY;
        for value in values.filter(|v| v.is_finite()) {
            low = low.min(value.clamp(-MOST, MOST));
            high = high.max(value.clamp(-MOST, MOST));
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        if from_zero {
            low = low.min(0.0);
            high = high.max(0.0);
        }
        if low == high {
            let room = if low == 0.0 { 1.0 } else { low.abs() * 0.1 };
            // Counts have no room below nothing.
            low = if low >= 0.0 {
                (low - room).max(0.0)
            } else {
                low - room
            };
            high += room;
        } else if !from_zero {
            let room = (high - low) * 0.06;
            low = if low >= 0.0 {
                (low - room).max(0.0)
            } else {
                low - room
            };
            high += room;
        }
        let step = round_step((high - low) / f64::from(wanted.max(1)));
        let first = (low / step).ceil();
        let marks = (0..=wanted * 2)
            .map(|n| (first + f64::from(n)) * step)
            .take_while(|mark| *mark <= high)
            .collect();
        Self {
            low,
            high,
            marks,
            top,
            bottom,
        }
    }

    /// The place of a value; those off the axis lie at its ends.
    #[must_use]
    pub fn place(&self, value: f64) -> f64 {
        let value = value.clamp(self.low, self.high);
        // Halves, so that the difference of two huge values does not overflow.
        let part = (value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0);
        self.bottom + (self.top - self.bottom) * part
    }
}

/// The round number (1, 2 or 5 times a power of ten) at or above `least`.
fn round_step(least: f64) -> f64 {
    if !(least > 0.0 && least.is_finite()) {
        return 1.0;
    }
    let power = 10f64.powf(least.log10().floor());
    let of = [1.0, 2.0, 5.0, 10.0];
    let step = of.iter().map(|n| n * power).find(|step| *step >= least);
    step.filter(|step| step.is_finite() && *step > 0.0)
        .unwrap_or(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_and_inside() {
        let scale = Scale::of([97.0, 131.0].into_iter(), false, 0.0, 100.0, 5);
        assert_eq!(scale.marks, [100.0, 110.0, 120.0, 130.0]);
        assert!(scale.place(97.0) < 100.0 && scale.place(131.0) > 0.0);
        assert!(scale.place(97.0) > scale.place(131.0));
    }

    #[test]
    fn no_values_one_value_and_huge_values_have_an_axis() {
        for values in [
            vec![],
            vec![0.0],
            vec![7.0, 7.0],
            vec![-3.0],
            vec![f64::MAX, f64::MIN],
            vec![f64::NAN, f64::INFINITY],
            vec![f64::MIN_POSITIVE, 0.0],
            vec![1e-320, 2e-320],
        ] {
            for zero in [false, true] {
                let scale = Scale::of(values.iter().copied(), zero, 10.0, 200.0, 5);
                assert!(scale.low < scale.high, "{values:?}");
                assert!(scale.marks.len() < 20, "{values:?}");
                for value in values.iter().copied().filter(|v| v.is_finite()) {
                    let place = scale.place(value);
                    assert!((10.0..=200.0).contains(&place), "{values:?}: {place}");
                }
            }
        }
    }

    #[test]
    fn counts_are_not_given_room_below_nothing() {
        assert!(Scale::of([0.0, 50.0].into_iter(), false, 0.0, 1.0, 4).low >= 0.0);
        assert!(Scale::of([0.0].into_iter(), false, 0.0, 1.0, 4).low >= 0.0);
    }
}
