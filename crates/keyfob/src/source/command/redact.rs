//! What a helper wrote to stderr, without anything that may be a secret (S3).

use std::ops::Range;

use crate::error::printable::without_controls;

/// The end of stderr on one line, with everything masked that looks like a secret or was printed to stdout.
///
/// This masks long runs of base64 or hex, which includes the parts of a JWT; what follows a word such as `password` or
/// `token=`; user names, passwords and queries in URLs; and each piece of [`SHARED_LENGTH`] bytes that stdout has too.
pub(crate) fn redact(stderr: &[u8], stdout: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines = text.split(['\n', '\r']);
    // First of all, because a control character inside a secret would hide it from the rules below.
    let lines = lines.map(without_controls);
    let lines: Vec<_> = lines
        .filter(|line| !line.is_empty())
        .map(|line| mask(&line, stdout))
        .collect();
    // Cut only now: the part that is cut off may hold the word that marks the rest as a secret.
    last(&lines.join(" "))
}

/// One line of stderr for the terminal, where a person may have to open a URL that the helper names.
///
/// As [`redact`], but in a URL only the user information and parameters that are secrets by their name are masked. Its other
/// parameters, such as `state` and `code_challenge`, are random and needed.
pub(crate) fn redact_line(line: &str) -> String {
    let line = without_controls(line);
    let mut marks = vec![false; line.len()];
    mask_runs(&line, &mut marks);
    mask_named(&line, &mut marks);
    for url in urls(&line) {
        marks[url.clone()].fill(false);
        mask_parameters(&line, url, &mut marks);
    }
    mask_user_information(&line, &mut marks);
    mask_jwts(&line, &mut marks);
    masked(&line, &marks)
}

fn mask(line: &str, stdout: &[u8]) -> String {
    // One mark for each byte, because the pieces that different rules find may overlap.
    let mut marks = vec![false; line.len()];
    mask_runs(line, &mut marks);
    mask_jwts(line, &mut marks);
    mask_named(line, &mut marks);
    mask_user_information(line, &mut marks);
    mask_queries(line, &mut marks);
    mask_shared(line, stdout, &mut marks);
    masked(line, &marks)
}

fn masked(line: &str, marks: &[bool]) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut was_masked = false;
    for (at, char) in line.char_indices() {
        let is_masked = marks[at..at + char.len_utf8()].contains(&true);
        match is_masked {
            true if was_masked => {}
            true => shown.push_str(MASK),
            false => shown.push(char),
        }
        was_masked = is_masked;
    }
    shown
}

/// Masks long runs of the characters of base64, base64url and hex.
fn mask_runs(line: &str, marks: &mut [bool]) {
    for run in runs(line, in_run) {
        if run.len() >= LONG_RUN {
            marks[run].fill(true);
        }
    }
}

/// Masks each JWT as a whole, because its parts may be short.
fn mask_jwts(line: &str, marks: &mut [bool]) {
    for run in runs(line, |byte| in_run(byte) || byte == b'.') {
        let text = &line[run.clone()];
        if text.contains("eyJ") && text.contains('.') {
            marks[run].fill(true);
        }
    }
}

fn in_run(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=_-".contains(&byte)
}

/// Masks what follows a word that announces a secret.
fn mask_named(line: &str, marks: &mut [bool]) {
    let lower = line.to_ascii_lowercase();
    for (word, reach) in WORDS {
        for (at, _) in lower.match_indices(word) {
            let after = at + word.len();
            let rest = &line[after..];
            // Skips the rest of a longer name, as in `token_value=` or `"passwords":`.
            let name = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_-".contains(c)));
            let rest = &rest[name.unwrap_or(rest.len())..];
            let value = rest.trim_start_matches(['"', '\'', '`', ' ', ')', ']']);
            let (value, assigned) = match value.strip_prefix([':', '=']) {
                Some(value) => (value, true),
                None => (value, false),
            };
            if !assigned && reach == Reach::Assigned {
                continue;
            }
            let value = value.trim_start_matches([' ', '"', '\'', '`', '=', ':', '>']);
            let start = line.len() - value.len();
            let word_end = value.find(' ').unwrap_or(value.len());
            let length = if assigned { value.len() } else { word_end };
            marks[start..start + length].fill(true);
        }
    }
}

/// Masks the user information of URLs.
fn mask_user_information(line: &str, marks: &mut [bool]) {
    for url in urls(line) {
        let text = &line[url.clone()];
        let authority = text.find(['/', '?', '#']).unwrap_or(text.len());
        if let Some(host) = text[..authority].rfind('@') {
            marks[url.start..url.start + host].fill(true);
        }
    }
}

/// Masks the queries and fragments of URLs, which may hold credentials.
fn mask_queries(line: &str, marks: &mut [bool]) {
    for url in urls(line) {
        if let Some(query) = line[url.clone()].find(['?', '#']) {
            marks[url.start + query + 1..url.end].fill(true);
        }
    }
}

/// Masks the values of the parameters of a URL that are secrets by their name.
fn mask_parameters(line: &str, url: Range<usize>, marks: &mut [bool]) {
    let Some(query) = line[url.clone()].find(['?', '#']) else {
        return;
    };
    let mut at = url.start + query + 1;
    for parameter in line[at..url.end].split(['&', ';', '#', '?']) {
        let name = parameter.split('=').next().unwrap_or_default();
        let lower = name.to_ascii_lowercase();
        let is_secret =
            lower == "code" || SECRET_PARAMETERS.iter().any(|word| lower.contains(word));
        if is_secret {
            marks[at + name.len()..at + parameter.len()].fill(true);
        }
        at += parameter.len() + 1;
    }
}

/// The URLs of a line, each from its authority to its end.
fn urls(line: &str) -> impl Iterator<Item = Range<usize>> {
    line.match_indices("://").map(|(at, mark)| {
        let start = at + mark.len();
        let rest = &line[start..];
        let length = rest.find([' ', '"', '\'', '<', '>']).unwrap_or(rest.len());
        start..start + length
    })
}

/// Masks each piece of the line that is also in stdout.
///
/// The pieces are sorted once, so that the time does not grow with the product of both lengths.
fn mask_shared(line: &str, stdout: &[u8], marks: &mut [bool]) {
    let mut pieces: Vec<(&[u8], usize)> = line
        .as_bytes()
        .windows(SHARED_LENGTH)
        .enumerate()
        .map(|(at, piece)| (piece, at))
        .collect();
    pieces.sort_unstable();
    let mut found = vec![false; pieces.len()];
    for piece in stdout.windows(SHARED_LENGTH) {
        let first = pieces.partition_point(|(other, _)| *other < piece);
        let same = pieces[first..].iter().zip(&mut found[first..]);
        // A piece that was found before ends the loop, so that repeated text in stdout takes no extra time.
        let new = same.take_while(|((other, _), found)| *other == piece && !**found);
        for ((_, at), found) in new {
            *found = true;
            marks[*at..at + SHARED_LENGTH].fill(true);
        }
    }
}

fn runs(line: &str, belongs: impl Fn(u8) -> bool) -> Vec<Range<usize>> {
    let mut runs = Vec::<Range<usize>>::new();
    for (at, byte) in line.bytes().enumerate() {
        if !belongs(byte) {
            continue;
        }
        match runs.last_mut() {
            Some(run) if run.end == at => run.end = at + 1,
            _ => runs.push(at..at + 1),
        }
    }
    runs
}

fn last(text: &str) -> String {
    match text.char_indices().rev().nth(SHOWN) {
        Some((at, cut)) => format!("…{}", &text[at + cut.len_utf8()..]),
        None => text.to_owned(),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// The next word, or the rest of the line after `:` or `=`.
    Next,
    /// The rest of the line after `:` or `=`.
    Assigned,
}

const WORDS: [(&str, Reach); 16] = [
    ("authorization", Reach::Next),
    ("basic", Reach::Next),
    ("bearer", Reach::Next),
    ("passphrase", Reach::Next),
    ("password", Reach::Next),
    ("passwd", Reach::Next),
    ("secret", Reach::Next),
    ("cookie", Reach::Assigned),
    ("credential", Reach::Assigned),
    (" key", Reach::Assigned),
    ("-key", Reach::Assigned),
    ("_key", Reach::Assigned),
    ("apikey", Reach::Assigned),
    ("pwd", Reach::Assigned),
    ("signature", Reach::Assigned),
    ("token", Reach::Assigned),
];

/// Parts of the names of URL parameters whose values are secrets.
const SECRET_PARAMETERS: [&str; 8] = [
    "assertion",
    "credential",
    "key",
    "passwd",
    "password",
    "secret",
    "sig",
    "token",
];

const MASK: &str = "[redacted]";

/// A run of this many characters may be a secret.
const LONG_RUN: usize = 20;

/// This many bytes in a row are masked if stdout has them too.
const SHARED_LENGTH: usize = 6;

/// How many characters are shown.
const SHOWN: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn redacted(text: &str) -> String {
        redact(text.as_bytes(), b"")
    }

    #[test]
    fn plain_words_are_shown() {
        for text in [
            "not logged in; run `tool login` first",
            "token expired 3 hours ago",
            "dial tcp 10.0.0.1:443: connection refused",
            "open /etc/tool.conf: no such file or directory",
            "https://login.example.com/start is not reachable",
        ] {
            assert_eq!(redacted(text), text);
        }
    }

    #[test]
    fn s3_text_that_looks_like_a_secret_is_masked() {
        let jwt = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2ln";
        for (text, hidden) in [
            (format!("got {jwt} back"), "c2ln"),
            (format!("<{jwt}>"), "eyJ"),
            (
                "sent Authorization: Basic dXNlcjpwdw== twice".into(),
                "dXNlc",
            ),
            ("header 'authorization' = abc def".into(), "def"),
            ("Bearer hunter2 was refused".into(), "hunter2"),
            ("password hunter2 was wrong".into(), "hunter2"),
            ("password: correct horse".into(), "horse"),
            ("{\"client_secret\":\"hunter2\"}".into(), "hunter2"),
            ("ACCESS_TOKEN=hunter2".into(), "hunter2"),
            ("token_value = hunter2".into(), "hunter2"),
            ("api-key:hunter2".into(), "hunter2"),
            ("at https://bob:hunter2@example.com/x".into(), "hunter2"),
            ("at https://example.com/x?sig=hunter2 now".into(), "hunter2"),
            ("hash 0123456789abcdef0123".into(), "0123456789"),
            ("key wJalrXUtnFEMI/K7MDENG/bPxRfi".into(), "K7MDENG"),
            ("tok\u{1b}[0men=hun\u{200b}ter2".into(), "ter2"),
        ] {
            let shown = redacted(&text);
            assert!(!shown.contains(hidden), "{text} became {shown}");
            assert!(shown.contains(MASK), "{text} became {shown}");
        }
    }

    #[test]
    fn a_url_to_open_is_shown_whole_at_the_terminal_without_its_secrets() {
        let open = "Open https://login.example.com/authorize?response_type=code&client_id=0oa1b2c3d4e5f6g7h8i9j0&\
                    state=Zm9vYmFyYmF6cXV4cXV1eA&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM now";
        assert_eq!(redact_line(open), open);
        assert_eq!(
            redact_line("enter ABCD-EFGH at https://x.example/device?user_code=ABCD-EFGH"),
            "enter ABCD-EFGH at https://x.example/device?user_code=ABCD-EFGH"
        );
        for secret in [
            "https://bob:hunter2@x.example/",
            "https://x.example/cb?code=hunter2&state=x",
            "https://x.example/cb#access_token=hunter2&x=y",
            "https://x.example/?X-Amz-Signature=hunter2",
            "https://x.example/?client_secret=hunter2;b=c",
            "token: hunter2",
            "https://x.example/?hint=eyJhbGciOiJub25lIn0.eyJodW50ZXIyIjoxfQ.hunter2",
        ] {
            let shown = redact_line(secret);
            assert!(
                !shown.contains("hunter2") && shown.contains(MASK),
                "{secret}: {shown}"
            );
        }
    }

    #[test]
    fn s3_what_stdout_has_too_is_masked() {
        let shown = redact(b"could not keep x7-q9-zz in the vault", b"x7-q9-zz\n");
        assert_eq!(shown, "could not keep [redacted] in the vault");
    }

    #[test]
    fn control_characters_and_line_ends_become_one_line() {
        let shown = redacted("\u{1b}[31mno\u{1b}[0m\x07 luck\r\n\r\n  try\tlater\u{202e}\n");
        assert_eq!(shown, "no luck try later");
    }

    #[test]
    fn the_end_of_a_long_text_is_shown() {
        let shown = redacted(&"ä word ".repeat(300));
        assert_eq!(shown.chars().count(), SHOWN + 1);
        assert!(shown.starts_with('…') && shown.ends_with("word"));
    }

    proptest! {
        #[test]
        fn s3_no_secret_of_stdout_is_shown(
            secret in "[!-~]{6,40}",
            before in "\\PC{0,20}",
            after in "\\PC{0,20}",
            noise in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut stderr = noise.clone();
            stderr.extend_from_slice(format!("{before}{secret}{after}").as_bytes());
            let shown = redact(&stderr, format!("{{\"token\":{secret}}}").as_bytes());
            let pieces = shown.split(MASK);
            for piece in secret.as_bytes().windows(6) {
                let piece = std::str::from_utf8(piece).unwrap();
                prop_assert!(pieces.clone().all(|text| !text.contains(piece)), "{shown}");
            }
        }

        #[test]
        fn any_bytes_become_printable_text(stderr in prop::collection::vec(any::<u8>(), 0..2000)) {
            let shown = redact(&stderr, &stderr[..stderr.len() / 2]);
            prop_assert!(shown.chars().count() <= SHOWN + 1);
            prop_assert!(!shown.chars().any(char::is_control));
        }
    }
}
