//! Tokens of other sources that a request carries, and what is done if the server refuses them.
//!
//! A token of a chain is fetched with the token before it. That one has its own source, and often its own cache
//! ([`TokenCache::as_source`](crate::TokenCache::as_source)), so it is renewed only when it is due itself. If the server refuses
//! it, its source is asked for another one, and the exchange is done once more.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::error::error::{Error, ErrorKind};
use crate::runtime::lock::{Mutex, lock};
use crate::source::source::{Reason, TokenRequest, TokenSource};
use crate::token::token::Token;

/// The sources of the tokens that a request carries.
#[derive(Clone, Default)]
pub(crate) struct InnerSources {
    sources: Vec<InnerSource>,
    refused: Arc<Mutex<Option<Refused>>>,
}

#[derive(Clone)]
struct InnerSource {
    /// What errors call its token, such as `the client assertion`.
    name: Cow<'static, str>,
    source: Arc<dyn TokenSource>,
}

/// The last refusal, and the tokens that were refused. They are not sent again (T2).
struct Refused {
    tokens: Vec<Token>,
    error: Error,
}

/// A token of each source, for one exchange.
pub(crate) struct InnerTokens<'a> {
    sources: &'a InnerSources,
    request: TokenRequest,
    tokens: Vec<Token>,
    /// The token that the exchange replaces or renews.
    previous: Option<Token>,
    were_replaced: bool,
}

impl InnerSources {
    pub(crate) fn one(name: &'static str, source: impl TokenSource) -> Self {
        let mut sources = Self::default();
        sources.add(name, Arc::new(source));
        sources
    }

    /// Adds a source, and returns the index of its token.
    pub(crate) fn add(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        source: Arc<dyn TokenSource>,
    ) -> usize {
        let name = name.into();
        self.sources.push(InnerSource { name, source });
        self.sources.len() - 1
    }

    /// Fetches a token of each source for one exchange.
    pub(crate) async fn tokens(&self, request: &TokenRequest) -> Result<InnerTokens<'_>, Error> {
        let previous = request.previous().cloned();
        let request = request.on_behalf();
        let mut tokens = Vec::with_capacity(self.sources.len());
        for source in &self.sources {
            tokens.push(source.fetch(&request).await?);
        }
        let known = lock(&self.refused);
        if let Some(refused) = &*known
            && request.reason() != Reason::Forced
            && same_texts(&refused.tokens, &tokens)
        {
            return Err(refused.error.clone());
        }
        drop(known);
        Ok(InnerTokens {
            sources: self,
            request,
            tokens,
            previous,
            were_replaced: false,
        })
    }

    /// Whether the server has refused the last tokens.
    pub(crate) fn are_refused(&self) -> bool {
        lock(&self.refused).is_some()
    }

    fn remember(&self, refused: Option<Refused>) {
        *lock(&self.refused) = refused;
    }
}

impl InnerSource {
    async fn fetch(&self, request: &TokenRequest) -> Result<Token, Error> {
        let token = self.source.fetch(request).await;
        // Nothing of the outer exchange was sent.
        token.map_err(|error| error.of(&self.name).outcome_known())
    }
}

impl InnerTokens<'_> {
    /// The token with this index.
    pub(crate) fn text(&self, index: usize) -> &str {
        self.tokens[index].expose()
    }

    /// The token that the exchange renews, or nothing.
    pub(crate) fn previous(&self) -> &str {
        self.previous.as_ref().map_or("", Token::expose)
    }

    /// Whether the exchange is to be done again: the server refused these tokens, and there is another one now (T8).
    ///
    /// At most once for an exchange, so there is no loop.
    pub(crate) async fn replaced_after(&mut self, error: &Error) -> bool {
        if self.were_replaced || !error.is_about_credential() {
            return false;
        }
        self.were_replaced = true;
        let mut is_other = false;
        for (source, token) in self.sources.sources.iter().zip(&mut self.tokens) {
            let request = TokenRequest {
                reason: Reason::Rejected,
                previous: Some(token.clone()),
                ..self.request.clone()
            };
            // If there is no other token, the refusal says more than the reason for that.
            if let Ok(newer) = source.fetch(&request).await
                && !newer.same_text_as(token)
            {
                *token = newer;
                is_other = true;
            }
        }
        is_other
    }

    /// Records what became of the exchange. A refusal is remembered until one of the tokens is another, unless it may pass.
    pub(crate) fn end<T>(self, outcome: Result<T, Error>) -> Result<T, Error> {
        match outcome {
            Err(error)
                if error.kind() == ErrorKind::Refused
                    && !error.is_asked_again_later()
                    && !self.tokens.is_empty() =>
            {
                let error = error.asked_again_later();
                let refused = Refused {
                    tokens: self.tokens,
                    error: error.clone(),
                };
                self.sources.remember(Some(refused));
                Err(error)
            }
            Err(error) => Err(error),
            Ok(value) => {
                self.sources.remember(None);
                Ok(value)
            }
        }
    }
}

fn same_texts(some: &[Token], others: &[Token]) -> bool {
    let mut pairs = some.iter().zip(others);
    some.len() == others.len() && pairs.all(|(a, b)| a.same_text_as(b))
}

/// Only the names: sources and tokens hold secrets.
impl fmt::Debug for InnerSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.sources.iter().map(|source| &source.name);
        f.debug_list().entries(names).finish()
    }
}
