//! Renewing a token where it is: the same token is valid for longer.

use std::sync::Arc;
use std::time::Duration;

use crate::error::error::{Error, ErrorKind};
use crate::oauth::http_client::ServerResponse;
use crate::oauth::http_token::pointer::Pointer;
use crate::runtime::lock::{Mutex, lock};
use crate::source::source::{Reason, TokenRequest, TokenSource};
use crate::token::json::Json;
use crate::token::token::{Expiry, Token};

/// The request that renews a token, and what is known of the newest one.
pub(crate) struct Renewal {
    pub(crate) request: Arc<dyn TokenSource>,
    /// Where a response says whether its token can be renewed.
    pub(crate) renewable: Option<Pointer>,
    pub(crate) newest: Arc<Mutex<NewToken>>,
}

/// What a response said about a new token.
pub(crate) struct NewToken {
    lifetime: Option<Duration>,
    is_renewable: bool,
}

/// What became of the attempt to renew a token.
pub(crate) enum Attempt {
    Renewed(Token),
    /// It is renewed, but its maximum lifetime comes near.
    EndsSoon(Token),
    /// A new token is needed.
    Refused,
}

impl Renewal {
    /// Renews the previous token, if it is valid and can be renewed.
    pub(super) async fn attempt(&self, request: &TokenRequest) -> Result<Attempt, Error> {
        let is_due = request.reason() == Reason::Due && request.previous().is_some();
        if !is_due || !lock(&self.newest).is_renewable {
            return Ok(Attempt::Refused);
        }
        match self.request.fetch(request).await {
            Ok(token) if self.ends_soon(&token) => Ok(Attempt::EndsSoon(token)),
            Ok(token) => Ok(Attempt::Renewed(token)),
            Err(error) if error.kind() == ErrorKind::Refused => Ok(Attempt::Refused),
            // The server would not issue a new token either.
            Err(error) => Err(error),
        }
    }

    fn ends_soon(&self, token: &Token) -> bool {
        match (token.expires(), lock(&self.newest).lifetime) {
            (Expiry::In(left), Some(lifetime)) => left < lifetime / 2,
            _ => false,
        }
    }

    /// Records what the response with a new token says.
    pub(super) fn record(&self, response: &ServerResponse, token: &Token) {
        let json = serde_json::from_str::<Json>(&response.text()).ok();
        let flag = self.renewable.as_ref().zip(json.as_ref());
        let flag = flag.and_then(|(pointer, json)| pointer.look_up(json));
        *lock(&self.newest) = NewToken {
            lifetime: match token.expires() {
                Expiry::In(lifetime) => Some(lifetime),
                _ => None,
            },
            is_renewable: !matches!(flag, Some(Json::Bool(false))),
        };
    }
}

/// A token of another process, for example, may be renewable.
impl Default for NewToken {
    fn default() -> Self {
        Self {
            lifetime: None,
            is_renewable: true,
        }
    }
}
