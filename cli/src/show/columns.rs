//! Lines whose cells stand below one another, however long an id is.
//!
//! Comes in: the cells of each line. Goes out: lines. It must never cut a cell: one that is far
//! longer than the others pushes only what follows it on its own line.

use assay_model::visible::one_line;

/// The widest column; what is longer stands out of it.
const WIDEST: usize = 56;

/// One line: what stands before the cells as it is, the cells, and what follows them as it is.
#[derive(Debug, Default)]
pub struct Line {
    /// Before the cells, of one width on all lines (it may hold colours).
    pub head: String,
    /// The cells.
    pub cells: Vec<String>,
    /// After the cells.
    pub tail: String,
}

fn visible(line: &Line) -> Line {
    let one_line = |text: &String| one_line(text).into_owned();
    Line {
        head: line.head.clone(),
        cells: line.cells.iter().map(one_line).collect(),
        tail: one_line(&line.tail),
    }
}

/// The lines as text; each ends with a line break and none with blanks.
pub fn aligned(lines: &[Line]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    // A name out of data stays in its cell.
    let shown: Vec<Line> = lines.iter().map(visible).collect();
    let lines = &shown;
    for line in lines {
        for (i, cell) in line.cells.iter().enumerate() {
            let width = cell.chars().count();
            if i == widths.len() {
                widths.push(0);
            }
            if width <= WIDEST {
                widths[i] = widths[i].max(width);
            }
        }
    }
    let mut out = String::new();
    for line in lines {
        let mut text = line.head.clone();
        for (cell, width) in line.cells.iter().zip(&widths) {
            // A column that is empty on all lines takes no room.
            if *width > 0 || !cell.is_empty() {
                text.push_str(&format!("{cell:<width$}  "));
            }
        }
        text.push_str(&line.tail);
        out.push_str(text.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(cells: [&str; 3]) -> Line {
        Line {
            head: "  PASS  ".to_owned(),
            cells: cells.map(str::to_owned).to_vec(),
            tail: String::new(),
        }
    }

    #[test]
    fn a_long_id_moves_its_column_on_every_line() {
        let long = "a_check_with_an_id_that_is_longer_than_others";
        let text = aligned(&[line(["x", "rowCount", "1"]), line([long, "sum(ä)", "2"])]);
        let at: Vec<usize> = text
            .lines()
            .map(|line| line.chars().position(|c| c == 'r' || c == 's').unwrap_or(0))
            .collect();
        let ends: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
        assert!(at[0] > 40, "{text}");
        assert_eq!(ends[0], ends[1], "{text}");
    }

    #[test]
    fn a_name_out_of_data_makes_no_line_of_its_own() {
        let spoof = "sum(a\n  PASS     all          row_count\u{1b}[2K)";
        let text = aligned(&[line(["x", spoof, "1"])]);
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(
            text.contains("a⟨U+000A⟩  PASS") && text.contains("⟨U+001B⟩[2K"),
            "{text}"
        );
    }

    #[test]
    fn a_cell_beyond_all_measure_is_kept_whole_and_moves_only_its_line() {
        let far = "f".repeat(200);
        let text = aligned(&[line(["x", "m", "1"]), line([&far, "m", "2"])]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].contains(&far));
        assert!(lines[0].len() < 40, "{text}");
    }
}
