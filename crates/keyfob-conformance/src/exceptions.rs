//! The rules that an interface cannot keep, with the reasons. docs/contract.md shows this list.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::case::Case;
use crate::faces::FACES;
use crate::pattern::matches;

/// Cases that one interface cannot pass.
#[derive(Clone, Copy, Debug)]
pub struct Exception {
    /// The interface.
    pub face: &'static str,
    /// The cases, as `group: name`; `*` is any text.
    pub cases: &'static str,
    /// Why, in one sentence.
    pub reason: &'static str,
}

/// All exceptions.
pub const EXCEPTIONS: &[Exception] = &[
    exception("tower", "redirects: *", RETURNS_REDIRECTS),
    exception("tower", "bodies: * is dropped by a 303", RETURNS_REDIRECTS),
    exception(
        "tower",
        "bodies: a body in memory is sent again in full or not at all after a 30*",
        RETURNS_REDIRECTS,
    ),
    exception("middleware", "redirects: * to another *", STOPS_AT_OTHERS),
];

const RETURNS_REDIRECTS: &str = "a layer returns each redirect to its caller, who puts a service that follows redirects around it";

const STOPS_AT_OTHERS: &str = "a middleware follows redirects within the origin, and returns one to another origin to its caller";

const fn exception(face: &'static str, cases: &'static str, reason: &'static str) -> Exception {
    Exception {
        face,
        cases,
        reason,
    }
}

/// The exception for a case, if there is one.
#[must_use]
pub fn find(face: &str, case: &Case) -> Option<&'static Exception> {
    let name = case.title();
    EXCEPTIONS
        .iter()
        .find(|exception| exception.face == face && matches(exception.cases, &name))
}

/// The list as docs/contract.md shows it: each reason once for each interface.
#[must_use]
pub fn page() -> String {
    let mut page = String::new();
    for face in FACES {
        let of_face = EXCEPTIONS.iter().filter(|entry| entry.face == face.name);
        let reasons: BTreeSet<_> = of_face.map(|entry| entry.reason).collect();
        for reason in reasons {
            // Writing to a string cannot fail.
            let _ = writeln!(page, "- {}: {reason}", face.title);
        }
    }
    page
}

/// Puts the list between the two markers of a page; `None` if they are not there.
#[must_use]
pub fn written_into(text: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{}{END}{after}", page()))
}

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
    fn each_exception_names_an_interface_and_a_case() {
        let titles: Vec<_> = corpus().iter().map(Case::title).collect();
        for entry in EXCEPTIONS {
            assert!(
                FACES.iter().any(|face| face.name == entry.face),
                "{entry:?}"
            );
            assert!(
                titles.iter().any(|title| matches(entry.cases, title)),
                "{entry:?}"
            );
        }
    }
}
