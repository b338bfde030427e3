//! The metadata of an authorization server (RFC 8414, OpenID Connect Discovery, SMART App Launch).

use std::collections::BTreeMap;

use url::{ParseError, Url};

use crate::error::error::{Error, ErrorKind};
use crate::oauth::endpoint::{Endpoint, PlainHttp};
use crate::origin::origin::parse_url;
use crate::token::json::{Json, Object};

/// The endpoints of a server, and what it supports.
#[derive(Clone, Debug)]
pub(crate) struct Metadata {
    pub(crate) issuer: Option<String>,
    pub(crate) token: Endpoint,
    pub(crate) introspection: OptionalEndpoint,
    pub(crate) revocation: OptionalEndpoint,
    pub(crate) authorization: OptionalEndpoint,
    pub(crate) device_authorization: OptionalEndpoint,
    /// Where a client registers itself (RFC 7591).
    pub(crate) registration: OptionalEndpoint,
    /// Whether a client identifier may be the URL of a document that describes the client.
    pub(crate) accepts_client_metadata_url: bool,
    /// The scopes that the server lists.
    pub(crate) scopes: Vec<String>,
    pub(crate) pushed_authorization_request: OptionalEndpoint,
    /// Whether authorization requests have to be pushed (RFC 9126 §5).
    pub(crate) requires_pushed_requests: bool,
    /// Whether each authorization response contains `iss` (RFC 9207 §3).
    pub(crate) sends_iss: bool,
    /// The supported PKCE methods (RFC 7636), if the server lists them.
    pub(crate) code_challenge_methods: Option<Vec<String>>,
    /// Whether the server named the endpoints, and not the application.
    pub(crate) is_discovered: bool,
}

/// The members of a metadata document that are used. All others are ignored.
#[derive(Clone, Debug, Default)]
pub(crate) struct Document {
    pub(crate) issuer: Option<String>,
    pub(crate) token_endpoint: Option<String>,
    pub(crate) introspection_endpoint: Option<String>,
    pub(crate) revocation_endpoint: Option<String>,
    pub(crate) authorization_endpoint: Option<String>,
    pub(crate) device_authorization_endpoint: Option<String>,
    pub(crate) registration_endpoint: Option<String>,
    pub(crate) accepts_client_metadata_url: bool,
    pub(crate) scopes: Option<Vec<String>>,
    pub(crate) pushed_authorization_request_endpoint: Option<String>,
    pub(crate) requires_pushed_requests: bool,
    pub(crate) sends_iss: bool,
    pub(crate) code_challenge_methods: Option<Vec<String>>,
    /// The endpoints for clients that present a certificate (RFC 8705 §5), by the names of the usual ones.
    pub(crate) mtls_aliases: BTreeMap<String, String>,
}

/// Which endpoints of a server a client may use.
#[derive(Clone, Debug, Default)]
pub(crate) struct EndpointRules {
    pub(crate) endpoints: Endpoints,
    pub(crate) plain_http: PlainHttp,
}

/// Which of a server's endpoints a client uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Endpoints {
    #[default]
    Usual,
    /// Those for clients that present a certificate, where the server has them.
    Mtls,
}

impl Document {
    /// Reads a document. A member that has another type than it should counts as absent.
    pub(crate) fn read(object: &Object) -> Self {
        let text = |name| object.text(name).map(str::to_owned);
        let texts = |name| match object.get(name) {
            Some(Json::List(values)) => Some(values.iter().filter_map(as_text).collect()),
            _ => None,
        };
        Self {
            issuer: text(ISSUER),
            token_endpoint: text(TOKEN),
            introspection_endpoint: text(INTROSPECTION),
            revocation_endpoint: text(REVOCATION),
            authorization_endpoint: text(AUTHORIZATION),
            device_authorization_endpoint: text(DEVICE_AUTHORIZATION),
            pushed_authorization_request_endpoint: text(PUSHED_AUTHORIZATION_REQUEST),
            requires_pushed_requests: is_promised(object, REQUIRES_PUSHED_REQUESTS),
            sends_iss: is_promised(object, SENDS_ISS),
            registration_endpoint: text(REGISTRATION),
            accepts_client_metadata_url: matches!(
                object.get(CLIENT_METADATA_URL),
                Some(Json::Bool(true))
            ),
            scopes: texts(SCOPES),
            code_challenge_methods: texts(CODE_CHALLENGE_METHODS),
            mtls_aliases: match object.get(MTLS_ALIASES) {
                Some(Json::Object(aliases)) => {
                    let url = |name: &str| Some((name.to_owned(), aliases.text(name)?.to_owned()));
                    ALIASED.into_iter().filter_map(url).collect()
                }
                _ => BTreeMap::new(),
            },
        }
    }

    /// Keeps the issuer only if it is the one that the application named. A FHIR server could write any other.
    pub(crate) fn keep_issuer(&mut self, configured: Option<&str>) {
        self.issuer
            .take_if(|issuer| Some(issuer.as_str()) != configured);
    }

    /// The same document, with the endpoints that a client uses as the usual ones.
    fn select(mut self, endpoints: Endpoints) -> Self {
        if endpoints == Endpoints::Mtls {
            // RFC 8705 §5: "in preference to the endpoint URL of the same name at the top level of metadata".
            for (endpoint, name) in [
                (&mut self.token_endpoint, TOKEN),
                (&mut self.introspection_endpoint, INTROSPECTION),
                (&mut self.revocation_endpoint, REVOCATION),
                (
                    &mut self.device_authorization_endpoint,
                    DEVICE_AUTHORIZATION,
                ),
                (
                    &mut self.pushed_authorization_request_endpoint,
                    PUSHED_AUTHORIZATION_REQUEST,
                ),
            ] {
                let alias = self.mtls_aliases.remove(name);
                *endpoint = alias.or(endpoint.take());
            }
        }
        self
    }

    /// The document as JSON, which [`read`](Self::read) understands.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            ISSUER: self.issuer,
            TOKEN: self.token_endpoint,
            INTROSPECTION: self.introspection_endpoint,
            REVOCATION: self.revocation_endpoint,
            AUTHORIZATION: self.authorization_endpoint,
            DEVICE_AUTHORIZATION: self.device_authorization_endpoint,
            REGISTRATION: self.registration_endpoint,
            CLIENT_METADATA_URL: self.accepts_client_metadata_url,
            SCOPES: self.scopes,
            PUSHED_AUTHORIZATION_REQUEST: self.pushed_authorization_request_endpoint,
            REQUIRES_PUSHED_REQUESTS: self.requires_pushed_requests,
            SENDS_ISS: self.sends_iss,
            CODE_CHALLENGE_METHODS: self.code_challenge_methods,
            MTLS_ALIASES: self.mtls_aliases,
        })
    }
}

/// Whether a member is true. A string counts as well, because each of these makes a check stricter.
fn is_promised(object: &Object, name: &str) -> bool {
    match object.get(name) {
        Some(Json::Bool(value)) => *value,
        Some(Json::Text(text)) => text.eq_ignore_ascii_case("true"),
        _ => false,
    }
}

fn as_text(value: &Json) -> Option<String> {
    match value {
        Json::Text(text) => Some(text.to_string()),
        _ => None,
    }
}

/// An endpoint that a server may lack, or whose URL cannot be used.
#[derive(Clone, Debug)]
pub(crate) struct OptionalEndpoint {
    name: &'static str,
    endpoint: Result<Option<Endpoint>, Error>,
    /// Whether the server named its endpoints, and not the application.
    is_discovered: bool,
}

impl OptionalEndpoint {
    /// The endpoint, if the server names one.
    pub(crate) fn get(&self) -> Result<Option<&Endpoint>, Error> {
        self.endpoint
            .as_ref()
            .map(Option::as_ref)
            .map_err(Clone::clone)
    }

    pub(crate) fn require(&self) -> Result<&Endpoint, Error> {
        match &self.endpoint {
            Ok(Some(endpoint)) => Ok(endpoint),
            Ok(None) => Err(self.unknown()),
            Err(error) => Err(error.clone()),
        }
    }

    fn unknown(&self) -> Error {
        let name = self.name;
        Error::input(match self.is_discovered {
            true => format!(
                "the metadata of the server name no {name}; if it has one, give {} in place of `issuer`",
                settings_of(name)
            ),
            false => format!(
                "the {name} of the server is not known; give its URL as `{}`",
                name.replace(' ', "_")
            ),
        })
    }

    /// The endpoint; `None` if the server lacks it. One that is named and cannot be used is an error.
    pub(crate) fn offered(&self) -> Result<Option<&Endpoint>, Error> {
        self.endpoint
            .as_ref()
            .map(Option::as_ref)
            .map_err(Error::clone)
    }
}

impl Metadata {
    /// Checks the URLs in a document from this URL, or in one from the application itself.
    ///
    /// An endpoint that a server names and that cannot be used is an error only when it is needed.
    pub(crate) fn new(
        document: Document,
        source: Option<&Endpoint>,
        rules: &EndpointRules,
    ) -> Result<Self, Error> {
        let document = document.select(rules.endpoints);
        let find = |name, url: Option<String>| {
            let endpoint = url
                .map(|url| usable_endpoint(name, &url, source, &rules.plain_http))
                .transpose();
            match (endpoint, source) {
                // What the application gave is wrong at once.
                (Err(error), None) => Err(error),
                (endpoint, _) => Ok(OptionalEndpoint {
                    name,
                    endpoint,
                    is_discovered: source.is_some(),
                }),
            }
        };
        let token = find("token endpoint", document.token_endpoint)?.endpoint?;
        let no_token_endpoint = || match source {
            Some(source) => Error::malformed(format!("{source} names no token endpoint")),
            None => Error::input(
                "the client has no server; give its issuer, or the URL of its token endpoint",
            ),
        };
        Ok(Self {
            token: token.ok_or_else(no_token_endpoint)?,
            introspection: find("introspection endpoint", document.introspection_endpoint)?,
            revocation: find("revocation endpoint", document.revocation_endpoint)?,
            authorization: find("authorization endpoint", document.authorization_endpoint)?,
            device_authorization: find(
                "device authorization endpoint",
                document.device_authorization_endpoint,
            )?,
            registration: find("registration endpoint", document.registration_endpoint)?,
            accepts_client_metadata_url: document.accepts_client_metadata_url,
            scopes: document.scopes.unwrap_or_default(),
            pushed_authorization_request: find(
                "pushed authorization request endpoint",
                document.pushed_authorization_request_endpoint,
            )?,
            requires_pushed_requests: document.requires_pushed_requests,
            sends_iss: document.sends_iss,
            code_challenge_methods: document.code_challenge_methods,
            issuer: document.issuer,
            is_discovered: source.is_some(),
        })
    }
}

fn usable_endpoint(
    name: &'static str,
    url: &str,
    source: Option<&Endpoint>,
    plain_http: &PlainHttp,
) -> Result<Endpoint, Error> {
    let endpoint =
        Endpoint::parse_allowing(name, url, plain_http).map_err(|error| match source {
            Some(source) if error.kind() == ErrorKind::Input => {
                unusable_endpoint(source, name, url)
            }
            _ => error,
        })?;
    let is_local = |endpoint: &Endpoint| endpoint.origin.is_plain_loopback();
    // R1: a server on the network must not direct secrets to a port of this machine.
    match source {
        Some(source) if is_local(&endpoint) && !is_local(source) => Err(Error::origin(format!(
            "{source} names {endpoint}, which is plain http to this machine"
        ))),
        _ => Ok(endpoint),
    }
}

/// The error for an endpoint that a server names. A person cannot correct its URL in the settings.
fn unusable_endpoint(source: &Endpoint, name: &str, url: &str) -> Error {
    let (fault, settings) = (url_fault(url), settings_of(name));
    Error::input(format!(
        "{source} names no usable {name}: its URL {fault}; correct it at the server, or give {settings} in place of `issuer`"
    ))
}

/// Why a URL that a server wrote is none of an endpoint.
pub(crate) fn url_fault(url: &str) -> &'static str {
    match Url::parse(url).as_ref().map(Url::scheme) {
        Err(ParseError::RelativeUrlWithoutBase) => "is not absolute",
        Err(_) => "cannot be parsed",
        Ok("http" | "https") => "has a fragment or userinfo",
        Ok(_) => "has another scheme than https",
    }
}

/// The settings that name an endpoint in place of the issuer.
///
/// Metadata count as a whole: an endpoint that is given by itself would be ignored.
fn settings_of(name: &str) -> String {
    // In profiles and in the builder of a client, its setting has the name that metadata have for it.
    match name.replace(' ', "_") {
        key if key == TOKEN => format!("`{key}`"),
        key => format!("`{TOKEN}` and `{key}`"),
    }
}

/// The URLs of an issuer's metadata: RFC 8414 inserts the well-known part before the path, OpenID appends it.
pub(crate) fn well_known_urls(
    issuer: &str,
    plain_http: &PlainHttp,
) -> Result<[Endpoint; 2], Error> {
    let url = base_url("issuer", issuer)?;
    let path = url.path().trim_end_matches('/').to_owned();
    Ok([
        metadata_url(
            &url,
            &format!("/.well-known/oauth-authorization-server{path}"),
            plain_http,
        )?,
        metadata_url(
            &url,
            &format!("{path}/.well-known/openid-configuration"),
            plain_http,
        )?,
    ])
}

pub(crate) fn smart_configuration_url(
    fhir_base: &str,
    plain_http: &PlainHttp,
) -> Result<Endpoint, Error> {
    let url = base_url("FHIR base URL", fhir_base)?;
    let path = url.path().trim_end_matches('/').to_owned();
    metadata_url(
        &url,
        &format!("{path}/.well-known/smart-configuration"),
        plain_http,
    )
}

fn metadata_url(base: &Url, path: &str, plain_http: &PlainHttp) -> Result<Endpoint, Error> {
    let mut url = base.clone();
    url.set_path(path);
    Endpoint::parse_allowing("metadata document", url.as_str(), plain_http)
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

const ISSUER: &str = "issuer";
const TOKEN: &str = "token_endpoint";
const INTROSPECTION: &str = "introspection_endpoint";
const REVOCATION: &str = "revocation_endpoint";
const AUTHORIZATION: &str = "authorization_endpoint";
const DEVICE_AUTHORIZATION: &str = "device_authorization_endpoint";
const REGISTRATION: &str = "registration_endpoint";
const CLIENT_METADATA_URL: &str = "client_id_metadata_document_supported";
const SCOPES: &str = "scopes_supported";
const PUSHED_AUTHORIZATION_REQUEST: &str = "pushed_authorization_request_endpoint";
const REQUIRES_PUSHED_REQUESTS: &str = "require_pushed_authorization_requests";
const SENDS_ISS: &str = "authorization_response_iss_parameter_supported";
const CODE_CHALLENGE_METHODS: &str = "code_challenge_methods_supported";

const MTLS_ALIASES: &str = "mtls_endpoint_aliases";
const ALIASED: [&str; 5] = [
    TOKEN,
    INTROSPECTION,
    REVOCATION,
    DEVICE_AUTHORIZATION,
    PUSHED_AUTHORIZATION_REQUEST,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str, token_endpoint: &str) -> Result<Metadata, Error> {
        let document = Document {
            token_endpoint: Some(token_endpoint.to_owned()),
            ..Document::default()
        };
        Metadata::new(
            document,
            Some(&Endpoint::parse("metadata", url).unwrap()),
            &EndpointRules::default(),
        )
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
            let urls = well_known_urls(issuer, &PlainHttp::No).unwrap();
            assert_eq!(urls.map(|url| url.url.path().to_owned()), [oauth, openid]);
        }
        assert!(well_known_urls("https://a.example/?x", &PlainHttp::No).is_err());
        assert!(smart_configuration_url("https://a.example/#x", &PlainHttp::No).is_err());
    }
}
