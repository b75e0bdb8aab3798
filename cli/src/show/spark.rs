//! Series of numbers in one line of text.
//!
//! Comes in: numbers, with gaps. Goes out: characters. A gap stays a gap: it is never drawn over.

/// Heights, from least to greatest.
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Characters inside a drawn band.
const BAND: usize = 15;

/// A sparkline: one character per value, a blank where there is none.
pub fn sparkline(values: &[Option<f64>]) -> String {
    let finite = || values.iter().flatten().copied().filter(|v| v.is_finite());
    let (low, high) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
        (low.min(v), high.max(v))
    });
    let height = |value: f64| {
        let span = high - low;
        if span <= 0.0 || !span.is_finite() {
            return HEIGHTS[3];
        }
        let step = ((value - low) / span * 7.0).round();
        HEIGHTS[(step as usize).min(7)]
    };
    values
        .iter()
        .map(|value| value.filter(|v| v.is_finite()).map_or(' ', height))
        .collect()
}

/// Where `value` lies between its limits: `  ├──────●───────┤  `, outside of the bars when it is
/// outside of the limits; empty unless both limits are there.
pub fn band(value: Option<f64>, lower: Option<f64>, upper: Option<f64>) -> String {
    let (Some(lower), Some(upper)) = (lower, upper) else {
        return String::new();
    };
    let Some(value) = value.filter(|v| v.is_finite()) else {
        return String::new();
    };
    let bar = "─".repeat(BAND);
    if value < lower {
        return format!("● ├{bar}┤");
    }
    if value > upper {
        return format!("  ├{bar}┤ ●");
    }
    let span = upper - lower;
    let place = if span > 0.0 && span.is_finite() {
        ((value - lower) / span * (BAND - 1) as f64).round() as usize
    } else {
        BAND / 2
    };
    let place = place.min(BAND - 1);
    format!("  ├{}●{}┤", "─".repeat(place), "─".repeat(BAND - 1 - place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_and_the_greatest_are_at_the_ends_and_a_gap_is_a_gap() {
        assert_eq!(sparkline(&[Some(1.0), None, Some(8.0)]), "▁ █");
        assert_eq!(sparkline(&[Some(5.0), Some(5.0)]), "▄▄");
        assert_eq!(sparkline(&[Some(f64::NAN), Some(0.0), Some(7.0)]), " ▁█");
        assert_eq!(sparkline(&[Some(f64::MIN), Some(f64::MAX)]), "▄▄");
        assert_eq!(sparkline(&[]), "");
    }

    #[test]
    fn a_value_outside_of_its_limits_is_drawn_outside_of_the_band() {
        assert!(band(Some(0.0), Some(1.0), Some(2.0)).starts_with("● ├"));
        assert!(band(Some(3.0), Some(1.0), Some(2.0)).ends_with("┤ ●"));
        assert!(band(Some(1.0), Some(1.0), Some(2.0)).starts_with("  ├●"));
        assert!(band(Some(2.0), Some(1.0), Some(2.0)).ends_with("●┤"));
        assert!(band(Some(1.0), Some(1.0), Some(1.0)).contains('●'));
        assert_eq!(band(Some(1.0), None, Some(2.0)), "");
        assert_eq!(band(None, Some(1.0), Some(2.0)), "");
    }
}
