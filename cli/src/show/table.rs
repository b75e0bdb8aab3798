//! Tables for people: plain columns, as wide as the terminal allows.
//!
//! Comes in: cells, which may hold what somebody else wrote. Goes out: text. A cell must never become
//! more than a cell: what would break its line or reorder it is shown by its number.

use std::fmt::Display;

use assay_model::visible::one_line;
use comfy_table::{ContentArrangement, presets};

/// A table that is being filled.
#[derive(Debug)]
pub struct Table(comfy_table::Table);

impl Table {
    /// Adds a row of as many cells as the head has.
    pub fn add_row<T: Display>(&mut self, cells: impl IntoIterator<Item = T>) {
        let cells = cells.into_iter().map(|cell| cell.to_string());
        let cells: Vec<String> = cells.map(|cell| one_line(&cell).into_owned()).collect();
        self.0.add_row(cells);
    }
}

/// A table with `head`, rows to be added.
pub fn table(head: &[&str]) -> Table {
    let mut table = comfy_table::Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(head.to_vec());
    Table(table)
}

/// The table as text that ends with a line break, without blanks at the ends of lines.
pub fn print(table: &Table) -> String {
    let mut out = String::new();
    for line in table.0.to_string().lines() {
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_does_not_make_a_row_of_its_own() {
        let mut rows = table(&["NAME", "N"]);
        rows.add_row(["a\n  PASS  all\u{202e}", "1"]);
        let text = print(&rows);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(
            text.contains("a⟨U+000A⟩") && text.contains("⟨U+202E⟩"),
            "{text}"
        );
    }
}
