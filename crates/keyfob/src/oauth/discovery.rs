//! The metadata of an authorization server: given by the application, or fetched and cached.

use std::sync::Arc;
use std::time::Duration;

use futures_util::lock::Mutex;

use crate::clock::clock::Clock;
use crate::error::error::{Error, ErrorKind};
use crate::error::printable::printable;
use crate::oauth::endpoint::HttpClient;
use crate::oauth::metadata::Metadata;

/// Provides the metadata of one server, and fetches it at most once per lifetime.
pub(crate) struct Discovery {
    pub(crate) server: ServerLocation,
    /// The fetched metadata, with the time of the fetch. Held locked during a fetch, so that callers share it.
    cached: Mutex<Option<(Duration, Arc<Metadata>)>>,
}

/// How the application named the server.
#[derive(Clone, Debug)]
pub(crate) enum ServerLocation {
    /// By its endpoints: nothing is fetched.
    Endpoints(Arc<Metadata>),
    /// By its issuer identifier (RFC 8414 §2).
    Issuer(String),
    /// By the base URL of a FHIR server, whose SMART configuration names the endpoints.
    FhirServer(String),
}

impl Discovery {
    pub(crate) const LIFETIME: Duration = Duration::from_secs(60 * 60);

    pub(crate) fn new(server: ServerLocation) -> Self {
        let cached = Mutex::new(None);
        Self { server, cached }
    }

    pub(crate) async fn metadata(
        &self,
        http: &HttpClient,
        clock: &dyn Clock,
    ) -> Result<Arc<Metadata>, Error> {
        let mut cached = self.cached.lock().await;
        // Taken before the fetch, so that a slow response is not used for longer than its lifetime.
        let now = clock.elapsed();
        if let Some((fetched, metadata)) = &*cached
            && now.saturating_sub(*fetched) < Self::LIFETIME
        {
            return Ok(Arc::clone(metadata));
        }
        let fetched = match &self.server {
            ServerLocation::Endpoints(metadata) => return Ok(Arc::clone(metadata)),
            ServerLocation::Issuer(issuer) => Metadata::from_issuer(http, issuer).await,
            ServerLocation::FhirServer(base) => Metadata::from_fhir_server(http, base).await,
        };
        match (fetched, &*cached) {
            (Ok(metadata), _) => {
                let metadata = Arc::new(metadata);
                *cached = Some((now, Arc::clone(&metadata)));
                Ok(metadata)
            }
            // Endpoints rarely move: old metadata serves callers better than an error while the server is unreachable.
            (Err(error), Some((_, old))) if error.kind() == ErrorKind::Unavailable => {
                // The time of the old fetch stays, so that the next call tries again.
                tracing::debug!(target: "keyfob", error = %printable(&error), "cannot fetch the authorization server's metadata; using the old");
                Ok(Arc::clone(old))
            }
            (Err(error), _) => Err(error),
        }
    }
}
