//! What an answer asks of a new token: the exchange reads it, and the cache obeys it.

use keyfob::exchange::Challenges;
use pyo3::prelude::*;

/// Get another token and, if there is one, send again.
#[pyclass(frozen, module = "keyfob._core")]
pub(crate) struct Renew {
    pub(crate) challenges: Challenges,
}
