//! A token that never changes.

use futures_util::future::ready;

use crate::source::source::{TokenFuture, TokenRequest, TokenSource};
use crate::token::token::Token;

/// A token that is set once and never renewed.
///
/// If it expires or is rejected, requests fail. Use it for tokens that do not expire, and in tests.
///
/// ```
/// use keyfob::{FixedToken, Token};
///
/// let source = FixedToken::new(Token::new("mF_9.B5f-4.1JqM")?);
/// # Ok::<(), keyfob::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FixedToken(Token);

impl FixedToken {
    /// A source that always returns this token.
    #[must_use]
    pub fn new(token: Token) -> Self {
        Self(token)
    }
}

impl TokenSource for FixedToken {
    fn fetch<'a>(&'a self, _: &'a TokenRequest) -> TokenFuture<'a> {
        Box::pin(ready(Ok(self.0.clone())))
    }
}
