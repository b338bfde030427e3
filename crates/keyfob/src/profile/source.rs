//! The source of a profile's token, made as the file describes it.

use std::sync::Arc;

use crate::error::error::Error;
use crate::profile::expiring_store::OnlyLasting;
use crate::profile::grant::Granted;
use crate::profile::header_placement::InField;
use crate::profile::profile::Profile;
use crate::profile::schema::From;
use crate::profile::secret_source;
use crate::source::persisted::Persisted;
use crate::source::source::TokenSource;
use crate::store::key::StoreKey;
use crate::store::store::TokenStore;

impl Profile {
    /// A source of its token, with the store in front of it, for a cache of your own making. Nothing is fetched yet.
    ///
    /// Each call makes another one, which shares nothing with those before but the store. What the file says of
    /// [`fetch_timeout`](Self::fetch_timeout) and [`default_lifetime`](Self::default_lifetime) is for the cache.
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
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if what the profile says cannot be used.
    pub fn source(&self) -> Result<Arc<dyn TokenSource>, Error> {
        let choice = &self.definition.token;
        let source = match &choice.from {
            From::Place(place) => secret_source::source(place),
            From::Grant(_) => Arc::new(Granted::new(&self.name, &self.definition, &self.proof)),
        };
        let source: Arc<dyn TokenSource> = match self.store()? {
            None => source,
            Some((store, key)) if self.says_when_tokens_end() => {
                Arc::new(self.persisted(source, store, key))
            }
            Some((store, key)) => Arc::new(self.persisted(source, OnlyLasting(store), key)),
        };
        Ok(match &choice.field {
            Some(field) => Arc::new(InField {
                source,
                field: field.clone(),
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
        let choice = &self.definition.store;
        let persisted = Persisted::new(source, store, key).on_store_outage(choice.on_store_outage);
        match choice.issuer_grace {
            Some(grace) => persisted.issuer_grace(grace),
            None => persisted,
        }
    }

    /// Whether a token without an expiry may be kept: its server tells when it is over, or the file does.
    fn says_when_tokens_end(&self) -> bool {
        let choice = &self.definition.token;
        choice.grant().is_some() || choice.default_lifetime.is_some()
    }
}
