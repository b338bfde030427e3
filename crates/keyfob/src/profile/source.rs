//! The token source of a profile, made from the file's settings.

use std::sync::Arc;

use crate::error::error::Error;
use crate::profile::expiring_store::ExpiringStore;
use crate::profile::grant::GrantSource;
use crate::profile::header_placement::PlacedSource;
use crate::profile::profile::Profile;
use crate::profile::schema::token::TokenFrom;
use crate::source::persisted::Persisted;
use crate::source::source::TokenSource;
use crate::store::key::StoreKey;
use crate::store::store::TokenStore;

impl Profile {
    /// A source of the profile's token, behind its store, for a cache that you build. Nothing is fetched yet.
    ///
    /// Each call makes a new source, which shares only the store with earlier ones. The profile's
    /// [`fetch_timeout`](Self::fetch_timeout) and [`default_lifetime`](Self::default_lifetime) are settings of the cache, so set
    /// them there.
    ///
    /// ```
    /// use keyfob::{Profiles, TokenCache};
    ///
    /// let profiles = Profiles::from_text(r#"
    ///     [profiles.github]
    ///     base_url = "https://api.github.com/"
    ///     token = "command:gh auth token"
    /// "#)?;
    /// let tokens = TokenCache::builder(profiles.get("github")?.source()?)
    ///     .on_change(|_| async { Ok(()) })
    ///     .build()?;
    /// # Ok::<(), keyfob::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if a setting of the profile cannot be used.
    pub fn source(&self) -> Result<Arc<dyn TokenSource>, Error> {
        let settings = &self.definition.token;
        let source = match &settings.from {
            TokenFrom::Secret(secret) => secret.token_source(),
            TokenFrom::Grant(_) => {
                Arc::new(GrantSource::new(&self.name, &self.definition, &self.prover))
            }
        };
        let source: Arc<dyn TokenSource> = match self.store()? {
            None => source,
            Some((store, key)) if self.knows_when_tokens_expire() => {
                Arc::new(self.persisted(source, store, key))
            }
            Some((store, key)) => Arc::new(self.persisted(source, ExpiringStore(store), key)),
        };
        Ok(match &settings.placement {
            Some(placement) => Arc::new(PlacedSource {
                source,
                placement: placement.clone(),
            }),
            None => source,
        })
    }

    fn persisted(
        &self,
        source: Arc<dyn TokenSource>,
        store: impl TokenStore,
        key: StoreKey,
    ) -> Persisted {
        let settings = &self.definition.store;
        let persisted =
            Persisted::new(source, store, key).on_store_outage(settings.on_store_outage);
        match settings.issuer_grace {
            Some(grace) => persisted.issuer_grace(grace),
            None => persisted,
        }
    }

    /// True if a token without an expiry may be stored: the server rejects it in time, or the file has a default lifetime.
    fn knows_when_tokens_expire(&self) -> bool {
        let settings = &self.definition.token;
        settings.grant().is_some() || settings.default_lifetime.is_some()
    }
}
