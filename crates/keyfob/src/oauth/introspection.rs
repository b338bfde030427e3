//! Asking whether a token is good (RFC 7662).

use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::error::Error;
use crate::oauth::client::Client;
use crate::oauth::form::Form;
use crate::token::token::Token;

/// What a server says about a token (RFC 7662 §2.2).
///
/// Of a token that is not active nothing else is said.
#[derive(Clone, Debug, Deserialize)]
pub struct Introspection {
    active: bool,
    exp: Option<f64>,
    scope: Option<String>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

impl Introspection {
    /// Whether the token is good now.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.active
    }

    /// When it ends, if the server says so.
    #[must_use]
    pub fn expires(&self) -> Option<SystemTime> {
        let since = Duration::try_from_secs_f64(self.exp?).ok()?;
        SystemTime::UNIX_EPOCH.checked_add(since)
    }

    /// What it is good for, if the server says so.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scope
            .as_deref()
            .unwrap_or_default()
            .split_ascii_whitespace()
    }

    /// Anything else that the server says, such as `sub` or `client_id`.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.others.get(name)
    }
}

impl Client {
    /// Asks the server whether an access token is good (RFC 7662).
    ///
    /// Needs a tokio runtime, as all of `reqwest` does.
    ///
    /// ```no_run
    /// # async fn example(session: keyfob::Session, client: keyfob::oauth::Client) -> Result<(), keyfob::Error> {
    /// let token = session.tokens().get_valid_token().await?;
    /// println!("active: {}", client.introspect(&token).await?.is_active());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the server names no introspection endpoint and none was given; else as
    /// a [`TokenSource`](crate::TokenSource) of this client.
    pub async fn introspect(&self, token: &Token) -> Result<Introspection, Error> {
        let metadata = self.metadata().await?;
        let endpoint = metadata.introspection.as_ref().ok_or_else(|| {
            Error::input("the server names no introspection endpoint; give its URL to the client")
        })?;
        let form = Form::new()
            .with("token", token.expose())
            .with("token_type_hint", "access_token");
        self.post(endpoint, &metadata, form).await?.json(endpoint)
    }
}
