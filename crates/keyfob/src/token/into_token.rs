//! What a hook may return in place of a token.

use std::time::{Duration, SystemTime};

use crate::error::error::Error;
use crate::token::token::Token;

/// Turns what a hook returns into a token.
///
/// Implemented for [`Token`]; for `String` and `&str`, where a JWT's `exp` claim is read as a hint; and for pairs of text
/// with a `SystemTime` of expiry or a `Duration` of lifetime.
pub trait IntoToken {
    /// Converts the value.
    ///
    /// # Errors
    ///
    /// As [`Token::new`].
    fn into_token(self) -> Result<Token, Error>;
}

impl IntoToken for Token {
    fn into_token(self) -> Result<Token, Error> {
        Ok(self)
    }
}

impl IntoToken for String {
    fn into_token(self) -> Result<Token, Error> {
        Ok(Token::new(self)?.expiry_from_jwt())
    }
}

impl IntoToken for &str {
    fn into_token(self) -> Result<Token, Error> {
        self.to_owned().into_token()
    }
}

impl<T: Into<String>> IntoToken for (T, SystemTime) {
    fn into_token(self) -> Result<Token, Error> {
        Ok(Token::new(self.0)?.expires_at(self.1))
    }
}

impl<T: Into<String>> IntoToken for (T, Duration) {
    fn into_token(self) -> Result<Token, Error> {
        Ok(Token::new(self.0)?.expires_in(self.1))
    }
}
