//! The rules that an interface cannot keep, with the reasons. docs/reference/contract.md shows this list.

use crate::case::Case;
use crate::faces::FACES;
use crate::grid::Result;
use crate::judge::Differences;
use crate::pattern::matches;

/// Cases that one interface cannot pass.
#[derive(Clone, Copy, Debug)]
pub struct Exception {
    /// The interfaces.
    pub faces: &'static [&'static str],
    /// Why, in one sentence.
    pub reason: &'static str,
    /// The cases, as `group: name`; `*` is any text.
    pub cases: &'static [&'static str],
}

/// All exceptions.
pub const EXCEPTIONS: &[Exception] = &[
    Exception {
        faces: &["tower", "proxy"],
        reason: "Each redirect is returned: to the service around the layer, or to the client of the proxy.",
        cases: &[
            "redirects: 301 *",
            "redirects: 302 *",
            "redirects: 303 *",
            "redirects: 307 * in memory*",
            "redirects: 308 * in memory*",
            "redirects: a redirect without end *",
            "hops: *",
            "renewals: a 30* is followed *",
            "renewals: the 403 of another origin *",
            "bodies: * is dropped by a 303",
            "bodies: a body in memory * after a 30*",
            "caller: * after a redirect",
        ],
    },
    Exception {
        faces: &["tower"],
        reason: "The client of hyper-util uses no proxy.",
        cases: &["proxies: * is used for *"],
    },
    Exception {
        faces: &["proxy"],
        reason: "It asks a proxy for a tunnel for plain http as well.",
        cases: &["proxies: * is used for *"],
    },
    Exception {
        faces: &["tower"],
        reason: "A layer cannot see to which address its service resolves `localhost`, so plain http to it has to be allowed like any other name.",
        cases: &[
            "origins: http to localhost gets the token",
            "origins: the case of scheme and host does not matter",
            "proxies: * is not used for http://localhost:*",
        ],
    },
    Exception {
        faces: &["middleware"],
        reason: "A middleware cannot choose another client for one request, so plain http to this machine is refused if a proxy of the environment would get it.",
        cases: &[
            "proxies: * is not used for http://127.0.0.1:*",
            "proxies: * is not used for http://localhost:*",
            "proxies: * is not used for http://[::1]:*",
        ],
    },
    Exception {
        faces: &[
            "tower",
            "middleware",
            "proxy",
            "py-client",
            "py-client-async",
        ],
        reason: "The request of another client cannot be marked idempotent; an `Idempotency-Key` field has the same effect.",
        cases: &["retries: * marked idempotent *"],
    },
    Exception {
        faces: &["proxy"],
        reason: "A client names a route and not a server. A name without a route is answered with 404.",
        cases: &["origins: a credential bound to one server does not go to *"],
    },
    Exception {
        faces: &["proxy"],
        reason: "A body that is streamed is kept up to the replay limit, so that the request can be sent again.",
        cases: &[
            "bodies: a generator * after a 401",
            "bodies: a generator * after a 503",
            "bodies: a generator * after a reset",
            "renewals: after the 401 of a streamed body *",
        ],
    },
    Exception {
        faces: &["proxy"],
        reason: "A cookie of the client does not go upstream (P4).",
        cases: &["caller: a cookie of the request is kept"],
    },
    Exception {
        faces: &["proxy"],
        reason: "TRACE is refused: its response would show the token to the client.",
        cases: &["retries: TRACE after a 50* is sent again"],
    },
    Exception {
        faces: &["py-bearer"],
        reason: "A fixed token is not renewed.",
        cases: &[
            "challenges: * renews",
            "hops: a 401 before *",
            "hops: a 401 behind * is sent again*",
            "bodies: a body in memory * after a 401",
            "renewals: * is replayed in full after a 401",
            "renewals: * that means a rejected token *",
            "renewals: * means a rejected token",
            "renewals: the 403 of another origin *",
            "renewals: a 30* after a renewal *",
            "renewals: a 401 after a retry renews",
            "renewals: a retry after a renewal *",
            "renewals: a second 401 is returned",
            "renewals: * the next request carries the new token",
            "renewals: the next request carries the new token",
            "renewals: without a token nothing is sent",
        ],
    },
    Exception {
        faces: &["py-bearer"],
        reason: "A fixed token is always sent as `Authorization: Bearer`.",
        cases: &[
            "redirects: * token in a custom field",
            "hops: a 503 * token in a custom field",
            "caller: a credential in a custom field *",
        ],
    },
    Exception {
        faces: &["py-bearer", "py-managed", "py-requests"],
        reason: "The `http.client` of Python, below `requests`, takes half of a head for a whole one.",
        cases: &["retries: * after half of a head is sent *"],
    },
    Exception {
        faces: AUTH_OBJECTS,
        reason: "An auth object retries nothing. Its client does, if you set that up.",
        cases: &[
            "retries: * is sent again",
            "bounds: a response after an error is returned",
            "bounds: an error after a response is returned",
            "bounds: of four failures *",
            "hops: a 503 before *",
            "hops: a 503 behind * is sent again*",
            "bodies: a body in memory * after a 503",
            "bodies: a body in memory * after a reset",
            "renewals: a 401 after a retry renews",
            "renewals: a retry after a renewal *",
            "responses: GET after *",
            "responses: PUT after *",
            "responses: a compressed body of the last failure *",
        ],
    },
    Exception {
        faces: AUTH_OBJECTS,
        reason: "An auth object allows plain http to this machine only.",
        cases: &["proxies: * is used for http://api.test *"],
    },
    Exception {
        faces: &[
            "py-requests",
            "py-httpx",
            "py-httpx-async",
            "py-client",
            "py-client-async",
        ],
        reason: "The HTTP library chooses the proxy, so plain http to this machine is refused while a proxy would get the token.",
        cases: &["proxies: * is not used for http://*"],
    },
    Exception {
        faces: &["py-requests"],
        reason: "`requests` puts the credentials of netrc on the request that follows a redirect, unless its `trust_env` is off.",
        cases: &["caller: the credential wins over netrc and userinfo after a redirect"],
    },
    Exception {
        faces: HTTPX,
        reason: "`httpx` sends a field of another name to each server that a redirect names, so such a token is refused.",
        cases: &[
            "redirects: * token in a custom field",
            "hops: * token in a custom field",
            "renewals: * with a token in *",
            "caller: a credential in a custom field *",
        ],
    },
    Exception {
        faces: HTTPX,
        reason: "`httpx` follows a 307 or 308 itself. It begins to send a body that it cannot read again, and fails.",
        cases: &[
            "redirects: 307 * streamed, token in Authorization",
            "redirects: 308 * streamed, token in Authorization",
            "bodies: a file* after a 30*",
            "bodies: a generator * after a 30*",
        ],
    },
    Exception {
        faces: HTTPX,
        reason: "`httpx` keeps the `Content-Type` of a form that a redirect drops.",
        cases: &["bodies: a form with parts is dropped by a 303"],
    },
    Exception {
        faces: &["cli"],
        reason: "It makes no forms with parts.",
        cases: &["bodies: a form with parts *"],
    },
    Exception {
        faces: &["cli"],
        reason: "Each run of the program has a retry budget of its own.",
        cases: &["bounds: requests in an outage share one budget"],
    },
];

/// The faces whose client is not keyfob's.
const AUTH_OBJECTS: &[&str] = &["py-requests", "py-httpx", "py-httpx-async"];

const HTTPX: &[&str] = &["py-httpx", "py-httpx-async", "py-client", "py-client-async"];

/// The exception for a case, if there is one.
#[must_use]
pub fn find(face: &str, case: &Case) -> Option<&'static Exception> {
    let title = case.title();
    let covers = |patterns: &[&str]| patterns.iter().any(|pattern| matches(pattern, &title));
    EXCEPTIONS
        .iter()
        .find(|exception| exception.faces.contains(&face) && covers(exception.cases))
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

/// The list as docs/reference/contract.md shows it, in lines of its width.
#[must_use]
pub fn page() -> String {
    let items = EXCEPTIONS.iter().map(|entry| {
        let of_entry = FACES.iter().filter(|face| entry.faces.contains(&face.name));
        let titles: Vec<_> = of_entry.map(|face| face.title).collect();
        wrapped(&format!("- {}: {}", titles.join("; "), entry.reason))
    });
    items.collect()
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
        let page = include_str!("../../../docs/reference/contract.md");
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
            let known = |name: &&str| FACES.iter().any(|face| face.name == *name);
            assert!(entry.faces.iter().all(known), "{entry:?}");
            for pattern in entry.cases {
                let names_one = titles.iter().any(|title| matches(pattern, title));
                assert!(names_one, "{:?} {pattern}", entry.faces);
            }
        }
    }
}
