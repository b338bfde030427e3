//! R1 for random texts: the origin that was judged must be the one that the client connects to.

use fastrand::Rng;

use crate::case::Case;
use crate::corpus::builders::{expect, get, ok, redirect};
use crate::expectation::Expectation;

/// Cases of random URLs and Locations. The same seed gives the same cases.
///
/// Requests for other machines go to the proxy, which records them.
#[must_use]
pub fn random(seed: u64, cases: usize) -> Vec<Case> {
    let mut rng = Rng::with_seed(seed);
    let cases = 0..cases;
    cases
        .map(|number| {
            let name = format!("seed {seed}, number {number}");
            let texts: Vec<_> = (0..TEXTS).map(|_| text(&mut rng)).collect();
            match number % 3 {
                0 => bound(name, &texts),
                1 => unbound(name, &texts),
                _ => locations(name, &texts),
            }
        })
        .collect()
}

/// URLs, and a credential for `a` alone.
fn bound(name: String, urls: &[String]) -> Case {
    let case = case(name)
        .client(|client| client.origins = vec!["{a}".to_owned()])
        .expect(only_at_a());
    urls.iter().fold(case, |case, url| case.send(get(url)))
}

/// URLs, and a credential for this machine and for https.
fn unbound(name: String, urls: &[String]) -> Case {
    let expected = expect()
        .anything_at("a")
        .anything_at("b")
        .anything_at("six");
    let case = case(name).expect(expected.no_token_at("p"));
    urls.iter().fold(case, |case, url| case.send(get(url)))
}

/// Redirects of `a`.
fn locations(name: String, locations: &[String]) -> Case {
    let case = case(name).expect(only_at_a());
    locations.iter().fold(case, |case, location| {
        let location = location.replace(NOT_IN_A_FIELD, "\t");
        case.send(get("{a}/start"))
            .server("a", [redirect(302, &location)])
    })
}

fn case(name: String) -> Case {
    Case::new("random", "R1", name)
        .client(|client| {
            let proxied = ["http_proxy", "https_proxy"];
            client.environment = proxied
                .map(|variable| (variable.to_owned(), "{p}".to_owned()))
                .into();
            client.retry.attempts = 1;
            client.timeout_ms = 1000;
        })
        .always("a", ok())
        .always("b", ok())
        .always("p", ok())
        .always("six", ok())
}

fn only_at_a() -> Expectation {
    let expected = expect().anything_at("a").no_token_at("b");
    expected.no_token_at("six").no_token_at("p")
}

/// Parts of URLs in an order that is mostly right, with a few odd characters.
fn text(rng: &mut Rng) -> String {
    let mut parts = vec![
        rng.choice(SCHEMES),
        rng.choice(SEPARATORS),
        rng.choice(USERINFO),
        rng.choice(HOSTS),
        rng.choice(PORTS),
        rng.choice(TAILS),
    ];
    for _ in 0..rng.usize(0..3) {
        let place = rng.usize(0..=parts.len());
        parts.insert(place, rng.choice(ODD));
    }
    if rng.u8(0..8) == 0 {
        let (one, other) = (rng.usize(0..parts.len()), rng.usize(0..parts.len()));
        parts.swap(one, other);
    }
    parts.into_iter().flatten().copied().collect()
}

/// How many texts one case has.
const TEXTS: usize = 24;

/// Characters that no header field can hold.
const NOT_IN_A_FIELD: [char; 4] = ['\r', '\n', '\u{b}', '\u{1f}'];

const SCHEMES: &[&str] = &[
    "http",
    "http",
    "http",
    "http",
    "https",
    "HTTP",
    "hTtP",
    "ht\ttp",
    "",
    "",
    "ftp",
    "http:http",
    "ws",
];

const SEPARATORS: &[&str] = &[
    "://", "://", "://", "://", "//", ":", ":/", ":///", ":////", ":\\\\", "\\\\", "/\\", ":/\\",
    "\\/",
];

const USERINFO: &[&str] = &[
    "",
    "",
    "",
    "",
    "user@",
    "user:pass@",
    "@",
    "127.0.0.1@",
    "127.0.0.1:{a.port}@",
    "127.0.0.1:{a.port}\\@",
    "127.0.0.1:{a.port}/@",
    "127.0.0.1:{a.port}#@",
    "127.0.0.1:{a.port}?@",
    "127.0.0.1:{a.port}%2f@",
    "127.0.0.1:{a.port}%40",
    "a@b@",
    ":@",
];

const HOSTS: &[&str] = &[
    "127.0.0.1",
    "127.0.0.1",
    "127.0.0.1",
    "localhost",
    "LocalHost",
    "localhost.",
    "127.0.0.1.",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "127.0.0.1.evil.test",
    "localhost.evil.test",
    "evil.test",
    "a.localhost",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::1%25lo]",
    "[0:0:0:0:0:0:0:1]",
    "127\u{3002}0\u{3002}0\u{3002}1",
    "\u{ff11}27.0.0.1",
    "local\u{ad}host",
    "%6c%6f%63%61%6c%68%6f%73%74",
    "127%2e0%2e0%2e1",
    "b\u{fc}cher.test",
    "xn--bcher-kva.test",
    "",
    "0",
    "*",
];

const PORTS: &[&str] = &[
    ":{b.port}",
    ":{b.port}",
    ":{b.port}",
    ":{a.port}",
    ":{six.port}",
    ":0{b.port}",
    ":{a.port}:{b.port}",
    ":{b.port}:{a.port}",
    ":+{b.port}",
    ":{a.port}@127.0.0.1:{b.port}",
    ":{b.port}@127.0.0.1:{a.port}",
    ":{a.port}\\@127.0.0.1:{b.port}",
    ":",
    "",
    ":65536",
    ":99999",
    ":-1",
    ":http",
];

const TAILS: &[&str] = &[
    "/x",
    "/x",
    "",
    "?x",
    "#x",
    "\\x",
    "/..//x",
    "/@127.0.0.1:{a.port}/",
    "\\@127.0.0.1:{a.port}/",
    "#@127.0.0.1:{a.port}/",
    "?@127.0.0.1:{a.port}/",
    ";x",
    "/%2e%2e/x",
];

const ODD: &[&str] = &[
    "\t", " ", "\n", "\r", "\u{b}", "\u{1f}", "\\", "/", "@", ":", "#", "?", "%", "%00", "%09",
    "%20", ".", "..", ";", "[", "]", "\u{3002}", "\u{ad}", "\u{200b}", "\u{a0}", "\u{2028}",
    "\u{fe13}", "\u{ff20}", "\u{ff0f}", "|", "^", "\"", "<", "{", "}", "`", "'", "_", "~", "-",
];
