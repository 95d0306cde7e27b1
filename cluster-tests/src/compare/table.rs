//! The rows as Markdown.

use std::fmt::Write as _;

use super::{Cells, Contender};

/// A table with one column for each contender.
pub fn markdown(contenders: &[Contender], software: &[String], rows: &[Cells]) -> String {
    let heads: Vec<String> = contenders
        .iter()
        .zip(software)
        .map(|(contender, software)| format!("{} ({software})", contender.name))
        .collect();
    let mut text = format!("| | {} |\n|---|{}\n", heads.join(" | "), "---|".repeat(heads.len()));
    for row in rows {
        // Writing to a string does not fail.
        let _ = writeln!(text, "| {} | {} |", row.name, row.cells.join(" | "));
    }
    text
}
