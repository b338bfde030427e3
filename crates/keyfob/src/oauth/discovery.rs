//! The metadata of an authorization server: given by the application, or fetched and cached.

use std::sync::Arc;
use std::time::Duration;

use futures_util::lock::Mutex;

use crate::clock::clock::Clock;
use crate::error::error::{Error, ErrorKind};
use crate::oauth::http_client::HttpClient;
use crate::oauth::metadata::{EndpointRules, Metadata};
use crate::oauth::metadata_request::{DEFAULT_LIFETIME, FetchedMetadata, SHORTEST_LIFETIME};
use crate::oauth::metadata_store;
use crate::oauth::metadata_store::MetadataStore;

/// Provides the metadata of one server, and fetches it at most once per lifetime.
pub(crate) struct Discovery {
    pub(crate) server: ServerLocation,
    store: Option<MetadataStore>,
    rules: EndpointRules,
    /// Held locked during a fetch, so that callers share it.
    cached: Mutex<Option<Cached>>,
}

/// Fetched metadata, and when to fetch them again, on the client's clock.
struct Cached {
    metadata: Arc<Metadata>,
    /// The end of their lifetime.
    until: Duration,
    /// From then on, a failure makes them doubtful. Just fetched, they cannot be the reason.
    doubtful_from: Duration,
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

impl ServerLocation {
    fn issuer(&self) -> Option<&str> {
        match self {
            Self::Issuer(issuer) => Some(issuer),
            Self::Endpoints(_) | Self::FhirServer(_) => None,
        }
    }

    /// A name for its metadata in a store.
    fn name(&self) -> String {
        match self {
            Self::Issuer(issuer) => format!("issuer {issuer}"),
            Self::FhirServer(base) => format!("FHIR server {base}"),
            Self::Endpoints(metadata) => metadata.token.to_string(),
        }
    }
}

impl Discovery {
    pub(crate) const LIFETIME: Duration = DEFAULT_LIFETIME;

    pub(crate) fn new(
        server: ServerLocation,
        store: Option<MetadataStore>,
        rules: EndpointRules,
    ) -> Self {
        let cached = Mutex::new(None);
        Self {
            server,
            store,
            rules,
            cached,
        }
    }

    pub(crate) async fn metadata(
        &self,
        http: &HttpClient,
        clock: &dyn Clock,
    ) -> Result<Arc<Metadata>, Error> {
        if let ServerLocation::Endpoints(metadata) = &self.server {
            return Ok(Arc::clone(metadata));
        }
        let mut cached = self.cached.lock().await;
        if cached.is_none() {
            *cached = self.load(clock).await;
        }
        // Taken before the fetch, so that a slow response is not used for longer than its lifetime.
        let now = clock.elapsed();
        if let Some(found) = &*cached
            && now < found.until
        {
            return Ok(Arc::clone(&found.metadata));
        }
        match (self.fetch(http, clock, now).await, &*cached) {
            (Ok(fetched), _) => {
                let metadata = Arc::clone(&fetched.metadata);
                *cached = Some(fetched);
                Ok(metadata)
            }
            // Endpoints rarely move: old metadata serves callers better than an error while the server is unreachable.
            // The same if another document is there for a while, such as a page about maintenance.
            (Err(error), Some(old))
                if !matches!(error.kind(), ErrorKind::Input | ErrorKind::Origin) =>
            {
                // The end of the old lifetime stays, so that the next call tries again.
                tracing::debug!(target: "keyfob", %error, "cannot fetch the authorization server's metadata; using the old");
                Ok(Arc::clone(&old.metadata))
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Fetches the metadata again after a failure; `None` if the old ones cannot be the reason.
    pub(crate) async fn fetch_again(
        &self,
        old: &Arc<Metadata>,
        http: &HttpClient,
        clock: &dyn Clock,
    ) -> Option<Arc<Metadata>> {
        let mut cached = self.cached.lock().await;
        let found = cached.as_ref()?;
        let now = clock.elapsed();
        if !Arc::ptr_eq(&found.metadata, old) {
            return Some(Arc::clone(&found.metadata));
        }
        if now < found.doubtful_from {
            return None;
        }
        let fetched = self.fetch(http, clock, now).await.ok()?;
        let metadata = Arc::clone(&fetched.metadata);
        *cached = Some(fetched);
        Some(metadata)
    }

    /// Notes that metadata led to a failure, so that the next call fetches them again.
    pub(crate) async fn doubt(&self, clock: &dyn Clock) {
        let mut cached = self.cached.lock().await;
        let now = clock.elapsed();
        if let Some(found) = &mut *cached
            && now >= found.doubtful_from
        {
            found.until = now;
            if let Some(store) = &self.store {
                store.save(&self.server.name(), None).await;
            }
        }
    }

    async fn fetch(
        &self,
        http: &HttpClient,
        clock: &dyn Clock,
        now: Duration,
    ) -> Result<Cached, Error> {
        let fetched = match &self.server {
            ServerLocation::Issuer(issuer) => {
                FetchedMetadata::of_issuer(http, issuer, &self.rules).await?
            }
            ServerLocation::FhirServer(base) => {
                FetchedMetadata::of_fhir_server(http, base, &self.rules).await?
            }
            ServerLocation::Endpoints(_) => unreachable!("the endpoints are known"),
        };
        if let Some(store) = &self.store {
            let name = self.server.name();
            let wall = clock.coarse_time().wall_time();
            let text = metadata_store::write(&name, &fetched, wall);
            store
                .save(&name, fetched.may_be_stored.then_some(text))
                .await;
        }
        Ok(Cached {
            metadata: Arc::new(fetched.metadata),
            until: now.saturating_add(fetched.lifetime),
            doubtful_from: now.saturating_add(SHORTEST_LIFETIME),
        })
    }

    /// The metadata that another process has fetched.
    async fn load(&self, clock: &dyn Clock) -> Option<Cached> {
        let name = self.server.name();
        let text = self.store.as_ref()?.load(&name).await?;
        let (now, wall) = (clock.elapsed(), clock.coarse_time().wall_time());
        let expected = metadata_store::Expected {
            server: &name,
            issuer: self.server.issuer(),
            rules: &self.rules,
        };
        let found = metadata_store::read(&expected, &text, wall)?;
        Some(Cached {
            metadata: Arc::new(found.metadata),
            until: now.saturating_add(found.lifetime.saturating_sub(found.age)),
            doubtful_from: now.saturating_add(SHORTEST_LIFETIME.saturating_sub(found.age)),
        })
    }
}
