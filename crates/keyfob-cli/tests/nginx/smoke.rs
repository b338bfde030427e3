//! The server itself does what the other tests take for granted.

use crate::server::Nginx;

#[test]
fn a_good_token_is_accepted() {
    let nginx = Nginx::start();
    let answer = get(&nginx, "/ok", "Authorization: Bearer good-1\r\n");
    assert_eq!(status(&answer), 200);
    assert_eq!(body(&answer), "ok\n");
    assert_eq!(header(&answer, "WWW-Authenticate"), None);
}

#[test]
fn no_token_is_challenged() {
    let nginx = Nginx::start();
    let answer = get(&nginx, "/ok", "");
    assert_eq!(status(&answer), 401);
    assert_eq!(
        header(&answer, "WWW-Authenticate"),
        Some("Bearer realm=\"nginx\"")
    );
}

#[test]
fn any_other_token_is_invalid() {
    let nginx = Nginx::start();
    for authorization in ["Bearer revoked-1", "Bearer good-", "Basic good-1"] {
        let answer = get(
            &nginx,
            "/data",
            &format!("Authorization: {authorization}\r\n"),
        );
        assert_eq!(status(&answer), 401);
        assert_eq!(
            header(&answer, "WWW-Authenticate"),
            Some("Bearer realm=\"nginx\", error=\"invalid_token\"")
        );
    }
}

#[test]
fn a_token_can_be_revoked_and_others_stay() {
    let nginx = Nginx::start();
    assert_eq!(
        status(&get(&nginx, "/ok", "Authorization: Bearer good-1\r\n")),
        200
    );
    nginx.revoke("good-1");
    assert_eq!(
        status(&get(&nginx, "/ok", "Authorization: Bearer good-1\r\n")),
        401
    );
    assert_eq!(
        status(&get(&nginx, "/ok", "Authorization: Bearer good-2\r\n")),
        200
    );
}

#[test]
fn data_tells_the_request() {
    let nginx = Nginx::start();
    let answer = get(
        &nginx,
        "/data?a=1&b=2",
        "Authorization: Bearer good-1\r\nUser-Agent: test\r\n",
    );
    assert!(body(&answer).contains("method=GET\nquery=a=1&b=2\n"));
    assert!(body(&answer).contains("user-agent=test\n"));
}

#[test]
fn unavailable_names_the_pause_it_is_told_to() {
    let nginx = Nginx::start();
    let answer = get(
        &nginx,
        "/unavailable-503",
        "Authorization: Bearer good-1\r\n",
    );
    assert_eq!(
        (status(&answer), header(&answer, "Retry-After")),
        (503, None)
    );
    let answer = get(
        &nginx,
        "/unavailable-503?retry_after=7",
        "Authorization: Bearer good-1\r\n",
    );
    assert_eq!(
        (status(&answer), header(&answer, "Retry-After")),
        (503, Some("7"))
    );
}

#[test]
fn a_big_file_is_served_whole() {
    let nginx = Nginx::start();
    let contents = "0123456789abcdef".repeat(1 << 18);
    nginx.serve("big", contents.as_bytes());
    let answer = get(&nginx, "/file/big", "Authorization: Bearer good-1\r\n");
    assert_eq!(header(&answer, "Content-Length"), Some("4194304"));
    assert!(body(&answer) == contents);
}

#[test]
fn an_upload_is_kept_only_with_a_good_token() {
    let nginx = Nginx::start();
    let put = |token| {
        nginx.send(&format!("PUT /upload/note HTTP/1.0\r\nAuthorization: Bearer {token}\r\nContent-Length: 5\r\n\r\nhello"))
    };
    assert_eq!(status(&put("revoked-1")), 401);
    assert_eq!(nginx.uploaded("note"), None);
    assert_eq!(status(&put("good-1")), 201);
    assert_eq!(nginx.uploaded("note").as_deref(), Some(b"hello".as_slice()));
}

#[test]
fn redirects_lead_here_and_away() {
    let nginx = Nginx::start();
    let answer = get(&nginx, "/redirect-here", "Authorization: Bearer good-1\r\n");
    assert_eq!(
        (status(&answer), header(&answer, "Location")),
        (302, Some(&*nginx.url("/ok")))
    );
    let answer = get(&nginx, "/redirect-away", "Authorization: Bearer good-1\r\n");
    assert_eq!(
        (status(&answer), header(&answer, "Location")),
        (302, Some(&*nginx.url_elsewhere("/landed")))
    );
}

#[test]
fn every_request_is_remembered_in_order() {
    let nginx = Nginx::start();
    get(&nginx, "/ok", "Authorization: Bearer good-1\r\n");
    get(&nginx, "/data?a=1", "");
    assert_eq!(
        nginx.requests(),
        [
            "here GET /ok 200 [Bearer good-1]",
            "here GET /data?a=1 401 []"
        ]
    );
}

fn get(nginx: &Nginx, target: &str, headers: &str) -> String {
    let authority = nginx.url("");
    let authority = authority.trim_start_matches("http://");
    nginx.send(&format!(
        "GET {target} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n{headers}\r\n"
    ))
}

fn status(answer: &str) -> u16 {
    let code = answer.split(' ').nth(1).expect("a status line");
    code.parse().expect("a status code")
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let (head, _) = answer.split_once("\r\n\r\n")?;
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}
