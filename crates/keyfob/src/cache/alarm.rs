//! Time limits by a cache's own clock.

use std::sync::Arc;
use std::time::Duration;

use crate::alarm::Alarm;
use crate::cache::TokenCache;

impl TokenCache {
    /// An alarm by the cache's clock, for limits of this length.
    pub(crate) fn alarm(&self, limit: Duration) -> Alarm {
        Alarm::new(
            limit,
            Arc::clone(&self.shared.current.clock),
            Arc::clone(&self.shared.runtime),
        )
    }
}
