//! The URL for one kind of request to an authorization server, and whether it may receive secrets.

use std::borrow::Cow;
use std::fmt;

use huskarl_core::EndpointUrl;
use url::Url;

use crate::error::error::Error;
use crate::origin::origin::{Origin, parse_url};

/// The URL for one kind of request to an authorization server.
#[derive(Clone)]
pub(crate) struct Endpoint {
    /// What errors call it, such as `token endpoint`.
    name: Cow<'static, str>,
    pub(crate) url: Url,
    pub(crate) origin: Origin,
}

/// To which other machines a request may go over plain `http`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum PlainHttp {
    #[default]
    No,
    /// To this origin, which the user named.
    To(Origin),
    /// To the metadata service of the machine's platform, which is on the same host.
    Metadata,
}

impl PlainHttp {
    fn allows(&self, origin: &Origin) -> bool {
        match self {
            Self::No => false,
            Self::To(allowed) => allowed == origin && !origin.is_metadata_service(),
            Self::Metadata => origin.is_metadata_service(),
        }
    }
}

impl Endpoint {
    /// Reads a URL that may receive secrets: `https`, or plain `http` to loopback (RFC 6749 §3.2, R1).
    pub(crate) fn parse(name: &'static str, text: &str) -> Result<Self, Error> {
        Self::parse_allowing(name, text, &PlainHttp::No)
    }

    /// The same, with plain `http` to another machine if that was allowed.
    pub(crate) fn parse_allowing(
        name: impl Into<Cow<'static, str>>,
        text: &str,
        plain_http: &PlainHttp,
    ) -> Result<Self, Error> {
        let name = name.into();
        let url = parse_url(text)?;
        let origin = Origin::from_url(&url)?;
        if !origin.is_https() && !origin.is_loopback() && !plain_http.allows(&origin) {
            let advice = match origin.is_metadata_service() {
                true => "it is the metadata service of a platform: use the preset for that",
                false => {
                    "give its https URL, or allow it for this origin with `allow_plain_http` of the client or of the profile's token"
                }
            };
            return Err(Error::origin(format!(
                "the {name} at {origin} would receive secrets over plain http; {advice}"
            )));
        }
        if url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
            return Err(Error::input(format!(
                "the URL of the {name} at {origin} has a fragment or userinfo; give it without"
            )));
        }
        Ok(Self { name, url, origin })
    }

    /// The same URL, in the form that the protocol library needs.
    pub(crate) fn to_endpoint_url(&self) -> Result<EndpointUrl, Error> {
        self.url
            .as_str()
            .parse()
            .map_err(|_| Error::input(format!("the URL of {self} cannot be used")))
    }
}

/// The name that errors use. It leaves out the path and the query, which may be confidential.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} at {}", self.name, self.origin)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(&self.to_string()).finish()
    }
}

/// The error of a response whose body has no members.
pub(crate) fn not_json(endpoint: &Endpoint) -> Error {
    Error::malformed(format!(
        "{endpoint} sent a response that is not the expected JSON"
    ))
}
