//! A source with locks, connections or caches of its own, in a process that may fork.

use std::mem;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use futures_util::future::BoxFuture;
use keyfob::source::TokenRequest;
use keyfob::{Error, Token, TokenSource};

/// Makes a source, and all sources and caches below it, anew.
pub(crate) type Recipe = Arc<dyn Fn() -> Result<Arc<dyn TokenSource>, Error> + Send + Sync>;

/// A source that a forked child makes anew before its first use there: locks of the parent's threads stay locked, and the
/// connections belong to the parent.
pub(crate) struct RemadeSource {
    recipe: Recipe,
    current: ArcSwap<Made>,
}

/// A source, and the process that made it.
struct Made {
    source: Arc<dyn TokenSource>,
    process: u32,
}

impl RemadeSource {
    pub(crate) fn new(recipe: Recipe) -> Result<Self, Error> {
        let current = ArcSwap::from_pointee(Made::by(&recipe)?);
        Ok(Self { recipe, current })
    }

    pub(crate) fn recipe(&self) -> Recipe {
        Arc::clone(&self.recipe)
    }

    /// The source of this process.
    fn current(&self) -> Result<Arc<Made>, Error> {
        let current = self.current.load_full();
        if current.process == std::process::id() {
            return Ok(current);
        }
        let made = Arc::new(Made::by(&self.recipe)?);
        let replaced = self.current.compare_and_swap(&current, Arc::clone(&made));
        if Arc::ptr_eq(&replaced, &current) {
            // Not dropped: that might take a lock which a thread of the parent held.
            mem::forget((replaced, current));
            return Ok(made);
        }
        // Another thread was first.
        mem::forget(current);
        Ok(Guard::into_inner(replaced))
    }
}

impl Made {
    fn by(recipe: &Recipe) -> Result<Self, Error> {
        Ok(Self {
            source: recipe()?,
            process: std::process::id(),
        })
    }
}

impl TokenSource for RemadeSource {
    fn fetch<'a>(&'a self, request: &'a TokenRequest) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(async move { self.current()?.source.fetch(request).await })
    }

    fn consumes_refresh_token(&self) -> bool {
        self.current.load().source.consumes_refresh_token()
    }
}
