//! A pool of token caches, as a Python object.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arc_swap::{ArcSwap, Guard};
use http::StatusCode;
use keyfob::oauth::DpopProver;
use keyfob::pool::{PoolKey, TokenPoolBuilder};
use keyfob::{Error, TokenCache as CoreCache, TokenPool as CorePool, TokenSource};
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

use crate::cache::cache::{Pooled, TokenCache};
use crate::convert::seconds;
use crate::error::{HookException, exception};
use crate::runtime::critical_section;
use crate::runtime::critical_section::attached;
use crate::runtime::threads::{PoolThreads, RenewalClock};
use crate::source::hook::{Hook, HookSource};
use crate::source::reentrancy::next_number;
use crate::source::source::Source;

/// A token for each of many users.
#[pyclass(frozen, weakref, module = "keyfob._core")]
pub(crate) struct TokenPool {
    /// Replaced in a forked child.
    core: ArcSwap<CorePool>,
    /// Makes the pool anew in a forked child: it shares nothing with that of the parent.
    make: MakePool,
    requests: PooledRequests,
    /// The number of all its caches: a hook of one key must not wait for another key, because all places may be taken.
    number: usize,
    /// The process that `core` belongs to.
    process: AtomicU32,
}

type MakePool = Box<dyn Fn(Python<'_>) -> PyResult<CorePool> + Send + Sync>;

/// What all keys of a pool have in common when their tokens are sent.
#[derive(Default)]
pub(crate) struct PooledRequests {
    /// Proves possession of the key that the tokens are bound to, if they are.
    pub(crate) prover: Option<DpopProver>,
    /// The statuses that mean a rejected token, in addition to 401.
    pub(crate) rejected: Vec<StatusCode>,
}

/// The settings of a pool: `keyfob._values.PoolSettings`.
#[derive(FromPyObject)]
pub(crate) struct PoolSettings {
    max_entries: usize,
    idle_timeout: f64,
    fetches_at_once: usize,
    max_queued: usize,
    fetch_timeout: Option<f64>,
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
        let source_of = Arc::new(source_of);
        let builder = move |_: Python<'_>| {
            let source_of = Arc::clone(&source_of);
            Ok(CorePool::builder(move |key| {
                make_source(&source_of, key, number)
            }))
        };
        Self::made(py, settings, number, PooledRequests::default(), builder)
    }

    /// The cache of a key.
    fn tokens(slf: &Bound<'_, Self>, key: KeyFields) -> PyResult<TokenCache> {
        let key = key.core().map_err(|error| exception(slf.py(), &error))?;
        let this = slf.get();
        let tokens = this.cache(slf.py(), &key)?;
        let pool = slf.clone().unbind();
        let pooled = Pooled {
            number: this.number,
            prover: this.requests.prover.clone(),
            rejected: this.requests.rejected.clone(),
            of_child: Box::new(move |py| pool.get().cache(py, &key)),
        };
        Ok(TokenCache::of_pool(tokens, pooled))
    }

    /// Forgets a key with its tokens, and returns whether it was there.
    fn remove(&self, py: Python<'_>, key: KeyFields) -> PyResult<bool> {
        let key = key.core().map_err(|error| exception(py, &error))?;
        Ok(self.core(py)?.remove(&key))
    }

    /// The state of the pool, without a key or a secret. See `keyfob.PoolStatus`.
    fn status(&self, py: Python<'_>) -> PyResult<Py<PyDict>> {
        let status = self.core(py)?.status();
        let dict = PyDict::new(py);
        dict.set_item("entries", status.entries)?;
        dict.set_item("created", status.created)?;
        dict.set_item("evicted", status.evicted)?;
        dict.set_item("fetching", status.fetching)?;
        dict.set_item("queued", status.queued)?;
        Ok(dict.unbind())
    }

    /// Begins with no token: those of the parent are behind locks that its threads may have held.
    fn after_fork_in_child(&self, py: Python<'_>) -> PyResult<()> {
        let own = (self.make)(py)?;
        self.process.store(std::process::id(), Ordering::Relaxed);
        // Not dropped: that might take a lock which a thread of the parent held.
        mem::forget(self.core.swap(Arc::new(own)));
        Ok(())
    }
}

impl TokenPool {
    /// A pool that this makes, here and in a forked child.
    pub(crate) fn made(
        py: Python<'_>,
        settings: PoolSettings,
        number: usize,
        requests: PooledRequests,
        builder: impl Fn(Python<'_>) -> PyResult<TokenPoolBuilder> + Send + Sync + 'static,
    ) -> PyResult<Self> {
        let make: MakePool = Box::new(move |py| {
            let builder = settings.set(builder(py)?)?;
            let pool = builder.clock(RenewalClock).runtime(PoolThreads).build();
            pool.map_err(|error| exception(py, &error))
        });
        Ok(Self {
            core: ArcSwap::from_pointee(make(py)?),
            make,
            requests,
            number,
            process: AtomicU32::new(std::process::id()),
        })
    }

    /// The cache of a key in this process.
    fn cache(&self, py: Python<'_>, key: &PoolKey) -> PyResult<CoreCache> {
        let tokens = self.core(py)?.tokens(key);
        tokens.map_err(|error| exception(py, &error))
    }

    /// The core of this process. A server such as uWSGI may fork without Python's knowledge.
    fn core(&self, py: Python<'_>) -> PyResult<Guard<Arc<CorePool>>> {
        if self.process.load(Ordering::Relaxed) != std::process::id() {
            critical_section::notice_fork();
            self.after_fork_in_child(py)?;
        }
        Ok(self.core.load())
    }
}

impl PoolSettings {
    fn set(&self, mut builder: TokenPoolBuilder) -> PyResult<TokenPoolBuilder> {
        builder = builder
            .max_entries(self.max_entries)
            .idle_timeout(seconds("idle_timeout", self.idle_timeout)?)
            .fetches_at_once(self.fetches_at_once)
            .max_queued(self.max_queued);
        if let Some(timeout) = self.fetch_timeout {
            builder = builder.fetch_timeout(seconds("fetch_timeout", timeout)?);
        }
        if let Some(lifetime) = self.default_lifetime {
            builder = builder.default_lifetime(seconds("default_lifetime", lifetime)?);
        }
        Ok(builder)
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
pub(crate) fn make_source(
    source_of: &Py<PyAny>,
    key: &PoolKey,
    number: usize,
) -> Result<Arc<dyn TokenSource>, Error> {
    let made = attached(|py| {
        let made = python_key(py, key).and_then(|key| source_of.bind(py).call1((key,)));
        let made = made.map_err(|raised| match raised.is_instance_of::<PyException>(py) {
            true => HookException::into_error(raised, py),
            // Ctrl-C or a request to exit, which the caller raises: the function runs on the caller's thread.
            false => HookException::interrupt(py, raised, true),
        })?;
        if let Ok(source) = made.cast::<Source>() {
            let source = source.get();
            return match source.prover {
                Some(_) => Err(Error::refused(
                    "a pool over a function makes no proofs of possession (DPoP); use `keyfob.pool` with the profile",
                )),
                None => Ok(Arc::clone(&source.core)),
            };
        }
        if !made.is_callable() {
            let kind = made.get_type().name();
            return Err(Error::refused(format!(
                "the function of the pool must return a hook or a source, not {}",
                kind.map_or_else(|_| "this".to_owned(), |kind| kind.to_string())
            )));
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
