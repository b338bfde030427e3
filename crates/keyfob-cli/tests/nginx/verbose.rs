//! What `--verbose` shows of a request, and what it never shows.

use crate::keyfob::{Finished, Keyfob};
use crate::server::Nginx;

#[test]
fn verbose_shows_both_heads() {
    let nginx = Nginx::start();
    let done = request(&nginx, &["/data", "-v", "--query=a=1", "-d", "x=1"]);
    for line in [
        "> POST /data?a=[hidden]",
        "> authorization: Bearer [hidden]",
        "> content-type: application/x-www-form-urlencoded",
        "> content-length: 3",
        "< HTTP/1.1 200 OK",
        "< server: nginx",
    ] {
        let shown = done.stderr.lines().any(|shown| shown.starts_with(line));
        assert!(shown, "no `{line}` in {done:?}");
    }
    assert!(done.stdout.starts_with("method=POST\n"), "{done:?}");
}

#[test]
fn no_secret_is_shown_however_verbose() {
    let nginx = Nginx::start();
    for path in [
        "/ok",
        "/data?echo=good-1",
        "/redirect-here",
        "/redirect-away",
        "/unavailable-503",
        "/missing",
    ] {
        let done = request(
            &nginx,
            &[
                path,
                "-vvv",
                "--retry=0",
                "--output=/dev/null",
                "--header=Authorization: Basic s3cret",
                "--header=Cookie: id=s3cret",
                "--header=X-Api-Key: s3cret",
                "--header=Proxy-Authorization: s3cret",
            ],
        );
        assert_eq!((done.code, &*done.stdout), (0, ""));
        for secret in ["good-1", "s3cret"] {
            assert!(!done.stderr.contains(secret), "{path}: {done:?}");
        }
        assert!(done.stderr.contains("> cookie: [hidden]"), "{done:?}");
    }
}

#[test]
fn given_twice_verbose_shows_renewals_and_retries() {
    let nginx = Nginx::start();
    let done = request(&nginx, &["/unavailable-503", "-vv", "--retry=1"]);
    assert!(done.stderr.contains("token renewed"), "{done:?}");
    assert!(
        done.stderr.contains("request will be sent again"),
        "{done:?}"
    );
}

#[test]
fn an_authorization_header_of_the_caller_does_not_replace_the_token() {
    let nginx = Nginx::start();
    request(&nginx, &["/ok", "--header=Authorization: Basic eDp5"]);
    assert_eq!(nginx.requests(), ["here GET /ok 200 [Bearer good-1]"]);
}

fn request(nginx: &Nginx, arguments: &[&str]) -> Finished {
    let url = nginx.url(arguments[0]);
    let rest = arguments[1..].iter().copied();
    Keyfob::request([&*url, "--token-env=GOOD"].into_iter().chain(rest))
        .env("GOOD", "good-1")
        .run()
}
