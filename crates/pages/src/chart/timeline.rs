//! The timeline of a run: a row for each node, a bar for each attempt of a task.
//!
//! Bars begin when an attempt begins; one that has not ended reaches to now. Bars of one node that
//! overlap lie in lanes below each other.

use std::collections::BTreeSet;
use std::fmt::Write;

use jiff::Timestamp;

use askama::filters::Safe;

use crate::html::{Markup, escaped, shortened};
use crate::mark::round;
use crate::words;

/// An attempt of a task on a node.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// The node's name.
    pub node: String,
    /// When it began.
    pub start: Timestamp,
    /// When it ended; `None` while it goes on.
    pub end: Option<Timestamp>,
    /// How it stands: `running`, `succeeded`, `failed`, `lost`, `fenced`, `cancelled`.
    pub state: String,
    /// What it is.
    pub title: String,
    /// Where it leads.
    pub href: String,
}

const LANE: f64 = 16.0;
const HEAD: f64 = 18.0;

fn class(state: &str) -> &'static str {
    match state {
        "succeeded" => "t-done",
        "running" | "assigned" => "t-running",
        "failed" | "timed_out" | "lost" | "crashed" => "t-failed",
        _ => "t-quiet",
    }
}

/// A row: the node, and its bars with the lane of each.
struct Row<'a> {
    node: &'a str,
    bars: Vec<(usize, &'a Bar)>,
    lanes: usize,
}

fn rows<'a>(bars: &'a [Bar], now: Timestamp) -> Vec<Row<'a>> {
    let mut nodes: Vec<&str> = bars.iter().map(|b| b.node.as_str()).collect();
    nodes.sort_unstable();
    nodes.dedup();
    let of_node = |node: &'a str| {
        let mut of: Vec<&Bar> = bars.iter().filter(|b| b.node == node).collect();
        of.sort_by_key(|b| b.start);
        let mut free: Vec<Timestamp> = Vec::new();
        let mut placed = Vec::with_capacity(of.len());
        for bar in of {
            let end = bar.end.unwrap_or(now);
            let lane = free.iter().position(|until| *until <= bar.start);
            let lane = lane.unwrap_or_else(|| {
                free.push(end);
                free.len() - 1
            });
            free[lane] = end;
            placed.push((lane, bar));
        }
        Row {
            node,
            bars: placed,
            lanes: free.len(),
        }
    };
    nodes.into_iter().map(of_node).collect()
}

/// The marks of an axis of `whole` milliseconds on `room`: at most five, as far apart as their words
/// are wide, each another one, and each where it says.
fn ticks(whole: f64, room: f64) -> Vec<u64> {
    const WORDS: f64 = 70.0;
    let parts = ((room / WORDS) as u64).clamp(1, 4);
    let mut ticks: Vec<u64> = (0..=parts)
        .map(|part| (whole * part as f64 / parts as f64) as u64)
        .collect();
    let told: BTreeSet<String> = ticks.iter().map(|tick| words::duration_ms(*tick)).collect();
    if told.len() < ticks.len() {
        ticks = vec![0, whole as u64];
    }
    ticks
}

/// The timeline in a drawing `width` wide.
#[must_use]
pub fn svg(bars: &[Bar], now: Timestamp, width: f64, left: f64) -> Markup {
    let begin = bars.iter().map(|b| b.start).min().unwrap_or(now);
    let end = bars
        .iter()
        .map(|b| b.end.unwrap_or(now))
        .max()
        .unwrap_or(now);
    let ms = |at: Timestamp| (at.as_millisecond() - begin.as_millisecond()).max(0) as f64;
    let whole = ms(end).max(1.0);
    let right = 8.0;
    let x = |at: Timestamp| round(left + (width - left - right) * (ms(at) / whole).min(1.0));
    let rows = rows(bars, now);
    let lanes: usize = rows.iter().map(|r| r.lanes).sum();
    let height = HEAD + LANE * lanes as f64 + 8.0 * rows.len() as f64 + 4.0;
    let mut out = format!(
        "<svg class=\"chart timeline\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{} on {} over {}\">",
        words::counted(bars.len() as u64, "attempt", "attempts"),
        words::counted(rows.len() as u64, "node", "nodes"),
        words::between(begin, end),
    );
    for tick in ticks(whole, width - left - right) {
        let at = round(left + (width - left - right) * (tick as f64 / whole));
        let anchor = match tick {
            0 => "start",
            last if last as f64 >= whole => "end",
            _ => "middle",
        };
        let _ = write!(
            out,
            "<path class=\"grid\" d=\"M{at} {HEAD}V{height}\"/><text class=\"tick\" x=\"{at}\" y=\"12\" text-anchor=\"{anchor}\">{}</text>",
            words::duration_ms(tick),
        );
    }
    let mut y = HEAD + 4.0;
    for row in &rows {
        let _ = write!(
            out,
            "<text class=\"tick\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            left - 8.0,
            round(y + 12.0),
            escaped(&shortened(row.node, 16))
        );
        for (lane, bar) in &row.bars {
            let from = x(bar.start);
            let to = x(bar.end.unwrap_or(now)).max(from + 2.0);
            let at = round(y + LANE * *lane as f64 + 1.0);
            let _ = write!(
                out,
                "<a href=\"{}\" tabindex=\"-1\"><path class=\"{}\" d=\"M{from} {at}H{}v{h}H{from}z\"><title>{}</title></path></a>",
                escaped(&bar.href),
                class(&bar.state),
                round(to),
                escaped(&shortened(&bar.title, 200)),
                h = LANE - 3.0,
            );
        }
        y += LANE * row.lanes as f64 + 8.0;
    }
    out.push_str("</svg>");
    Safe(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(node: &str, start: i64, end: Option<i64>) -> Bar {
        let at = |s| Timestamp::from_second(s).unwrap();
        Bar {
            node: node.to_owned(),
            start: at(start),
            end: end.map(at),
            state: "running".to_owned(),
            title: "t-1".to_owned(),
            href: "/runs/r/tasks/1".to_owned(),
        }
    }

    #[test]
    fn bars_that_overlap_have_lanes_of_their_own() {
        let bars = [
            bar("a", 0, Some(10)),
            bar("a", 5, Some(8)),
            bar("a", 9, None),
            bar("b", 0, Some(1)),
        ];
        let rows = rows(&bars, Timestamp::from_second(20).unwrap());
        assert_eq!(rows.iter().map(|r| r.lanes).collect::<Vec<_>>(), [2, 1]);
        let lanes: Vec<usize> = rows[0].bars.iter().map(|(lane, _)| *lane).collect();
        assert_eq!(lanes, [0, 1, 1]);
    }

    #[test]
    fn marks_of_an_axis_differ_from_each_other() {
        assert_eq!(ticks(3.0, 258.0), [0, 1, 2, 3]);
        assert_eq!(ticks(3.0, 822.0), [0, 3]);
        assert_eq!(ticks(1.0, 258.0), [0, 1]);
        assert_eq!(ticks(4000.0, 822.0), [0, 1000, 2000, 3000, 4000]);
        let end = Timestamp::from_millisecond(3).unwrap();
        let short = Bar {
            end: Some(end),
            ..bar("a", 0, None)
        };
        let drawn = svg(&[short], end, 340.0, 74.0).0;
        assert_eq!(drawn.matches(">0 ms<").count(), 1, "{drawn}");
    }

    #[test]
    fn a_timeline_of_nothing_and_a_clock_that_goes_back_are_drawn() {
        let now = Timestamp::from_second(5).unwrap();
        assert!(svg(&[], now, 960.0, 120.0).0.starts_with("<svg"));
        let later = bar("a", 50, None);
        assert!(svg(&[later], now, 960.0, 120.0).0.contains("t-running"));
    }
}
