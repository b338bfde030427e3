//! Options of curl that `keyfob request` has too, and what it says about the others.

use std::fs;

use keyfob_testkit::{Expect, Received, ScriptedResponse, Server};

use crate::keyfob::{Finished, Folder, Keyfob};

#[test]
fn data_goes_into_the_query_with_get_and_is_encoded_where_that_is_said() {
    let folder = Folder::new();
    let file = folder.file("q", "a b").display().to_string();
    let encoded = format!("q@{file}");
    let (received, done) = sent(&["-G", "-d", "a=1", "--data-urlencode", &encoded]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(received.method, "GET");
    assert_eq!(received.query.as_deref(), Some("a=1&q=a+b"));
    let (received, _) = sent(&["--data-raw", "@x", "--data-urlencode", "b=ä"]);
    assert_eq!(received.method, "POST");
    assert_eq!(received.body, "@x&b=%C3%A4");
    let (received, _) = sent(&["--data-binary", "a\nb"]);
    assert_eq!(received.body, "a\nb");
}

#[test]
fn headers_have_the_short_options_of_curl() {
    let (received, done) = sent(&["-A", "me", "-e", "https://a.example/", "-b", "a=1"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(received.header("user-agent"), Some("me"));
    assert_eq!(received.header("referer"), Some("https://a.example/"));
    assert_eq!(received.header("cookie"), Some("a=1"));
    let done = Keyfob::request(["https://h/", "-b", "s3cret.txt"]).run();
    assert_eq!(done.code, 2, "{done:?}");
    assert!(done.complaint().contains("keeps no cookies"), "{done:?}");
    assert!(!done.stderr.contains("s3cret"), "{done:?}");
}

#[test]
fn options_for_what_keyfob_does_anyway_change_nothing() {
    let (received, done) = sent(&["-LN#", "--compressed"]);
    assert_eq!((done.code, &*done.stdout), (0, "fine"), "{done:?}");
    let (without, _) = sent(&[]);
    let encodings = [received, without].map(|got| got.header("accept-encoding").map(str::to_owned));
    assert_eq!(encodings[0], encodings[1]);
}

#[test]
fn head_asks_for_the_head_alone_and_prints_it() {
    let (received, done) = sent(&["-I"]);
    assert_eq!(received.method, "HEAD");
    assert!(done.stdout.starts_with("HTTP/1.1 200 OK\r\n"), "{done:?}");
}

#[test]
fn a_form_has_texts_and_files_of_any_size() {
    let folder = Folder::new();
    let small = folder.file("small.txt", "few").display().to_string();
    let large = folder.path("large.bin");
    fs::write(&large, vec![b'x'; 3 << 20]).expect("the folder can be written");
    let large = large.display().to_string();
    let (received, done) = sent(&[
        &*format!("-Fsmall=@{small}"),
        &format!("-Ftext=<{small}"),
        &format!("-Flarge=@{large};type=a/b;filename=c.bin"),
        "--form-string=plain=@x",
    ]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(received.method, "POST");
    let content_type = received.header("content-type").expect("it has one");
    let boundary = content_type.strip_prefix("multipart/form-data; boundary=");
    let boundary = boundary.expect("it is a form");
    let body = String::from_utf8_lossy(&received.body).into_owned();
    let parts: Vec<_> = body.split(&format!("--{boundary}")).collect();
    assert_eq!(parts.len(), 6, "{}", body.len());
    assert!(
        parts[1].contains("name=\"small\"; filename=\"small.txt\"\r\nContent-Type: text/plain")
    );
    assert!(
        parts[2].ends_with("name=\"text\"\r\n\r\nfew\r\n"),
        "{}",
        parts[2]
    );
    assert!(parts[3].contains("filename=\"c.bin\"\r\nContent-Type: a/b\r\n\r\nxxx"));
    assert!(parts[3].len() > 3 << 20);
    assert!(parts[4].ends_with("\r\n\r\n@x\r\n"), "{}", parts[4]);
    assert_eq!(parts[5], "--\r\n");
    let length = received.header("content-length").map(str::to_owned);
    assert_eq!(length, Some(received.body.len().to_string()));
}

#[test]
fn r3_a_large_file_is_opened_again_after_a_401() {
    let folder = Folder::new();
    let large = folder.path("large");
    fs::write(&large, vec![b'x'; 3 << 20]).expect("the folder can be written");
    let upload = large.display().to_string();
    let part = format!("a=@{upload}");
    for arguments in [["-T", &*upload], ["-F", &part], ["-d", &part[2..]]] {
        let server = Server::start();
        let rejected = ScriptedResponse::unauthorized("Bearer error=\"invalid_token\"");
        server.expect(
            Expect::any()
                .respond(rejected)
                .respond(ScriptedResponse::status(201)),
        );
        let count = folder.path("count");
        let helper = folder.script(
            "helper",
            &format!("echo x >> '{0}'; wc -l < '{0}'", count.display()),
        );
        let url = server.url_for("/x");
        let request = ["request", &url, "--token-command", &helper];
        let done = Keyfob::new(request.iter().chain(&arguments)).run();
        assert_eq!(done.code, 0, "{done:?}");
        let received = server.received();
        assert_eq!(received.len(), 2);
        assert!(received[0].body_length >= 3 << 20);
        assert_eq!(received[0].checksum, received[1].checksum);
        assert_ne!(received[0].bearer(), received[1].bearer());
    }
}

#[test]
fn the_file_gets_the_last_name_of_the_path() {
    let folder = Folder::new();
    let server = Server::start();
    server.expect(Expect::get("/x").always(ScriptedResponse::text("fine")));
    let done = Keyfob::request([&*server.url_for("/x?a=b"), "-O"])
        .in_folder(&folder)
        .run();
    assert_eq!((done.code, &*done.stdout), (0, ""), "{done:?}");
    assert_eq!(fs::read_to_string(folder.path("x")).unwrap(), "fine");
    let done = Keyfob::request([&*server.url_for("/"), "-O"]).run();
    assert_eq!(done.code, 2, "{done:?}");
    assert!(done.complaint().contains("--output"), "{done:?}");
}

#[test]
fn the_head_is_written_to_a_file_and_facts_after_the_body() {
    let folder = Folder::new();
    let file = folder.path("head").display().to_string();
    let (_, done) = sent(&["-D", &file, "-w", r"\n%{http_code} %{size_download}\n"]);
    assert_eq!((done.code, &*done.stdout), (0, "fine\n200 4\n"), "{done:?}");
    let head = fs::read_to_string(file).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn a_failure_can_be_shown_with_its_body_or_without_silence() {
    let server = Server::start();
    let response = || ScriptedResponse::text("why").with_status(404);
    server.expect(Expect::get("/x").always(response()));
    let url = server.url_for("/x");
    let done = Keyfob::request([&*url, "--fail-with-body"]).run();
    assert_eq!((done.code, &*done.stdout), (22, "why"), "{done:?}");
    let done = Keyfob::request([&*url, "-fsS"]).run();
    assert_eq!((done.code, &*done.stdout), (22, ""), "{done:?}");
    assert!(done.complaint().contains("404"), "{done:?}");
}

#[test]
fn an_option_of_curl_that_does_not_fit_is_refused_with_the_right_way() {
    for (arguments, words) in [
        (
            &["-u", "anna:s3cret"][..],
            "put `user` and `password` into a profile",
        ),
        (
            &["-uanna:s3cret"],
            "put `user` and `password` into a profile",
        ),
        (
            &["--user=anna:s3cret"],
            "put `user` and `password` into a profile",
        ),
        (&["--oauth2-bearer", "s3cret"], "--token-file"),
        (&["-sk"], "--cacert FILE"),
        (&["--insecure"], "--cacert FILE"),
        (&["-x", "http://s3cret@proxy"], "HTTPS_PROXY"),
        (&["--connect-timeout", "2"], "--timeout"),
    ] {
        let line = ["https://h.invalid/"].iter().chain(arguments);
        let done = Keyfob::request(line).run();
        assert_eq!((done.code, &*done.stdout), (2, ""), "{done:?}");
        assert!(done.complaint().contains(words), "{done:?}");
        assert!(!done.stderr.contains("s3cret"), "{done:?}");
    }
}

/// Sends a request to a server that responds `fine`.
fn sent(arguments: &[&str]) -> (Received, Finished) {
    let server = Server::builder().body_limit(8 << 20).start();
    server.expect(Expect::any().always(ScriptedResponse::text("fine")));
    let url = server.url_for("/x");
    let done = Keyfob::request([&[&*url], arguments].concat()).run();
    (server.received().remove(0), done)
}
