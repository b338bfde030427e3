//! The options of a token request that all grants share.

use huskarl_core::secrets::SecretString;

use crate::error::error::Error;
use crate::oauth::client::{Client, GrantRequest};
use crate::oauth::client_authentication::secret_string;
use crate::oauth::form::Form;
use crate::oauth::token_response::TokenMember;
use crate::token::token::Token;

/// The client that sends the request, and the scopes, audiences, resources and other parameters.
#[derive(Clone, Debug)]
pub(crate) struct GrantOptions {
    pub(crate) client: Client,
    pub(crate) scopes: Vec<String>,
    pub(crate) audiences: Vec<String>,
    pub(crate) resources: Vec<String>,
    pub(crate) parameters: Vec<(String, SecretString)>,
    pub(crate) uses_id_token: bool,
}

impl GrantOptions {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            scopes: Vec::new(),
            audiences: Vec::new(),
            resources: Vec::new(),
            parameters: Vec::new(),
            uses_id_token: false,
        }
    }

    /// Requests a token with the parameters of a grant and these options.
    pub(crate) async fn request_token(&self, form: Form) -> Result<Token, Error> {
        self.request(form, TokenMember::Access, &[]).await
    }

    /// The same for a grant whose response may hold an ID token instead of an access token.
    pub(crate) async fn request_any_token(&self, form: Form) -> Result<Token, Error> {
        self.request(form, TokenMember::AccessOrId, &[]).await
    }

    /// The same with a form that has a signed assertion for these audiences. It is sent to no other server.
    pub(crate) async fn request_for(
        &self,
        audiences: &[String],
        form: Form,
    ) -> Result<Token, Error> {
        self.request(form, TokenMember::AccessOrId, audiences).await
    }

    async fn request(
        &self,
        form: Form,
        member: TokenMember,
        audiences: &[String],
    ) -> Result<Token, Error> {
        let grant = GrantRequest {
            scopes: &self.scopes,
            member: self.member(member),
            audiences,
        };
        let form = self.add_to(form)?;
        let token = self.client.request_token(form, &grant).await;
        token.map_err(|error| self.client.mark_refusal(error))
    }

    /// The member of the response that is the token, if it is this one by default.
    pub(crate) fn member(&self, default: TokenMember) -> TokenMember {
        match self.uses_id_token {
            true => TokenMember::Id,
            false => default,
        }
    }

    /// Adds scopes, each once.
    pub(crate) fn add_scopes(&mut self, scopes: impl Iterator<Item = String>) {
        for scope in scopes {
            if !self.scopes.contains(&scope) {
                self.scopes.push(scope);
            }
        }
    }

    /// Sets a parameter in place of an earlier one of the same name; an empty value only removes that.
    pub(crate) fn set_parameter(&mut self, name: &str, value: String) {
        self.parameters.retain(|(other, _)| other != name);
        if !value.is_empty() {
            self.parameters
                .push((name.to_owned(), secret_string(value)));
        }
    }

    /// Adds the options to a form.
    pub(crate) fn add_to(&self, mut form: Form) -> Result<Form, Error> {
        if !self.scopes.is_empty() {
            form = form.with("scope", &self.scopes.join(" "));
        }
        // One parameter each: RFC 8693 §2.1 and RFC 8707 §2 allow several of the same name.
        for audience in &self.audiences {
            form = form.with("audience", audience);
        }
        for resource in &self.resources {
            form = form.with("resource", resource);
        }
        for (name, value) in &self.parameters {
            // RFC 6749 §3.2: "Request and response parameters MUST NOT be included more than once."
            if RESERVED.contains(&name.as_str()) {
                return Err(Error::input(format!(
                    "the parameter `{name}` is set by the grant or the client and cannot be added"
                )));
            }
            form = form.with(name, value.expose_secret());
        }
        Ok(form)
    }
}

/// The setters of a type whose [`GrantOptions`] are in this field.
///
/// A macro, because each type then has the setters as its own methods, and users import no trait.
macro_rules! grant_setters {
    ($($options:ident).+) => {
        crate::oauth::grants::options::grant_setters!(
            $($options).+,
            "Adds another parameter to the request. The value may be secret."
        );
    };
    ($($options:ident).+, $about_parameter:literal) => {
        /// Requests these scopes, in addition to those of earlier calls (RFC 6749 §3.3).
        pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
            self.$($options).+.add_scopes(scopes.into_iter().map(Into::into));
            self
        }

        /// Requests a token for this audience, by its name at the server (RFC 8693 §2.1).
        pub fn audience(mut self, audience: impl Into<String>) -> Self {
            self.$($options).+.audiences.push(audience.into());
            self
        }

        /// Requests a token for the API at this URL, in addition to others (RFC 8707).
        pub fn resource(mut self, resource: impl Into<String>) -> Self {
            self.$($options).+.resources.push(resource.into());
            self
        }

        /// Uses the ID token of the response as the token, in place of the access token.
        ///
        /// For APIs that take ID tokens, such as a Kubernetes cluster or a service behind Identity-Aware Proxy. Request the
        /// scope `openid`; a response without an ID token is an error. The token's `exp` says when to renew it. Nothing of
        /// it is verified, because the server that it came from is trusted.
        pub fn use_id_token(mut self) -> Self {
            self.$($options).+.uses_id_token = true;
            self
        }

        #[doc = $about_parameter]
        pub fn parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
            let value = crate::oauth::client_authentication::secret_string(value);
            self.$($options).+.parameters.push((name.into(), value));
            self
        }
    };
}

pub(crate) use grant_setters;

/// The setters of a sign-in, for what a server asks of the person ([`StepUp`](crate::exchange::StepUp)).
macro_rules! sign_in_setters {
    ($options:ident) => {
        /// Asks for one of these authentication context classes, best first (`acr_values`, RFC 9470 §4).
        ///
        /// It replaces an earlier call. For what a server asks for, see [`StepUp`](crate::exchange::StepUp).
        pub fn acr_values<S: AsRef<str>>(mut self, classes: impl IntoIterator<Item = S>) -> Self {
            let classes: Vec<_> = classes.into_iter().collect();
            let classes: Vec<_> = classes.iter().map(AsRef::as_ref).collect();
            self.$options.set_parameter("acr_values", classes.join(" "));
            self
        }

        /// Asks for a sign-in at most this long ago (`max_age`, RFC 9470 §4); zero asks for a new one in any case.
        ///
        /// The server counts whole seconds. It replaces an earlier call.
        pub fn max_age(mut self, age: std::time::Duration) -> Self {
            self.$options
                .set_parameter("max_age", age.as_secs().to_string());
            self
        }

        /// Asks for what a server asked for: its scopes in addition to others, its classes and its age.
        pub fn step_up(self, asked: &crate::exchange::step_up::StepUp) -> Self {
            let flow = self.scopes(&asked.scopes);
            let flow = match &*asked.acr_values {
                [] => flow,
                classes => flow.acr_values(classes),
            };
            match asked.max_age {
                Some(age) => flow.max_age(age),
                None => flow,
            }
        }
    };
}

pub(crate) use sign_in_setters;

/// Parameters that a grant or the client's authentication sets.
pub(crate) const RESERVED: [&str; 18] = [
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
    "request_uri",
    "dpop_jkt",
];
