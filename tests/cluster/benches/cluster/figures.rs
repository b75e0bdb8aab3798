//! How figures are printed.

/// The value below which `share` of all lie, of values in any order.
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "few values"
    )]
    let place = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len().max(1));
    sorted.get(place - 1).copied().unwrap_or(f64::NAN)
}

/// `p50`, `p99` and the extremes, in milliseconds.
pub fn spread(values: &[f64]) -> String {
    let at = |share| quantile(values, share);
    format!(
        "n {} min {:.0} p50 {:.0} p90 {:.0} p99 {:.0} max {:.0} ms",
        values.len(),
        at(0.0),
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    )
}
