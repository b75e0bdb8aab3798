//! What a backtest says, in words: the same on the command line and on pages.
//!
//! Comes in: the typed answer. Goes out: sentences. It must never count what is not in the answer.

use assay_model::feedback::{Alerts, Backtest};

/// Partitions that a sentence names; the typed answer has them all.
const NAMED_MAX: usize = 12;

/// `This would have alerted on these 4 of the last 90 partitions: …`
#[must_use]
pub fn sentence(alerts: &Alerts, partitions: u32) -> String {
    let of = match partitions {
        1 => "the one partition that there is".to_owned(),
        n => format!("the last {n} partitions"),
    };
    let mut text = match alerts.partitions.as_slice() {
        [] => format!("This would have alerted on none of {of}"),
        keys => {
            let more = keys.len().saturating_sub(NAMED_MAX);
            // The newest are what somebody remembers.
            let shown: Vec<&str> = keys[more..].iter().map(|key| key.as_str()).collect();
            let more = match more {
                0 => String::new(),
                n => format!("{n} earlier ones and "),
            };
            let these = if keys.len() == 1 { "this" } else { "these" };
            format!(
                "This would have alerted on {these} {} of {of}: {more}{}",
                keys.len(),
                shown.join(", ")
            )
        }
    };
    for (count, what) in [
        (alerts.learning, "with too little history to judge"),
        (alerts.excluded, "excluded"),
    ] {
        if count > 0 {
            text.push_str(&format!("; {count} {what}"));
        }
    }
    if alerts.elsewhere > 0 {
        let plural = if alerts.elsewhere == 1 { "" } else { "s" };
        text.push_str(&format!(
            "; {} alert{plural} on other metrics",
            alerts.elsewhere
        ));
    }
    text
}

/// What a backtest says of before and after, a line each.
#[must_use]
pub fn lines(told: &Backtest) -> Vec<String> {
    if told.partitions == 0 {
        return vec![
            "No partition has been measured, so there is nothing to judge again".to_owned(),
        ];
    }
    let mut lines = vec![
        format!("before  {}", sentence(&told.before, told.partitions)),
        format!("after   {}", sentence(&told.after, told.partitions)),
    ];
    if told.series > 1 || told.series_left_out > 0 {
        let mut of = format!("of {} series", told.series);
        if told.series_left_out > 0 {
            of.push_str(&format!(
                "; {} more were not looked at",
                told.series_left_out
            ));
        }
        lines.push(of);
    }
    lines
}
