//! What the token endpoints of OAuth servers read from a request (RFC 6749, RFC 7523).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Map, Value, json};

use crate::issuer::issuer::Issuer;
use crate::platforms::refusal::Refusal;
use crate::server::received::Received;
use crate::server::response::ScriptedResponse;

/// A form that was posted to a token endpoint.
pub(crate) struct TokenRequest<'a>(&'a Received);

impl<'a> TokenRequest<'a> {
    /// Reads a `POST` of a form to this path, or returns the fault of the request.
    pub(crate) fn read(request: &'a Received, path: &str) -> Result<Self, String> {
        if !request.is_to(&Method::POST, path) {
            return Err(format!(
                "{} {} is no endpoint",
                request.method, request.path
            ));
        }
        let kind = request.header("content-type").unwrap_or_default();
        if !kind.starts_with("application/x-www-form-urlencoded") {
            return Err(format!("the body is sent as {kind:?}"));
        }
        if request.query.is_some() {
            return Err("the parameters belong in the body".to_owned());
        }
        Ok(Self(request))
    }

    pub(crate) fn value(&self, name: &str) -> Option<String> {
        self.0.form_value(name)
    }

    pub(crate) fn has(&self, name: &str, value: &str) -> bool {
        self.value(name).as_deref() == Some(value)
    }

    /// The name and the secret of the client in `Authorization: Basic`, form-decoded (RFC 6749 §2.3.1).
    pub(crate) fn basic(&self) -> Option<(String, String)> {
        let encoded = self.0.header("authorization")?.strip_prefix("Basic ")?;
        let pair = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
        let (id, secret) = pair.split_once(':')?;
        Some((form_decode(id), form_decode(secret)))
    }

    /// The name and the secret of the client, from `Authorization` or from the form.
    pub(crate) fn client(&self) -> Option<(String, String)> {
        let in_form = || Some((self.value("client_id")?, self.value("client_secret")?));
        self.basic().or_else(in_form)
    }

    /// The client assertion, if its type is said.
    pub(crate) fn client_assertion(&self) -> Option<String> {
        let is_jwt = self.has(
            "client_assertion_type",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        );
        self.value("client_assertion").filter(|_| is_jwt)
    }
}

fn form_decode(text: &str) -> String {
    let pair = form_urlencoded::parse(text.as_bytes()).next();
    pair.map(|(name, _)| name.into_owned()).unwrap_or_default()
}

/// An error response (RFC 6749 §5.2).
pub(crate) fn error(status: u16, code: &str, description: &str) -> ScriptedResponse {
    ScriptedResponse::json(json!({"error": code, "error_description": description}))
        .with_status(status)
}

/// A token response with a new token of this issuer, its lifetime, and these members.
pub(crate) fn granted(issuer: &Issuer, members: Value) -> ScriptedResponse {
    let issued = issuer.issue();
    let mut whole = Map::from_iter([("access_token".to_owned(), json!(issued.token))]);
    if let Some(lifetime) = issued.expires_in {
        whole.insert("expires_in".to_owned(), json!(lifetime.as_secs()));
    }
    if let Value::Object(members) = members {
        whole.extend(members);
    }
    ScriptedResponse::json(whole.into()).header("cache-control", "no-store")
}

/// The response of an API of the platform, which takes the tokens of this issuer (RFC 6750 §3).
pub(crate) fn api(issuer: &Issuer, request: &Received) -> Result<ScriptedResponse, Refusal> {
    match request.bearer() {
        Some(token) if issuer.is_valid(token) => Ok(ScriptedResponse::json(json!({"items": []}))),
        Some(_) => Err(Refusal::new(
            "the token is not valid",
            ScriptedResponse::unauthorized("Bearer error=\"invalid_token\""),
        )),
        None => Err(Refusal::new(
            "there is no token",
            ScriptedResponse::unauthorized("Bearer"),
        )),
    }
}
