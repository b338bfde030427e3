//! A pool of tokens with the settings of a profile: one for each subject.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::error::Error;
use crate::pool::builder::TokenPoolBuilder;
use crate::pool::key::PoolKey;
use crate::pool::pool::TokenPool;
use crate::profile::grant::GrantSource;
use crate::profile::profile::Profile;
use crate::profile::schema::Definition;
use crate::profile::schema::grant::{Assertion, ExchangeSettings, Grant, GrantKind};
use crate::profile::schema::place::TokenPlace;
use crate::profile::schema::token::{TokenFrom, TokenSettings};
use crate::profile::set_each::SetEach;
use crate::source::source::TokenSource;

impl Profile {
    /// A pool of tokens with the settings of this profile: one for each key.
    ///
    /// The profile has a grant whose tokens have a subject; see [`for_key`](Self::for_key). For the token exchange of tokens that
    /// your program has, see [`pool_with_subject_tokens`](Self::pool_with_subject_tokens).
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
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the profile takes no subject.
    pub fn pool(&self) -> Result<TokenPoolBuilder, Error> {
        // A profile that takes no subject is an error now, and not at the first request.
        self.for_key(&PoolKey::new("any")?)?;
        let profile = self.clone();
        Ok(self.pool_of(move |key| profile.for_key(key)?.source()))
    }

    /// A pool of token exchanges (RFC 8693) with the settings of this profile: one for the subject token of each key.
    ///
    /// The function returns the source of a key's subject token, which takes the place of the profile's `subject_token`. It
    /// fetches nothing itself; the source is asked for each exchange. Scopes and resource of a key, if it has any, take the place
    /// of those in the file. With a store, each key has an entry of its own.
    ///
    /// ```
    /// use keyfob::pool::PoolKey;
    /// use keyfob::{FileToken, Profiles};
    ///
    /// let profiles = Profiles::from_text(r#"
    ///     [profiles.orders]
    ///     base_url = "https://orders.example.com/"
    ///     [profiles.orders.token]
    ///     grant = "token_exchange"
    ///     issuer = "https://login.example.com"
    ///     client_id = "gateway"
    ///     subject_token = "env:OWN_TOKEN"
    /// "#)?;
    /// # fn number_of(subject: &str) -> usize { subject.len() }
    /// let pool = profiles.get("orders")?.pool_with_subject_tokens(|key: &PoolKey| {
    ///     Ok(FileToken::new(format!("/run/tokens/{}", number_of(key.subject()))))
    /// })?.build()?;
    /// # Ok::<(), keyfob::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the profile has not the grant `token_exchange`.
    pub fn pool_with_subject_tokens<S: TokenSource>(
        &self,
        subject_token: impl Fn(&PoolKey) -> Result<S, Error> + Send + Sync + 'static,
    ) -> Result<TokenPoolBuilder, Error> {
        let mut definition = Definition::clone(&self.definition);
        let Some(exchange) = exchange(&mut definition.token) else {
            return Err(Error::input(format!(
                "the profile `{}` exchanges no token; use the grant `token_exchange`",
                self.name()
            )));
        };
        exchange.subject = TokenPlace::Link(SUBJECT_TOKEN.to_owned());
        let links = &mut definition.token.links;
        links.retain(|link| link.key != SUBJECT_TOKEN);
        let profile = self.like(definition);
        Ok(self.pool_of(move |key| {
            let profile = profile.with_key(key)?;
            let mut links = profile.link_sources()?;
            links.insert(SUBJECT_TOKEN.to_owned(), Arc::new(subject_token(key)?));
            let grant = profile.definition.token.grant();
            let grant = grant.expect("the profile exchanges a token");
            let client = profile.clients.at("");
            let source = GrantSource::new(&profile.definition, grant, links, client);
            profile.complete(Arc::new(source))
        }))
    }

    /// The same profile for the subject of this key, with a token cache of its own.
    ///
    /// * With the grant `jwt_bearer` and a `private_key`, the subject takes the place of `subject` in the JWT (RFC 7523).
    /// * With a sign-in (`authorization_code`, `device_code`), each key has a sign-in of its own, and its refresh token is in the
    ///   store: replace the token of the [`store`](Self::store) of this profile after the sign-in.
    /// * With the grant `token_exchange` (RFC 8693), `subject_token` names another profile that takes subjects.
    ///
    /// Scopes and resource of a key, if it has any, take the place of those in the file. In a store, each key has its own entry.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the profile takes no subject, or the key has another client.
    pub fn for_key(&self, key: &PoolKey) -> Result<Self, Error> {
        let mut profile = self.with_key(key)?;
        let has_store = self.definition.store.place.is_some();
        let name = self.name();
        let definition = Arc::make_mut(&mut profile.definition);
        match grant(&mut definition.token).map(|grant| &mut grant.kind) {
            Some(GrantKind::JwtBearer(Assertion::Signed { subject, .. })) => {
                *subject = Some(key.subject().to_owned());
            }
            // A pool never evicts a refresh token that is nowhere else, so it could be filled with keys that have no sign-in.
            Some(GrantKind::SignIn(_)) if !has_store => {
                return Err(Error::input(format!(
                    "the profile `{name}` has no store, where the sign-in of each subject would be; set `store`"
                )));
            }
            Some(GrantKind::SignIn(_)) => {}
            Some(GrantKind::TokenExchange(_)) => {
                profile.linked = Arc::new(self.linked_for_subject(key.subject())?);
            }
            _ => return Err(self.no_subject(TAKE_SUBJECTS)),
        }
        Ok(profile)
    }

    /// The linked profiles, of which that of the subject token is for this subject.
    fn linked_for_subject(&self, subject: &str) -> Result<BTreeMap<String, Self>, Error> {
        let links = &self.definition.token.links;
        let link = links.iter().find(|link| link.key == SUBJECT_TOKEN);
        let Some(TokenFrom::Profile(other)) = link.map(|link| &link.token.from) else {
            return Err(self.no_subject(SAME_SUBJECT_TOKEN));
        };
        let mut linked = BTreeMap::clone(&self.linked);
        // Scopes and resource are those of the new token, and not of the subject token.
        let other_key = PoolKey::new(subject)?;
        linked.insert(
            other.name.clone(),
            self.linked(&other.name).for_key(&other_key)?,
        );
        Ok(linked)
    }

    /// The same profile with the scopes and the resource of a key, and an entry of its own in the store.
    fn with_key(&self, key: &PoolKey) -> Result<Self, Error> {
        let mut definition = Definition::clone(&self.definition);
        let Some(grant) = grant(&mut definition.token) else {
            return Err(self.no_subject(TAKE_SUBJECTS));
        };
        if key.client().is_some() && key.client() != grant.client.id.as_deref() {
            return Err(Error::input(format!(
                "the key names another client than the profile `{}`; leave the client out, or use the profile of that client",
                self.name()
            )));
        }
        let scopes: Vec<_> = key.scopes().map(str::to_owned).collect();
        if !scopes.is_empty() {
            grant.scopes = scopes;
        }
        if let Some(resource) = key.resource() {
            grant.resource = vec![resource.to_owned()];
        }
        definition.pool_key = Some(key.text().to_owned());
        Ok(self.like(definition))
    }

    fn like(&self, definition: Definition) -> Self {
        Self {
            definition: Arc::new(definition),
            linked: Arc::clone(&self.linked),
            tokens: Arc::default(),
            opened_store: self.opened_store.clone(),
            clients: self.clients.clone(),
        }
    }

    fn pool_of(
        &self,
        source: impl Fn(&PoolKey) -> Result<Arc<dyn TokenSource>, Error> + Send + Sync + 'static,
    ) -> TokenPoolBuilder {
        TokenPool::builder(source)
            .set_each(self.fetch_timeout(), TokenPoolBuilder::fetch_timeout)
            .set_each(self.default_lifetime(), TokenPoolBuilder::default_lifetime)
    }

    fn no_subject(&self, advice: &str) -> Error {
        let name = self.name();
        Error::input(format!(
            "the profile `{name}` has no token for each subject; {advice}"
        ))
    }
}

fn grant(token: &mut TokenSettings) -> Option<&mut Grant> {
    match &mut token.from {
        TokenFrom::Grant(grant) => Some(grant),
        _ => None,
    }
}

fn exchange(token: &mut TokenSettings) -> Option<&mut ExchangeSettings> {
    match &mut grant(token)?.kind {
        GrantKind::TokenExchange(exchange) => Some(exchange),
        _ => None,
    }
}

const SUBJECT_TOKEN: &str = "subject_token";

const TAKE_SUBJECTS: &str =
    "use the grant `jwt_bearer` with a `private_key`, a sign-in, or `token_exchange`";

const SAME_SUBJECT_TOKEN: &str = "its `subject_token` is the same for all of them; name a profile there that takes subjects, \
     or give the pool a function that returns the subject token of each";
