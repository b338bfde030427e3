//! Token introspection: asking the server whether a token is active (RFC 7662).

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::error::error::Error;
use crate::oauth::client::Client;
use crate::oauth::form::Form;
use crate::token::token::Token;

/// The server's response about a token (RFC 7662 §2.2).
///
/// About a token that is not active, the server says nothing more.
///
/// ```
/// use keyfob::oauth::Introspection;
///
/// let json = r#"{"active": true, "scope": "read write", "sub": "anna"}"#;
/// let response: Introspection = serde_json::from_str(json)?;
/// assert!(response.is_active());
/// assert_eq!(response.scopes().collect::<Vec<_>>(), ["read", "write"]);
/// assert_eq!(response.field("sub").unwrap(), "anna");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Deserialize)]
pub struct Introspection {
    active: bool,
    #[serde(default, deserialize_with = "lenient_time")]
    exp: Option<f64>,
    #[serde(default, deserialize_with = "lenient_scope")]
    scope: Option<String>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// Reads a NumericDate, which may have a fraction (RFC 7519 §2). Some servers write it as a string.
fn lenient_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    })
}

/// Reads scopes: one text, or a list of them.
fn lenient_scope<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => Some(text),
        Value::Array(items) => {
            let words: Vec<_> = items.iter().filter_map(Value::as_str).collect();
            Some(words.join(" "))
        }
        _ => None,
    })
}

impl Introspection {
    /// Whether the token is valid now.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.active
    }

    /// When the token expires, if the server says so (`exp`).
    #[must_use]
    pub fn expires(&self) -> Option<SystemTime> {
        let since_epoch = Duration::try_from_secs_f64(self.exp?).ok()?;
        SystemTime::UNIX_EPOCH.checked_add(since_epoch)
    }

    /// The scopes of the token, if the server names them.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scope
            .as_deref()
            .unwrap_or_default()
            .split_ascii_whitespace()
    }

    /// Any other member of the response, such as `sub` or `client_id`.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.others.get(name)
    }
}

impl Client {
    /// Asks the server whether an access token is active (RFC 7662).
    ///
    /// Needs a Tokio runtime.
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
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if no introspection endpoint is known; otherwise as a
    /// [`TokenSource`](crate::TokenSource) of this client.
    pub async fn introspect(&self, token: &Token) -> Result<Introspection, Error> {
        let metadata = self.metadata().await?;
        let endpoint = metadata.introspection.require()?;
        let form = Form::new()
            .with("token", token.expose())
            .with("token_type_hint", "access_token");
        let response = self.post(endpoint, &metadata, &form).await?;
        response.json(endpoint)
    }
}
