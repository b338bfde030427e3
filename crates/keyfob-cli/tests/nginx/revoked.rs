//! If the server rejects the token, it is renewed and the request is sent once more.

use std::fs::{self, File};

use crate::keyfob::{Folder, Keyfob};
use crate::server::Nginx;

#[test]
fn a_revoked_token_is_renewed_and_the_request_is_sent_again() {
    let nginx = Nginx::start();
    let folder = Folder::new();
    nginx.revoke("good-1");
    let done = Keyfob::new([
        "request",
        &nginx.url("/ok"),
        "--token-command",
        &counting(&folder),
    ])
    .run();
    assert_eq!((done.code, &*done.stdout, &*done.stderr), (0, "ok\n", ""));
    assert_eq!(
        nginx.requests(),
        [
            "here GET /ok 401 [Bearer good-1]",
            "here GET /ok 200 [Bearer good-2]"
        ]
    );
    assert_eq!(calls(&folder), 2);
}

#[test]
fn a_body_in_memory_is_sent_again_in_full() {
    let nginx = Nginx::start();
    let folder = Folder::new();
    let note = folder.file("note", "hello");
    nginx.revoke("good-1");
    let (url, note) = (nginx.url("/upload/note"), note.display().to_string());
    let done = Keyfob::new([
        "request",
        &url,
        "-T",
        &note,
        "--token-command",
        &counting(&folder),
    ])
    .run();
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(nginx.uploaded("note").as_deref(), Some(b"hello".as_slice()));
    assert_eq!(nginx.requests().len(), 2);
}

#[test]
fn a_streamed_body_is_not_sent_again() {
    let nginx = Nginx::start();
    let folder = Folder::new();
    let note = folder.file("note", "hello");
    nginx.revoke("good-1");
    let done = Keyfob::new([
        "request",
        "PUT",
        &nginx.url("/upload/note"),
        "--data=@-",
        "--fail",
        "--token-command",
        &counting(&folder),
    ])
    .stdin(File::open(note).expect("it was just written").into())
    .run();
    assert_eq!(done.code, 22, "{done:?}");
    assert_eq!(nginx.uploaded("note"), None);
    assert_eq!(
        nginx.requests(),
        ["here PUT /upload/note 401 [Bearer good-1]"]
    );
}

#[test]
fn a_401_that_a_new_token_does_not_change_is_printed() {
    let nginx = Nginx::start();
    let done = Keyfob::new(["request", &nginx.url("/ok"), "--include"])
        .env("KEYFOB_TOKEN", "bad")
        .run();
    assert_eq!(done.code, 0, "{done:?}");
    assert!(
        done.stdout.starts_with("HTTP/1.1 401 Unauthorized\r\n"),
        "{done:?}"
    );
    assert_eq!(nginx.requests(), ["here GET /ok 401 [Bearer bad]"]);
}

/// A helper that prints `good-1`, then `good-2`, and so on.
fn counting(folder: &Folder) -> String {
    let calls = folder.path("calls").display().to_string();
    folder.script(
        "helper",
        &format!("echo >> '{calls}'; echo good-$(wc -l < '{calls}')"),
    )
}

fn calls(folder: &Folder) -> usize {
    let calls = fs::read_to_string(folder.path("calls")).expect("the helper was called");
    calls.lines().count()
}
