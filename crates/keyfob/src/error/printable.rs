//! The filter for text from outside that a terminal or a log shows.

use std::fmt::Display;

/// Returns text from outside as one line that is safe to show.
///
/// Error texts of servers, device codes, header values and the output of programs may contain what a terminal obeys, what
/// forges a line of a log, or what hides or reorders the text around it. This removes escape sequences (ECMA-48 §5),
/// control characters, and Unicode's bidirectional controls and invisible characters. Each run of white space, line ends
/// included, becomes one space. Text of more than 1000 characters is cut, and ends with `…`.
///
/// keyfob uses it for everything of this kind in its own errors and log events. It hides no secret.
///
/// ```
/// use keyfob::error::printable;
///
/// assert_eq!(printable("\u{1b}[31mdenied\u{1b}[0m\r\nINFO all is well"), "denied INFO all is well");
/// assert_eq!(printable("abc\u{202e}def"), "abcdef");
/// ```
#[must_use]
pub fn printable(text: impl Display) -> String {
    let text = without_controls(&text.to_string());
    match text.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Returns text from outside as lines that are safe to show, such as a response body at a terminal.
///
/// As [`printable`], but lines, spaces and tabs stay as they are, and nothing is cut.
///
/// ```
/// use keyfob::error::printable_lines;
///
/// assert_eq!(printable_lines("a:\r\n\t\u{1b}[31mb  c\u{1b}[0m\n"), "a:\n\tb  c\n");
/// ```
#[must_use]
pub fn printable_lines(text: impl Display) -> String {
    filtered(&text.to_string(), |kept, space| match space {
        '\n' | '\t' | ' ' => kept.push(space),
        // The line end after it stays.
        '\r' => {}
        _ => kept.push(' '),
    })
}

/// The same as [`printable`] without the limit, for a caller that has a limit of its own.
pub(crate) fn without_controls(text: &str) -> String {
    let mut kept = filtered(text, |kept, _| {
        if !kept.is_empty() && !kept.ends_with(' ') {
            kept.push(' ');
        }
    });
    kept.truncate(kept.trim_end().len());
    kept
}

/// The text without what a terminal obeys, and with white space as `add_space` adds it.
fn filtered(text: &str, add_space: fn(&mut String, char)) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(char) = rest.next() {
        match char {
            '\u{1b}' => skip_escape(&mut rest),
            CSI => skip_csi(&mut rest),
            _ if char.is_whitespace() => add_space(&mut kept, char),
            _ if char.is_control() || is_invisible(char) => {}
            _ => kept.push(char),
        }
    }
    kept
}

/// Skips what belongs to an ESC that has just been read. The text of other sequences than CSI is harmless without the ESC.
fn skip_escape(rest: &mut std::str::Chars<'_>) {
    if rest.as_str().starts_with('[') {
        rest.next();
        skip_csi(rest);
    }
}

/// Skips the parameters and the final character of a control sequence (ECMA-48 §5.4).
///
/// A character that cannot be part of one ends it and is kept, so that a broken sequence hides nothing.
fn skip_csi(rest: &mut std::str::Chars<'_>) {
    let parameters = rest
        .as_str()
        .find(|char| !('\u{20}'..='\u{3f}').contains(&char));
    *rest = rest.as_str()[parameters.unwrap_or(rest.as_str().len())..].chars();
    if rest
        .as_str()
        .starts_with(|char| ('\u{40}'..='\u{7e}').contains(&char))
    {
        rest.next();
    }
}

/// Characters that reorder text or have no shape: those of the category Cf, private ones, and variation selectors.
fn is_invisible(char: char) -> bool {
    matches!(char,
        '\u{ad}'
        | '\u{34f}'
        | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
        | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{ffa0}'
        | '\u{e000}'..='\u{f8ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}'
        | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{10ffff}')
}

/// How many characters [`printable`] keeps.
const LIMIT: usize = 1000;

/// The one-character form of `ESC [`.
const CSI: char = '\u{9b}';

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escape_sequences_and_control_characters_are_removed() {
        for (text, shown) in [
            ("\u{1b}[31;1mred\u{1b}[0m", "red"),
            ("\u{9b}2Jcleared", "cleared"),
            ("\u{1b}]0;title\u{7}text", "]0;titletext"),
            (
                "\u{1b}]8;;https://evil.example\u{1b}\\link",
                "]8;;https://evil.example\\link",
            ),
            ("\u{1b}cback\u{8}\u{7f}\u{0}\u{85}space", "cback space"),
            ("a broken\u{1b}[12", "a broken"),
            ("a broken\u{1b}[12ä sequence", "a brokenä sequence"),
            ("\u{1b}", ""),
        ] {
            assert_eq!(printable(text), shown, "{text:?}");
        }
    }

    #[test]
    fn text_cannot_begin_a_line_of_its_own() {
        let text = " denied\r\nkeyfob: all is well\u{2028}\u{b}\tsigned in\n";
        assert_eq!(printable(text), "denied keyfob: all is well signed in");
    }

    #[test]
    fn text_cannot_hide_or_reorder_what_is_around_it() {
        let text = "\u{202e}abc\u{2066}d\u{200b}e\u{feff}f\u{e0041}g\u{61c}";
        assert_eq!(printable(text), "abcdefg");
    }

    #[test]
    fn text_of_every_language_is_unchanged() {
        for text in [
            "Zugriff verweigert: „nö“",
            "अनुमति नहीं है",
            "拒绝访问",
            "👍 e\u{301}",
        ] {
            assert_eq!(printable(text), text);
        }
    }

    #[test]
    fn long_text_is_cut() {
        let shown = printable("ä".repeat(LIMIT + 1));
        assert_eq!(shown.chars().count(), LIMIT + 1);
        assert!(shown.ends_with("ä…"));
        assert!(!printable("ä".repeat(LIMIT)).contains('…'));
    }

    proptest! {
        #[test]
        fn any_text_becomes_one_line_and_stays_as_it_is_then(text in any::<String>()) {
            let shown = printable(&text);
            prop_assert!(!shown.chars().any(|c| c.is_control() || is_invisible(c)));
            prop_assert!(shown.chars().count() <= LIMIT + 1);
            prop_assert_eq!(printable(&shown), shown);
        }
    }
}
