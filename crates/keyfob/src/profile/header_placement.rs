//! Tokens that are not sent as `Authorization: Bearer`.

use std::sync::Arc;

use http::HeaderName;

use crate::source::source::{TokenFuture, TokenRequest, TokenSource};

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

impl TokenSource for PlacedSource {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> TokenFuture<'a> {
        Box::pin(async move {
            let token = self.source.fetch(request).await?;
            match &self.placement {
                HeaderPlacement::Header(name) => Ok(token.header_name(name.clone())),
                HeaderPlacement::Scheme(scheme) => token.scheme(scheme),
            }
        })
    }

    fn consumes_refresh_token(&self) -> bool {
        self.source.consumes_refresh_token()
    }
}
