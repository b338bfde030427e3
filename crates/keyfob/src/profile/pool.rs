//! A pool of tokens with the settings of a profile: one for each subject.

use crate::error::error::Error;
use crate::pool::builder::TokenPoolBuilder;
use crate::pool::key::PoolKey;
use crate::pool::pool::TokenPool;
use crate::profile::profile::Profile;
use crate::profile::set_each::SetEach;

impl Profile {
    /// A pool of tokens with the settings of this profile: one for the subject of each key.
    ///
    /// The profile has the grant `jwt_bearer` and signs the JWT (RFC 7523). The subject of a key takes the place of its `subject`,
    /// and the scopes of a key, if it has any, take the place of its `scopes`. With a store, each subject has an entry of its own.
    ///
    /// ```
    /// use keyfob::Profiles;
    ///
    /// let profiles = Profiles::from_text(r#"
    ///     [profiles.crm]
    ///     base_url = "https://crm.example.com/"
    ///     [profiles.crm.token]
    ///     grant = "jwt_bearer"
    ///     issuer = "https://login.example.com"
    ///     client_id = "backend"
    ///     private_key = "file:/run/secrets/key.pem"
    /// "#)?;
    /// let pool = profiles.get("crm")?.pool()?.build()?;
    /// # Ok::<(), keyfob::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the profile has another grant, or another source of its token.
    pub fn pool(&self) -> Result<TokenPoolBuilder, Error> {
        self.with_subject("any", Vec::new())?;
        let profile = self.clone();
        let source = move |key: &PoolKey| {
            let scopes = key.scopes().map(str::to_owned).collect();
            profile.with_subject(key.subject(), scopes)?.source()
        };
        let builder = TokenPool::builder(source)
            .set_each(self.fetch_timeout(), TokenPoolBuilder::fetch_timeout);
        Ok(builder.set_each(self.default_lifetime(), TokenPoolBuilder::default_lifetime))
    }
}
