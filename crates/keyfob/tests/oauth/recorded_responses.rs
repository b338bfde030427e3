//! Responses as real servers send them, written from their documentation: `responses/*.json`.
//!
//! Each case has the response to a token request and what it means: the token, or the error, and whether the server is asked
//! again after a refusal (`again`).

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keyfob::oauth::{Algorithm, Client, JwtBearer, RefreshToken, SigningKey};
use keyfob::{Error, ErrorKind, Expiry, Token, TokenCache};
use keyfob_testkit::{Expect, ManualClock, ScriptedResponse, Server};
use serde_json::Value;

use crate::error_texts::error_texts;

#[tokio::test]
async fn each_recorded_response_has_its_meaning() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oauth/responses");
    let (mut failures, mut count) = (Vec::new(), 0);
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let cases: Vec<Value> = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        for case in cases {
            count += 1;
            if let Err(what) = check(&case).await {
                failures.push(format!("{}, {}: {what}", path.display(), case["name"]));
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(count >= 60, "{count} cases");
}

/// The token of a case, or the first thing that is not as it should be.
async fn check(case: &Value) -> Result<(), String> {
    let server = Server::start();
    server.expect(Expect::post("/token").always(response(case)));
    let tokens = TokenCache::builder(source(case, &server));
    let tokens = tokens
        .default_lifetime(Duration::from_secs(3600))
        .build()
        .unwrap();
    let expected = &case["expect"];
    match (tokens.renew().await, expected["token"].as_str()) {
        (Ok(token), Some(text)) => check_token(&token, text, expected),
        (Err(error), None) => {
            check_error(&error, expected)?;
            let again = expected["again"].as_bool();
            let again = again.unwrap_or(error.kind() != ErrorKind::Refused);
            same("asking again", Some(asks_again(case).await), Some(again))?;
            // What the next exchange sends shows which refresh token was kept.
            let _ = tokens.renew().await;
            let sent = server.received()[1].form_value("refresh_token");
            let kept = expected["kept"].as_str().unwrap_or("first");
            same(
                "the refresh token of the next request",
                sent.as_deref(),
                Some(kept),
            )
        }
        (Ok(_), None) => Err("a token came of it".to_owned()),
        // The cache returns no token that has expired.
        (Err(error), Some(_))
            if error.kind() == ErrorKind::Expired && expected["lifetime"] == 0 =>
        {
            Ok(())
        }
        (Err(error), Some(_)) => Err(error_texts(&error)),
    }
}

/// Whether the server is asked again by itself after this error.
async fn asks_again(case: &Value) -> bool {
    let (server, clock) = (Server::start(), ManualClock::default());
    server.expect(Expect::post("/token").always(response(case)));
    let tokens = TokenCache::builder(source(case, &server)).clock(clock.clone());
    let tokens = tokens.build().unwrap();
    let _ = tokens.get_valid_token().await;
    // Longer than any cool-down.
    clock.advance(Duration::from_secs(2 * 3600));
    let _ = tokens.get_valid_token().await;
    server.calls() > 1
}

fn response(case: &Value) -> ScriptedResponse {
    let body = match (&case["base64"], &case["body"]) {
        (Value::String(encoded), _) => STANDARD.decode(encoded).unwrap(),
        (_, Value::String(text)) => text.clone().into_bytes(),
        (_, json) => json.to_string().into_bytes(),
    };
    let status = case["status"].as_u64().unwrap_or(200);
    let response = ScriptedResponse::bytes(body).with_status(u16::try_from(status).unwrap());
    let headers = case["headers"].as_object().into_iter().flatten();
    headers.fold(response, |response, (name, value)| {
        response.header(name, value.as_str().unwrap())
    })
}

fn source(case: &Value, server: &Server) -> Box<dyn keyfob::TokenSource> {
    let mut client = Client::builder("desktop").token_endpoint(server.url_for("/token"));
    if let Some(token_type) = case["token_type"].as_str() {
        client = client.token_type(token_type);
    }
    let client = client.build().unwrap();
    match case["grant"].as_str() {
        Some("jwt_bearer") => {
            let key = SigningKey::generate(Algorithm::Es256).unwrap();
            Box::new(JwtBearer::signed(client, key))
        }
        _ => Box::new(RefreshToken::new(client, "first").unwrap()),
    }
}

fn check_token(token: &Token, text: &str, expected: &Value) -> Result<(), String> {
    let is_refresh = token.refresh_token() != Some("first");
    same("the token", Some(token.expose()), Some(text))?;
    same("the scope", token.scope(), expected["scope"].as_str())?;
    same(
        "the refresh token",
        token.refresh_token().filter(|_| is_refresh),
        expected["refresh_token"].as_str(),
    )?;
    let scheme = expected["scheme"].as_str().unwrap_or("Bearer");
    same("the scheme", token.authentication_scheme(), Some(scheme))?;
    let expiry = match (
        expected["lifetime"].as_f64(),
        expected["expires_at"].as_u64(),
    ) {
        (Some(lifetime), _) => Expiry::In(Duration::from_secs_f64(lifetime)),
        (_, Some(time)) => Expiry::At(SystemTime::UNIX_EPOCH + Duration::from_secs(time)),
        _ => Expiry::Unknown,
    };
    same("the expiry", Some(token.expires()), Some(expiry))
}

fn check_error(error: &Error, expected: &Value) -> Result<(), String> {
    same(
        "the kind",
        Some(error.kind().name()),
        expected["error"].as_str(),
    )?;
    let is_unknown = expected["unknown"].as_bool().unwrap_or_default();
    same(
        "an unknown outcome",
        Some(error.is_outcome_unknown()),
        Some(is_unknown),
    )?;
    let pause = error.pause().map(|pause| pause.as_secs());
    same("the pause", pause, expected["pause"].as_u64())?;
    let text = error.to_string();
    let code = expected["code"].as_str().map(|code| format!("`{code}`"));
    let words = [code.as_deref(), expected["about"].as_str()];
    match words
        .into_iter()
        .flatten()
        .find(|word| !text.contains(word))
    {
        Some(word) => Err(format!("{word} is not in: {text}")),
        None => Ok(()),
    }
}

fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    found: Option<T>,
    expected: Option<T>,
) -> Result<(), String> {
    match found == expected {
        true => Ok(()),
        false => Err(format!("{what} is {found:?}, not {expected:?}")),
    }
}
