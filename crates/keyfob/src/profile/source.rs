//! The token source of a profile, made from the file's settings.

use std::sync::Arc;

use crate::error::error::Error;
use crate::origin::ca_file::trust_file;
use crate::profile::grant::sign_in_advice;
use crate::profile::link::NamedSource;
use crate::profile::profile::Profile;
use crate::profile::set_each::SetEach;
use crate::source::persisted::Persisted;
use crate::source::source::TokenSource;

impl Profile {
    /// A source of the profile's token, behind its store, for a cache that you build. Nothing is fetched yet.
    ///
    /// Each call makes a new source, which shares the store and the HTTP client with earlier ones. The profile's
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
        self.complete(self.bare_source(&self.definition.token, "")?)
    }

    /// Puts the store, and what else the file says about the token, around a source of the profile's token.
    pub(super) fn complete(
        &self,
        source: Arc<dyn TokenSource>,
    ) -> Result<Arc<dyn TokenSource>, Error> {
        let definition = &self.definition;
        if let Some(path) = self.ca_file() {
            // The client is made at the first renewal. A file that cannot be used is found now.
            let _ = trust_file::<reqwest::ClientBuilder>(path)?;
        }
        let source = match self.store()? {
            None => source,
            Some((store, key)) => {
                // A person removes the entry from a file or a keyring. A database may lose it, and gets it back.
                let ends_with_entry = self.sign_in().is_some() && !store.leases_expire();
                let persisted = Persisted::new(source, store, key)
                    .on_store_outage(definition.store.on_store_outage)
                    .set_each(definition.store.issuer_grace, Persisted::issuer_grace)
                    .set_each(sign_in_advice(definition), Persisted::sign_in_advice)
                    .set_each(ends_with_entry.then_some(()), |persisted, ()| {
                        persisted.ends_with_entry()
                    });
                Arc::new(persisted)
            }
        };
        let source = match definition.token.is_chain() {
            true => Arc::new(NamedSource {
                source,
                name: self.token_name(),
            }),
            false => source,
        };
        // Outside of the store, which does not keep where in a request a token goes.
        Ok(match &definition.token.placement {
            Some(placement) => Arc::new(placement.clone().place(source)),
            None => source,
        })
    }
}
