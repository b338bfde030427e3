//! What a token endpoint answers to one request.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::gate::{Entrance, Gate};
use crate::response::ScriptedResponse;

/// What a [`TokenEndpoint`](crate::TokenEndpoint) answers to one request.
///
/// ```
/// use std::time::Duration;
///
/// use keyfob_testkit::{TokenResponse, json};
///
/// TokenResponse::token().field("scope", json!("read"));
/// TokenResponse::token().field("expires_in", json!(null));
/// TokenResponse::error("invalid_grant");
/// TokenResponse::same_token().after(Duration::from_millis(20));
/// ```
#[derive(Clone, Debug)]
pub struct TokenResponse {
    pub(crate) kind: Kind,
    pub(crate) fields: Map<String, Value>,
    pub(crate) delay: Duration,
    pub(crate) gate: Option<Entrance>,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Token,
    SameToken,
    Lost,
    Other(Box<ScriptedResponse>),
}

impl TokenResponse {
    /// Issues a new token.
    #[must_use]
    pub fn token() -> Self {
        Self::new(Kind::Token)
    }

    /// Gives the newest token again, with the lifetime that it has left; issues one if that is no longer valid.
    #[must_use]
    pub fn same_token() -> Self {
        Self::new(Kind::SameToken)
    }

    /// Issues a token, and resets the connection instead of answering: the client cannot know.
    #[must_use]
    pub fn lost() -> Self {
        Self::new(Kind::Lost)
    }

    /// Refuses with this [RFC 6749 section 5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2) error.
    ///
    /// The status is 400; 401 for `invalid_client`.
    #[must_use]
    pub fn error(error: &str) -> Self {
        let answer = ScriptedResponse::json(json!({"error": error}));
        Self::other(match error {
            "invalid_client" => answer
                .with_status(401)
                .header("www-authenticate", "Basic realm=\"token endpoint\""),
            _ => answer.with_status(400),
        })
    }

    /// Answers 200 with a body that is not JSON.
    #[must_use]
    pub fn garbage() -> Self {
        Self::other(ScriptedResponse::text("<html>please log in</html>"))
    }

    /// Gives any answer, such as a fault.
    #[must_use]
    pub fn other(answer: ScriptedResponse) -> Self {
        Self::new(Kind::Other(Box::new(answer)))
    }

    /// Adds a field to the token response or replaces one; `null` leaves it out.
    ///
    /// Only what the client is told changes, not what the issuer knows.
    #[must_use]
    pub fn field(mut self, name: &str, value: Value) -> Self {
        self.fields.insert(name.to_owned(), value);
        self
    }

    /// Waits before the answer; the token is issued before the wait.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Waits for the gate before the answer; the token is issued before the wait.
    #[must_use]
    pub fn when(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.entrance());
        self
    }

    fn new(kind: Kind) -> Self {
        Self {
            kind,
            fields: Map::new(),
            delay: Duration::ZERO,
            gate: None,
        }
    }
}

impl Default for TokenResponse {
    fn default() -> Self {
        Self::token()
    }
}
