//! A pool of token caches, as a Python object.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arc_swap::{ArcSwap, Guard};
use keyfob::pool::PoolKey;
use keyfob::{Error, TokenPool as CorePool, TokenSource};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

use crate::cache::cache::{TokenCache, next_number};
use crate::convert::seconds;
use crate::error::{HookException, exception};
use crate::runtime::critical_section;
use crate::runtime::critical_section::attached;
use crate::runtime::threads::{PoolThreads, RenewalClock};
use crate::source::hook::{Hook, HookSource};
use crate::source::source::Source;

/// A token for each of many users.
#[pyclass(frozen, weakref, module = "keyfob._core")]
pub(crate) struct TokenPool {
    /// Replaced in a forked child.
    core: ArcSwap<CorePool>,
    /// The number of all its caches: a hook of one key must not wait for another key, because all places may be taken.
    number: usize,
    /// The process that `core` belongs to.
    process: AtomicU32,
}

/// The settings of a pool: `keyfob._values.PoolSettings`.
#[derive(FromPyObject)]
pub(crate) struct PoolSettings {
    max_entries: usize,
    idle_timeout: f64,
    fetches_at_once: usize,
    max_queued: usize,
    fetch_timeout: f64,
    default_lifetime: Option<f64>,
}

/// The fields of a key: `keyfob._values.PoolKey`.
#[derive(FromPyObject)]
pub(crate) struct KeyFields {
    subject: String,
    scopes: Vec<String>,
    resource: Option<String>,
    client: Option<String>,
}

#[pymethods]
impl TokenPool {
    /// A pool over a function that returns a hook or a source for a key.
    #[new]
    fn new(py: Python<'_>, source_of: Py<PyAny>, settings: PoolSettings) -> PyResult<Self> {
        let number = next_number();
        let mut builder = CorePool::builder(move |key| make_source(&source_of, key, number))
            .clock(RenewalClock)
            .runtime(PoolThreads)
            .max_entries(settings.max_entries)
            .idle_timeout(seconds("idle_timeout", settings.idle_timeout)?)
            .fetches_at_once(settings.fetches_at_once)
            .max_queued(settings.max_queued)
            .fetch_timeout(seconds("fetch_timeout", settings.fetch_timeout)?);
        if let Some(lifetime) = settings.default_lifetime {
            builder = builder.default_lifetime(seconds("default_lifetime", lifetime)?);
        }
        let core = builder.build().map_err(|error| exception(py, &error))?;
        Ok(Self {
            core: ArcSwap::from_pointee(core),
            number,
            process: AtomicU32::new(std::process::id()),
        })
    }

    /// The cache of a key.
    fn tokens(&self, py: Python<'_>, key: KeyFields) -> PyResult<TokenCache> {
        let tokens = key.core().and_then(|key| self.core().tokens(&key));
        let tokens = tokens.map_err(|error| exception(py, &error))?;
        Ok(TokenCache::of_pool(tokens, self.number))
    }

    /// Forgets a key with its tokens, and returns whether it was there.
    fn remove(&self, py: Python<'_>, key: KeyFields) -> PyResult<bool> {
        let key = key.core().map_err(|error| exception(py, &error))?;
        Ok(self.core().remove(&key))
    }

    /// The state of the pool, without a key or a secret. See `keyfob.PoolStatus`.
    fn status(&self, py: Python<'_>) -> PyResult<Py<PyDict>> {
        let status = self.core().status();
        let dict = PyDict::new(py);
        dict.set_item("entries", status.entries)?;
        dict.set_item("created", status.created)?;
        dict.set_item("evicted", status.evicted)?;
        dict.set_item("fetching", status.fetching)?;
        dict.set_item("queued", status.queued)?;
        Ok(dict.unbind())
    }

    /// Begins with no token: those of the parent are behind locks that its threads may have held.
    fn after_fork_in_child(&self) {
        self.process.store(std::process::id(), Ordering::Relaxed);
        let forked = self.core.load().forked();
        // Not dropped: that might take a lock which a thread of the parent held.
        mem::forget(self.core.swap(Arc::new(forked)));
    }
}

impl TokenPool {
    /// The core of this process. A server such as uWSGI may fork without Python's knowledge.
    fn core(&self) -> Guard<Arc<CorePool>> {
        if self.process.load(Ordering::Relaxed) != std::process::id() {
            critical_section::notice_fork();
            self.after_fork_in_child();
        }
        self.core.load()
    }
}

impl KeyFields {
    fn core(self) -> Result<PoolKey, Error> {
        let mut key = PoolKey::builder(self.subject).scopes(self.scopes);
        if let Some(resource) = self.resource {
            key = key.resource(resource);
        }
        if let Some(client) = self.client {
            key = key.client(client);
        }
        key.build()
    }
}

/// Asks the function for the hook or the source of a key.
fn make_source(
    source_of: &Py<PyAny>,
    key: &PoolKey,
    number: usize,
) -> Result<Arc<dyn TokenSource>, Error> {
    let made = attached(|py| {
        let made = python_key(py, key).and_then(|key| source_of.bind(py).call1((key,)));
        let made = made.map_err(|exception| HookException::into_error(exception, py))?;
        if let Ok(source) = made.cast::<Source>() {
            let source = source.get();
            return match source.prover {
                Some(_) => Err(Error::refused(
                    "a pool makes no proofs of possession (DPoP); use a handler for this source",
                )),
                None => Ok(Arc::clone(&source.core)),
            };
        }
        let hook = Arc::new(Hook::new(made.unbind()));
        let source: Arc<dyn TokenSource> = Arc::new(HookSource {
            hook,
            cache: number,
        });
        Ok(source)
    });
    made.unwrap_or_else(|| Err(Error::unavailable("the interpreter is exiting")))
}

/// The key as a `keyfob.PoolKey`.
fn python_key<'py>(py: Python<'py>, key: &PoolKey) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = CLASS.import(py, "keyfob._values", "PoolKey")?;
    let scopes: Vec<_> = key.scopes().collect();
    class.call1((key.subject(), scopes, key.resource(), key.client()))
}
