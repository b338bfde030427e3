//! The nginx of these tests behaves as the other tests assume.

use crate::server::Nginx;

#[test]
fn a_good_token_is_accepted() {
    let nginx = Nginx::start();
    let response = get(&nginx, "/ok", "Authorization: Bearer good-1\r\n");
    assert_eq!(status(&response), 200);
    assert_eq!(body(&response), "ok\n");
    assert_eq!(header(&response, "WWW-Authenticate"), None);
}

#[test]
fn a_request_without_a_token_gets_a_challenge() {
    let nginx = Nginx::start();
    let response = get(&nginx, "/ok", "");
    assert_eq!(status(&response), 401);
    assert_eq!(
        header(&response, "WWW-Authenticate"),
        Some("Bearer realm=\"nginx\"")
    );
}

#[test]
fn any_other_token_is_invalid() {
    let nginx = Nginx::start();
    for authorization in ["Bearer revoked-1", "Bearer good-", "Basic good-1"] {
        let response = get(
            &nginx,
            "/data",
            &format!("Authorization: {authorization}\r\n"),
        );
        assert_eq!(status(&response), 401);
        assert_eq!(
            header(&response, "WWW-Authenticate"),
            Some("Bearer realm=\"nginx\", error=\"invalid_token\"")
        );
    }
}

#[test]
fn revoking_a_token_leaves_others_valid() {
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
fn data_returns_what_was_sent() {
    let nginx = Nginx::start();
    let response = get(
        &nginx,
        "/data?a=1&b=2",
        "Authorization: Bearer good-1\r\nUser-Agent: test\r\n",
    );
    assert!(body(&response).contains("method=GET\nquery=a=1&b=2\n"));
    assert!(body(&response).contains("user-agent=test\n"));
}

#[test]
fn unavailable_sends_the_retry_after_of_the_query() {
    let nginx = Nginx::start();
    let response = get(
        &nginx,
        "/unavailable-503",
        "Authorization: Bearer good-1\r\n",
    );
    assert_eq!(
        (status(&response), header(&response, "Retry-After")),
        (503, None)
    );
    let response = get(
        &nginx,
        "/unavailable-503?retry_after=7",
        "Authorization: Bearer good-1\r\n",
    );
    assert_eq!(
        (status(&response), header(&response, "Retry-After")),
        (503, Some("7"))
    );
}

#[test]
fn a_large_file_is_served_in_full() {
    let nginx = Nginx::start();
    let contents = "0123456789abcdef".repeat(1 << 18);
    nginx.serve("big", contents.as_bytes());
    let response = get(&nginx, "/file/big", "Authorization: Bearer good-1\r\n");
    assert_eq!(header(&response, "Content-Length"), Some("4194304"));
    assert!(body(&response) == contents);
}

#[test]
fn an_upload_is_stored_only_with_a_good_token() {
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
fn redirects_lead_to_this_origin_and_to_another() {
    let nginx = Nginx::start();
    let response = get(&nginx, "/redirect-here", "Authorization: Bearer good-1\r\n");
    assert_eq!(
        (status(&response), header(&response, "Location")),
        (302, Some(&*nginx.url("/ok")))
    );
    let response = get(&nginx, "/redirect-away", "Authorization: Bearer good-1\r\n");
    assert_eq!(
        (status(&response), header(&response, "Location")),
        (302, Some(&*nginx.url_elsewhere("/arrived")))
    );
}

#[test]
fn every_request_is_logged_in_order() {
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

fn status(response: &str) -> u16 {
    let code = response.split(' ').nth(1).expect("a status line");
    code.parse().expect("a status code")
}

fn header<'a>(response: &'a str, name: &str) -> Option<&'a str> {
    let (head, _) = response.split_once("\r\n\r\n")?;
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

fn body(response: &str) -> &str {
    response.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}
