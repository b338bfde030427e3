//! Tokens that are not sent as `Authorization: Bearer`.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::HeaderName;

use crate::error::error::Error;
use crate::source::source::{TokenRequest, TokenSource};
use crate::token::token::Token;

/// Where in a request a token goes.
#[derive(Clone, Debug)]
pub(super) enum HeaderPlacement {
    /// Alone, in the header of this name.
    Header(HeaderName),
    /// In `Authorization`, under this scheme.
    Scheme(String),
}

/// A source whose tokens go where the profile says.
pub(super) struct PlacedSource {
    pub(super) source: Arc<dyn TokenSource>,
    pub(super) placement: HeaderPlacement,
}

impl HeaderPlacement {
    fn place(&self, token: Token) -> Result<Token, Error> {
        match self {
            Self::Header(name) => Ok(token.header_name(name.clone())),
            Self::Scheme(scheme) => token.scheme(scheme),
        }
    }
}

impl TokenSource for PlacedSource {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(async move { self.placement.place(self.source.fetch(request).await?) })
    }

    fn consumes_refresh_token(&self) -> bool {
        self.source.consumes_refresh_token()
    }
}
