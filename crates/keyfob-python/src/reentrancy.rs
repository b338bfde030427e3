//! Hooks that need tokens themselves: one that needs its own, also by way of another's hook, would wait for itself.

use std::sync::Mutex;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::inside::Inside;
use crate::lock::lock;

/// Which cache's hook waits for which cache's token. There is no circle in it.
static WAITS: Mutex<Vec<(usize, usize)>> = Mutex::new(Vec::new());

/// Who asks for a cache's token.
pub(crate) enum Asks {
    /// Its own hook, or one that its own hook waits for.
    ItsHook,
    Another(Waits),
}

/// Keeps account of the hooks that wait, for as long as it lives; of none, if no hook asks.
pub(crate) struct Waits(Vec<(usize, usize)>);

impl Asks {
    /// Who asks in the calling context for the token of the cache with this number.
    pub(crate) fn of(py: Python<'_>, cache: usize) -> PyResult<Self> {
        let hooks = running_hooks(py)?;
        if hooks.is_empty() {
            return Ok(Self::Another(Waits(Vec::new())));
        }
        let mut waits = lock(&WAITS);
        if hooks.iter().any(|hook| leads_to(&waits, cache, *hook)) {
            return Ok(Self::ItsHook);
        }
        let own: Vec<_> = hooks.into_iter().map(|hook| (hook, cache)).collect();
        waits.extend(&own);
        Ok(Self::Another(Waits(own)))
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

/// In a forked child nobody waits.
pub(crate) fn after_fork_in_child() {
    lock(&WAITS).clear();
}

/// The caches whose hooks the calling context runs.
fn running_hooks(py: Python<'_>) -> PyResult<Vec<usize>> {
    static ASKED_BY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let _inside = Inside::enter_attached(py);
    let asked_by = ASKED_BY.import(py, "keyfob._hook", "asked_by")?;
    asked_by.call_method0("get")?.extract()
}

fn leads_to(waits: &[(usize, usize)], from: usize, to: usize) -> bool {
    from == to
        || waits
            .iter()
            .any(|(hook, cache)| *hook == from && leads_to(waits, *cache, to))
}
