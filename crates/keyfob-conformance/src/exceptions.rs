//! The rules that an interface cannot keep, with the reasons. docs/contract.md shows this list.

use crate::case::Case;
use crate::faces::FACES;
use crate::grid::Result;
use crate::judge::Differences;
use crate::pattern::matches;

/// Cases that one interface cannot pass.
#[derive(Clone, Copy, Debug)]
pub struct Exception {
    /// The interface.
    pub face: &'static str,
    /// Why, in one sentence.
    pub reason: &'static str,
    /// The cases, as `group: name`; `*` is any text.
    pub cases: &'static [&'static str],
}

/// All exceptions.
pub const EXCEPTIONS: &[Exception] = &[
    Exception {
        face: "tower",
        reason: "A layer returns each redirect to its caller, who puts a service that follows redirects around it.",
        cases: &[
            "redirects: 301 *",
            "redirects: 302 *",
            "redirects: 303 *",
            "redirects: 307 * in memory*",
            "redirects: 308 * in memory*",
            "redirects: a redirect without end *",
            "hops: *",
            "renewals: a 30* is followed *",
            "bodies: * is dropped by a 303",
            "bodies: a body in memory * after a 30*",
            "caller: * after a redirect",
        ],
    },
    Exception {
        face: "tower",
        reason: "The client of hyper-util uses no proxy.",
        cases: &["proxies: * is used for *"],
    },
    Exception {
        face: "tower",
        reason: "A layer cannot see to which address its service resolves `localhost`, so plain http to it has to be allowed like any other name.",
        cases: &[
            "origins: http to localhost gets the token",
            "origins: the case of scheme and host does not matter",
            "proxies: * is not used for http://localhost:*",
        ],
    },
    Exception {
        face: "tower",
        reason: NO_MARK,
        cases: &["retries: * marked idempotent *"],
    },
    Exception {
        face: "middleware",
        reason: "A middleware cannot choose another client for one request, so plain http to this machine is refused if a proxy of the environment would get it.",
        cases: &[
            "proxies: * is not used for http://127.0.0.1:*",
            "proxies: * is not used for http://localhost:*",
            "proxies: * is not used for http://[::1]:*",
        ],
    },
    Exception {
        face: "middleware",
        reason: NO_MARK,
        cases: &["retries: * marked idempotent *"],
    },
];

const NO_MARK: &str = "The request of another client cannot be marked idempotent; an `Idempotency-Key` field has the same effect.";

/// The exception for a case, if there is one.
#[must_use]
pub fn find(face: &str, case: &Case) -> Option<&'static Exception> {
    let title = case.title();
    let covers = |patterns: &[&str]| patterns.iter().any(|pattern| matches(pattern, &title));
    EXCEPTIONS
        .iter()
        .find(|exception| exception.face == face && covers(exception.cases))
}

/// How a case went, in view of its exception.
#[must_use]
pub fn verdict(exception: Option<&Exception>, differences: &Differences) -> Result {
    match exception {
        None if differences.is_empty() => Result::Passed,
        Some(exception) if differences.is_empty() => Result::Failed(vec![format!(
            "it passes, so this exception is no longer needed: {}",
            exception.reason
        )]),
        Some(_) if differences.leaks.is_empty() => Result::Excepted,
        _ => Result::Failed(differences.lines().map(str::to_owned).collect()),
    }
}

/// The list as docs/contract.md shows it, in lines of its width.
#[must_use]
pub fn page() -> String {
    let mut page = String::new();
    for face in FACES {
        let of_face = EXCEPTIONS.iter().filter(|entry| entry.face == face.name);
        for entry in of_face {
            let text = format!("- {}: {}", face.title, entry.reason);
            page.push_str(&wrapped(&text));
        }
    }
    page
}

/// An item of a list in lines of at most this many characters.
fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    let mut width = 0;
    for word in text.split(' ') {
        if width + 1 + word.len() > WIDTH {
            lines.push_str("\n ");
            width = 1;
        }
        if width > 0 {
            lines.push(' ');
            width += 1;
        }
        lines.push_str(word);
        width += word.len();
    }
    lines.push('\n');
    lines
}

/// Puts the list between the two markers of a page; `None` if they are not there.
#[must_use]
pub fn written_into(text: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{}{END}{after}", page()))
}

const WIDTH: usize = 120;

const BEGIN: &str =
    "<!-- exceptions: written by `cargo run -p keyfob-conformance -- exceptions --write` -->";
const END: &str = "<!-- end of exceptions -->";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::corpus;

    #[test]
    fn the_contract_shows_the_exceptions() {
        let page = include_str!("../../../docs/contract.md");
        let written = written_into(page).expect("the page has the markers");
        assert_eq!(
            page, written,
            "run `cargo run -p keyfob-conformance -- exceptions --write`"
        );
    }

    #[test]
    fn an_exception_excuses_neither_a_leak_nor_a_case_that_passes() {
        let exception = Some(&EXCEPTIONS[0]);
        let differs = |leaks: &[&str], others: &[&str]| Differences {
            leaks: leaks.iter().map(ToString::to_string).collect(),
            others: others.iter().map(ToString::to_string).collect(),
        };
        let excused = verdict(exception, &differs(&[], &["other"]));
        assert_eq!(excused, Result::Excepted);
        for found in [differs(&["leak"], &["other"]), differs(&[], &[])] {
            assert!(matches!(verdict(exception, &found), Result::Failed(_)));
        }
        assert_eq!(verdict(None, &differs(&[], &[])), Result::Passed);
        let failed = verdict(None, &differs(&[], &["other"]));
        assert!(matches!(failed, Result::Failed(_)));
    }

    #[test]
    fn each_exception_names_an_interface_and_a_case() {
        let titles: Vec<_> = corpus().iter().map(Case::title).collect();
        for entry in EXCEPTIONS {
            assert!(
                FACES.iter().any(|face| face.name == entry.face),
                "{entry:?}"
            );
            for pattern in entry.cases {
                let names_one = titles.iter().any(|title| matches(pattern, title));
                assert!(names_one, "{} {pattern}", entry.face);
            }
        }
    }
}
