//! How figures are made and printed.

use std::time::Duration;

/// The value below which `share` of all lie, in milliseconds.
pub fn quantile(values: &[Duration], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "some thousand values"
    )]
    let place = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len().max(1));
    sorted
        .get(place - 1)
        .map_or(f64::NAN, |value| value.as_secs_f64() * 1e3)
}

/// The middle of three or more figures.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The machine's load of the last minute.
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("?").to_owned()
}

/// A whole number of an environment variable, or the usual one.
pub fn told(variable: &str, usual: u64) -> u64 {
    let told = std::env::var(variable).ok();
    told.map_or(usual, |text| text.parse().expect("a whole number"))
}
