//! What the fuzzer calls: one target for each parser that reads what others wrote.
//!
//! This is in no build of a user: only tests, and builds with `--cfg keyfob_fuzzing`, have it. A target must not panic. `cargo
//! xtask fuzz` searches for bytes with which one does; `fuzz/corpus` has those that reached new code, for the test below.

use std::time::{Duration, SystemTime};

use http::header::{CONTENT_ENCODING, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use url::Url;

use crate::client::proxy::request_reader::RequestReader;
use crate::error::error::{Error, causes};
use crate::error::printable::printable;
use crate::exchange::challenge::Challenges;
use crate::exchange::proof::DPOP_NONCE;
use crate::exchange::redirect::follow;
use crate::exchange::retry_after::RetryAfter;
use crate::exchange::step_up::StepUp;
use crate::oauth::authorization_code::manual_response::ManualResponse;
use crate::oauth::authorization_code::pushed_request::PushedResponse;
use crate::oauth::authorization_code::response::ExpectedResponse;
use crate::oauth::content_coding;
use crate::oauth::device_code::DeviceResponse;
use crate::oauth::dpop::nonces::read_nonce;
use crate::oauth::endpoint::Endpoint;
use crate::oauth::exchange_outcome::ExchangeOutcome;
use crate::oauth::http_client::ServerResponse;
use crate::oauth::issuer_mismatch::other_issuer;
use crate::oauth::metadata::{Document, EndpointRules, Endpoints, Metadata};
use crate::oauth::metadata_store;
use crate::oauth::protected_resource::ResourceDocument;
use crate::oauth::registration::read_client;
use crate::oauth::signing_key::SigningKey;
use crate::oauth::token_response::{ExpectedToken, ExpectedType, TokenMember};
use crate::origin::origin::{Origin, parse_url};
use crate::profile::profile::Profiles;
use crate::source::command::redact::{redact, redact_line};
use crate::source::command::{HelperRequest, reply};
use crate::source::token_text;
use crate::source::token_text::type_use::TypeUse;
use crate::store::record::{decode, encode, framed};
use crate::store::seal::{SealingKey, SealingKeys};
use crate::token::secret::Secret;
use crate::token::token::Token;

/// Reads any bytes, and panics if the result breaks a rule.
pub type Target = fn(&[u8]);

/// All targets by name.
pub const TARGETS: [(&str, Target); 24] = [
    ("challenges", challenges),
    ("content_coding", content_coding),
    ("device_response", device_response),
    ("dpop_nonce", dpop_nonce),
    ("helper_output", helper_output),
    ("helper_stderr", helper_stderr),
    ("jwk", jwk),
    ("jwt", jwt),
    ("listener_request", listener_request),
    ("metadata", metadata),
    ("metadata_cache", metadata_cache),
    ("pem", pem),
    ("printable", printable_text),
    ("profile", profile),
    ("protected_resource", protected_resource),
    ("proxy_request", proxy_request),
    ("pushed_response", pushed_response),
    ("redirect", redirect),
    ("registration", registration),
    ("retry_after", retry_after),
    ("sealed_record", sealed_record),
    ("store_record", store_record),
    ("token_response", token_response),
    ("url", url),
];

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<Target> {
    let found = TARGETS.iter().find(|(other, _)| *other == name);
    found.map(|(_, target)| *target)
}

/// `WWW-Authenticate` (RFC 9110 §11.6.1), one field for each line.
fn challenges(data: &[u8]) {
    let headers = fields(&WWW_AUTHENTICATE, data);
    let challenges = Challenges::from_headers(&headers);
    for challenge in challenges.iter() {
        assert!(!challenge.scheme().is_empty());
        for (name, value) in challenge.parameters() {
            assert!(challenge.parameter(name).is_some(), "{value}");
        }
    }
    let _ = challenges.use_dpop_nonce();
    let step_up = StepUp::from_response(StatusCode::UNAUTHORIZED, &headers);
    assert_eq!(step_up.is_some(), challenges.ask_for_more());
    if let Some(step_up) = step_up {
        assert_eq!(printable(&step_up), step_up.to_string());
        assert!(step_up.scopes.len() <= StepUp::MAX_VALUES);
    }
}

/// `Content-Encoding` in the first line, and the body after it.
fn content_coding(data: &[u8]) {
    let (codings, body) = first_line(data);
    let headers = fields(&CONTENT_ENCODING, codings);
    let decoded = content_coding::decode(&headers, body.to_vec().into(), LIMIT);
    assert!(decoded.is_none_or(|decoded| decoded.body.len() <= LIMIT.max(body.len())));
}

/// The device authorization response (RFC 8628 §3.2).
fn device_response(data: &[u8]) {
    let response = ServerResponse::made_up(StatusCode::OK, data.to_vec());
    if let Err(error) = DeviceResponse::read(&endpoint(), &response) {
        check(&error);
    }
}

/// What a client sends to the proxy, in one part and byte by byte.
fn proxy_request(data: &[u8]) {
    let read = |size: usize| {
        let (mut reader, mut passed) = (RequestReader::new(), Vec::new());
        for part in data.chunks(size) {
            let mut part = part.to_vec();
            let length = reader.read(&mut part);
            passed.extend_from_slice(&part[..length]);
        }
        assert!(!reader.has_refused() || passed.pop() == Some(0));
        assert!(data.starts_with(&passed));
        (passed.len(), reader.has_refused())
    };
    assert_eq!(read(1), read(data.len().max(1)));
}

/// The response to a pushed authorization request (RFC 9126 §2.2).
fn pushed_response(data: &[u8]) {
    let response = ServerResponse::made_up(StatusCode::CREATED, data.to_vec());
    match PushedResponse::read(&endpoint(), &response) {
        Ok(pushed) => assert!(
            pushed
                .request_uri
                .bytes()
                .all(|byte| byte.is_ascii_graphic())
        ),
        Err(error) => check(&error),
    }
}

/// The nonce of a server (RFC 9449 §8).
fn dpop_nonce(data: &[u8]) {
    let headers = fields(&DPOP_NONCE, data);
    if let Some(nonce) = read_nonce(&headers) {
        assert!(HeaderValue::from_str(nonce).is_ok_and(|value| value.to_str().is_ok()));
    }
}

/// What a helper prints, and what is in a token file.
fn helper_output(data: &[u8]) {
    match token_text::parse(data) {
        Ok(token) => assert!(!token.headers().is_empty()),
        Err(error) => check(&error),
    }
    for request in [
        HelperRequest::Git {
            url: String::new(),
            with_path: false,
        },
        HelperRequest::Bazel { uri: String::new() },
        HelperRequest::Pass {
            entry: String::new(),
        },
    ] {
        if let Err(error) = reply::read(&request, data, TypeUse::UsualScheme) {
            check(&error);
        }
    }
    if let Some(error) = token_text::reported_failure(data) {
        check(&error);
    }
}

/// What a helper prints to stderr, before the first byte 0xff, and to stdout, after it.
fn helper_stderr(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == 0xff);
    let (stderr, stdout) = data.split_at(end.unwrap_or(data.len()));
    let shown = redact(stderr, stdout);
    assert!(!shown.contains(char::is_control), "{shown:?}");
    drop(redact_line(&String::from_utf8_lossy(stderr)));
}

fn jwk(data: &[u8]) {
    for key in [
        SigningKey::from_jwk(data),
        SigningKey::from_jwk_set(data, "k"),
    ] {
        check_key(key);
    }
}

/// A token that may be a JWT, whose expiry is a hint.
fn jwt(data: &[u8]) {
    match Token::new(String::from_utf8_lossy(data)) {
        Ok(token) => {
            let token = token.expiry_from_jwt();
            let shown = format!("{token:?}");
            assert!(token.expose().len() < 16 || !shown.contains(token.expose()));
        }
        Err(error) => check(&error),
    }
}

/// The query of a request to the redirect URI, and what a person pastes.
fn listener_request(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let expected = ExpectedResponse {
        state: Secret::new("st4te".to_owned()).expect("it is not empty"),
        issuer: Some("https://login.example.com".to_owned()),
        has_iss: true,
    };
    let (requests, _) = futures_channel::mpsc::unbounded();
    let manual = ManualResponse {
        requests,
        redirect_uri: "http://127.0.0.1:9/callback".to_owned(),
    };
    let pasted = manual.query_of(&text);
    for query in [Some(&*text), pasted.as_ref().map(|query| query.as_str())]
        .into_iter()
        .flatten()
    {
        match expected.check(query) {
            Some(Ok(_)) => assert!(query.contains("iss") || query.contains('%'), "{query}"),
            Some(Err(failure)) => check(&failure.error),
            None => {}
        }
    }
}

/// A metadata document (RFC 8414 §3.2).
fn metadata(data: &[u8]) {
    let response = ServerResponse::made_up(StatusCode::OK, data.to_vec());
    let document = match response.object(&endpoint()) {
        Ok(object) => Document::read(&object),
        Err(error) => return check(&error),
    };
    check(&other_issuer(
        &endpoint(),
        document.issuer.as_deref(),
        "https://a.example",
    ));
    for endpoints in [Endpoints::Usual, Endpoints::Mtls] {
        let rules = EndpointRules {
            endpoints,
            ..EndpointRules::default()
        };
        match Metadata::new(document.clone(), Some(&endpoint()), &rules) {
            // R1: a server on the network must not direct secrets to a port of this machine.
            Ok(metadata) => assert!(metadata.token.origin.is_https()),
            Err(error) => check(&error),
        }
    }
}

/// The metadata of a resource (RFC 9728 §3.2).
fn protected_resource(data: &[u8]) {
    let response = ServerResponse::made_up(StatusCode::OK, data.to_vec());
    let resource = endpoint();
    let read = response.object(&resource);
    let read = read.and_then(|object| ResourceDocument::read(&object, &resource.url, &resource));
    match read {
        Ok(document) => {
            let named = parse_url(&document.resource).expect("it was checked");
            assert_eq!(named.origin(), resource.url.origin());
        }
        Err(error) => check(&error),
    }
}

/// A client information response (RFC 7591 §3.2.1).
fn registration(data: &[u8]) {
    let response = ServerResponse::made_up(StatusCode::OK, data.to_vec());
    let read = response.object(&endpoint());
    match read.and_then(|object| read_client(&object, &endpoint(), "http://127.0.0.1:1/")) {
        Ok(id) => assert!(!id.is_empty() && !id.contains(char::is_control)),
        Err(error) => check(&error),
    }
}

/// Metadata that were stored, which another program may have changed.
fn metadata_cache(data: &[u8]) {
    for endpoints in [Endpoints::Usual, Endpoints::Mtls] {
        let expected = metadata_store::Expected {
            server: "a",
            issuer: Some("https://a.example"),
            rules: &EndpointRules {
                endpoints,
                ..EndpointRules::default()
            },
        };
        let _ = metadata_store::read(&expected, data, now());
    }
}

fn pem(data: &[u8]) {
    check_key(SigningKey::from_pem(data));
    check_key(SigningKey::from_encrypted_pem(data, "passphrase"));
}

fn printable_text(data: &[u8]) {
    let shown = printable(String::from_utf8_lossy(data));
    assert!(!shown.contains(char::is_control));
    assert_eq!(printable(&shown), shown);
}

fn profile(data: &[u8]) {
    match Profiles::from_text(&String::from_utf8_lossy(data)) {
        Ok(profiles) => {
            for profile in profiles.iter() {
                assert_eq!(
                    profile.origins().is_empty(),
                    profile.require_server().is_err()
                );
                let _ = (profile.token_from(), format!("{profile:?}"));
            }
        }
        Err(error) => assert!(
            !error
                .to_string()
                .replace('\n', "")
                .contains(char::is_control)
        ),
    }
}

/// The first line is the URL of a request, and the others are the `Location` of its response.
fn redirect(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (base, locations) = text
        .split_once('\n')
        .unwrap_or(("https://a.example/b?c#d", &text));
    let Ok(base) = Url::parse(base) else {
        return;
    };
    let headers = fields(&LOCATION, locations.as_bytes());
    for status in [StatusCode::SEE_OTHER, StatusCode::TEMPORARY_REDIRECT] {
        let Some(redirect) = follow(&Method::POST, &base, status, &headers) else {
            continue;
        };
        let url = redirect.url();
        assert!(["http", "https"].contains(&url.scheme()), "{url}");
        assert!(
            url.username().is_empty() && url.password().is_none(),
            "{url}"
        );
        let again = Origin::from_url(&Url::parse(url.as_str()).expect("a URL is one"));
        assert_eq!(again.as_ref().ok(), Some(redirect.to()), "{url}");
    }
}

fn retry_after(data: &[u8]) {
    if let Some(pause) = RetryAfter::from_headers(&fields(&RETRY_AFTER, data)) {
        assert!(pause.wait(SystemTime::UNIX_EPOCH) <= RetryAfter::LONGEST);
        assert!(pause.wait(now()) <= RetryAfter::LONGEST);
    }
}

fn sealed_record(data: &[u8]) {
    let keys = SealingKeys::new(SealingKey::from_bytes([7; 32]));
    assert!(
        keys.open("id", data).is_err(),
        "only the key makes entries that open"
    );
    if let Ok(key) = SealingKey::from_base64(&String::from_utf8_lossy(data)) {
        assert!(SealingKey::from_base64(&key.to_base64()).is_ok());
    }
}

/// An entry, and the same bytes after the line with the version and the checksum.
fn store_record(data: &[u8]) {
    for bytes in [data, &framed(data)] {
        let Ok((key, entry)) = decode(bytes) else {
            continue;
        };
        let written = encode(&key, &entry);
        let (key, entry) = decode(&written).expect("it was written by this version");
        assert_eq!(encode(&key, &entry), written);
    }
}

/// The status in the first line, and the body of a token response or an error response (RFC 6749 §5) after it.
fn token_response(data: &[u8]) {
    let (status, body) = first_line(data);
    let status = StatusCode::from_bytes(status).unwrap_or(StatusCode::OK);
    for token_type in [
        ExpectedType::Bearer,
        ExpectedType::Dpop,
        ExpectedType::Any("Token"),
    ] {
        let response = ServerResponse::made_up(status, body.to_vec());
        let expected = ExpectedToken {
            token_type,
            member: TokenMember::AccessOrId,
            scopes: &["read".to_owned()],
        };
        match ExchangeOutcome::of(&endpoint(), Ok(response), &expected).into_result() {
            Ok(token) => assert!(!token.headers().is_empty()),
            Err(error) => check(&error),
        }
    }
}

fn url(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let origin = match parse_url(&text) {
        Ok(url) => Origin::from_url(&url),
        Err(error) => Err(error),
    };
    match &origin {
        Ok(origin) => assert_eq!(
            origin.to_string().parse::<Origin>().as_ref().ok(),
            Some(origin)
        ),
        Err(error) => check(error),
    }
    #[cfg(feature = "tower")]
    if let (Ok(Ok(Some(judged))), Ok(used)) =
        (text.parse().map(|uri| Origin::from_uri(&uri)), origin)
    {
        assert_eq!(
            judged, used,
            "R1: two clients would send the token to two servers"
        );
    }
}

/// A fixed time, so that an input always has the same effect.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// An endpoint of a server on the network.
fn endpoint() -> Endpoint {
    Endpoint::parse("token endpoint", "https://a.example/token").expect("it is https")
}

/// The bytes before the first line end, and those after it.
fn first_line(data: &[u8]) -> (&[u8], &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n');
    end.map_or((b"", data), |end| (&data[..end], &data[end + 1..]))
}

/// One field of this name for each line.
fn fields(name: &HeaderName, data: &[u8]) -> HeaderMap {
    let values = data
        .split(|byte| *byte == b'\n')
        .map(HeaderValue::from_bytes);
    values
        .filter_map(|value| Some((name.clone(), value.ok()?)))
        .collect()
}

fn check_key(key: Result<SigningKey, Error>) {
    match key {
        Ok(key) => assert!(!key.public_jwk().contains("\"d\":")), // A `kid` may be "d".
        Err(error) => check(&error),
    }
}

/// No text of an error may be obeyed by a terminal.
fn check(error: &Error) {
    for cause in causes(error) {
        let text = cause.to_string();
        assert!(!text.contains(char::is_control), "{text:?}");
    }
}

/// How long a decoded body may be.
const LIMIT: usize = 64 * 1024;

#[cfg(all(test, keyfob_repository))]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_input_of_the_corpus_is_read_without_a_panic() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
        for (name, target) in TARGETS {
            let mut files = fs::read_dir(corpus.join(name))
                .expect("each target has a corpus")
                .peekable();
            assert!(files.peek().is_some(), "{name} has an empty corpus");
            for file in files {
                let file = file.expect("it can be listed").path();
                // The name of the file comes before the panic.
                println!("{}", file.display());
                target(&fs::read(&file).expect("it can be read"));
            }
        }
    }
}
