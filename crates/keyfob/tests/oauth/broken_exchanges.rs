//! T9: an exchange that breaks, at each place where it can, and what the next run does then.

use std::sync::Arc;
use std::time::Duration;

use keyfob::oauth::{Client, RefreshToken};
use keyfob::source::Persisted;
use keyfob::store::{MemoryStore, TokenStore};
use keyfob::{ErrorKind, TokenCache, reqwest};
use keyfob_testkit::{Expect, ScriptedResponse, Server, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::fixtures::SECOND;
use crate::refresh_runs::{Runs, key};

/// Each place at which the response to a request that was sent can break off.
pub(crate) fn lost_responses() -> Vec<(&'static str, ScriptedResponse)> {
    let raw = |text: &'static str| ScriptedResponse::raw(text);
    let whole = || ScriptedResponse::json(json!({"access_token": "lost", "token_type": "Bearer"}));
    let gateway = |status| ScriptedResponse::text("<html>gateway</html>").with_status(status);
    vec![
        ("closed before the head", ScriptedResponse::close()),
        ("reset before the head", ScriptedResponse::reset()),
        ("no response at all", ScriptedResponse::hang()),
        ("not HTTP", ScriptedResponse::garbage()),
        ("in the status line", raw("HTTP/1.1 20")),
        ("after the status line", raw("HTTP/1.1 200 OK\r\n")),
        ("in the headers", raw("HTTP/1.1 200 OK\r\ncontent-ty")),
        (
            "after the head",
            raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"),
        ),
        ("in a body with a length", whole().cut_body_after(12)),
        (
            "before the last byte",
            raw("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{}"),
        ),
        ("reset in the body", whole().reset_body_after(12)),
        ("too slow a body", whole().slow_body(1, SECOND)),
        (
            "in a chunk",
            raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n20\r\n{\"access"),
        ),
        (
            "between chunks",
            raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n"),
        ),
        (
            "before the end of the chunks",
            raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"),
        ),
        (
            "in a body without a length",
            raw("HTTP/1.1 200 OK\r\n\r\n{\"access_token\":\"lo"),
        ),
        ("no body and no length", raw("HTTP/1.1 200 OK\r\n\r\n")),
        (
            "in a body that no chunk ends",
            raw("HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\n{\"access_token\":\"lo"),
        ),
        (
            "no body that no chunk ends",
            raw("HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\n"),
        ),
        (
            "in the first name of a form",
            raw("HTTP/1.1 200 OK\r\n\r\naccess_tok"),
        ),
        (
            "in a value of a form",
            raw("HTTP/1.1 200 OK\r\n\r\naccess_token=lost&refresh_token=lo"),
        ),
        (
            "in the error code of a form",
            raw("HTTP/1.1 400 Bad\r\n\r\nerror=invalid_gra"),
        ),
        (
            "in a compressed body",
            ScriptedResponse::raw(
                &b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n\x1f\x8b\x08\0\0\0"[..],
            ),
        ),
        (
            "in a compressed body that is not declared",
            ScriptedResponse::raw(&b"HTTP/1.1 200 OK\r\n\r\n\x1f\x8b\x08\0\0\0"[..]),
        ),
        (
            "in a body with a coding that is not known",
            raw("HTTP/1.1 200 OK\r\ncontent-encoding: zstd\r\n\r\n(\u{b5}/\u{fd}"),
        ),
        (
            "an error in a body with a length",
            raw("HTTP/1.1 400 Bad\r\ncontent-length: 99\r\n\r\n{\"error\""),
        ),
        ("a gateway's 502", gateway(502)),
        ("a gateway's 504", gateway(504)),
        (
            "a gateway's 502 in JSON",
            ScriptedResponse::json(json!({"message": "x"})).with_status(502),
        ),
        (
            "a gateway's 504 without a body",
            ScriptedResponse::status(504),
        ),
        (
            "a gateway's 502 with a code of its own",
            ScriptedResponse::json(json!({"error": "bad_gateway"})).with_status(502),
        ),
        ("a network's 520", gateway(520)),
        ("a network's 524", gateway(524)),
    ]
}

/// Complete responses of the server itself, which bring no token, and the kind of error.
fn known_responses() -> Vec<(&'static str, ScriptedResponse, ErrorKind)> {
    let text = |text: &str, status| ScriptedResponse::text(text).with_status(status);
    let code =
        |code: &str, status| ScriptedResponse::json(json!({"error": code})).with_status(status);
    vec![
        ("a refusal", code("invalid_grant", 400), ErrorKind::Refused),
        (
            "a refusal as a form",
            text("error=invalid_grant", 400),
            ErrorKind::Refused,
        ),
        (
            "a refusal without a length",
            ScriptedResponse::raw("HTTP/1.1 401 No\r\n\r\n"),
            ErrorKind::Refused,
        ),
        ("a page", text("<html>", 200), ErrorKind::Malformed),
        (
            "a page without a length",
            ScriptedResponse::raw("HTTP/1.1 200 OK\r\n\r\n<html>"),
            ErrorKind::Malformed,
        ),
        (
            "a list without a length",
            ScriptedResponse::raw("HTTP/1.1 200 OK\r\n\r\n[]"),
            ErrorKind::Malformed,
        ),
        (
            "words without a length, and the status of an error",
            ScriptedResponse::raw("HTTP/1.1 404 No\r\n\r\nnot found"),
            ErrorKind::Unavailable,
        ),
        (
            "a compressed page that is cut, with its length",
            ScriptedResponse::raw(
                &b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n\x1f\x8b\x08\0\0\0"[..],
            ),
            ErrorKind::Malformed,
        ),
        (
            "a refusal as a form in chunks",
            ScriptedResponse::raw(
                "HTTP/1.1 400 Bad\r\ntransfer-encoding: chunked\r\n\r\n13\r\nerror=invalid_grant\r\n0\r\n\r\n",
            ),
            ErrorKind::Refused,
        ),
        (
            "an empty object",
            ScriptedResponse::json(json!({})),
            ErrorKind::Malformed,
        ),
        (
            "a list",
            ScriptedResponse::json(json!([])),
            ErrorKind::Malformed,
        ),
        (
            "half of an object, with its length",
            text("{\"access", 200),
            ErrorKind::Malformed,
        ),
        (
            "nothing",
            ScriptedResponse::status(204),
            ErrorKind::Malformed,
        ),
        (
            "busy, with status 200",
            code("temporarily_unavailable", 200),
            ErrorKind::Unavailable,
        ),
        (
            "busy",
            ScriptedResponse::unavailable(),
            ErrorKind::Unavailable,
        ),
        (
            "an internal error",
            text("<html>", 500),
            ErrorKind::Unavailable,
        ),
        (
            "an error of the server through a gateway",
            code("server_error", 502),
            ErrorKind::Unavailable,
        ),
        (
            "moved",
            ScriptedResponse::redirect(307, "http://127.0.0.1:9/"),
            ErrorKind::Unavailable,
        ),
        ("not found", text("no", 404), ErrorKind::Unavailable),
        (
            "too slow a request",
            text("no", 408),
            ErrorKind::Unavailable,
        ),
        (
            "too many requests",
            ScriptedResponse::too_many_requests("3"),
            ErrorKind::Unavailable,
        ),
    ]
}

fn token(text: &str) -> ScriptedResponse {
    ScriptedResponse::json(json!({
        "access_token": text,
        "token_type": "Bearer",
        "expires_in": 3600,
        "refresh_token": format!("refresh-of-{text}"),
    }))
}

fn refusal() -> ScriptedResponse {
    ScriptedResponse::json(json!({"error": "invalid_grant"})).with_status(400)
}

#[tokio::test]
async fn t9_after_a_lost_response_the_refresh_token_is_sent_once_more_within_the_grace() {
    for (place, response) in lost_responses() {
        let runs = Runs::new();
        runs.responds("first", response);
        let error = runs.run().await.unwrap_err();
        assert!(error.is_outcome_unknown(), "{place}: {error}");
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{place}: {error}");
        assert!(
            error.to_string().contains("; it may have "),
            "{place}: {error}"
        );
        assert!(runs.entry().await.pending_exchange().is_some(), "{place}");

        runs.responds("first", token("second"));
        assert_eq!(runs.run().await.unwrap().expose(), "second", "{place}");
        assert!(runs.entry().await.pending_exchange().is_none(), "{place}");
        runs.server.verify();
    }
}

#[tokio::test]
async fn t9_after_a_lost_response_and_the_grace_nothing_is_sent_until_a_new_sign_in() {
    for (place, response) in lost_responses() {
        let mut runs = Runs::new();
        runs.grace = Duration::ZERO;
        runs.responds("first", response);
        runs.run().await.unwrap_err();

        let error = runs.run().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{place}");
        assert!(
            error.to_string().contains("sign in again"),
            "{place}: {error}"
        );
        assert_eq!(runs.server.calls(), 1, "{place}");

        runs.sign_in().await;
        runs.responds("new", token("third"));
        assert_eq!(runs.run().await.unwrap().expose(), "third", "{place}");
        runs.server.verify();
    }
}

#[tokio::test]
async fn t9_a_server_that_replaced_the_refresh_token_refuses_once_and_is_not_asked_again() {
    for (place, response) in lost_responses() {
        let runs = Runs::new();
        runs.responds("first", response);
        runs.run().await.unwrap_err();
        runs.responds("first", refusal());
        for _ in 0..2 {
            let error = runs.run().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused, "{place}");
            assert!(
                error.to_string().contains("`invalid_grant`"),
                "{place}: {error}"
            );
        }
        assert_eq!(runs.server.calls(), 2, "{place}");
    }
}

#[tokio::test]
async fn t9_a_known_failure_does_not_settle_what_a_lost_response_left_open() {
    for (what, response, kind) in known_responses() {
        let runs = Runs::new();
        runs.responds("first", ScriptedResponse::close());
        runs.run().await.unwrap_err();
        runs.responds("first", response);
        runs.run().await.unwrap_err();
        assert!(runs.entry().await.pending_exchange().is_some(), "{what}");
        let calls = runs.server.calls();

        // After the grace, the server may take the refresh token of the lost response for a stolen one.
        runs.clock.advance(SECOND * 61);
        let error = runs.run().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{what} ({kind})");
        assert!(
            error.to_string().contains("sign in again"),
            "{what}: {error}"
        );
        assert_eq!(runs.server.calls(), calls, "{what}");
        runs.sign_in().await;
        runs.responds("new", token("third"));
        assert_eq!(runs.run().await.unwrap().expose(), "third", "{what}");
    }
}

#[tokio::test]
async fn t9_a_response_that_arrived_whole_is_never_unknown() {
    for (what, response, kind) in known_responses() {
        let runs = Runs::new();
        runs.responds("first", response);
        let error = runs.run().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{what}: {error}");
        assert!(!error.is_outcome_unknown(), "{what}");
        assert!(runs.entry().await.pending_exchange().is_none(), "{what}");

        // Long after the grace, the same refresh token still works.
        runs.clock.advance(SECOND * 3600);
        runs.responds("first", token("second"));
        assert_eq!(runs.run().await.unwrap().expose(), "second", "{what}");
        runs.server.verify();
    }
}

#[tokio::test]
async fn t9_the_new_refresh_token_of_a_response_that_is_refused_is_stored() {
    for response in [
        json!({"access_token": "t", "token_type": "mac", "refresh_token": "next"}),
        json!({"access_token": "t\n", "token_type": "Bearer", "refresh_token": "next"}),
        json!({"access_token": "t", "expires_in": "soon", "refresh_token": "next"}),
        json!({"token_type": "Bearer", "refresh_token": "next"}),
        json!({"error": "server_error", "refresh_token": "next"}),
    ] {
        let runs = Runs::new();
        runs.responds("first", ScriptedResponse::json(response.clone()));
        let error = runs.run().await.unwrap_err();
        assert!(!error.is_outcome_unknown(), "{response}");
        let entry = runs.entry().await;
        assert_eq!(
            entry.token().unwrap().refresh_token(),
            Some("next"),
            "{response}"
        );
        assert!(entry.pending_exchange().is_none());

        runs.responds("next", token("second"));
        assert_eq!(runs.run().await.unwrap().expose(), "second", "{response}");

        // The same with a token in the store.
        runs.sign_in().await;
        runs.responds("new", ScriptedResponse::json(response.clone()));
        runs.run().await.unwrap_err();
        assert_eq!(
            runs.entry().await.token().unwrap().refresh_token(),
            Some("next")
        );
        runs.server.verify();
    }
}

#[tokio::test]
async fn t9_a_request_that_was_never_sent_uses_nothing_up() {
    // It accepts connections and never begins TLS, like a firewall that drops what it does not know.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/token", silent.local_addr().unwrap());
    let client = Client::builder("desktop").token_endpoint(url);
    let client = client.timeout(Duration::from_millis(300)).build().unwrap();
    let source = RefreshToken::new(client, "first").unwrap();
    let store = MemoryStore::default();
    let tokens = TokenCache::new(Persisted::new(source, store.clone(), key()));
    let error = tokens.get_valid_token().await.unwrap_err();
    assert!(error.is_timeout() && !error.is_outcome_unknown(), "{error}");
    assert!(error.to_string().contains("cannot be reached"), "{error}");
    let entry = store.load(&key()).await.unwrap().unwrap().entry;
    assert!(entry.pending_exchange().is_none());
}

#[tokio::test]
async fn t9_metadata_that_cannot_be_fetched_use_nothing_up() {
    for (place, response) in lost_responses() {
        let server = Server::start();
        server.expect(Expect::any().always(response));
        let client = Client::builder("desktop").issuer(server.url());
        let client = client.timeout(Duration::from_millis(300)).build().unwrap();
        let source = RefreshToken::new(client, "first").unwrap();
        let store = MemoryStore::default();
        let tokens = TokenCache::new(Persisted::new(source, store.clone(), key()));
        let error = tokens.get_valid_token().await.unwrap_err();
        assert!(!error.is_outcome_unknown(), "{place}: {error}");
        let entry = store.load(&key()).await.unwrap().unwrap().entry;
        assert!(entry.pending_exchange().is_none(), "{place}");
    }
}

#[tokio::test]
async fn t9_a_tls_alert_after_the_request_leaves_the_outcome_unknown() {
    let key_pair = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let private = PrivateKeyDer::try_from(key_pair.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![key_pair.cert.der().clone()], private)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/token", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(stream).await.unwrap();
        let mut request = vec![0; 1024];
        let _ = stream.read(&mut request).await.unwrap();
        // A fatal alert: "internal error" (RFC 8446 §6).
        let (tcp, _) = stream.get_mut();
        tcp.write_all(&[21, 3, 3, 0, 2, 2, 80]).await.unwrap();
    });
    let trusted = reqwest::Certificate::from_der(key_pair.cert.der()).unwrap();
    let http = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([trusted]);
    let client = Client::builder("desktop").token_endpoint(url).http(http);
    let source = RefreshToken::new(client.build().unwrap(), "first").unwrap();
    let error = TokenCache::new(source).get_valid_token().await.unwrap_err();
    assert!(error.is_outcome_unknown(), "{error}");
    assert!(error.to_string().contains("may have seen"), "{error}");
}
