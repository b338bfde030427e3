//! The metadata of an authorization server (RFC 8414, OpenID Connect Discovery, SMART App Launch).

use http::StatusCode;
use serde::Deserialize;
use url::Url;

use crate::error::error::Error;
use crate::oauth::endpoint::{Endpoint, HttpClient, ServerResponse};
use crate::origin::origin::parse_url;

/// The endpoints of a server, and what it supports.
#[derive(Clone, Debug)]
pub(crate) struct Metadata {
    pub(crate) issuer: Option<String>,
    pub(crate) token: Endpoint,
    pub(crate) introspection: OptionalEndpoint,
    pub(crate) revocation: OptionalEndpoint,
    pub(crate) authorization: OptionalEndpoint,
    pub(crate) device_authorization: OptionalEndpoint,
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

/// An endpoint that a server may lack.
#[derive(Clone, Debug)]
pub(crate) struct OptionalEndpoint {
    name: &'static str,
    endpoint: Option<Endpoint>,
}

impl OptionalEndpoint {
    pub(crate) fn require(&self) -> Result<&Endpoint, Error> {
        self.endpoint.as_ref().ok_or_else(|| {
            Error::input(format!(
                "the server names no {}; give its URL to the client",
                self.name
            ))
        })
    }
}

impl Metadata {
    /// Fetches the metadata of an issuer: from the URL of RFC 8414 §3, or else from that of OpenID Connect Discovery.
    ///
    /// The document must name exactly the issuer that was asked for (RFC 8414 §3.3).
    pub(crate) async fn from_issuer(http: &HttpClient, issuer: &str) -> Result<Self, Error> {
        let [oauth, openid] = well_known_urls(issuer)?;
        // A server that knows only one of the URLs may send anything from the other, even a page with status 200.
        let document = match read(&oauth, &http.get(&oauth).await?) {
            Ok(document) => document,
            Err(_) => read(&openid, &http.get(&openid).await?)?,
        };
        // RFC 8414 §3.3: otherwise "the data contained in the response MUST NOT be used": one server could pose as another.
        if document.issuer.as_deref() != Some(issuer) {
            return Err(Error::refused(format!(
                "{oauth} names another issuer than the configured one; give the issuer exactly as the server writes it"
            )));
        }
        Self::new(document, Some(&oauth))
    }

    /// Fetches the SMART configuration of a FHIR server (SMART App Launch 2.2, Conformance).
    pub(crate) async fn from_fhir_server(http: &HttpClient, base: &str) -> Result<Self, Error> {
        let url = smart_configuration_url(base)?;
        let document = read(&url, &http.get(&url).await?)?;
        Self::new(document, Some(&url))
    }

    /// Checks the URLs in a document from this URL, or in one from the application itself.
    pub(crate) fn new(document: Document, source: Option<&Endpoint>) -> Result<Self, Error> {
        let endpoint = |name, url: Option<String>| {
            let endpoint = url.map(|url| Endpoint::parse(name, &url)).transpose()?;
            let is_local = |endpoint: &Endpoint| endpoint.origin.is_plain_loopback();
            // R1: a server on the network must not direct secrets to a port of this machine.
            match (&endpoint, source) {
                (Some(endpoint), Some(source)) if is_local(endpoint) && !is_local(source) => {
                    Err(Error::origin(format!(
                        "{source} names {endpoint}, which is plain http to this machine"
                    )))
                }
                _ => Ok(OptionalEndpoint { name, endpoint }),
            }
        };
        let token = endpoint("token endpoint", document.token_endpoint)?;
        let no_token_endpoint = || match source {
            Some(source) => Error::malformed(format!("{source} names no token endpoint")),
            None => Error::input(
                "the client has no server; give its issuer, or the URL of its token endpoint",
            ),
        };
        Ok(Self {
            token: token.endpoint.ok_or_else(no_token_endpoint)?,
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

fn read(url: &Endpoint, response: &ServerResponse) -> Result<Document, Error> {
    if response.status == StatusCode::OK {
        return response.json(url);
    }
    // Never a permanent error: a server that is being set up has no metadata yet.
    let status = response.status.as_u16();
    let error = Error::unavailable(format!("{url} cannot be fetched ({status})"));
    Err(response.add_pause(error))
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
    // RFC 8414 §2: an issuer "has no query or fragment components". A FHIR base URL has none either.
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
    use crate::error::error::ErrorKind;

    fn read(url: &str, token_endpoint: &str) -> Result<Metadata, Error> {
        let document = Document {
            token_endpoint: Some(token_endpoint.to_owned()),
            ..Document::default()
        };
        Metadata::new(document, Some(&Endpoint::parse("metadata", url).unwrap()))
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
            assert_eq!(urls.map(|url| url.url.path().to_owned()), [oauth, openid]);
        }
        assert!(well_known_urls("https://a.example/?x").is_err());
        assert!(smart_configuration_url("https://a.example/#x").is_err());
    }
}
