//! The form of a request to an authorization server.

use std::fmt;

use http::HeaderMap;
use huskarl_core::client_auth::AuthenticationParams;
use huskarl_core::oauth_form;
use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::error::error::Error;

/// The parameters of one request, as they are sent; wiped when dropped.
pub(crate) struct Form(Zeroizing<String>);

impl Form {
    /// A form with nothing in it, and room for a usual one, so that no copy is left behind by a buffer that grew.
    pub(crate) fn new() -> Self {
        Self(Zeroizing::new(String::with_capacity(8 * 1024)))
    }

    /// A token request (RFC 6749 §4.4.2 and its like).
    pub(crate) fn grant(grant_type: &str) -> Self {
        Self::new().with("grant_type", grant_type)
    }

    /// The same form, for another attempt.
    pub(crate) fn again(&self) -> Self {
        let mut again = Self::new();
        again.0.push_str(&self.0);
        again
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        for piece in form_urlencoded::byte_serialize(name.as_bytes()) {
            self.0.push_str(piece);
        }
        self.0.push('=');
        for piece in form_urlencoded::byte_serialize(value.as_bytes()) {
            self.0.push_str(piece);
        }
        self
    }

    pub(crate) fn with_some(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// As it is sent; it may hold secrets.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// Adds who asks; answers the fields of the head and the text of the form.
    pub(crate) fn authenticated(
        mut self,
        who: AuthenticationParams<'_>,
    ) -> Result<(HeaderMap, Zeroizing<String>), Error> {
        if let Some(parameters) = &who.form_params {
            if !self.0.is_empty() {
                self.0.push('&');
            }
            oauth_form::push_to_string(&mut self.0, parameters).map_err(|_| {
                Error::input("the client's authentication cannot be sent in a form")
            })?;
        }
        Ok((who.headers.unwrap_or_default(), self.0))
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[form]")
    }
}
