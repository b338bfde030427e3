//! The mistakes in a profile file, each with its line and column.

use std::cell::RefCell;
use std::ops::Range;

use crate::error::error::Error;

/// The mistakes found so far while a file is read.
pub(super) struct FileErrors<'t> {
    text: &'t str,
    found: RefCell<Vec<(usize, String)>>,
}

impl<'t> FileErrors<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            found: RefCell::default(),
        }
    }

    /// Adds a message: what is wrong here, and what to do. It must not quote a value, which may be a secret.
    pub(super) fn add(&self, at: &Range<usize>, message: impl Into<String>) {
        self.found.borrow_mut().push((at.start, message.into()));
    }

    /// One error for all mistakes, one line each, in the order of the file.
    pub(super) fn into_result(self, file: &str) -> Result<(), Error> {
        let mut found = self.found.into_inner();
        if found.is_empty() {
            return Ok(());
        }
        // Keys are read in the order of this program, but a person goes through the file from the top.
        found.sort();
        let lines = found.iter().map(|(at, message)| {
            let (line, column) = position(self.text, *at);
            format!("{file}:{line}:{column}: {message}")
        });
        Err(Error::input(lines.collect::<Vec<_>>().join("\n")))
    }
}

/// Line and column of a byte. Both start at 1, and the column counts characters.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    (line, before[start..].chars().count() + 1)
}

/// The known word that is most like this one, if any is a likely correction.
fn correction<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    // `client-id` and `CLIENT_ID` are habits from other tools, and differ from `client_id` in no letter.
    let plain = |word: &str| word.to_lowercase().replace('-', "_");
    let word = plain(word);
    let similarity = |known: &&str| strsim::jaro_winkler(&word, &plain(known));
    known
        .into_iter()
        .filter(|known| similarity(known) >= SIMILAR)
        .max_by(|a, b| similarity(a).total_cmp(&similarity(b)))
}

/// `; did you mean …?`, or nothing if no known word is like this one.
pub(super) fn suggestion<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> String {
    correction(word, known)
        .map(|known| format!("; did you mean `{known}`?"))
        .unwrap_or_default()
}

/// From this similarity on, a word is taken for a misspelling of a known one.
const SIMILAR: f64 = 0.85;

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
    fn a_misspelling_is_corrected_and_another_word_is_not() {
        let known = ["client_id", "client_secret", "scopes"];
        assert_eq!(correction("clientid", known), Some("client_id"));
        assert_eq!(correction("client-secret", known), Some("client_secret"));
        assert_eq!(correction("scope", known), Some("scopes"));
        assert_eq!(correction("scop", known), Some("scopes"));
        assert_eq!(correction("colour", known), None);
    }

    #[test]
    fn all_mistakes_are_reported_in_the_order_of_the_file() {
        let errors = FileErrors::new("a\nb\n");
        errors.add(&(2..3), "second");
        errors.add(&(0..1), "first");
        let error = errors.into_result("f").unwrap_err();
        assert_eq!(error.to_string(), "f:1:1: first\nf:2:1: second");
        assert!(FileErrors::new("a").into_result("f").is_ok());
    }
}
