//! What can be said about a token that is asked for, the same for every grant.

use std::fmt;

use zeroize::Zeroizing;

use crate::error::error::Error;
use crate::oauth::form::Form;

/// Scopes, audience, resources and whatever else a server wants to know.
#[derive(Clone, Default)]
pub(crate) struct GrantOptions {
    pub(crate) scopes: Vec<String>,
    pub(crate) audiences: Vec<String>,
    pub(crate) resources: Vec<String>,
    pub(crate) parameters: Vec<(String, Zeroizing<String>)>,
}

impl GrantOptions {
    /// Adds them to a form.
    pub(crate) fn fill(&self, mut form: Form) -> Result<Form, Error> {
        if !self.scopes.is_empty() {
            form = form.with("scope", &self.scopes.join(" "));
        }
        for audience in &self.audiences {
            form = form.with("audience", audience);
        }
        for resource in &self.resources {
            form = form.with("resource", resource);
        }
        for (name, value) in &self.parameters {
            // RFC 6749 §3.2: "Request and response parameters MUST NOT be included more than once."
            if SET_ELSEWHERE.contains(&name.as_str()) {
                return Err(Error::input(format!(
                    "the parameter `{name}` is set by the grant or the client, and not as an extra one"
                )));
            }
            form = form.with(name, value);
        }
        Ok(form)
    }
}

/// Of the extra parameters only the names: a value may be a secret.
impl fmt::Debug for GrantOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.parameters.iter().map(|(name, _)| name).collect();
        f.debug_struct("GrantOptions")
            .field("scopes", &self.scopes)
            .field("audiences", &self.audiences)
            .field("resources", &self.resources)
            .field("parameters", &names)
            .finish()
    }
}

/// The setters of a grant whose [`GrantOptions`] are here.
macro_rules! grant_setters {
    ($($options:tt)+) => {
        crate::oauth::grants::options::scope_setters!($($options)+);

        /// Sends one more parameter, which may be a secret.
        pub fn parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
            let value = zeroize::Zeroizing::new(value.into());
            self.$($options)+.parameters.push((name.into(), value));
            self
        }
    };
}

/// Those that say what the token is for.
macro_rules! scope_setters {
    ($($options:tt)+) => {
        /// Asks for these scopes (RFC 6749 §3.3), beside those that were given before.
        pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
            self.$($options)+
                .scopes
                .extend(scopes.into_iter().map(Into::into));
            self
        }

        /// Asks for a token for this audience, by the name that the server has for it (RFC 8693 §2.1, and others).
        pub fn audience(mut self, audience: impl Into<String>) -> Self {
            self.$($options)+.audiences.push(audience.into());
            self
        }

        /// Asks for a token for the API of this URL (RFC 8707), beside those that were given before.
        pub fn resource(mut self, resource: impl Into<String>) -> Self {
            self.$($options)+.resources.push(resource.into());
            self
        }
    };
}

pub(crate) use grant_setters;
pub(crate) use scope_setters;

const SET_ELSEWHERE: [&str; 16] = [
    "grant_type",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "refresh_token",
    "scope",
    "assertion",
    "response_type",
    "redirect_uri",
    "state",
    "code",
    "code_verifier",
    "code_challenge",
    "code_challenge_method",
    "device_code",
];
