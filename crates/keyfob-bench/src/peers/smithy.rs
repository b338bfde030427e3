//! aws-smithy-runtime: the lazy identity cache of the AWS clients.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::SystemTimeSource;
use aws_smithy_runtime::client::identity::IdentityCache;
use aws_smithy_runtime_api::client::identity::{
    Identity, IdentityFuture, ResolveCachedIdentity, ResolveIdentity, SharedIdentityCache,
    SharedIdentityResolver,
};
use aws_smithy_runtime_api::client::runtime_components::{
    RuntimeComponents, RuntimeComponentsBuilder,
};
use aws_smithy_types::config_bag::ConfigBag;
use http::HeaderValue;

use crate::peers::{Due, Peer, bearer, said};
use crate::source::Source;

pub struct Smithy {
    cache: SharedIdentityCache,
    resolver: SharedIdentityResolver,
    components: RuntimeComponents,
    settings: ConfigBag,
}

impl Peer for Smithy {
    const NAME: &'static str = "aws-smithy-runtime";
    // It replaces tokens at a random point in their last 5 to 10 s.
    const DUE: &'static [Due] = &[Due::new(Duration::from_secs(8), Duration::from_secs(3))];

    async fn start(source: Arc<Source>) -> Result<Self, String> {
        let components = RuntimeComponentsBuilder::for_tests()
            .with_time_source(Some(SystemTimeSource::new()))
            .with_sleep_impl(Some(TokioSleep::new()));
        Ok(Self {
            cache: IdentityCache::lazy().build(),
            resolver: SharedIdentityResolver::new(Resolver(source)),
            components: components.build().map_err(said)?,
            settings: ConfigBag::base(),
        })
    }

    async fn header(&self) -> Result<HeaderValue, String> {
        let resolver = self.resolver.clone();
        let cached = self
            .cache
            .resolve_cached_identity(resolver, &self.components, &self.settings);
        let identity = cached.await.map_err(said)?;
        let Text(token) = identity.data().ok_or("another identity")?;
        bearer(token)
    }
}

struct Text(String);

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Text")
    }
}

struct Resolver(Arc<Source>);

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

impl ResolveIdentity for Resolver {
    fn resolve_identity<'a>(
        &'a self,
        _: &'a RuntimeComponents,
        _: &'a ConfigBag,
    ) -> IdentityFuture<'a> {
        IdentityFuture::new(async move {
            let (token, lifetime) = self.0.fetch().await.map_err(|_| "refused")?;
            let end = Some(SystemTime::now() + lifetime);
            Ok(Identity::new(Text(token), end))
        })
    }
}
