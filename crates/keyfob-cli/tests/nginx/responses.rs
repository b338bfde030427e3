//! Requests of every kind, and their responses.

use std::fs;

use crate::keyfob::{Finished, Folder, Keyfob};
use crate::server::Nginx;

#[test]
fn the_method_follows_the_body_unless_it_is_given() {
    let nginx = Nginx::start();
    for (arguments, method, content_type) in [
        (&["/data"][..], "GET", ""),
        (
            &["/data", "-d", "a=1"],
            "POST",
            "application/x-www-form-urlencoded",
        ),
        (&["/data", "--json", "{}"], "POST", "application/json"),
        (
            &[
                "/data",
                "-X",
                "put",
                "-d",
                "a",
                "-H",
                "Content-Type: text/plain",
            ],
            "PUT",
            "text/plain",
        ),
        (&["/data", "-d", "a", "-H", "content-type:"], "POST", ""),
    ] {
        let response = request(&nginx, arguments).stdout;
        let has = |line: String| response.lines().any(|found| found == line);
        assert!(has(format!("method={method}")), "{arguments:?}: {response}");
        assert!(
            has(format!("content-type={content_type}")),
            "{arguments:?}: {response}"
        );
    }
    let url = nginx.url("/data");
    let done = good(["patch", &url]);
    assert!(done.stdout.starts_with("method=PATCH\n"), "{done:?}");
}

#[test]
fn the_query_and_the_agent_arrive() {
    let nginx = Nginx::start();
    let response = request(&nginx, &["/data?a=1", "--query", "b=x y", "--query=c="]).stdout;
    assert!(response.contains("query=a=1&b=x+y&c=\n"), "{response}");
    assert!(response.contains("user-agent=keyfob/"), "{response}");
    let response = request(&nginx, &["/data", "-H", "User-Agent: me", "--json=1"]).stdout;
    assert!(response.contains("user-agent=me\n"), "{response}");
    assert!(response.contains("accept=application/json\n"), "{response}");
}

#[test]
fn an_unavailable_server_is_retried_as_often_as_the_option_says() {
    let nginx = Nginx::start();
    let done = request(&nginx, &["/unavailable-503", "--retry", "1"]);
    assert_eq!((done.code, &*done.stdout), (0, "unavailable\n"));
    assert_eq!(nginx.requests().len(), 2);
    let done = request(&nginx, &["/unavailable-503", "--retry", "0", "--fail"]);
    assert_eq!((done.code, &*done.stdout), (22, ""));
    assert_eq!(
        done.complaint(),
        "keyfob: the response has the status 503 Service Unavailable"
    );
    assert_eq!(nginx.requests().len(), 3);
}

#[test]
fn a_post_is_sent_once_unless_it_is_idempotent() {
    let nginx = Nginx::start();
    request(&nginx, &["/unavailable-503", "-d", "a=1", "--retry", "1"]);
    assert_eq!(nginx.requests().len(), 1);
    request(
        &nginx,
        &[
            "/unavailable-503",
            "-d",
            "a=1",
            "--retry",
            "1",
            "--idempotent",
        ],
    );
    assert_eq!(nginx.requests().len(), 3);
}

#[test]
fn the_token_does_not_follow_a_redirect_to_another_origin() {
    let nginx = Nginx::start();
    let done = request(&nginx, &["/redirect-away"]);
    assert_eq!((done.code, &*done.stdout), (0, "authorization=[]\n"));
    let done = request(&nginx, &["/redirect-here"]);
    assert_eq!((done.code, &*done.stdout), (0, "ok\n"));
}

#[test]
fn redirects_can_be_turned_off() {
    let nginx = Nginx::start();
    let done = request(
        &nginx,
        &[
            "/redirect-here",
            "--max-redirects=0",
            "-i",
            "-o",
            "/dev/null",
        ],
    );
    assert!(done.stdout.starts_with("HTTP/1.1 302 "), "{done:?}");
}

#[test]
fn large_files_are_uploaded_and_downloaded() {
    let nginx = Nginx::start();
    let folder = Folder::new();
    let contents = "0123456789abcdef".repeat(1 << 17);
    let file = folder.file("big", &contents).display().to_string();
    let done = request(&nginx, &["/upload/big", "--upload-file", &file]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(nginx.uploaded("big").as_deref() == Some(contents.as_bytes()));

    nginx.serve("big", contents.as_bytes());
    let copy = folder.path("copy").display().to_string();
    let done = request(&nginx, &["/file/big", "-o", &copy]);
    assert_eq!((done.code, &*done.stdout, &*done.stderr), (0, "", ""));
    assert!(fs::read_to_string(copy).unwrap() == contents);
}

#[test]
fn the_head_of_the_response_to_a_head_request_is_printed() {
    let nginx = Nginx::start();
    let done = good(["HEAD", &*nginx.url("/ok")]);
    assert!(done.stdout.starts_with("HTTP/1.1 200 OK\r\n"), "{done:?}");
    assert!(done.stdout.contains("content-length: 3\r\n"), "{done:?}");
}

fn request(nginx: &Nginx, arguments: &[&str]) -> Finished {
    let url = nginx.url(arguments[0]);
    let rest = arguments[1..].iter().copied();
    good([&*url].into_iter().chain(rest))
}

fn good<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Finished {
    Keyfob::request(arguments)
        .env("KEYFOB_TOKEN", "good-1")
        .run()
}
