//! The token source of a profile, in a process that may fork.

use std::mem;
use std::sync::Arc;

use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use keyfob::source::TokenRequest;
use keyfob::{Error, Profile, Token, TokenSource};

/// The source of a profile's token, which a forked child replaces.
pub(crate) struct ProfileSource {
    profile: Profile,
    current: ArcSwap<Arc<dyn TokenSource>>,
}

impl ProfileSource {
    pub(crate) fn new(profile: Profile) -> Result<Self, Error> {
        let current = ArcSwap::from_pointee(profile.source()?);
        Ok(Self { profile, current })
    }

    /// Makes a new source: in the child, locks of the parent's threads stay locked, and its connections belong to the parent.
    pub(crate) fn after_fork_in_child(&self) {
        if let Ok(source) = self.profile.source() {
            // Not dropped: that might take a lock which a thread of the parent held.
            mem::forget(self.current.swap(Arc::new(source)));
        }
    }
}

impl TokenSource for ProfileSource {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Token, Error>> {
        let current = self.current.load_full();
        Box::pin(async move { current.fetch(request).await })
    }

    fn consumes_refresh_token(&self) -> bool {
        self.current.load().consumes_refresh_token()
    }
}
