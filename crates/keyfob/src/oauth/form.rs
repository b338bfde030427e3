//! The form-encoded body of a request to an authorization server.

use std::fmt;

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

    pub(crate) fn duplicate(&self) -> Self {
        let mut copy = Self::new();
        copy.0.push_str(&self.0);
        copy
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.start_parameter();
        self.0
            .extend(form_urlencoded::byte_serialize(name.as_bytes()));
        self.0.push('=');
        self.0
            .extend(form_urlencoded::byte_serialize(value.as_bytes()));
        self
    }

    pub(crate) fn with_optional(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The encoded parameters, which may contain secrets.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Adds the client's authentication, and returns the headers and the encoded form.
    pub(crate) fn authenticated(
        mut self,
        authentication: AuthenticationParams<'_>,
    ) -> Result<(HeaderMap, Zeroizing<String>), Error> {
        if let Some(parameters) = &authentication.form_params {
            self.start_parameter();
            oauth_form::push_to_string(&mut self.0, parameters).map_err(|_| {
                Error::input("the client's authentication cannot be encoded as a form")
            })?;
        }
        Ok((authentication.headers.unwrap_or_default(), self.0))
    }

    fn start_parameter(&mut self) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[form]")
    }
}
