//! The Python caller that caused a renewal: its context, and its hub if it is a greenlet.

use std::cell::RefCell;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::runtime::critical_section::attached;

thread_local! {
    /// The caller whose renewal runs on this thread.
    static CALLER: RefCell<Option<Py<PyAny>>> = const { RefCell::new(None) };
}

/// The caller on this thread, as a `keyfob._hook.Caller`. `None` without an interpreter.
pub(crate) fn capture() -> Option<Py<PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    attached(|py| {
        let class = CLASS.import(py, "keyfob._hook", "Caller").ok()?;
        class.call0().ok().map(Bound::unbind)
    })?
}

/// Sets the caller whose renewal runs on this thread.
pub(crate) fn set(caller: Option<Py<PyAny>>) {
    CALLER.set(caller);
}

/// The caller whose renewal runs on this thread.
pub(crate) fn current(py: Python<'_>) -> Option<Py<PyAny>> {
    CALLER.with_borrow(|caller| caller.as_ref().map(|caller| caller.clone_ref(py)))
}
