//! A server refuses, and its clock differs from that of this machine.

use std::time::SystemTime;

use keyfob::oauth::ClientCredentials;
use keyfob::{ErrorKind, HttpToken};
use keyfob_testkit::{Expect, ScriptedResponse, Server, TokenEndpoint, TokenResponse, json};

use crate::fixtures::{SECOND, client, token_of};

/// A refusal by a server whose clock differs by this many seconds.
#[expect(
    clippy::disallowed_methods,
    reason = "the client compares with the system's clock"
)]
fn refusal(ahead: i64) -> ScriptedResponse {
    let by = SECOND * u32::try_from(ahead.unsigned_abs()).unwrap();
    let now = SystemTime::now();
    let date = if ahead < 0 { now - by } else { now + by };
    let body = json!({"error": "invalid_client", "error_codes": [700024]});
    ScriptedResponse::json(body)
        .with_status(401)
        .header("date", &httpdate::fmt_http_date(date))
}

#[tokio::test]
async fn a_refusal_says_that_the_clock_is_wrong_and_names_the_number_of_entra() {
    for (ahead, says) in [
        (600, Some("s behind")),
        (-600, Some("s ahead of")),
        (30, None),
    ] {
        let endpoint = TokenEndpoint::start();
        endpoint.next(TokenResponse::other(refusal(ahead)));
        let error = token_of(ClientCredentials::new(client(&endpoint)))
            .await
            .unwrap_err();
        let text = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(
            text.contains("`invalid_client` AADSTS700024 (401)"),
            "{text}"
        );
        assert_eq!(text.contains("set it right"), says.is_some(), "{text}");
        assert!(text.contains(says.unwrap_or_default()), "{text}");
    }
}

#[tokio::test]
async fn a_login_endpoint_with_another_clock_is_noticed_too() {
    let server = Server::start();
    server.expect(Expect::get("/token").respond(refusal(-600)));
    let source = HttpToken::builder(server.url_for("/token"))
        .build()
        .unwrap();
    let text = token_of(source).await.unwrap_err().to_string();
    assert!(
        text.contains("ahead of that of the server: set it right"),
        "{text}"
    );
}
