//! Where a profile's token is stored, and under which key.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::error::error::Error;
use crate::observe::store as events;
use crate::profile::lazy_store::LazyStore;
use crate::profile::profile::Profile;
use crate::profile::schema::grant::{Assertion, Grant, GrantKind};
use crate::profile::schema::place::TokenPlace;
use crate::profile::schema::store::PersistentStore;
use crate::profile::schema::token::{TokenFrom, TokenSettings};
use crate::profile::secret_ref::SecretRef;
use crate::profile::set_each::SetEach;
use crate::store::file::FileStore;
use crate::store::key::{StoreKey, StoreKeyBuilder};
use crate::store::postgres::PostgresStore;
use crate::store::store::TokenStore;

type StoreAndKey = (Arc<dyn TokenStore>, StoreKey);

impl Profile {
    /// The store of the token and its key there; `None` if the token is only in memory.
    ///
    /// Unless the file says otherwise, a store holds the tokens of grants, and those of commands if they have an expiry. A token
    /// that is already kept elsewhere, in a file or a variable, is not copied, and neither is one that the platform gives without
    /// a secret. Nothing is opened yet.
    ///
    /// If there is no directory for it, as in a process without a home, that is reported once as a warning, and the token is only
    /// in memory.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if there is no directory for it, and the profile has a refresh token, which
    /// would be lost.
    pub fn store(&self) -> Result<Option<StoreAndKey>, Error> {
        let Some(settings) = &self.definition.store.place else {
            return Ok(None);
        };
        if let Err(error) = self.store_location() {
            return self.go_on_without_store(error).map(|()| None);
        }
        let (key, token) = (self.store_key(), &self.definition.token);
        Ok(Some((self.lazy_store(settings, token, &key), key)))
    }

    /// A store in this place, in which this key has the token of these settings.
    fn lazy_store(
        &self,
        place: &PersistentStore,
        token: &TokenSettings,
        key: &StoreKey,
    ) -> Arc<dyn TokenStore> {
        Arc::new(LazyStore {
            settings: place.clone(),
            ca_file: self.definition.ca_file.clone(),
            only_with_expiry: (!token.knows_when_tokens_expire()).then(|| key.clone()),
            opened: self.opened_store.clone(),
        })
    }

    /// Reports that there is no place for the store, unless the token must have one.
    fn go_on_without_store(&self, error: Error) -> Result<(), Error> {
        let grant = self.definition.token.grant();
        // T9: a new refresh token that is not stored is lost, and the old one may be used up.
        if grant.is_some_and(|grant| grant.consumes_refresh_token()) {
            return Err(error);
        }
        let reported = &self.definition.has_reported_no_store;
        if !reported.swap(true, Ordering::Relaxed) {
            events::no_place(&error);
        }
        Ok(())
    }

    /// Where the store is, in words; profiles that share a store have the same words.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if there is no directory for it.
    pub fn store_location(&self) -> Result<Option<String>, Error> {
        let Some(settings) = &self.definition.store.place else {
            return Ok(None);
        };
        Ok(Some(match settings {
            PersistentStore::Files(files) => files.directory()?.display().to_string(),
            PersistentStore::Keyring => {
                // The keyring has no locks, so its store keeps them in the default directory.
                FileStore::default_directory()?;
                "the keyring".to_owned()
            }
            PersistentStore::Redis(redis) => {
                let prefix = redis.place.as_deref().unwrap_or_default();
                format!("Redis at the URL in {} {prefix}", redis.url)
            }
            PersistentStore::Postgres(postgres) => {
                let table = postgres.place.as_deref().unwrap_or(PostgresStore::TABLE);
                format!("PostgreSQL at the URL in {}, table {table}", postgres.url)
            }
        }))
    }

    /// Whether the tokens in the profile's [`store`](Self::store) are sealed with keys that the profile names.
    #[must_use]
    pub fn has_sealing_keys(&self) -> bool {
        match &self.definition.store.place {
            Some(PersistentStore::Files(files)) => !files.keys.is_empty(),
            Some(PersistentStore::Redis(database) | PersistentStore::Postgres(database)) => {
                !database.keys.is_empty()
            }
            Some(PersistentStore::Keyring) | None => false,
        }
    }

    /// The key of this profile's token.
    ///
    /// It holds everything that makes the token a different one: another profile, or other settings of this one. The key of the
    /// grant's own source cannot be used, because that source exists only once the secrets have been read.
    fn store_key(&self) -> StoreKey {
        let token = &self.definition.token;
        let key = token_key(token).name(self.name());
        match &self.definition.pool_key {
            // The whole hash: subjects are chosen by others, and two of them must not have one entry.
            Some(pool_key) => {
                let key_of_pool = StoreKey::builder(identity(token)).subject(pool_key);
                key.subject(key_of_pool.build().id()).build()
            }
            None => key.build(),
        }
    }

    /// The store of a link, and the key of its token there; `None` if it is not worth it, or the profile has no store.
    ///
    /// So a run of the command line does not fetch the tokens of all links. The path leads to the link.
    pub(super) fn link_store(
        &self,
        token: &TokenSettings,
        path: &str,
    ) -> Result<Option<StoreAndKey>, Error> {
        let (Some(place), Some(key)) = (&self.definition.store.place, self.link_key(token, path))
        else {
            return Ok(None);
        };
        if self.store_location().is_err() {
            return Ok(None);
        }
        Ok(Some((self.lazy_store(place, token, &key), key)))
    }

    /// The keys in the profile's [`store`](Self::store) of the tokens with which its token is fetched.
    ///
    /// Each comes with the place of its link below `token` in the file, such as `client_assertion`. The tokens of other profiles
    /// are not among them.
    #[must_use]
    pub fn link_keys(&self) -> Vec<(String, StoreKey)> {
        let mut keys = Vec::new();
        self.add_link_keys(&self.definition.token, "", &mut keys);
        keys
    }

    fn add_link_keys(&self, token: &TokenSettings, path: &str, keys: &mut Vec<(String, StoreKey)>) {
        for link in &token.links {
            let path = format!("{path} {}", link.key);
            let key = self.link_key(&link.token, &path);
            keys.extend(key.map(|key| (path.trim_start().replace(' ', "."), key)));
            self.add_link_keys(&link.token, &path, keys);
        }
    }

    /// The key of a link's token; `None` if it costs nothing to get it again.
    fn link_key(&self, token: &TokenSettings, path: &str) -> Option<StoreKey> {
        let is_fetched = matches!(token.from, TokenFrom::Grant(_) | TokenFrom::Http(_));
        let name = format!("{}{path}", self.name());
        is_fetched.then(|| token_key(token).name(name).build())
    }
}

/// Everything that makes a token a different one, without the profile.
fn token_key(token: &TokenSettings) -> StoreKeyBuilder {
    let of = |name: String, identity: &str| StoreKey::builder(name).subject(digest(identity));
    match &token.from {
        TokenFrom::Secret(secret) => of(secret.to_string(), &secret.identity()),
        TokenFrom::Basic(basic) => of(basic.to_string(), &basic.identity()),
        TokenFrom::Grant(grant) => grant_key(grant, &identity(token)),
        TokenFrom::SignedJwt(_) | TokenFrom::Http(_) | TokenFrom::Profile(_) => {
            of(token_issuer(token), &identity(token))
        }
    }
}

fn token_issuer(token: &TokenSettings) -> String {
    match &token.from {
        TokenFrom::Http(http) => http.to_string(),
        TokenFrom::SignedJwt(jwt) => jwt.key.pem.to_string(),
        TokenFrom::Profile(other) => format!("profile:{}", other.name),
        TokenFrom::Secret(_) | TokenFrom::Basic(_) | TokenFrom::Grant(_) => String::new(),
    }
}

/// A text that differs for tokens with different settings. It must not be shown.
fn identity(token: &TokenSettings) -> String {
    let own = match &token.from {
        TokenFrom::Secret(secret) => secret.identity(),
        TokenFrom::Basic(basic) => basic.identity(),
        TokenFrom::Grant(grant) => grant_identity(grant),
        TokenFrom::SignedJwt(jwt) => format!("{} {jwt:?}", jwt.key.pem.identity()),
        TokenFrom::Http(http) => {
            let secrets = http.secrets().into_iter();
            let secrets: Vec<_> = secrets.map(|(_, secret)| secret.identity()).collect();
            format!("{} {http:?}", secrets.join(" "))
        }
        TokenFrom::Profile(other) => other.name.clone(),
    };
    let links = token.links.iter();
    let links = links.map(|link| format!(" {}=({})", link.key, identity(&link.token)));
    links.fold(own, |all, link| all + &link)
}

fn grant_key(grant: &Grant, identity: &str) -> StoreKeyBuilder {
    let audience = (!grant.audience.is_empty()).then(|| grant.audience.join(" "));
    let token_type = grant.dpop_key.as_ref().map(|_| "DPoP");
    StoreKey::builder(grant.server.url())
        .set_each(&grant.client.id, StoreKeyBuilder::client)
        .scopes(&grant.scopes)
        .resources(&grant.resource)
        .subject(digest(identity))
        .grant(&grant.name)
        .set_each(audience, StoreKeyBuilder::audience)
        .set_each(token_type, StoreKeyBuilder::token_type)
}

/// The settings of a grant that have no part of their own in the key.
fn grant_identity(grant: &Grant) -> String {
    let secrets = grant.secrets().into_iter();
    let secrets = secrets.map(|(key, secret)| format!("{key}={}", secret.identity()));
    let parameters = grant.parameters.iter();
    let parameters = parameters.map(|(name, value)| format!("{name:?}={value:?}"));
    let secret_parameters = grant.secret_parameters.iter();
    let secret_parameters = secret_parameters.map(|(name, _)| format!("secret {name:?}"));
    let parameters = parameters.chain(secret_parameters);
    let parts: Vec<_> = secrets.chain(parameters).collect();
    let kind = kind_identity(&grant.kind);
    let mut identity = format!("{} {kind} {:?}", parts.join(" "), grant.audience);
    if let Some(token_type) = &grant.token_type {
        identity += &format!(" token_type={token_type}");
    }
    if grant.uses_id_token {
        identity += " use_id_token";
    }
    identity
}

/// The kind of a grant and its settings, in a form that never changes.
///
/// It is spelled like the `Debug` output of the first release's types, because a change would lose every stored token.
fn kind_identity(kind: &GrantKind) -> String {
    let shown = |secret: &SecretRef| format!("Reference({secret})");
    let place = |place: &TokenPlace| match place {
        TokenPlace::Secret(secret) => shown(secret),
        TokenPlace::Link(key) => format!("Link({key})"),
    };
    match kind {
        GrantKind::ClientCredentials => "ClientCredentials".to_owned(),
        GrantKind::SmartBackendServices => "SmartBackendServices".to_owned(),
        GrantKind::Custom { grant_type } => format!("Custom({grant_type:?})"),
        GrantKind::RefreshToken(first) => format!("RefreshToken({})", shown(first)),
        GrantKind::JwtBearer(Assertion::Stored(assertion)) => {
            format!("JwtBearer(Kept({}))", place(assertion))
        }
        GrantKind::JwtBearer(Assertion::Signed {
            key,
            subject,
            audience,
        }) => format!(
            "JwtBearer(Signed {{ key: Key {{ pem: {}, id: {:?}, algorithm: {:?} }}, subject: {subject:?}, audience: {audience:?} }})",
            shown(&key.pem),
            key.id,
            key.algorithm
        ),
        GrantKind::TokenExchange(exchange) => {
            let actor = match &exchange.actor {
                Some((actor, kind)) => format!("Some(({}, {kind:?}))", place(actor)),
                None => "None".to_owned(),
            };
            format!(
                "TokenExchange(Exchange {{ subject: {}, subject_type: {:?}, actor: {actor}, requested_type: {:?} }})",
                place(&exchange.subject),
                exchange.subject_type,
                exchange.requested_type
            )
        }
        GrantKind::SignIn(sign_in) => format!(
            "SignIn(SigningIn {{ how: {:?}, authorization_endpoint: {:?}, device_authorization_endpoint: {:?}, revocation_endpoint: {:?}, redirect_uri: {:?} }})",
            sign_in.how,
            sign_in.authorization_endpoint,
            sign_in.device_authorization_endpoint,
            sign_in.revocation_endpoint,
            sign_in.redirect_uri
        ),
    }
}

/// A short hash, because the text may be long and may hold what is not to be shown.
fn digest(text: &str) -> String {
    let mut digest = StoreKey::builder(text).build().id().to_owned();
    digest.truncate(16);
    digest
}
