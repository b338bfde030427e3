//! T9: token responses that arrive whole although their framing is broken, and those of which nothing says that they are whole.

use keyfob::ErrorKind;
use keyfob_testkit::{Expect, ScriptedResponse, Server};

use crate::error_texts::error_texts;
use crate::fixtures::SECOND;
use crate::refresh_runs::Runs;

const JSON: &str = "{\"access_token\":\"second\",\"token_type\":\"Bearer\",\"expires_in\":3600,\"refresh_token\":\"next\"}";

/// The response with this framing, in which `JSON` is the body and `LENGTH` its length in bytes.
fn framed(framing: &str) -> String {
    let length = match framing.contains("chunked") {
        true => format!("{:x}", JSON.len()),
        false => (JSON.len() + 2).to_string(),
    };
    let framing = framing.replace("LENGTH", &length).replace("JSON", JSON);
    format!("HTTP/1.1 200 OK\r\n{framing}")
}

#[tokio::test]
async fn t9_whole_json_with_a_token_counts_although_its_framing_is_broken() {
    for (what, framing) in [
        (
            "a length that is too long",
            "content-length: LENGTH\r\n\r\nJSON",
        ),
        (
            "no last chunk",
            "transfer-encoding: chunked\r\n\r\nLENGTH\r\nJSON\r\n",
        ),
        (
            "in the only chunk",
            "transfer-encoding: chunked\r\n\r\nfff\r\nJSON",
        ),
        (
            "no line after the last chunk",
            "transfer-encoding: chunked\r\n\r\nLENGTH\r\nJSON\r\n0\r\n",
        ),
        (
            "in the trailers",
            "transfer-encoding: chunked\r\n\r\nLENGTH\r\nJSON\r\n0\r\nx-sum: 1",
        ),
        ("no length", "transfer-encoding: identity\r\n\r\nJSON"),
    ] {
        for hangs in [false, true] {
            let text = framed(framing);
            let response = match hangs {
                true => ScriptedResponse::raw_then_hang(text),
                false => ScriptedResponse::raw(text),
            };
            if hangs && what == "no length" {
                // It ends when the connection does.
                continue;
            }
            let runs = Runs::new();
            runs.responds("first", response);
            let token = runs.run().await.unwrap();
            assert_eq!(token.expose(), "second", "{what}");
            let entry = runs.entry().await;
            assert!(entry.pending_exchange().is_none(), "{what}");
            let newest = entry.token().unwrap().refresh_token();
            assert_eq!(newest, Some("next"), "{what}");
            runs.server.verify();
        }
    }
}

#[tokio::test]
async fn t9_a_form_counts_only_if_its_end_is_marked() {
    let form = "access_token=second&expires_in=3600&refresh_token=next";
    for (what, response, is_granted) in [
        (
            "a length",
            format!("HTTP/1.1 200 OK\r\ncontent-length: 54\r\n\r\n{form}"),
            true,
        ),
        (
            "chunks",
            format!(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n36\r\n{form}\r\n0\r\n\r\n"
            ),
            true,
        ),
        ("nothing", format!("HTTP/1.1 200 OK\r\n\r\n{form}"), false),
        (
            "another coding",
            format!("HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\n{form}"),
            false,
        ),
        (
            "no last chunk",
            format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n36\r\n{form}\r\n"),
            false,
        ),
    ] {
        let runs = Runs::new();
        runs.responds("first", ScriptedResponse::raw(response));
        match runs.run().await {
            Ok(token) => {
                assert!(is_granted, "{what}");
                assert_eq!(token.refresh_token(), Some("next"), "{what}");
            }
            Err(error) => {
                assert!(!is_granted, "{what}: {error}");
                assert!(error.is_outcome_unknown(), "{what}: {error}");
            }
        }
    }
}

#[tokio::test]
async fn a_response_that_breaks_off_is_told_as_a_lost_connection() {
    for (response, words) in [
        (
            ScriptedResponse::raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"),
            "the response ended too early",
        ),
        (
            ScriptedResponse::raw_then_hang("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"),
            "timed out; set `timeout`",
        ),
    ] {
        let runs = Runs::new();
        runs.responds("first", response.clone());
        let texts = error_texts(&runs.run().await.unwrap_err());
        assert!(texts.contains(words), "{texts}");
        assert!(!texts.contains("would fail again"), "{texts}");

        // The same for metadata.
        let server = Server::start();
        server.expect(Expect::any().always(response));
        let client = keyfob::oauth::Client::builder("desktop").issuer(server.url());
        let client = client.timeout(SECOND / 2).build().unwrap();
        let source = keyfob::oauth::ClientCredentials::new(client);
        let error = crate::fixtures::token_of(source).await.unwrap_err();
        let texts = error_texts(&error);
        assert!(texts.contains(words), "{texts}");
    }
}

#[tokio::test]
async fn t9_a_whole_json_error_counts_although_its_framing_is_broken() {
    for (status, code, kind) in [
        (400, "invalid_grant", ErrorKind::Refused),
        (503, "temporarily_unavailable", ErrorKind::Unavailable),
    ] {
        for framing in [
            "content-length: 900\r\n\r\nJSON",
            "transfer-encoding: chunked\r\n\r\nfff\r\nJSON",
            "transfer-encoding: identity\r\n\r\nJSON",
        ] {
            let body = format!("{{\"error\":\"{code}\"}}");
            let framing = framing.replace("JSON", &body);
            let runs = Runs::new();
            let response = format!("HTTP/1.1 {status} No\r\n{framing}");
            runs.responds("first", ScriptedResponse::raw(response));
            let error = runs.run().await.unwrap_err();
            assert_eq!(error.kind(), kind, "{framing}: {error}");
            assert!(error.to_string().contains(code), "{framing}: {error}");
            assert!(!error.is_outcome_unknown(), "{framing}: {error}");
            assert!(runs.entry().await.pending_exchange().is_none(), "{framing}");
        }
    }
}
