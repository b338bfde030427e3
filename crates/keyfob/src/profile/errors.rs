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
        let more = found.len().saturating_sub(SHOWN);
        let mut place = Place::new(self.text);
        let mut lines = Vec::new();
        for (at, message) in found.iter().take(SHOWN) {
            let (line, column) = place.advance(*at);
            lines.push(format!("{file}:{line}:{column}: {message}"));
        }
        if more > 0 {
            lines.push(format!("{file}: {more} more mistakes are not shown"));
        }
        Err(Error::input(lines.join("\n")))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.borrow().is_empty()
    }

    /// Whether further messages are only counted.
    pub(super) fn is_full(&self) -> bool {
        self.found.borrow().len() >= SHOWN
    }
}

/// A place in a text that only moves forward, so that many places are found in one pass.
struct Place<'t> {
    text: &'t str,
    at: usize,
    line: usize,
    column: usize,
}

impl<'t> Place<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text,
            at: 0,
            line: 1,
            column: 1,
        }
    }

    /// Moves to a byte and returns its line and column. Both start at 1, and the column counts characters.
    fn advance(&mut self, to: usize) -> (usize, usize) {
        let to = self.text.floor_char_boundary(to).max(self.at);
        let passed = &self.text[self.at..to];
        self.at = to;
        match passed.rsplit_once('\n') {
            Some((before, last)) => {
                self.line += before.matches('\n').count() + 1;
                self.column = last.chars().count() + 1;
            }
            None => self.column += passed.chars().count(),
        }
        (self.line, self.column)
    }
}

/// The known word that is most like this one, if any is a likely correction.
fn correction<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    if word.len() > LONGEST_WORD {
        return None;
    }
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

/// How many mistakes are shown.
const SHOWN: usize = 100;

/// A longer word is no misspelling of a key.
const LONGEST_WORD: usize = 64;

/// From this similarity on, a word is taken for a misspelling of a known one.
const SIMILAR: f64 = 0.85;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_counts_lines_and_characters_from_one() {
        let text = "a = 1\nö = 2\n";
        let mut place = Place::new(text);
        for (at, expected) in [
            (0, (1, 1)),
            (2, (1, 3)),
            (6, (2, 1)),
            (9, (2, 3)),
            (9, (2, 3)),
            (text.len(), (3, 1)),
            (1000, (3, 1)),
        ] {
            assert_eq!(place.advance(at), expected, "{at}");
        }
    }

    #[test]
    fn of_many_mistakes_the_first_are_shown_and_the_others_counted() {
        let text = "x\n".repeat(SHOWN + 5);
        let errors = FileErrors::new(&text);
        for line in 0..SHOWN + 5 {
            errors.add(&(line * 2..line * 2), "wrong");
        }
        let error = errors.into_result("f").unwrap_err().to_string();
        assert!(error.contains(&format!("f:{SHOWN}:1: wrong\n")), "{error}");
        assert!(
            error.ends_with("f: 5 more mistakes are not shown"),
            "{error}"
        );
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
