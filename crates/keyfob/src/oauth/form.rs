//! The form-encoded body of a request to an authorization server.

use http::HeaderMap;
use huskarl_core::client_auth::AuthenticationParams;
use huskarl_core::oauth_form;
use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::error::error::Error;

/// The encoded parameters of one request. They are zeroed when dropped.
pub(crate) struct Form(Zeroizing<String>);

impl Form {
    /// An empty form.
    pub(crate) fn new() -> Self {
        // Enough for a usual form: a buffer that grows leaves a copy of the secrets behind.
        Self(Zeroizing::new(String::with_capacity(8 * 1024)))
    }

    /// A token request of this grant type (RFC 6749 §4).
    pub(crate) fn token_request(grant_type: &str) -> Self {
        Self::new().with("grant_type", grant_type)
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        form_urlencoded::Serializer::new(&mut *self.0).append_pair(name, value);
        self
    }

    /// A copy of the encoded parameters, to be sent.
    pub(crate) fn to_text(&self) -> Zeroizing<String> {
        let mut form = Self::new().0;
        form.push_str(&self.0);
        form
    }

    fn has(&self, name: &str) -> bool {
        form_urlencoded::parse(self.0.as_bytes()).any(|(other, _)| other == name)
    }

    /// The encoded parameters, which may contain secrets.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The same form with an assertion by which the client authenticates (RFC 7521 §4.2).
    pub(crate) fn with_client_assertion(&self, jwt: &str) -> Self {
        Self(self.to_text())
            .with("client_assertion_type", JWT_BEARER)
            .with("client_assertion", jwt)
    }

    /// Returns the headers and the encoded form of a request with the client's authentication.
    ///
    /// The form itself stays as it is: a request that is sent again needs a new client assertion.
    pub(crate) fn authenticated(
        &self,
        authentication: AuthenticationParams<'_>,
    ) -> Result<(HeaderMap, Zeroizing<String>), Error> {
        let mut form = self.to_text();
        if let Some(mut parameters) = authentication.form_params {
            // A pushed authorization request has the `client_id` already, which must not be included twice.
            parameters.retain(|(name, _)| !self.has(name));
            if !form.is_empty() && !parameters.is_empty() {
                form.push('&');
            }
            oauth_form::push_to_string(&mut form, &parameters).map_err(|_| {
                Error::input("the client's authentication cannot be encoded as a form")
            })?;
        }
        Ok((authentication.headers.unwrap_or_default(), form))
    }
}

/// RFC 7523 §2.2.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
