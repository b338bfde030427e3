//! The keys under which a store keeps the tokens of each grant.

use crate::oauth::client::Client;
use crate::oauth::discovery::ServerLocation;
use crate::oauth::grants::client_credentials::ClientCredentials;
use crate::oauth::grants::custom_grant::CustomGrant;
use crate::oauth::grants::jwt_bearer::JwtBearer;
use crate::oauth::grants::options::GrantOptions;
use crate::oauth::grants::refresh_token::RefreshToken;
use crate::oauth::grants::smart_backend_services::SmartBackendServices;
use crate::oauth::grants::token_exchange::TokenExchange;
use crate::store::key::{StoreKey, StoreKeyBuilder};

/// The method `store_key` of a grant.
macro_rules! store_key {
    ($source:ty, $grant:literal) => {
        impl $source {
            /// The key under which a store keeps the tokens.
            ///
            /// It includes the server, the client, and everything that the token request asks for. If another token decides
            /// whose tokens these are, the key does not include whose: add a [`subject`](StoreKeyBuilder::subject). Of
            /// extra parameters the key includes a hash, so build the key yourself if a parameter is a secret that can be
            /// guessed.
            ///
            /// ```
            /// use keyfob::oauth::{Client, ClientCredentials};
            /// use keyfob::source::Persisted;
            /// use keyfob::store::MemoryStore;
            ///
            /// let client = Client::builder("reports").issuer("https://login.example.com").build()?;
            /// let source = ClientCredentials::new(client).scopes(["read"]);
            /// let key = source.store_key().build();
            /// assert_eq!(key.label(), "https://login.example.com client=reports scope=read grant=client_credentials");
            /// let shared = Persisted::new(source, MemoryStore::default(), key);
            /// # Ok::<(), keyfob::Error>(())
            /// ```
            pub fn store_key(&self) -> StoreKeyBuilder {
                store_key(&self.options, $grant)
            }
        }
    };
}

store_key!(ClientCredentials, "client_credentials");
store_key!(RefreshToken, "refresh_token");
store_key!(TokenExchange, "token-exchange");

impl SmartBackendServices {
    /// The key under which a store keeps the tokens; see [`ClientCredentials::store_key`].
    pub fn store_key(&self) -> StoreKeyBuilder {
        self.credentials.store_key()
    }
}

impl CustomGrant {
    /// The key under which a store keeps the tokens; see [`ClientCredentials::store_key`].
    pub fn store_key(&self) -> StoreKeyBuilder {
        store_key(&self.options, &self.grant_type)
    }
}

impl JwtBearer {
    /// The key under which a store keeps the tokens.
    ///
    /// It includes the server, the client, the subject, and everything that the token request asks for. The subject of an
    /// assertion from another source is not known: add a [`subject`](StoreKeyBuilder::subject).
    pub fn store_key(&self) -> StoreKeyBuilder {
        let key = store_key(&self.options, "jwt-bearer");
        match self.signed_subject() {
            Some(subject) => key.subject(subject),
            None => key,
        }
    }
}

impl Client {
    /// Identifies the server, the client, and the key that its tokens are bound to.
    fn store_key(&self) -> StoreKeyBuilder {
        let server = match &self.0.discovery.server {
            ServerLocation::Issuer(url) | ServerLocation::FhirServer(url) => url,
            // An issuer stays the same when the server moves its endpoints.
            ServerLocation::Endpoints(metadata) => match &metadata.issuer {
                Some(issuer) => issuer,
                None => metadata.token.url.as_str(),
            },
        };
        let key = StoreKey::builder(server);
        let key = match self.id() {
            Some(id) => key.client(id),
            None => key,
        };
        match &self.0.prover {
            // A token that is bound to another key could not be used, so each key has an entry of its own.
            Some(prover) => key.token_type(format!("DPoP {}", prover.thumbprint())),
            None => key,
        }
    }
}

fn store_key(options: &GrantOptions, grant: &str) -> StoreKeyBuilder {
    let key = options
        .client
        .store_key()
        .scopes(&options.scopes)
        .resources(&options.resources);
    let key = match options.uses_id_token {
        true => key.token_type("ID token"),
        false => key,
    };
    let key = match options.audiences.is_empty() {
        true => key,
        false => key.audience(options.audiences.join(" ")),
    };
    match options.parameters.is_empty() {
        true => key.grant(grant),
        false => key.grant(format!("{grant} with {}", hash_parameters(options))),
    }
}

/// A hash of the extra parameters.
///
/// Each parameter is hashed by itself first, so that two different lists cannot run together into the same text.
fn hash_parameters(options: &GrantOptions) -> String {
    let parameters = options.parameters.iter();
    let each = parameters.map(|(name, value)| {
        let key = StoreKey::builder(name)
            .subject(value.expose_secret())
            .build();
        key.id().to_owned()
    });
    let all = StoreKey::builder("parameters").scopes(each).build();
    all.id()[..HASH_DIGITS].to_owned()
}

const HASH_DIGITS: usize = 16;
