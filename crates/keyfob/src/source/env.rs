//! A token in an environment variable.

use std::env;
use std::env::VarError;
use std::ffi::{OsStr, OsString};

use futures_util::future::ready;

use crate::error::error::Error;
use crate::source::source::{TokenFuture, TokenRequest, TokenSource};
use crate::token::token::Token;

/// The token in an environment variable, which is read each time a token is needed.
///
/// White space around the token is removed. The `exp` of a JWT is used as a hint of the expiry.
///
/// ```
/// use keyfob::EnvToken;
///
/// let source = EnvToken::new("API_TOKEN");
/// ```
#[derive(Clone, Debug)]
pub struct EnvToken {
    variable: OsString,
}

impl EnvToken {
    /// Reads the token from this variable.
    #[must_use]
    pub fn new(variable: impl AsRef<OsStr>) -> Self {
        Self {
            variable: variable.as_ref().to_owned(),
        }
    }

    fn read(&self) -> Result<Token, Error> {
        let name = self.variable.display();
        let fault = |what| format!("the environment variable {name} {what}; set it to the token");
        let text = env::var(&self.variable).map_err(|error| match error {
            VarError::NotPresent => Error::unavailable(fault("is not set")),
            // The text is kept out of the error, because it may be the secret.
            VarError::NotUnicode(_) => Error::malformed(fault("is not text")),
        })?;
        let text = text.trim();
        if text.is_empty() {
            return Err(Error::unavailable(fault("is empty")));
        }
        Ok(Token::new(text)?.expiry_from_jwt())
    }
}

impl TokenSource for EnvToken {
    fn fetch<'a>(&'a self, _: &'a TokenRequest) -> TokenFuture<'a> {
        Box::pin(ready(self.read()))
    }
}
