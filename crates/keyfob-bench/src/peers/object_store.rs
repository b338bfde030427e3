//! object_store: the cache in its Azure store, whose endpoint for managed identities can be set.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use keyfob_testkit::Server;
use object_store::azure::{AzureCredential, AzureCredentialProvider, MicrosoftAzureBuilder};

use crate::peers::{Due, Peer, bearer, said};
use crate::source::Source;

pub struct ObjectStore {
    credentials: AzureCredentialProvider,
    _endpoint: Server,
}

impl Peer for ObjectStore {
    const NAME: &'static str = "object_store";
    // It replaces tokens in their last 5 minutes.
    const DUE: &'static [Due] = &[Due::new(Duration::from_secs(200), Duration::ZERO)];

    async fn start(source: Arc<Source>) -> Result<Self, String> {
        let endpoint = source.endpoint();
        let store = MicrosoftAzureBuilder::new()
            .with_account("account")
            .with_container_name("container")
            .with_msi_endpoint(endpoint.url())
            .build()
            .map_err(said)?;
        Ok(Self {
            credentials: Arc::clone(store.credentials()),
            _endpoint: endpoint,
        })
    }

    async fn header(&self) -> Result<HeaderValue, String> {
        let credential = self.credentials.get_credential().await.map_err(said)?;
        match &*credential {
            AzureCredential::BearerToken(token) => bearer(token),
            _ => Err("another credential".to_owned()),
        }
    }
}
