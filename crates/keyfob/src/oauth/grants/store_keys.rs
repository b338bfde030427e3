//! Under which keys a store keeps the tokens of grants.

use crate::oauth::client::Client;
use crate::oauth::discovery::ServerLocation;
use crate::oauth::grants::client_credentials::ClientCredentials;
use crate::oauth::grants::jwt_bearer::JwtBearer;
use crate::oauth::grants::options::GrantOptions;
use crate::oauth::grants::refresh_token::RefreshToken;
use crate::oauth::grants::smart_backend_services::SmartBackendServices;
use crate::oauth::grants::token_exchange::TokenExchange;
use crate::store::key::{StoreKey, StoreKeyBuilder};

/// A grant that says under which key a store keeps its tokens.
macro_rules! keyed {
    ($source:ty, $grant:literal, $($path:ident).*) => {
        impl $source {
            /// The key for a store: server, client, and all that is asked for.
            ///
            /// Whose tokens it gets is not in it where only somebody else's token says so: add a
            /// [`subject`](StoreKeyBuilder::subject). Extra parameters count by their hash: where one is a secret that can be
            /// guessed, make the key yourself.
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
                key(&self.$($path.)*client, &self.$($path.)*options, $grant)
            }
        }
    };
}

keyed!(ClientCredentials, "client_credentials",);
keyed!(SmartBackendServices, "client_credentials", credentials);
keyed!(RefreshToken, "refresh_token",);
keyed!(TokenExchange, "token-exchange",);

impl JwtBearer {
    /// The key for a store: server, client, whom the assertion is about, and all that is asked for.
    ///
    /// Whom an assertion of another source is about is not known here: add a [`subject`](StoreKeyBuilder::subject).
    pub fn store_key(&self) -> StoreKeyBuilder {
        let key = key(&self.client, &self.options, "jwt-bearer");
        match self.stated_subject() {
            Some(subject) => key.subject(subject),
            None => key,
        }
    }
}

impl Client {
    /// Identifies the server, the client, and the key that its tokens are bound to.
    fn store_key(&self) -> StoreKeyBuilder {
        let server = match self.0.discovery.server() {
            ServerLocation::Issuer(url) | ServerLocation::FhirServer(url) => url,
            ServerLocation::Endpoints(metadata) => match &metadata.issuer {
                Some(issuer) => issuer,
                None => metadata.token.url().as_str(),
            },
        };
        let key = StoreKey::builder(server).client(self.id());
        match &self.0.prover {
            Some(prover) => key.token_type(format!("DPoP {}", prover.thumbprint())),
            None => key,
        }
    }
}

fn key(client: &Client, options: &GrantOptions, grant: &str) -> StoreKeyBuilder {
    let key = client
        .store_key()
        .scopes(&options.scopes)
        .resources(&options.resources);
    let key = match options.audiences.is_empty() {
        true => key,
        false => key.audience(options.audiences.join(" ")),
    };
    match options.parameters.is_empty() {
        true => key.grant(grant),
        false => key.grant(format!("{grant} with {}", digest(options))),
    }
}

/// A hash of the extra parameters, in which none can run into the next.
fn digest(options: &GrantOptions) -> String {
    let parameters = options.parameters.iter();
    let each = parameters.map(|(name, value)| {
        let key = StoreKey::builder(name).subject(value.as_str()).build();
        key.id().to_owned()
    });
    let mut digest = StoreKey::builder("parameters")
        .scopes(each)
        .build()
        .id()
        .to_owned();
    digest.truncate(DIGITS);
    digest
}

const DIGITS: usize = 16;
