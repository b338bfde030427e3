//! Exit codes are those of curl, each after a real fault of a server or a file.

use std::net::{SocketAddr, TcpListener};

use keyfob_testkit::{Expect, ScriptedResponse, Server};

use crate::keyfob::{Finished, Keyfob};

#[test]
fn a_name_without_an_address_and_a_closed_port_have_the_codes_of_curl() {
    let done = request("https://no-such-host.invalid/", &[]);
    assert_eq!(done.code, 6, "{done:?}");
    assert!(is_in_words(&done), "{done:?}");
    let done = request(&format!("http://{}/", closed_port()), &[]);
    assert_eq!(done.code, 7, "{done:?}");
    assert!(is_in_words(&done), "{done:?}");
}

#[test]
fn a_fault_of_the_server_has_the_code_of_curl() {
    for (response, code, words) in [
        (ScriptedResponse::close(), 52, "without a response"),
        (ScriptedResponse::reset(), 56, "connection reset by peer"),
        (ScriptedResponse::garbage(), 1, "is not HTTP"),
        (
            ScriptedResponse::redirect(302, "/x"),
            47,
            "with --max-redirects",
        ),
        (
            ScriptedResponse::stream(1000).cut_body_after(400),
            18,
            "cut short",
        ),
        (ScriptedResponse::status(500), 22, "500"),
    ] {
        let server = Server::start();
        server.expect(Expect::get("/x").always(response));
        let done = request(&server.url_for("/x"), &["--fail"]);
        assert_eq!(done.code, code, "{done:?}");
        assert!(done.complaint().contains(words), "{done:?}");
        assert!(is_in_words(&done), "{done:?}");
    }
}

#[test]
fn a_fault_of_the_proxy_has_the_code_of_curl() {
    let refusing = Server::start();
    refusing.expect(Expect::any().always(ScriptedResponse::status(403)));
    let closed = closed_port();
    for (proxy, code, words) in [
        (
            "http://me:s3cret@no-such-host.invalid:3128".to_owned(),
            5,
            "the proxy http://no-such-host.invalid:3128, which the environment names, has not connected to api.test:443: ",
        ),
        (
            format!("http://me:s3cret@{closed}"),
            7,
            "has not connected to api.test:443: connection refused",
        ),
        (
            refusing.url().replace("//", "//me:s3cret@"),
            56,
            "refused a connection to api.test:443 with status 403; it does not allow this server",
        ),
    ] {
        let done = Keyfob::request(["https://api.test/x", "--retry=0"])
            .env("HTTPS_PROXY", &proxy)
            .run();
        assert_eq!(done.code, code, "{done:?}");
        assert!(done.complaint().contains(words), "{done:?}");
        assert!(!done.stderr.contains("s3cret"), "{done:?}");
        let technical = ["os error", "client error", "tcp connect", "tunnel error"];
        assert!(
            !technical.iter().any(|text| done.stderr.contains(text)),
            "{done:?}"
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_has_the_code_of_curl() {
    let server = Server::start();
    server.expect(Expect::get("/x").always(ScriptedResponse::text("body")));
    let done = request(&server.url_for("/x"), &["-o", "/dev/full"]);
    assert_eq!(done.code, 23, "{done:?}");
    let words = "keyfob: /dev/full cannot be written: no space left on device";
    assert_eq!(done.complaint(), words);
    let full = std::fs::File::options().write(true).open("/dev/full");
    let done = Keyfob::request([server.url_for("/x")])
        .stdout(full.expect("Linux has it").into())
        .run();
    assert_eq!(done.code, 23, "{done:?}");
    let words = "keyfob: standard output cannot be written: no space left on device";
    assert_eq!(done.complaint(), words);
}

/// An address at which no server listens.
fn closed_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    listener.local_addr().expect("it is bound")
}

fn request(url: &str, more: &[&str]) -> Finished {
    Keyfob::request([&[url, "--retry=0"], more].concat()).run()
}

/// Whether the message has neither the numbers of the system nor the steps of the HTTP client.
fn is_in_words(done: &Finished) -> bool {
    let technical = ["os error", "client error", "tcp connect", "hyper", "("];
    !technical.iter().any(|text| done.stderr.contains(text))
}
