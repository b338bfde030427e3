//! The sources of profiles whose token is kept somewhere, as their references name them.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::error::error::Error;
use crate::profile::secret_ref::Reference;
use crate::source::env::EnvToken;
use crate::source::file::FileToken;
use crate::source::source::{TokenRequest, TokenSource};
use crate::token::token::Token;

/// The source that asks this place for a token.
pub(super) fn source(place: &Reference) -> Arc<dyn TokenSource> {
    match place {
        Reference::Environment(name) => Arc::new(EnvToken::new(name)),
        Reference::File(path) => Arc::new(FileToken::new(path)),
        Reference::Command(command) => Arc::new((**command).clone()),
        Reference::Keyring { .. } => Arc::new(Kept(place.clone())),
    }
}

/// A token that is kept as it is.
struct Kept(Reference);

impl TokenSource for Kept {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(async move {
            let text = self.0.read(request).await?;
            Ok(Token::new(text.as_str())?.expiry_from_jwt())
        })
    }
}
