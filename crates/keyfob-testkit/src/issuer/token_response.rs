//! The response of a token endpoint to one request.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::server::gate::{Gate, GateWaiter};
use crate::server::response::ScriptedResponse;

/// The response of a [`TokenEndpoint`](crate::TokenEndpoint) to one request.
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
    pub(crate) gate: Option<GateWaiter>,
    pub(crate) loss: Option<Loss>,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Token,
    SameToken,
    Other(Box<ScriptedResponse>),
}

/// How the response with an issued token does not arrive.
#[derive(Clone, Debug)]
pub(crate) struct Loss {
    pub(crate) how: LossKind,
    /// Whether the response to a repeated exchange is lost too.
    pub(crate) also_if_repeated: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum LossKind {
    Replaced(Box<ScriptedResponse>),
    CutAfter(usize),
}

impl TokenResponse {
    /// Issues a new token.
    #[must_use]
    pub fn token() -> Self {
        Self::new(Kind::Token)
    }

    /// Sends the newest token again with its remaining lifetime, or a new one if it is no longer valid.
    #[must_use]
    pub fn same_token() -> Self {
        Self::new(Kind::SameToken)
    }

    /// Issues a token, and resets the connection instead of responding: the client cannot know the outcome.
    #[must_use]
    pub fn lost() -> Self {
        Self::token().lost_behind(ScriptedResponse::reset())
    }

    /// Responds with this [RFC 6749 section 5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2) error.
    ///
    /// The status is 401 for `invalid_client`, and 400 otherwise.
    #[must_use]
    pub fn error(error: &str) -> Self {
        let response = ScriptedResponse::json(json!({"error": error}));
        Self::other(match error {
            "invalid_client" => response
                .with_status(401)
                .header("www-authenticate", "Basic realm=\"token endpoint\""),
            _ => response.with_status(400),
        })
    }

    /// Responds with 200 and a body that is not JSON.
    #[must_use]
    pub fn garbage() -> Self {
        Self::other(ScriptedResponse::text("<html>please log in</html>"))
    }

    /// Responds with any response or fault.
    #[must_use]
    pub fn other(response: ScriptedResponse) -> Self {
        Self::new(Kind::Other(Box::new(response)))
    }

    /// Adds a field to the token response or replaces one; `null` removes it.
    ///
    /// This changes what the client receives, not what the issuer knows.
    #[must_use]
    pub fn field(mut self, name: &str, value: Value) -> Self {
        self.fields.insert(name.to_owned(), value);
        self
    }

    /// Issues the token, and sends this instead of it, such as the 502 of a gateway.
    #[must_use]
    pub fn lost_behind(self, response: ScriptedResponse) -> Self {
        self.lost_by(LossKind::Replaced(Box::new(response)))
    }

    /// Issues the token, sends this many bytes of the head and body of the response, and closes the connection.
    ///
    /// If the response is shorter, it is sent without its last byte.
    #[must_use]
    pub fn cut_after(self, bytes: usize) -> Self {
        self.lost_by(LossKind::CutAfter(bytes))
    }

    /// Sends the whole response to a repeated exchange, although the response is set to be lost.
    #[must_use]
    pub fn unless_repeated(mut self) -> Self {
        if let Some(loss) = &mut self.loss {
            loss.also_if_repeated = false;
        }
        self
    }

    /// Waits before the response; the token is issued before the wait.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Waits for the gate before the response; the token is issued before the wait.
    #[must_use]
    pub fn when(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.waiter());
        self
    }

    fn new(kind: Kind) -> Self {
        Self {
            kind,
            fields: Map::new(),
            delay: Duration::ZERO,
            gate: None,
            loss: None,
        }
    }

    fn lost_by(mut self, how: LossKind) -> Self {
        self.loss = Some(Loss {
            how,
            also_if_repeated: true,
        });
        self
    }
}

impl Default for TokenResponse {
    fn default() -> Self {
        Self::token()
    }
}
