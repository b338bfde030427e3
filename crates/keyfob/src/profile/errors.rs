//! What is wrong with a profile file, and where: every fault of it, with line and column.

use std::cell::RefCell;
use std::ops::Range;

use crate::error::error::Error;

/// The faults of one text, while it is being read.
pub(super) struct Faults<'t> {
    text: &'t str,
    found: RefCell<Vec<(usize, String)>>,
}

impl<'t> Faults<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            found: RefCell::default(),
        }
    }

    /// Adds what is wrong with this part of the text, and what to do. It must quote no value: one may be a secret.
    pub(super) fn add(&self, at: &Range<usize>, says: impl Into<String>) {
        self.found.borrow_mut().push((at.start, says.into()));
    }

    /// The error that reports all of them, one a line, in the order of the text.
    pub(super) fn into_error(self, file: &str) -> Option<Error> {
        let mut found = self.found.into_inner();
        found.sort();
        let lines: Vec<_> = found
            .iter()
            .map(|(at, says)| {
                let (line, column) = position(self.text, *at);
                format!("{file}:{line}:{column}: {says}")
            })
            .collect();
        (!lines.is_empty()).then(|| Error::input(lines.join("\n")))
    }
}

/// Line and column of a byte, both counted from 1, the column in characters.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    (line, before[start..].chars().count() + 1)
}

/// The known word that was probably meant.
pub(super) fn meant<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let plain = |word: &str| word.to_lowercase().replace('-', "_");
    let word = plain(word);
    let likeness = |known: &&str| strsim::jaro_winkler(&word, &plain(known));
    known
        .into_iter()
        .filter(|known| likeness(known) >= ALIKE)
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
}

/// `; did you mean …?`, if some known word is like this one.
pub(super) fn suggestion<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> String {
    meant(word, known)
        .map(|meant| format!("; did you mean `{meant}`?"))
        .unwrap_or_default()
}

/// How like a known word another one is that is taken for a slip.
const ALIKE: f64 = 0.85;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_counts_lines_and_characters_from_one() {
        let text = "a = 1\nö = 2\n";
        assert_eq!(position(text, 0), (1, 1));
        assert_eq!(position(text, 6), (2, 1));
        assert_eq!(position(text, 9), (2, 3));
        assert_eq!(position(text, text.len()), (3, 1));
        assert_eq!(position(text, 1000), (3, 1));
    }

    #[test]
    fn a_slip_is_told_from_another_word() {
        let known = ["client_id", "client_secret", "scopes"];
        assert_eq!(meant("clientid", known), Some("client_id"));
        assert_eq!(meant("client-secret", known), Some("client_secret"));
        assert_eq!(meant("scope", known), Some("scopes"));
        assert_eq!(meant("scop", known), Some("scopes"));
        assert_eq!(meant("colour", known), None);
    }

    #[test]
    fn all_faults_are_reported_in_the_order_of_the_text() {
        let faults = Faults::new("a\nb\n");
        faults.add(&(2..3), "second");
        faults.add(&(0..1), "first");
        let error = faults.into_error("f").unwrap();
        assert_eq!(error.to_string(), "f:1:1: first\nf:2:1: second");
        assert!(Faults::new("a").into_error("f").is_none());
    }
}
