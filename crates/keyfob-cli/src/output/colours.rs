//! Colours at a terminal, and the help with them.

use std::fmt::Write;
use std::io::{IsTerminal, stderr, stdout};
use std::{env, process};

use crate::output::print::{print_stderr, print_stdout};

/// Prints the help, or the error in the arguments, and ends the program.
pub(crate) fn exit_with(error: &clap::Error) -> ! {
    let mut text = error.render().to_string();
    let is_at_terminal = match error.use_stderr() {
        true => stderr().is_terminal(),
        false => stdout().is_terminal(),
    };
    if is_at_terminal && has_colours() {
        text = coloured(&text);
    }
    match error.use_stderr() {
        true => print_stderr(text),
        // There is no other place for the reason.
        false => _ = print_stdout(text),
    }
    process::exit(error.exit_code())
}

/// Whether a terminal shows colours, and the user has not asked for none: https://no-color.org
pub(crate) fn has_colours() -> bool {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    // The older console of Windows would show the codes.
    let can_show = !cfg!(windows) || is_set("WT_SESSION") || is_set("TERM");
    can_show && !is_set("NO_COLOR") && env::var_os("TERM").is_none_or(|name| name != "dumb")
}

/// The text with its headings underlined, and options and commands in bold.
fn coloured(text: &str) -> String {
    let mut is_list_of_commands = false;
    text.lines().fold(String::new(), |mut text, line| {
        let content = line.trim_start();
        let is_heading = content.len() == line.len() && line.ends_with(':');
        if is_heading {
            is_list_of_commands = line == "Commands:";
        }
        let indent = line.len() - content.len();
        let (style, length) = if is_heading {
            (UNDERLINED, line.len())
        } else if line.starts_with("Usage:") {
            (UNDERLINED, "Usage:".len())
        } else if line.starts_with("error:") {
            (RED, "error:".len())
        } else if content.starts_with('-') {
            (BOLD, length_of_options(content))
        } else if is_list_of_commands && indent == 2 {
            (BOLD, content.find(' ').unwrap_or(content.len()))
        } else {
            ("", 0)
        };
        let (styled, rest) = content.split_at(length);
        let reset = if styled.is_empty() { "" } else { RESET };
        _ = writeln!(text, "{}{style}{styled}{reset}{rest}", &line[..indent]);
        text
    })
}

/// The length of `-v, --verbose` at the start of a line.
fn length_of_options(line: &str) -> usize {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let first = line.find(|c| !is_part(c)).unwrap_or(line.len());
    match line[first..].strip_prefix(", ") {
        Some(second) if second.starts_with('-') => first + 2 + length_of_options(second),
        _ => first,
    }
}

const UNDERLINED: &str = "\u{1b}[1;4m";
const BOLD: &str = "\u{1b}[1m";
const RED: &str = "\u{1b}[1;31m";
const RESET: &str = "\u{1b}[0m";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::command_line;

    #[test]
    fn colours_change_nothing_else_and_mark_headings_options_and_commands() {
        let mut root = command_line();
        let texts = [
            root.render_long_help().to_string(),
            root.render_help().to_string(),
            "error: unexpected argument\n\n  tip: a similar one\n\nUsage: keyfob\n".to_owned(),
        ];
        let coloured = texts.each_ref().map(|text| coloured(text));
        for (text, coloured) in texts.iter().zip(&coloured) {
            let codes = [UNDERLINED, BOLD, RED, RESET];
            let plain = codes
                .iter()
                .fold(coloured.clone(), |text, code| text.replace(code, ""));
            assert_eq!(plain.trim_end(), text.trim_end());
        }
        for (text, expected) in [
            (0, "\u{1b}[1;4mUsage:\u{1b}[0m keyfob"),
            (0, "\n\u{1b}[1;4mExit codes:\u{1b}[0m\n"),
            (0, "\n  \u{1b}[1m-v, --verbose\u{1b}[0m..."),
            (1, "\n  \u{1b}[1mrequest\u{1b}[0m "),
            (2, "\u{1b}[1;31merror:\u{1b}[0m unexpected"),
        ] {
            assert!(coloured[text].contains(expected), "{}", coloured[text]);
        }
    }
}
