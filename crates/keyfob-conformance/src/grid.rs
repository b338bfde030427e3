//! The result of a run as a table: groups of cases by interfaces.

use std::collections::BTreeMap;
use std::fmt::Write;

/// How a case went over one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Result {
    /// As expected.
    Passed,
    /// Not as expected, for a reason that is listed.
    Excepted,
    /// Not as expected; one line for each difference.
    Failed(Vec<String>),
}

/// The results of a run.
#[derive(Debug, Default)]
pub struct Grid {
    cells: BTreeMap<(String, &'static str), Cell>,
    groups: Vec<String>,
    faces: Vec<&'static str>,
    failures: Vec<String>,
}

#[derive(Debug, Default)]
struct Cell {
    passed: u32,
    failed: u32,
    excepted: u32,
}

impl Grid {
    /// Records one result.
    pub fn record(&mut self, face: &'static str, group: &str, title: &str, result: Result) {
        if !self.faces.contains(&face) {
            self.faces.push(face);
        }
        if !self.groups.iter().any(|known| known == group) {
            self.groups.push(group.to_owned());
        }
        let cell = self.cells.entry((group.to_owned(), face)).or_default();
        match result {
            Result::Passed => cell.passed += 1,
            Result::Excepted => cell.excepted += 1,
            Result::Failed(lines) => {
                cell.failed += 1;
                let shown = &lines[..lines.len().min(SHOWN)];
                self.failures
                    .push(format!("{face}, {title}\n    {}", shown.join("\n    ")));
            }
        }
    }

    /// How many results are failures.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.failures.len()
    }

    /// The table, and then each failure.
    #[must_use]
    pub fn show(&self) -> String {
        let mut text = String::from("passed, -failed, (exceptions)\n");
        let widest = self.groups.iter().map(String::len).max().unwrap_or(0);
        let _ = write!(text, "{:widest$}", "");
        for face in &self.faces {
            let _ = write!(text, "  {face:>COLUMN$}");
        }
        for group in &self.groups {
            let _ = write!(text, "\n{group:widest$}");
            for face in &self.faces {
                let cell = self.cells.get(&(group.clone(), face));
                let _ = write!(
                    text,
                    "  {:>COLUMN$}",
                    cell.map(Cell::show).unwrap_or_default()
                );
            }
        }
        text.push('\n');
        for failure in &self.failures {
            let _ = write!(text, "\nfailed: {failure}\n");
        }
        text
    }
}

impl Cell {
    fn show(&self) -> String {
        let mut text = self.passed.to_string();
        if self.failed > 0 {
            let _ = write!(text, " -{}", self.failed);
        }
        if self.excepted > 0 {
            let _ = write!(text, " ({})", self.excepted);
        }
        text
    }
}

/// How many differences of one failure are shown.
const SHOWN: usize = 6;

/// How wide a column is.
const COLUMN: usize = 14;
