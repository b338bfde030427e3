//! The exchange that is under way, according to the store.

use keyfob::store::TokenStore;

use crate::setup::key;

/// The note of an exchange whose result is not stored yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Note {
    pub(crate) pid: u32,
    /// Whether this exchange repeats that of a killed process.
    pub(crate) is_repeat: bool,
}

impl Note {
    pub(crate) async fn load(store: &dyn TokenStore) -> Option<Self> {
        let kept = store.load(&key()).await.ok().flatten()?;
        let begun = kept.entry.pending_exchange()?;
        Some(Self {
            pid: begun.process().split(' ').nth(1)?.parse().ok()?,
            is_repeat: begun.attempts() > 1,
        })
    }
}
