//! Tokens in the responses to plain HTTP requests.

use std::time::Duration;

use keyfob::http::StatusCode;
use keyfob::oauth::{ExpiryForm, RequestText};
use keyfob::{
    Error, ErrorKind, Expiry, FixedToken, HttpToken, HttpTokenBuilder, Token, TokenCache,
};
use keyfob_testkit::{Expect, ManualClock, ScriptedResponse, Server, json};

use crate::error_texts::error_texts;
use crate::fixtures::token_of;

fn source(server: &Server) -> HttpTokenBuilder {
    HttpToken::builder(server.url_for("/login?s3cret=query"))
}

async fn token(server: &Server, response: ScriptedResponse) -> Result<Token, Error> {
    server.expect(Expect::any().respond(response));
    let source = source(server).token("/data/token");
    token_of(source.build().unwrap()).await
}

#[tokio::test]
async fn a_request_has_the_headers_and_body_that_were_set() {
    let server = Server::start();
    let inner = || RequestText::token_of(FixedToken::new(Token::new("inn3r").unwrap()));
    server.expect(
        Expect::post("/login")
            .header("x-token", "inn3r")
            .header("authorization", "Bearer inn3r")
            .header("content-type", "application/json")
            .json(json!({"auth": {"jwt": "inn3r", "role": "a\"b"}, "ttl": 5, "dry": false}))
            .respond(ScriptedResponse::text("t0ken")),
    );
    let json_request = source(&server)
        .header("X-Token", inner())
        .header("Authorization", inner().after("Bearer "))
        .json("/auth/jwt", inner())
        .json("/auth/role", "a\"b")
        .json("/ttl", json!(5))
        .json("/dry", json!(false));
    assert_eq!(
        token_of(json_request.build().unwrap())
            .await
            .unwrap()
            .expose(),
        "t0ken"
    );
    server.expect(
        Expect::put("/login")
            .form("jwt", "inn3r")
            .form("a b", "c&d")
            .header("accept", "text/plain")
            .respond(ScriptedResponse::text("t0ken")),
    );
    let form_request = source(&server)
        .method(keyfob::http::Method::PUT)
        .header("accept", "text/plain")
        .form("jwt", inner())
        .form("a b", "c&d");
    assert_eq!(
        token_of(form_request.build().unwrap())
            .await
            .unwrap()
            .expose(),
        "t0ken"
    );
    server.expect(
        Expect::get("/login")
            .without_header("content-type")
            .without_header("content-length")
            .respond(ScriptedResponse::json(
                json!({"access_token": "t0ken", "expires_in": "60"}),
            )),
    );
    let got = token_of(source(&server).build().unwrap()).await.unwrap();
    assert_eq!(got.expires(), Expiry::In(Duration::from_secs(60)));
    server.verify();
}

#[tokio::test]
async fn t5_an_expiry_is_read_at_its_pointer_or_beside_the_token() {
    let seconds = |seconds| Expiry::In(Duration::from_secs(seconds));
    let server = Server::start();
    for (body, pointer, expiry) in [
        (
            json!({"data": {"token": "t", "ttl": 60}}),
            None,
            seconds(60),
        ),
        (
            json!({"data": {"token": "t"}, "life": "60"}),
            Some(("/life", ExpiryForm::Seconds)),
            seconds(60),
        ),
        (
            json!({"data": {"token": "t", "ttl": 0}}),
            Some(("/data/ttl", ExpiryForm::SecondsOrNever)),
            Expiry::Unknown,
        ),
        (json!({"data": {"token": "t"}}), None, Expiry::Unknown),
        (
            json!({"data": {"token": "t"}, "expires_in": 60}),
            None,
            seconds(60),
        ),
        (
            json!({"data": {"token": "t", "ttl": 60}, "expires_in": 90}),
            None,
            seconds(60),
        ),
    ] {
        server.expect(Expect::any().respond(ScriptedResponse::json(body)));
        let mut source = source(&server).token("/data/token");
        if let Some((pointer, form)) = pointer {
            source = source.expiry(pointer, form);
        }
        let token = token_of(source.build().unwrap()).await.unwrap();
        assert_eq!(token.expires(), expiry);
    }
    let body = json!({"data": {"token": "t", "expires": "when it is over"}});
    let error = token(&server, ScriptedResponse::json(body))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(error.to_string().contains("`expires`"), "{error}");
}

#[tokio::test]
async fn t2_a_status_is_permanent_or_temporary() {
    for (status, kind) in [
        (400, ErrorKind::Refused),
        (401, ErrorKind::Refused),
        (403, ErrorKind::Refused),
        (404, ErrorKind::Refused),
        (408, ErrorKind::Unavailable),
        (410, ErrorKind::Unavailable),
        (429, ErrorKind::Unavailable),
        (500, ErrorKind::Unavailable),
        (503, ErrorKind::Unavailable),
        (302, ErrorKind::Unavailable),
    ] {
        let server = Server::start();
        let response = ScriptedResponse::status(status).header("location", "/elsewhere");
        let error = token(&server, response).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status}");
        assert!(error.to_string().contains(&status.to_string()), "{error}");
        assert_eq!(server.calls(), 1, "{status}");
    }
    let server = Server::start();
    let response = ScriptedResponse::status(403).header("retry-after", "7");
    let error = token(&server, response).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.pause(), Some(Duration::from_secs(7)));
    server.expect(Expect::any().respond(ScriptedResponse::status(404)));
    let source = source(&server).refused([StatusCode::GONE]).build().unwrap();
    assert_eq!(
        token_of(source).await.unwrap_err().kind(),
        ErrorKind::Unavailable
    );
}

#[tokio::test]
async fn t2_a_rate_limit_without_retry_after_ends_when_it_says() {
    let date = "Tue, 01 Dec 2026 00:00:00 GMT";
    for (status, prefix, left, reset, pause) in [
        (403, "x-ratelimit", "0", "1796083260", Some(60)),
        (403, "x-ratelimit", "0", "1796083140", Some(1)),
        (429, "x-rate-limit", "0", "60", Some(60)),
        (429, "ratelimit", "0", "0", Some(1)),
        (403, "x-ratelimit", "1", "60", None),
        (404, "x-ratelimit", "0", "60", None),
        (403, "x-ratelimit", "0", "soon", None),
    ] {
        let server = Server::start();
        let response = ScriptedResponse::json(json!({"message": "API rate limit exceeded"}))
            .with_status(status)
            .header("date", date)
            .header(&format!("{prefix}-remaining"), left)
            .header(&format!("{prefix}-reset"), reset);
        let error = token(&server, response).await.unwrap_err();
        assert_eq!(
            error.pause(),
            pause.map(Duration::from_secs),
            "{prefix} {reset}"
        );
        let kind = match (pause, status) {
            (None, 403 | 404) => ErrorKind::Refused,
            _ => ErrorKind::Unavailable,
        };
        assert_eq!(error.kind(), kind);
    }
}

#[tokio::test]
async fn t2_a_text_of_a_gateway_is_no_refusal_for_ever() {
    for (status, text, calls) in [
        (404, "default backend - 404", 2),
        (403, "Forbidden", 2),
        (404, "", 1),
        (404, "{\"message\": \"Not Found\"}", 1),
        (401, "Unauthorized", 1),
    ] {
        let server = Server::start();
        server.expect(Expect::any().always(ScriptedResponse::text(text).with_status(status)));
        let clock = ManualClock::default();
        let cache = TokenCache::builder(source(&server).build().unwrap());
        let cache = cache.clock(clock.clone()).build().unwrap();
        for _ in 0..2 {
            let error = cache.get_valid_token().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused, "{text}");
            clock.advance(Duration::from_secs(61));
        }
        assert_eq!(server.calls(), calls, "{status} {text}");
    }
}

#[tokio::test]
async fn s3_an_error_says_what_is_there_and_shows_no_secret() {
    let server = Server::start();
    for (response, says) in [
        (
            ScriptedResponse::json(json!({"data": {"other": "s3cret"}})),
            "at `/data` is an object with the members `other`",
        ),
        (
            ScriptedResponse::json(json!({"data": {"token": 5}})),
            "a number at `/data/token`",
        ),
        (
            ScriptedResponse::json(json!({"data": {"token": ""}})),
            "an empty text at `/data/token`",
        ),
        (
            ScriptedResponse::json(json!({"data": {"token": "s3cret\n s3cret"}})),
            "characters that no token has",
        ),
        (
            ScriptedResponse::json(json!(["s3cret"])),
            "it is a list of 1",
        ),
        (
            ScriptedResponse::text("<html>s3cret"),
            "not the expected JSON",
        ),
        (
            ScriptedResponse::json(json!({"error": "s3cret-role"})).with_status(403),
            "an error code that cannot be shown",
        ),
    ] {
        server.expect(Expect::any().respond(response));
        let source = source(&server)
            .header("authorization", "Bearer s3cret-role")
            .json("/password", "s3cret")
            .token("/data/token");
        let error = token_of(source.build().unwrap()).await.unwrap_err();
        let text = error_texts(&error);
        assert!(text.contains(says), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
    }
}

#[tokio::test]
async fn t2_a_page_of_a_firewall_is_no_refusal_of_the_server() {
    let server = Server::start();
    let page = ScriptedResponse::status(403)
        .header("content-type", "text/html")
        .body("<html>blocked</html>");
    server.expect(Expect::any().respond(page));
    let source = source(&server).token("/token").build().unwrap();
    let error = token_of(source).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let text = error.to_string();
    assert!(text.starts_with("a proxy or a gateway before "), "{text}");
}

#[test]
fn s1_debug_output_shows_names_and_no_values() {
    let builder = || {
        HttpToken::builder("https://login.example.com/s3cret?s3cret")
            .header("x-key", "s3cret")
            .form("password", "s3cret")
            .form(
                "jwt",
                RequestText::token_of(FixedToken::new(Token::new("s3cret").unwrap()))
                    .after("s3cret "),
            )
    };
    let text = format!("{:?} {:?}", builder(), builder().build().unwrap());
    assert!(
        text.contains("x-key") && text.contains("password"),
        "{text}"
    );
    assert!(!text.contains("s3cret"), "{text}");
}

#[test]
fn r1_plain_http_goes_only_where_it_was_allowed() {
    let built = |url: &str, allowed: Option<&str>| {
        let builder = HttpToken::builder(url);
        match allowed {
            Some(origin) => builder.allow_plain_http(origin).build(),
            None => builder.build(),
        }
    };
    assert!(built("http://127.0.0.1:1/", None).is_ok());
    assert!(
        built(
            "http://vault.internal:8200/v1",
            Some("http://vault.internal:8200")
        )
        .is_ok()
    );
    for (url, allowed) in [
        ("http://vault.internal:8200/v1", None),
        (
            "http://vault.internal:8200/v1",
            Some("http://vault.internal"),
        ),
        ("http://169.254.169.254/token", None),
        (
            "http://169.254.169.254/token",
            Some("http://169.254.169.254"),
        ),
        (
            "http://metadata.google.internal/token",
            Some("http://metadata.google.internal"),
        ),
        (
            "http://[fd00:ec2::254]/token",
            Some("http://[fd00:ec2::254]"),
        ),
    ] {
        let error = built(url, allowed).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Origin, "{url}");
        assert!(error.to_string().contains("plain http"), "{error}");
    }
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let builder = || HttpToken::builder("https://login.example.com/");
    for (builder, says) in [
        (builder().form("a", "b").json("/a", "b"), "several bodies"),
        (
            builder().json("/a", "b").json("/a/c", "d"),
            "two values at `/a/c`",
        ),
        (
            builder().json("/a/c", "b").json("/a", "d"),
            "two values at `/a`",
        ),
        (builder().token("data.token"), "RFC 6901"),
        (builder().header("a b", "c"), "not allowed"),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        assert!(error.to_string().contains(says), "{error}");
    }
}
