//! A response body as a terminal shows it: without what a terminal obeys, and JSON indented and in colours.

use std::iter::Peekable;
use std::str::{CharIndices, from_utf8};

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use keyfob::error::printable_lines;

use crate::output::colours::has_colours;

/// What of the body waits to be shown.
#[derive(Default)]
pub(super) struct Terminal {
    held: Vec<u8>,
    is_json: bool,
}

impl Terminal {
    /// Begins the body of a response with these headers.
    pub(super) fn begin(&mut self, headers: &HeaderMap) {
        let media_type = headers.get(CONTENT_TYPE).map(|value| value.as_bytes());
        let media_type = String::from_utf8_lossy(media_type.unwrap_or_default());
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        let essence = essence.to_ascii_lowercase();
        self.is_json = essence == "application/json" || essence.ends_with("+json");
    }

    /// Adds a piece, and returns what can be shown now. JSON is shown at its end, unless it is long.
    pub(super) fn add(&mut self, piece: &[u8]) -> String {
        self.held.extend_from_slice(piece);
        if self.is_json && self.held.len() <= LONGEST_JSON {
            return String::new();
        }
        self.is_json = false;
        let rest = self.held.split_off(self.shown_length());
        let shown = std::mem::replace(&mut self.held, rest);
        printable_lines(String::from_utf8_lossy(&shown))
    }

    /// Returns the rest at the end of the body.
    pub(super) fn end(&mut self) -> String {
        let text = printable_lines(String::from_utf8_lossy(&std::mem::take(&mut self.held)));
        if self.is_json && serde_json::from_str::<serde_json::Value>(&text).is_ok() {
            return indented(&text, has_colours());
        }
        text
    }

    /// How many bytes do not end within a character or an escape sequence.
    fn shown_length(&self) -> usize {
        let whole = match from_utf8(&self.held) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => self.held.len(),
        };
        let tail = whole.saturating_sub(LONGEST_ESCAPE);
        let escape = self.held[tail..whole].iter().rposition(|b| *b == 0x1b);
        escape.map_or(whole, |at| tail + at)
    }
}

/// Valid JSON with a line for each value, each value in its own words.
fn indented(json: &str, has_colours: bool) -> String {
    let mut text = String::with_capacity(json.len() * 2);
    let mut depth = 0;
    let mut letters = json.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '{' | '[' => {
                text.push(letter);
                skip_white(&mut letters);
                match letters.next_if(|(_, next)| ['}', ']'].contains(next)) {
                    Some((_, end)) => text.push(end),
                    None => {
                        depth += 1;
                        new_line(&mut text, depth);
                    }
                }
            }
            '}' | ']' => {
                depth -= 1;
                new_line(&mut text, depth);
                text.push(letter);
            }
            ',' => {
                text.push(',');
                new_line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            letter if letter.is_whitespace() => {}
            letter => {
                let value = scalar(json, at, &mut letters);
                skip_white(&mut letters);
                let is_name = letters.peek().is_some_and(|(_, next)| *next == ':');
                let colour = match letter {
                    '"' if is_name => NAME,
                    '"' => STRING,
                    _ => OTHER,
                };
                match has_colours {
                    true => text.extend([colour, value, RESET]),
                    false => text.push_str(value),
                }
            }
        }
    }
    text.push('\n');
    text
}

/// The string, number or word that begins here; its first letter was read.
fn scalar<'j>(json: &'j str, begin: usize, letters: &mut Peekable<CharIndices<'_>>) -> &'j str {
    let is_string = json[begin..].starts_with('"');
    let mut end = begin + 1;
    let goes_on = |letter: char| !letter.is_whitespace() && !",]}".contains(letter);
    while let Some((at, letter)) = letters.next_if(|(_, next)| is_string || goes_on(*next)) {
        end = at + letter.len_utf8();
        match letter {
            '\\' => _ = letters.next(),
            '"' if is_string => break,
            _ => {}
        }
    }
    &json[begin..end]
}

fn skip_white(letters: &mut Peekable<CharIndices<'_>>) {
    while letters.next_if(|(_, next)| next.is_whitespace()).is_some() {}
}

fn new_line(text: &mut String, depth: usize) {
    text.push('\n');
    text.push_str(&"  ".repeat(depth));
}

const NAME: &str = "\u{1b}[34m";
const STRING: &str = "\u{1b}[32m";
const OTHER: &str = "\u{1b}[33m";
const RESET: &str = "\u{1b}[0m";

/// Longer JSON is shown as it arrives.
const LONGEST_JSON: usize = 1024 * 1024;

const LONGEST_ESCAPE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_indented_and_each_value_keeps_its_form() {
        let json = r#" {"b":[1.50,1e400,{ },[ ]],"a\"":"x, {y\\","b":null} "#;
        let expected = "{\n  \"b\": [\n    1.50,\n    1e400,\n    {},\n    []\n  ],\n  \"a\\\"\": \"x, {y\\\\\",\n  \"b\": null\n}\n";
        assert_eq!(indented(json, false), expected);
        let coloured = indented(json, true);
        assert!(coloured.contains("\u{1b}[34m\"a\\\"\"\u{1b}[0m: \u{1b}[32m\""));
        assert_eq!(printable_lines(coloured), expected);
    }

    #[test]
    fn what_a_terminal_obeys_is_removed_also_if_it_arrives_in_pieces() {
        let mut terminal = Terminal::default();
        let pieces: [&[u8]; 5] = [
            b"a\tb  c\r\nd\x1b[3",
            b"1mred\x1b",
            b"[0m \xc2",
            b"\x9b2J",
            b"e\n",
        ];
        let mut shown: String = pieces.iter().map(|piece| terminal.add(piece)).collect();
        shown.push_str(&terminal.end());
        assert_eq!(shown, "a\tb  c\ndred e\n");
    }
}
