//! Finds hooks that would wait for themselves: directly, or through the hook of another cache.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::runtime::critical_section::CriticalSection;
use crate::runtime::threads::lock;

/// Pairs of a cache whose hook waits, and the cache it waits for. The pairs never form a circle.
static WAITS: Mutex<Vec<(usize, usize)>> = Mutex::new(Vec::new());

/// The caller that asks a cache for its token.
pub(crate) enum Caller {
    /// The hook of that cache, or a hook that it waits for. It must not wait.
    OwnHook,
    /// Any other caller.
    Other(Waits),
}

/// Records the hooks that wait, until it is dropped; records nothing if the caller is no hook.
pub(crate) struct Waits(Vec<(usize, usize)>);

impl Caller {
    /// Determines the caller that asks for the token of the cache with this number, in the calling context.
    pub(crate) fn of(py: Python<'_>, cache: usize) -> PyResult<Self> {
        let hooks = running_hooks(py)?;
        if hooks.is_empty() {
            return Ok(Self::Other(Waits(Vec::new())));
        }
        let mut waits = lock(&WAITS);
        if hooks.iter().any(|hook| leads_to(&waits, cache, *hook)) {
            return Ok(Self::OwnHook);
        }
        let own: Vec<_> = hooks.into_iter().map(|hook| (hook, cache)).collect();
        waits.extend(&own);
        Ok(Self::Other(Waits(own)))
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        if self.0.is_empty() {
            return;
        }
        let mut waits = lock(&WAITS);
        for own in &self.0 {
            if let Some(index) = waits.iter().position(|wait| wait == own) {
                waits.swap_remove(index);
            }
        }
    }
}

/// Forgets the waits of the parent's threads, which the child does not have.
pub(crate) fn after_fork_in_child() {
    lock(&WAITS).clear();
}

/// The caches whose hooks the calling context runs.
fn running_hooks(py: Python<'_>) -> PyResult<Vec<usize>> {
    static RUNNING_FOR: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let _section = CriticalSection::enter_attached(py);
    let running_for = RUNNING_FOR.import(py, "keyfob._hook", "running_for")?;
    running_for.call_method0("get")?.extract()
}

/// Whether a wait for `from` is also a wait for `to`.
fn leads_to(waits: &[(usize, usize)], from: usize, to: usize) -> bool {
    from == to
        || waits
            .iter()
            .any(|(hook, cache)| *hook == from && leads_to(waits, *cache, to))
}

/// A number for each cache of the process.
pub(crate) fn next_number() -> usize {
    static LAST: AtomicUsize = AtomicUsize::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}
