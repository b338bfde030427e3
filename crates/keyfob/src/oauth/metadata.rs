//! What an authorization server says about itself (RFC 8414, OpenID Connect Discovery, SMART App Launch).

use std::time::SystemTime;

use http::StatusCode;
use serde::Deserialize;
use url::Url;

use crate::error::error::{Error, ErrorKind};
use crate::oauth::endpoint::{Answer, Endpoint, Http};
use crate::oauth::error_response::refusal;
use crate::origin::origin::parse_url;

/// Where a server is asked for what.
#[derive(Clone, Debug)]
pub(crate) struct Metadata {
    pub(crate) issuer: Option<String>,
    pub(crate) token: Endpoint,
    pub(crate) introspection: Option<Endpoint>,
    pub(crate) revocation: Option<Endpoint>,
    pub(crate) authorization: Option<Endpoint>,
    pub(crate) device_authorization: Option<Endpoint>,
    /// Whether an answer through the browser names the issuer (RFC 9207).
    pub(crate) names_itself: bool,
    /// How a proof of the code's owner may be made (RFC 7636), if the server says so.
    pub(crate) code_challenge_methods: Option<Vec<String>>,
}

/// The part of the document that is used. What it says beyond that may be anything.
#[derive(Default, Deserialize)]
struct Document {
    issuer: Option<String>,
    token_endpoint: Option<String>,
    introspection_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    authorization_endpoint: Option<String>,
    device_authorization_endpoint: Option<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    code_challenge_methods_supported: Option<Vec<String>>,
}

impl Metadata {
    /// Asks an issuer: as RFC 8414 §3 says, and if that brings nothing, as OpenID does.
    ///
    /// The answer must name the issuer exactly as it was asked for (RFC 8414 §3.3).
    pub(crate) async fn of_issuer(
        http: &Http,
        issuer: &str,
        now: impl Fn() -> SystemTime,
    ) -> Result<Self, Error> {
        let [oauth, openid] = well_known(issuer)?;
        // A server that knows only one of the paths may answer the other with anything, a page for people too.
        let document = match read(&oauth, &http.get(&oauth).await?, now()) {
            Ok(document) => document,
            Err(_) => read(&openid, &http.get(&openid).await?, now())?,
        };
        if document.issuer.as_deref() != Some(issuer) {
            return Err(Error::refused(format!(
                "{oauth} gives another issuer than it was asked for; give the issuer exactly as the server writes it"
            )));
        }
        Self::new(&oauth, document)
    }

    /// Asks a FHIR server for its authorization server (SMART App Launch 2.2, conformance).
    pub(crate) async fn of_fhir_server(
        http: &Http,
        base: &str,
        now: impl Fn() -> SystemTime,
    ) -> Result<Self, Error> {
        let place = smart(base)?;
        let document = read(&place, &http.get(&place).await?, now())?;
        Self::new(&place, document)
    }

    fn new(place: &Endpoint, document: Document) -> Result<Self, Error> {
        let endpoint = |name, url: Option<String>| -> Result<Option<Endpoint>, Error> {
            let Some(url) = url else { return Ok(None) };
            let endpoint = Endpoint::parse(name, &url)?;
            // Who is reached over the network has no business on this machine.
            if endpoint.origin().is_plain_loopback() && !place.origin().is_plain_loopback() {
                return Err(Error::new(
                    ErrorKind::Origin,
                    format!("{place} names {endpoint}, which is plain http to this machine"),
                ));
            }
            Ok(Some(endpoint))
        };
        Ok(Self {
            token: endpoint(TOKEN, document.token_endpoint)?
                .ok_or_else(|| Error::malformed(format!("{place} names no token endpoint")))?,
            introspection: endpoint(INTROSPECTION, document.introspection_endpoint)?,
            revocation: endpoint(REVOCATION, document.revocation_endpoint)?,
            authorization: endpoint(AUTHORIZATION, document.authorization_endpoint)?,
            device_authorization: endpoint(
                DEVICE_AUTHORIZATION,
                document.device_authorization_endpoint,
            )?,
            names_itself: document.authorization_response_iss_parameter_supported,
            code_challenge_methods: document.code_challenge_methods_supported,
            issuer: document.issuer,
        })
    }
}

fn read(place: &Endpoint, answer: &Answer, now: SystemTime) -> Result<Document, Error> {
    if answer.status != StatusCode::OK {
        return Err(not_given(place, answer, now));
    }
    answer.json(place)
}

/// Documents are not refused for good: a server that is being set up has none yet.
fn not_given(place: &Endpoint, answer: &Answer, now: SystemTime) -> Error {
    let refused = refusal(place, answer, now);
    let error = Error::unavailable(format!(
        "{place} gives no metadata ({})",
        answer.status.as_u16()
    ));
    match refused.pause() {
        Some(pause) => error.retry_after(pause),
        None => error,
    }
}

/// Where an issuer's metadata may be: RFC 8414 puts the well-known part before its path, OpenID after it.
fn well_known(issuer: &str) -> Result<[Endpoint; 2], Error> {
    let url = base("issuer", issuer)?;
    let path = url.path().trim_end_matches('/').to_owned();
    let at = |path: String| {
        let mut place = url.clone();
        place.set_path(&path);
        Endpoint::parse(METADATA, place.as_str())
    };
    Ok([
        at(format!("/.well-known/oauth-authorization-server{path}"))?,
        at(format!("{path}/.well-known/openid-configuration"))?,
    ])
}

fn smart(fhir: &str) -> Result<Endpoint, Error> {
    let mut url = base("FHIR base URL", fhir)?;
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&format!("{path}/.well-known/smart-configuration"));
    Endpoint::parse(METADATA, url.as_str())
}

fn base(what: &str, text: &str) -> Result<Url, Error> {
    let url = parse_url(text)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Error::input(format!(
            "the {what} has a query or a fragment, which it may not have"
        )));
    }
    Ok(url)
}

pub(crate) const TOKEN: &str = "token endpoint";
pub(crate) const INTROSPECTION: &str = "introspection endpoint";
pub(crate) const REVOCATION: &str = "revocation endpoint";
pub(crate) const AUTHORIZATION: &str = "authorization endpoint";
pub(crate) const DEVICE_AUTHORIZATION: &str = "device authorization endpoint";
const METADATA: &str = "metadata";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(place: &str, token_endpoint: &str) -> Result<Metadata, Error> {
        let document = Document {
            token_endpoint: Some(token_endpoint.to_owned()),
            ..Document::default()
        };
        Metadata::new(&Endpoint::parse(METADATA, place).unwrap(), document)
    }

    #[test]
    fn r1_a_server_elsewhere_names_no_endpoint_on_this_machine() {
        let (far, here) = ("https://login.example.com/", "http://127.0.0.1:9/token");
        assert_eq!(read(far, here).unwrap_err().kind(), ErrorKind::Origin);
        assert!(read("http://localhost:8/", here).is_ok());
        assert!(read(far, "https://tokens.example.com/").is_ok());
    }

    #[test]
    fn the_well_known_part_stands_before_the_path_or_after_it() {
        for (issuer, oauth, openid) in [
            (
                "https://a.example",
                "/.well-known/oauth-authorization-server",
                "/.well-known/openid-configuration",
            ),
            (
                "https://a.example/",
                "/.well-known/oauth-authorization-server",
                "/.well-known/openid-configuration",
            ),
            (
                "https://a.example/t/",
                "/.well-known/oauth-authorization-server/t",
                "/t/.well-known/openid-configuration",
            ),
        ] {
            let places = well_known(issuer).unwrap();
            assert_eq!(
                places.map(|place| place.url().path().to_owned()),
                [oauth, openid]
            );
        }
        assert!(well_known("https://a.example/?x").is_err());
        assert!(smart("https://a.example/#x").is_err());
    }
}
