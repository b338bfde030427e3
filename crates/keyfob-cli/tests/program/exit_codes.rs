//! Exit codes are those of curl, each after a real fault of a server or a file.

use std::net::TcpListener;

use keyfob_testkit::{Expect, ScriptedResponse, Server};

use crate::keyfob::{Finished, Keyfob};

#[test]
fn a_name_without_an_address_and_a_closed_port_have_the_codes_of_curl() {
    let done = request("https://no-such-host.invalid/", &[]);
    assert_eq!(done.code, 6, "{done:?}");
    assert!(is_in_words(&done), "{done:?}");
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let closed = listener.local_addr().expect("it is bound");
    drop(listener);
    let done = request(&format!("http://{closed}/"), &[]);
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

fn request(url: &str, more: &[&str]) -> Finished {
    Keyfob::request([&[url, "--retry=0"], more].concat()).run()
}

/// Whether the message has neither the numbers of the system nor the steps of the HTTP client.
fn is_in_words(done: &Finished) -> bool {
    let technical = ["os error", "client error", "tcp connect", "hyper", "("];
    !technical.iter().any(|text| done.stderr.contains(text))
}
