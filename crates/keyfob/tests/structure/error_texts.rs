//! docs/reference/troubleshooting.md has an entry for each error text of the library, the command line and the Python package.
//!
//! A text is a literal in the arguments of what makes an error. Some texts are put together from parts; in the files that do
//! that, each literal of some words is a part. Placeholders are `…`, on the page too, where one row may match several texts.

use std::collections::BTreeMap;
use std::path::Path;

use crate::{fail_on, folders, read, root};

#[test]
fn the_page_has_an_entry_for_each_error_text_and_no_other() {
    let page = read(&root().join("docs/reference/troubleshooting.md"));
    let rows: Vec<Row<'_>> = page.lines().filter_map(Row::parse).collect();
    let texts = texts();
    let absent = texts
        .iter()
        .filter(|(text, _)| !rows.iter().any(|row| row.matches(text)));
    let mut faults: Vec<String> = absent
        .map(|(text, file)| format!("no entry for a text of {file}: {text}"))
        .collect();
    let needless = rows
        .iter()
        .filter(|row| !texts.keys().any(|text| row.matches(text)));
    faults.extend(needless.map(|row| format!("no error has the text: {}", row.text)));
    let vague = rows
        .iter()
        .filter(|row| row.remedy.split_whitespace().count() < 3);
    faults.extend(vague.map(|row| format!("no remedy for: {}", row.text)));
    fail_on("docs/reference/troubleshooting.md", &faults);
}

#[test]
fn no_error_text_has_the_debug_form_of_a_value() {
    let mut faults: Vec<String> = texts()
        .iter()
        .filter(|(text, _)| DEBUG_FORMS.iter().any(|form| text.contains(form)))
        .map(|(text, file)| format!("{file}: {text}"))
        .collect();
    for folder in [
        "crates/keyfob/src",
        "crates/keyfob-cli/src",
        "crates/keyfob-python/src",
    ] {
        for path in crate::rust_files(&root().join(folder)) {
            if shown(&path).ends_with("tests.rs") {
                continue;
            }
            let code = code(&read(&path));
            let found = DURATIONS.iter().map(|name| format!("{{{name}:?}}"));
            let found = found.filter(|form| code.contains(form));
            faults.extend(found.map(|form| format!("{}: {form}, a duration", shown(&path))));
        }
    }
    fail_on("the error texts", &faults);
}

#[test]
fn texts_of_the_command_line_and_of_python_name_no_method_of_rust() {
    let texts = texts();
    let faults: Vec<String> = texts
        .iter()
        .filter(|(_, file)| !file.starts_with("crates/keyfob/"))
        .filter(|(text, file)| text.contains("::") || file.contains("-cli/") && text.contains("()"))
        .map(|(text, file)| format!("{file}: {text}"))
        .collect();
    fail_on("the error texts", &faults);
}

/// How Rust's `Debug` begins to show an optional value, a result or an error of the system.
const DEBUG_FORMS: [&str; 5] = ["Some(", "Ok(", "Err(", "Os {", "Kind {"];

/// What durations are called in the sources. An error shows them with `shown_duration`.
const DURATIONS: [&str; 8] = [
    "timeout", "lifetime", "pause", "wait", "left", "age", "delay", "limit",
];

/// A row of a table: a text in backticks, and what to do about it.
struct Row<'p> {
    text: &'p str,
    remedy: &'p str,
}

impl<'p> Row<'p> {
    fn parse(line: &'p str) -> Option<Self> {
        let row = line.strip_prefix("| `")?;
        let ticks = 1 + row.len() - row.trim_start_matches('`').len();
        let row = row.trim_start_matches('`');
        let (text, rest) = row.split_once(&format!("{} | ", "`".repeat(ticks)))?;
        Some(Self {
            text: if ticks > 1 { text.trim() } else { text },
            remedy: rest.trim_end_matches('|'),
        })
    }

    /// Whether the text is this one, with anything in place of each `…`.
    fn matches(&self, text: &str) -> bool {
        let mut parts = self.text.split('…');
        let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else {
            return false;
        };
        let mut ends_here = true;
        for part in parts {
            ends_here = part.is_empty();
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        // The last part has to be at the end.
        ends_here && self.text.ends_with('…') || rest.is_empty()
    }
}

/// All texts, with the file of one place that makes it.
fn texts() -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    for folder in [
        "crates/keyfob/src",
        "crates/keyfob-cli/src",
        "crates/keyfob-python/src",
    ] {
        for path in crate::rust_files(&root().join(folder)) {
            let name = shown(&path);
            if name.ends_with("tests.rs") || LEFT_OUT.iter().any(|out| name.contains(out)) {
                continue;
            }
            let code = code(&read(&path));
            let parts = PARTS.iter().any(|part| name.contains(part));
            let found = if parts {
                literals(&code)
            } else {
                in_calls(&code, CALLS)
            };
            let least = if parts { 4 } else { 2 };
            for text in found.iter().filter(|text| words(text) >= least) {
                texts
                    .entry(text.trim().to_owned())
                    .or_insert_with(|| name.clone());
            }
        }
    }
    for path in python_files(&root().join("crates/keyfob-python/python/keyfob")) {
        for text in in_calls(&python_code(&read(&path)), &["raise *("]) {
            if words(&text) >= 2 {
                texts
                    .entry(text.trim().to_owned())
                    .or_insert_with(|| shown(&path));
            }
        }
    }
    texts
}

/// What makes an error from its text; `*` is any name.
const CALLS: &[&str] = &[
    "Error::*(",
    "new_err(",
    ".error(",
    ".explained(",
    "errors.add(",
];

/// Files that put texts together from parts.
const PARTS: &[&str] = &[
    "exchange/outcome.rs",
    "exchange/reqwest_failure.rs",
    "exchange/reqwest_failure/tls.rs",
    "exchange/tunnel.rs",
    "oauth/endpoint.rs",
    "oauth/http_client.rs",
    "oauth/error_code.rs",
    "oauth/error_response.rs",
    "oauth/issuer_mismatch.rs",
    "oauth/response_times.rs",
    "oauth/signing_key",
    "source/token_text/formats.rs",
    "store/error.rs",
    "store/postgres/fault.rs",
    "store/redis/connection.rs",
    "store/table_name.rs",
    "token/private_key.rs",
    "token/secret_file.rs",
];

/// Files without errors for users.
const LEFT_OUT: &[&str] = &["src/commands/demo", "cache/model", "/tests/"];

fn words(text: &str) -> usize {
    let words = text.split_whitespace();
    words
        .filter(|word| word.contains(|letter: char| letter.is_alphabetic()))
        .count()
}

fn shown(path: &Path) -> String {
    let path = path.strip_prefix(root()).unwrap_or(path);
    path.display().to_string()
}

fn python_files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the package can be listed") {
        let path = entry.expect("the package can be listed").path();
        if path.is_dir() {
            files.extend(python_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "py") {
            files.push(path);
        }
    }
    files
}

/// The code without its tests, comments, attributes and invariants.
fn code(source: &str) -> String {
    // Tests for one system only have two attributes.
    let code = source
        .split("\n#[cfg(test)]\n#[cfg(unix)]\nmod tests {")
        .next();
    let code = folders::code_of(code.unwrap_or(source));
    let lines = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("#[") && !line.contains("expect("));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// Without the examples in docstrings.
fn python_code(source: &str) -> String {
    let lines = source.lines().filter(|line| !line.contains(">>> "));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// The literals in the arguments of these calls.
fn in_calls(code: &str, calls: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for call in calls {
        let (head, tail) = call.split_once('*').unwrap_or(("", call));
        let begin = if head.is_empty() { tail } else { head };
        for (at, _) in code.match_indices(begin) {
            let mut rest = &code[at + begin.len()..];
            if !head.is_empty() {
                let name = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
                let Some(after) = name.and_then(|end| rest[end..].strip_prefix(tail)) else {
                    continue;
                };
                rest = after;
            }
            found.extend(literals(arguments(rest)));
        }
    }
    found
}

/// What is before the parenthesis that closes the call.
fn arguments(rest: &str) -> &str {
    let mut depth = 1;
    let mut is_text = false;
    let mut letters = rest.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' if is_text => _ = letters.next(),
            '"' => is_text = !is_text,
            '(' if !is_text => depth += 1,
            ')' if !is_text => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &rest[..at];
        }
    }
    rest
}

/// The texts in quotes. Those that follow each other with nothing but white space between are one, as in Python.
fn literals(code: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut text: Option<String> = None;
    let mut between = String::from(",");
    let mut letters = code.chars().peekable();
    while let Some(letter) = letters.next() {
        match (&mut text, letter) {
            (None, '\'') if letters.peek().is_some() => {
                // A character such as '"' begins no text.
                let ahead: String = letters.clone().take(3).collect();
                if ahead.starts_with("\"'") || ahead.starts_with("\\\"'") {
                    letters.by_ref().find(|letter| *letter == '"');
                    letters.next();
                }
                between.push('\'');
            }
            (None, '"') => text = Some(String::new()),
            (None, letter) => between.push(letter),
            (Some(_), '"') => {
                let text = normal(&text.take().unwrap_or_default());
                let continues = between
                    .chars()
                    .all(|letter| letter.is_whitespace() || letter == 'f');
                match found.last_mut() {
                    Some(last) if continues => last.push_str(&text),
                    _ => found.push(text),
                }
                between.clear();
            }
            (Some(text), '\\') => match letters.next() {
                Some('\n') => while letters.next_if(|letter| letter.is_whitespace()).is_some() {},
                Some('n') => text.push('\n'),
                Some(letter) => text.push(letter),
                None => {}
            },
            (Some(text), letter) => text.push(letter),
        }
    }
    found
}

/// The text with `…` for each placeholder.
fn normal(text: &str) -> String {
    let mut normal = String::new();
    let mut letters = text.replace("{{", "\u{1}").replace("}}", "\u{2}");
    letters = letters.replace('\n', " ");
    let mut depth = 0;
    for letter in letters.chars() {
        match letter {
            '{' => {
                if depth == 0 {
                    normal.push('…');
                }
                depth += 1;
            }
            '}' => depth -= 1,
            '\u{1}' => normal.push('{'),
            '\u{2}' => normal.push('}'),
            letter if depth == 0 => normal.push(letter),
            _ => {}
        }
    }
    normal
}

#[test]
fn the_texts_of_errors_are_read_from_the_code() {
    let code = "Err(Error::input(format!(\n    \"the {name} is \\\n     \\\"bad\\\"; give {}\", x)), \"second text\")";
    assert_eq!(in_calls(code, CALLS), ["the … is \"bad\"; give …"]);
    let python = "raise TypeError(\n    f\"a {kind(x)} is \"\n    \"no token\"\n)";
    assert_eq!(in_calls(python, &["raise *("]), ["a … is no token"]);
}

#[test]
fn a_row_matches_texts_with_anything_in_place_of_its_gaps() {
    let row = Row::parse("| `` … sent `a` … `` | cause and remedy |").unwrap();
    assert_eq!(row.text, "… sent `a` …");
    assert!(row.matches("… sent `a` at …") && !row.matches("… sent `b` at …"));
    let row = Row::parse("| `is … bad` | this and that |").unwrap();
    assert!(
        row.matches("is very bad") && !row.matches("is bad enough") && !row.matches("it is … bad")
    );
}
