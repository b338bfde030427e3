//! A question and its results, as a Markdown table with a chart.

use std::fmt::Write;

use crate::chart::{Bar, chart};
use crate::figure::figure;

/// The results of one question.
pub struct Table {
    /// The name of the chart's file.
    pub name: &'static str,
    pub title: String,
    /// What was measured, and how to read it.
    pub about: &'static str,
    pub columns: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
    /// What the chart shows, and its unit.
    pub measured: &'static str,
    pub bars: Vec<Bar>,
    /// The goal, and whether it was reached.
    pub verdicts: Vec<String>,
}

impl Table {
    /// The section of the page.
    pub fn markdown(&self) -> String {
        let mut page = format!("## {}\n\n{}\n\n", self.title, self.about);
        let _ = writeln!(page, "| {} |", self.columns.join(" | "));
        let _ = writeln!(page, "|---{}|", "|--:".repeat(self.columns.len() - 1));
        for row in &self.rows {
            let _ = writeln!(page, "| {} |", row.join(" | "));
        }
        if !self.bars.is_empty() {
            let _ = write!(page, "\n![{}](benchmarks/{}.svg)\n", self.title, self.name);
        }
        for verdict in &self.verdicts {
            let _ = write!(page, "\n- {verdict}");
        }
        page.push('\n');
        page
    }

    pub fn svg(&self) -> String {
        chart(&self.title, self.measured, &self.bars)
    }
}

/// Returns whether a goal was reached.
pub fn verdict(what: &str, value: f64, target: f64, unit: &str) -> String {
    let kept = if value <= target {
        "kept"
    } else {
        "**missed**"
    };
    let (mut shown, target_shown) = (figure(value), figure(target));
    if value > target && shown == target_shown {
        // More digits, because a missed target must not look equal to the value.
        shown = format!("{value:.4}");
    }
    format!("{what}: {shown}{unit}, target at most {target_shown}{unit}: {kept}.")
}
