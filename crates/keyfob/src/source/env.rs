//! A token in an environment variable.

use std::env;
use std::env::VarError;
use std::ffi::{OsStr, OsString};

use futures_util::future::ready;
use zeroize::Zeroizing;

use crate::error::error::Error;
use crate::error::printable::printable;
use crate::error::shown_name::shown_name;
use crate::source::source::{TokenFuture, TokenRequest, TokenSource};
use crate::source::token_text::parse_as;
use crate::source::token_text::type_use::TypeUse;
use crate::token::token::Token;

/// The token in an environment variable, which is read each time a token is needed.
///
/// It may hold the token alone, or any format that [`CommandToken`](crate::CommandToken) reads. White space, a byte order mark
/// and quotes around the token are removed. The `exp` of a JWT is used as a hint of the expiry.
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

    fn read(&self, type_use: TypeUse) -> Result<Token, Error> {
        let name = self.variable.to_string_lossy();
        let fault = |name: &str, what| {
            format!("the environment variable {name} {what}; set it to the token")
        };
        let text = env::var(&self.variable).map_err(|error| match error {
            VarError::NotPresent => Error::unavailable(fault(&unset_name(&name), "is not set")),
            // The text is kept out of the error, because it may be the secret.
            VarError::NotUnicode(_) => Error::malformed(fault(&printable(&name), "is not text")),
        })?;
        let (text, name) = (Zeroizing::new(text), printable(&name));
        if text.trim().is_empty() {
            return Err(Error::unavailable(fault(&name, "is empty")));
        }
        parse_as(text.as_bytes(), type_use).map_err(|fault| {
            let message = format!("the environment variable {name} holds no token: {fault}");
            Error::new(fault.kind(), message)
        })
    }
}

/// The name of a variable that is not set. It may be no name, but the token itself, which was given in its place.
fn unset_name(name: &str) -> String {
    let is_usual = |char: char| char.is_ascii_alphanumeric() || char == '_';
    match name.chars().all(is_usual) {
        true => shown_name(name),
        false => "(not shown, because no variable has such a name)".to_owned(),
    }
}

impl TokenSource for EnvToken {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> TokenFuture<'a> {
        Box::pin(ready(self.read(request.type_use)))
    }
}
