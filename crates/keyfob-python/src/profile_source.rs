//! Where the token of a profile comes from, in a process that may fork.

use std::mem;
use std::sync::Arc;

use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use keyfob::source::TokenRequest;
use keyfob::{Error, Profile, Token, TokenSource};

/// The source of a profile's token, which a forked child can make anew.
pub(crate) struct ProfileSource {
    profile: Profile,
    made: ArcSwap<Arc<dyn TokenSource>>,
}

impl ProfileSource {
    pub(crate) fn new(profile: Profile) -> Result<Self, Error> {
        if profile.proves_possession() {
            // R2: never sent without the proof.
            return Err(Error::refused(format!(
                "the tokens of the profile {:?} are bound to a key (`dpop_key`), of which the Python package cannot send the \
                 proof; use the command line or the Rust library",
                profile.name()
            )));
        }
        let made = ArcSwap::from_pointee(profile.source()?);
        Ok(Self { profile, made })
    }

    /// Another one: what a thread of the parent had locked stays locked in the child for ever, and a connection is the parent's.
    pub(crate) fn after_fork_in_child(&self) {
        if let Ok(source) = self.profile.source() {
            // The end of the parent's would lock what a thread that the child lacks may have left locked.
            mem::forget(self.made.swap(Arc::new(source)));
        }
    }
}

impl TokenSource for ProfileSource {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Token, Error>> {
        let made = self.made.load_full();
        Box::pin(async move { made.fetch(request).await })
    }

    fn consumes_refresh_token(&self) -> bool {
        self.made.load().consumes_refresh_token()
    }
}
