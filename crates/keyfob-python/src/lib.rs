//! The Rust core of the Python package `keyfob`: thin classes over the library, without rules of their own.
//!
//! The package's Python code sends the requests with `requests` and `httpx`. The library's
//! [`Exchange`](keyfob::exchange::Exchange) decides what a response leads to, and its [`TokenCache`](keyfob::TokenCache) holds
//! the tokens.

mod cache;
mod client;
mod convert;
mod error;
mod log;
mod profile;
mod runtime;
mod source;

use pyo3::prelude::*;

/// The interface to the package's own Python code.
#[pymodule(gil_used = true)]
mod _core {
    use keyfob::cache::TokenCacheBuilder;
    use keyfob::exchange::{DPOP, IDEMPOTENCY_KEY};
    use keyfob::{CommandToken, Session};
    use pyo3::exceptions::PyImportError;
    use pyo3::prelude::*;
    use pyo3::sync::PyOnceLock;

    #[pymodule_export]
    use crate::cache::cache::TokenCache;
    #[pymodule_export]
    use crate::cache::lease::{Lease, Renew};
    #[pymodule_export]
    use crate::cache::pending_lease::PendingLease;
    #[pymodule_export]
    use crate::cache::pool::TokenPool;
    #[pymodule_export]
    use crate::client::exchange::{Exchange, Wait};
    #[pymodule_export]
    use crate::client::origins::Origins;
    #[pymodule_export]
    use crate::client::retry_policy::RetryPolicy;
    #[pymodule_export]
    use crate::client::step_up::step_up;
    use crate::log::install;
    #[pymodule_export]
    use crate::profile::{Profile, profile_names};
    use crate::runtime::critical_section::notice_fork;
    #[pymodule_export]
    use crate::runtime::critical_section::{
        after_fork_in_child, after_fork_in_parent, before_exit, before_fork,
    };
    #[pymodule_export]
    use crate::runtime::threads::{advance_clock, reset_wall_clock, step_wall_clock, wall_clock};
    #[pymodule_export]
    use crate::source::grant::grant_source;
    #[pymodule_export]
    use crate::source::hook::HookCall;
    #[pymodule_export]
    use crate::source::http_token::http_source;
    #[pymodule_export]
    use crate::source::signed_jwt::signed_jwt_source;
    #[pymodule_export]
    use crate::source::source::Source;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        notice_fork();
        add_facts(module)?;
        refuse_other_interpreters(module.py())?;
        install(module.py())
    }

    /// Adds the defaults of the library, which the Python code uses, and which tests compare with what the docs say.
    fn add_facts(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let fetch_timeout = TokenCacheBuilder::FETCH_TIMEOUT;
        module.add("COMMAND_TIMEOUT", CommandToken::TIMEOUT.as_secs_f64())?;
        module.add("FETCH_TIMEOUT", fetch_timeout.as_secs_f64())?;
        module.add("DPOP", DPOP.as_str())?;
        module.add("IDEMPOTENCY_KEY", IDEMPOTENCY_KEY.as_str())?;
        module.add("RETRY_DEFAULTS", RetryPolicy::defaults(module.py())?)?;
        module.add("RETRY_STATUSES", RetryPolicy::statuses())?;
        module.add("TIMEOUT", Session::TIMEOUT.as_secs_f64())?;
        module.add("VERSION", env!("CARGO_PKG_VERSION"))
    }

    /// Token caches, threads and the logger belong to the first interpreter that imports the module.
    fn refuse_other_interpreters(py: Python<'_>) -> PyResult<()> {
        static FIRST: PyOnceLock<usize> = PyOnceLock::new();
        let modules = py.import("sys")?.getattr("modules")?.as_ptr().addr();
        if *FIRST.get_or_init(py, || modules) == modules {
            return Ok(());
        }
        Err(PyImportError::new_err(
            "another interpreter of this process already uses keyfob; sub-interpreters cannot share it",
        ))
    }
}
