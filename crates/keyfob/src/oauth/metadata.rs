//! The metadata of an authorization server (RFC 8414, OpenID Connect Discovery, SMART App Launch).

use std::time::SystemTime;

use http::StatusCode;
use serde::Deserialize;
use url::Url;

use crate::error::error::{Error, ErrorKind};
use crate::oauth::endpoint::{Endpoint, HttpClient, ServerResponse};
use crate::oauth::error_response::error_of;
use crate::origin::origin::parse_url;

/// The endpoints of a server, and what it supports.
#[derive(Clone, Debug)]
pub(crate) struct Metadata {
    pub(crate) issuer: Option<String>,
    pub(crate) token: Endpoint,
    pub(crate) introspection: Option<Endpoint>,
    pub(crate) revocation: Option<Endpoint>,
    pub(crate) authorization: Option<Endpoint>,
    pub(crate) device_authorization: Option<Endpoint>,
    /// Whether each authorization response contains `iss` (RFC 9207 §3).
    pub(crate) sends_iss: bool,
    /// The supported PKCE methods (RFC 7636), if the server lists them.
    pub(crate) code_challenge_methods: Option<Vec<String>>,
}

/// The members of a metadata document that are used. All others are ignored.
#[derive(Default, Deserialize)]
pub(crate) struct Document {
    pub(crate) issuer: Option<String>,
    pub(crate) token_endpoint: Option<String>,
    pub(crate) introspection_endpoint: Option<String>,
    pub(crate) revocation_endpoint: Option<String>,
    pub(crate) authorization_endpoint: Option<String>,
    pub(crate) device_authorization_endpoint: Option<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    code_challenge_methods_supported: Option<Vec<String>>,
}

impl Metadata {
    /// The metadata that the application gave itself.
    pub(crate) fn from_application(endpoints: Document) -> Result<Self, Error> {
        let without_token_endpoint = || {
            Error::input(
                "the client has no server; give its issuer, or the URL of its token endpoint",
            )
        };
        Self::new(endpoints, |_| Ok(()), without_token_endpoint)
    }

    /// Fetches the metadata of an issuer: from the URL of RFC 8414 §3, or else from that of OpenID Connect Discovery.
    ///
    /// "The \"issuer\" value returned MUST be identical to the authorization server's issuer identifier value" (RFC 8414 §3.3).
    pub(crate) async fn from_issuer(
        http: &HttpClient,
        issuer: &str,
        now: impl Fn() -> SystemTime,
    ) -> Result<Self, Error> {
        let [oauth, openid] = well_known_urls(issuer)?;
        // A server that knows only one of the URLs may send anything from the other, even a page with status 200.
        let document = match read(&oauth, &http.get(&oauth).await?, now()) {
            Ok(document) => document,
            Err(_) => read(&openid, &http.get(&openid).await?, now())?,
        };
        if document.issuer.as_deref() != Some(issuer) {
            return Err(Error::refused(format!(
                "{oauth} names another issuer than the configured one; give the issuer exactly as the server writes it"
            )));
        }
        Self::from_server(&oauth, document)
    }

    /// Fetches the SMART configuration of a FHIR server (SMART App Launch 2.2, Conformance).
    pub(crate) async fn from_fhir_server(
        http: &HttpClient,
        base: &str,
        now: impl Fn() -> SystemTime,
    ) -> Result<Self, Error> {
        let url = smart_configuration_url(base)?;
        let document = read(&url, &http.get(&url).await?, now())?;
        Self::from_server(&url, document)
    }

    fn from_server(url: &Endpoint, document: Document) -> Result<Self, Error> {
        let check = |endpoint: &Endpoint| {
            // R1: a server on the network must not direct secrets to a port of this machine.
            if endpoint.origin().is_plain_loopback() && !url.origin().is_plain_loopback() {
                return Err(Error::new(
                    ErrorKind::Origin,
                    format!("{url} names {endpoint}, which is plain http to this machine"),
                ));
            }
            Ok(())
        };
        let without_token_endpoint = || Error::malformed(format!("{url} names no token endpoint"));
        Self::new(document, check, without_token_endpoint)
    }

    fn new(
        document: Document,
        check: impl Fn(&Endpoint) -> Result<(), Error>,
        without_token_endpoint: impl FnOnce() -> Error,
    ) -> Result<Self, Error> {
        let endpoint = |name, url: Option<String>| -> Result<Option<Endpoint>, Error> {
            let Some(url) = url else { return Ok(None) };
            let endpoint = Endpoint::parse(name, &url)?;
            check(&endpoint)?;
            Ok(Some(endpoint))
        };
        Ok(Self {
            token: endpoint("token endpoint", document.token_endpoint)?
                .ok_or_else(without_token_endpoint)?,
            introspection: endpoint("introspection endpoint", document.introspection_endpoint)?,
            revocation: endpoint("revocation endpoint", document.revocation_endpoint)?,
            authorization: endpoint("authorization endpoint", document.authorization_endpoint)?,
            device_authorization: endpoint(
                "device authorization endpoint",
                document.device_authorization_endpoint,
            )?,
            sends_iss: document.authorization_response_iss_parameter_supported,
            code_challenge_methods: document.code_challenge_methods_supported,
            issuer: document.issuer,
        })
    }
}

fn read(url: &Endpoint, response: &ServerResponse, now: SystemTime) -> Result<Document, Error> {
    if response.status != StatusCode::OK {
        return Err(no_metadata(url, response, now));
    }
    response.json(url)
}

/// Never a permanent error: a server that is being set up has no metadata yet.
fn no_metadata(url: &Endpoint, response: &ServerResponse, now: SystemTime) -> Error {
    let error = Error::unavailable(format!(
        "{url} cannot be fetched ({})",
        response.status.as_u16()
    ));
    match error_of(url, response, now).pause() {
        Some(pause) => error.retry_after(pause),
        None => error,
    }
}

/// The URLs of an issuer's metadata: RFC 8414 inserts the well-known part before the path, OpenID appends it.
fn well_known_urls(issuer: &str) -> Result<[Endpoint; 2], Error> {
    let url = base_url("issuer", issuer)?;
    let path = url.path().trim_end_matches('/').to_owned();
    Ok([
        metadata_url(
            &url,
            &format!("/.well-known/oauth-authorization-server{path}"),
        )?,
        metadata_url(&url, &format!("{path}/.well-known/openid-configuration"))?,
    ])
}

fn smart_configuration_url(fhir_base: &str) -> Result<Endpoint, Error> {
    let url = base_url("FHIR base URL", fhir_base)?;
    let path = url.path().trim_end_matches('/').to_owned();
    metadata_url(&url, &format!("{path}/.well-known/smart-configuration"))
}

fn metadata_url(base: &Url, path: &str) -> Result<Endpoint, Error> {
    let mut url = base.clone();
    url.set_path(path);
    Endpoint::parse("metadata document", url.as_str())
}

fn base_url(what: &str, text: &str) -> Result<Url, Error> {
    let url = parse_url(text)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Error::input(format!(
            "the {what} has a query or a fragment; give it without"
        )));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str, token_endpoint: &str) -> Result<Metadata, Error> {
        let document = Document {
            token_endpoint: Some(token_endpoint.to_owned()),
            ..Document::default()
        };
        Metadata::from_server(&Endpoint::parse("metadata", url).unwrap(), document)
    }

    #[test]
    fn r1_a_remote_server_must_not_name_an_endpoint_on_this_machine() {
        let (remote, here) = ("https://login.example.com/", "http://127.0.0.1:9/token");
        assert_eq!(read(remote, here).unwrap_err().kind(), ErrorKind::Origin);
        assert!(read("http://localhost:8/", here).is_ok());
        assert!(read(remote, "https://tokens.example.com/").is_ok());
    }

    #[test]
    fn the_well_known_part_comes_before_the_path_or_after_it() {
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
            let urls = well_known_urls(issuer).unwrap();
            assert_eq!(urls.map(|url| url.url().path().to_owned()), [oauth, openid]);
        }
        assert!(well_known_urls("https://a.example/?x").is_err());
        assert!(smart_configuration_url("https://a.example/#x").is_err());
    }
}
