//! The links of a profile's chain: the sources of the tokens with which its token is fetched.

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::cache::builder::TokenCacheBuilder;
use crate::cache::cache::TokenCache;
use crate::error::error::Error;
use crate::profile::grant::GrantSource;
use crate::profile::http_source::{HttpSource, LinkSources};
use crate::profile::jwt_source::JwtSource;
use crate::profile::profile::Profile;
use crate::profile::schema::token::{Link, TokenFrom, TokenSettings};
use crate::profile::set_each::SetEach;
use crate::source::persisted::Persisted;
use crate::source::placed::Placement;
use crate::source::source::{TokenFuture, TokenRequest, TokenSource};
use crate::token::token::BEARER;

impl Profile {
    /// The sources of the tokens with which the profile's token is fetched.
    pub(super) fn link_sources(&self) -> Result<LinkSources, Error> {
        self.links_of(&self.definition.token, "")
    }

    /// The source of a token, without its own cache and store. The path leads to it from the profile.
    pub(super) fn bare_source(
        &self,
        token: &TokenSettings,
        path: &str,
    ) -> Result<Arc<dyn TokenSource>, Error> {
        let ca_file = || self.definition.ca_file.clone();
        let certificate = || self.definition.token_certificate.clone();
        let links = || self.links_of(token, path);
        Ok(match &token.from {
            TokenFrom::Secret(secret) => secret.token_source(),
            TokenFrom::Basic(basic) => Arc::new(basic.clone()),
            TokenFrom::Grant(grant) => {
                let client = self.clients.at(path);
                Arc::new(GrantSource::new(&self.definition, grant, links()?, client))
            }
            TokenFrom::SignedJwt(jwt) => Arc::new(JwtSource((**jwt).clone())),
            TokenFrom::Http(http) => Arc::new(HttpSource::new(
                (**http).clone(),
                ca_file(),
                certificate(),
                links()?,
            )),
            TokenFrom::Profile(reference) => {
                let profile = self.linked(&reference.name);
                Arc::new(ProfileToken(profile.clone()))
            }
        })
    }

    fn links_of(&self, token: &TokenSettings, path: &str) -> Result<LinkSources, Error> {
        let links = token.links.iter().map(|link| {
            let source = self.link_source(link, &format!("{path} {}", link.key))?;
            Ok((link.key.clone(), source))
        });
        links.collect()
    }

    pub(super) fn link_source(
        &self,
        link: &Link,
        path: &str,
    ) -> Result<Arc<dyn TokenSource>, Error> {
        let token = &link.token;
        let source = self.bare_source(token, path)?;
        // The first is read for each exchange, and the other profile has a cache of its own.
        if let TokenFrom::Secret(_) | TokenFrom::Basic(_) | TokenFrom::Profile(_) = &token.from {
            return Ok(source);
        }
        let source = match self.link_store(token, path)? {
            Some((store, key)) => Arc::new(
                Persisted::new(source, store, key)
                    .on_store_outage(self.definition.store.on_store_outage),
            ),
            None => source,
        };
        Ok(Arc::new(CachedLink {
            source,
            token: token.clone(),
            cache: OnceLock::new(),
        }))
    }
}

/// A link with a cache of its own, on the clock and runtime of the first cache that asks.
struct CachedLink {
    source: Arc<dyn TokenSource>,
    token: TokenSettings,
    cache: OnceLock<TokenCache>,
}

impl CachedLink {
    fn cache(&self, request: &TokenRequest) -> Result<&TokenCache, Error> {
        if let Some(cache) = self.cache.get() {
            return Ok(cache);
        }
        let token = &self.token;
        // Only the text of its token is used, so its type does not matter.
        let source = Placement::scheme(BEARER)?.place(Arc::clone(&self.source));
        let cache = TokenCache::builder(source)
            .like(request)
            .set_each(token.fetch_timeout, TokenCacheBuilder::fetch_timeout)
            .set_each(token.default_lifetime, TokenCacheBuilder::default_lifetime)
            .build()?;
        // If two threads come here at once, both get the cache of the first.
        Ok(self.cache.get_or_init(|| cache))
    }
}

impl TokenSource for CachedLink {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> TokenFuture<'a> {
        Box::pin(async move { self.cache(request)?.as_source().fetch(request).await })
    }
}

/// The token of another profile, from its cache. The file says that it may be sent to where this link goes.
struct ProfileToken(Profile);

impl TokenSource for ProfileToken {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> TokenFuture<'a> {
        Box::pin(async move {
            let token = match self.0.tokens() {
                Ok(tokens) => tokens.as_source().fetch(request).await,
                Err(error) => Err(error),
            };
            token.map_err(|error| match self.0.definition.token.is_chain() {
                // It names the profile already.
                true => error,
                false => error.of(format_args!("the token of the profile `{}`", self.0.name())),
            })
        })
    }
}

/// A source whose errors say which profile failed.
pub(super) struct NamedSource {
    pub(super) source: Arc<dyn TokenSource>,
    pub(super) name: String,
}

impl TokenSource for NamedSource {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> TokenFuture<'a> {
        Box::pin(async move {
            let token = self.source.fetch(request).await;
            token.map_err(|error| error.of(&self.name))
        })
    }

    fn consumes_refresh_token(&self) -> bool {
        self.source.consumes_refresh_token()
    }
}

impl fmt::Debug for CachedLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CachedLink").field(&self.token.name).finish()
    }
}
