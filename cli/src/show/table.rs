//! Tables for people: plain columns, as wide as the terminal allows.

use comfy_table::{ContentArrangement, Table, presets};

/// A table with `head`, rows to be added.
pub fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(head.to_vec());
    table
}

/// The table as text that ends with a line break, without blanks at the ends of lines.
pub fn print(table: &Table) -> String {
    let mut out = String::new();
    for line in table.to_string().lines() {
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}
