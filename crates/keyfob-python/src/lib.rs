//! The Rust core of the Python package `keyfob`: thin classes over the library, without rules of their own.
//!
//! The package's Python code sends the requests, for they are to be `requests`' and `httpx`' own; what it does with an answer
//! is decided by the library's [`Exchange`](keyfob::exchange::Exchange), and its tokens are those of a
//! [`TokenCache`](keyfob::TokenCache).

mod cache;
mod error;
mod exchange;
mod hook;
mod inside;
mod lease;
mod lock;
mod log_bridge;
mod moment;
mod origins;
mod policy;
mod profile;
mod profile_source;
mod reentrancy;
mod renew;
mod sources;
mod wait;
mod waiting;
mod world;

use pyo3::prelude::*;

/// What the package's Python code drives; not for use from elsewhere.
#[pymodule(gil_used = true)]
mod _core {
    use pyo3::exceptions::PyImportError;
    use pyo3::prelude::*;
    use pyo3::sync::PyOnceLock;

    use crate::log_bridge::install;

    #[pymodule_export]
    use crate::cache::TokenCache;
    #[pymodule_export]
    use crate::exchange::Exchange;
    #[pymodule_export]
    use crate::exchange::Wait;
    #[pymodule_export]
    use crate::hook::HookCall;
    #[pymodule_export]
    use crate::inside::after_fork_in_child;
    #[pymodule_export]
    use crate::inside::after_fork_in_parent;
    #[pymodule_export]
    use crate::inside::before_fork;
    #[pymodule_export]
    use crate::inside::close;
    #[pymodule_export]
    use crate::lease::Lease;
    #[pymodule_export]
    use crate::origins::Origins;
    #[pymodule_export]
    use crate::origins::same_origin;
    #[pymodule_export]
    use crate::policy::RetryPolicy;
    #[pymodule_export]
    use crate::profile::Profile;
    #[pymodule_export]
    use crate::profile::profile_names;
    #[pymodule_export]
    use crate::renew::Renew;
    #[pymodule_export]
    use crate::sources::Source;
    #[pymodule_export]
    use crate::waiting::Waiting;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add(
            "IDEMPOTENCY_KEY",
            keyfob::exchange::IDEMPOTENCY_KEY.as_str(),
        )?;
        refuse_other_interpreters(module.py())?;
        install(module.py())
    }

    /// Token caches, threads and the logger are those of one interpreter, the first that imports the module.
    fn refuse_other_interpreters(py: Python<'_>) -> PyResult<()> {
        static FIRST: PyOnceLock<usize> = PyOnceLock::new();
        let modules = py.import("sys")?.getattr("modules")?.as_ptr().addr();
        if *FIRST.get_or_init(py, || modules) == modules {
            return Ok(());
        }
        Err(PyImportError::new_err(
            "keyfob is used by another interpreter of this process already; it cannot be shared by sub-interpreters",
        ))
    }
}
