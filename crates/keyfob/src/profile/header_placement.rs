//! A token that goes elsewhere than `Authorization: Bearer`.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::HeaderName;

use crate::error::error::Error;
use crate::source::source::{TokenRequest, TokenSource};
use crate::token::token::Token;

/// Sends the tokens of another source in a field, or under a scheme, of the profile's choice.
pub(super) struct InField {
    pub(super) source: Arc<dyn TokenSource>,
    pub(super) field: Field,
}

/// Where a token goes.
#[derive(Clone, Debug)]
pub(super) enum Field {
    /// Alone, in a field of this name.
    Header(HeaderName),
    /// In `Authorization`, under this scheme.
    Scheme(String),
}

impl Field {
    fn carry(&self, token: Token) -> Result<Token, Error> {
        match self {
            Self::Header(name) => Ok(token.header_name(name.clone())),
            Self::Scheme(scheme) => token.scheme(scheme),
        }
    }
}

impl TokenSource for InField {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(async move { self.field.carry(self.source.fetch(request).await?) })
    }

    fn consumes_refresh_token(&self) -> bool {
        self.source.consumes_refresh_token()
    }
}
