//! What makes the tokens of one client others than those of another.

use crate::oauth::client::{Client, Server};
use crate::store::key::{StoreKey, StoreKeyBuilder};

impl Client {
    /// The server, the client, and the key that its tokens are bound to.
    pub(crate) fn store_key(&self) -> StoreKeyBuilder {
        let key = match &self.0.server {
            Server::Issuer(url) | Server::Fhir(url) => StoreKey::builder(url),
            Server::Endpoints(endpoints) => StoreKey::builder(
                endpoints
                    .issuer
                    .clone()
                    .unwrap_or_else(|| endpoints.token.url().to_string()),
            ),
        };
        let key = key.client(self.id());
        match &self.0.prover {
            Some(prover) => key.token_type(format!("DPoP {}", prover.thumbprint())),
            None => key,
        }
    }
}
