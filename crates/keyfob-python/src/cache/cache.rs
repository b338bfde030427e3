//! The token cache, as a Python object.

use std::mem;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use futures_util::future::BoxFuture;
use http::StatusCode;
use keyfob::cache::Lease as CoreLease;
use keyfob::custom_client::Authenticator;
use keyfob::oauth::DpopProver;
use keyfob::origin::Origins;
use keyfob::source::Placement;
use keyfob::{Error, Token, TokenCache as CoreCache, TokenSource};
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::cache::lease::{Lease, Renew};
use crate::cache::pending_lease::PendingLease;
use crate::convert::{Codes, from_timestamp, optional_seconds, seconds, statuses, to_timestamp};
use crate::error::exception;
use crate::runtime::critical_section;
use crate::runtime::threads::{RenewalClock, RenewalThreads, lock};
use crate::runtime::wait::wait;
use crate::source::hook::{Hook, HookSource, uninterrupted};
use crate::source::placement::placement;
use crate::source::reentrancy;
use crate::source::reentrancy::{Caller, next_number};
use crate::source::source::{CallerToken, Source};

/// One fresh token for all sessions and auth objects of a handler.
#[pyclass(frozen, weakref, module = "keyfob._core")]
pub(crate) struct TokenCache {
    /// Replaced in a forked child.
    core: ArcSwap<Authenticator>,
    hook: Option<Arc<Hook>>,
    /// Gets the cache that takes its place in a forked child, if it is one of a pool.
    of_child: Option<CacheOfChild>,
    /// The source, if the caller sets its token.
    caller_token: Option<Mutex<Arc<CallerToken>>>,
    /// Proves possession of the key that the tokens are bound to, if they are.
    prover: Option<DpopProver>,
    /// Where in a request the token goes, if not in `Authorization: Bearer`.
    placement: Option<Placement>,
    /// The statuses that mean a rejected token, in addition to 401.
    rejected: Vec<StatusCode>,
    number: usize,
    /// The process that `core` belongs to.
    process: AtomicU32,
    /// The last lease that Python got, so that reading the same token again makes no new objects.
    last: ArcSwapOption<Py<Lease>>,
}

type CacheOfChild = Box<dyn Fn(Python<'_>) -> PyResult<CoreCache> + Send + Sync>;

/// What the cache of a key has from its pool.
pub(crate) struct Pooled {
    /// The number of all caches of the pool.
    pub(crate) number: usize,
    pub(crate) prover: Option<DpopProver>,
    pub(crate) rejected: Vec<StatusCode>,
    /// Gets the cache of the key in a forked child, so that there is one.
    pub(crate) of_child: CacheOfChild,
}

#[pymethods]
impl TokenCache {
    /// A cache over a hook or a source. `expires` is a POSIX timestamp.
    #[new]
    #[pyo3(signature = (source, jwt=None, expires=None, settings=CacheSettings::default()))]
    fn new(
        source: &Bound<'_, PyAny>,
        jwt: Option<String>,
        expires: Option<f64>,
        settings: CacheSettings,
    ) -> PyResult<Self> {
        let py = source.py();
        let number = next_number();
        let placement = placement(py, settings.header, settings.scheme)?;
        let mut rejected = statuses(settings.rejected_statuses.unwrap_or_default())?;
        let mut fetch_timeout = optional_seconds("fetch_timeout", settings.fetch_timeout)?;
        let mut lifetime = optional_seconds("default_lifetime", settings.default_lifetime)?;
        let (mut prover, mut hook, mut caller_token) = (None, None, None);
        let core: Arc<dyn TokenSource> = match source.cast::<Source>() {
            Ok(source) => {
                let source = source.get();
                fetch_timeout = source.fetch_timeout.or(fetch_timeout);
                lifetime = source.default_lifetime.or(lifetime);
                prover.clone_from(&source.prover);
                if rejected.is_empty() {
                    rejected.clone_from(&source.rejected_statuses);
                }
                caller_token = source.caller_token.clone().map(Mutex::new);
                Arc::clone(&source.core)
            }
            Err(_) => {
                let hook = hook.insert(Arc::new(Hook::new(source.clone().unbind())));
                Arc::new(HookSource {
                    hook: Arc::clone(hook),
                    cache: number,
                })
            }
        };
        let mut builder = match &placement {
            Some(placement) => CoreCache::builder(placement.clone().place(core)),
            None => CoreCache::builder(core),
        };
        builder = builder.clock(RenewalClock).runtime(RenewalThreads);
        if let Some(timeout) = fetch_timeout {
            builder = builder.fetch_timeout(timeout);
        }
        if let Some(lifetime) = lifetime {
            builder = builder.default_lifetime(lifetime);
        }
        if let Some(jwt) = jwt {
            builder = builder.token(token(py, jwt, expires, placement.as_ref())?);
        }
        let core = builder.build().map_err(|error| exception(py, &error))?;
        let authenticator = authenticator(core, Origins::default(), prover.as_ref())
            .rejected_statuses(rejected.iter().copied())
            .map_err(|error| exception(py, &error))?;
        Ok(Self {
            core: ArcSwap::from_pointee(authenticator),
            hook,
            of_child: None,
            caller_token,
            prover,
            placement,
            rejected,
            number,
            process: AtomicU32::new(std::process::id()),
            last: ArcSwapOption::empty(),
        })
    }

    /// The lease of a token that can be sent now. Waits for it, at most `max_wait` seconds.
    #[pyo3(signature = (max_wait=None))]
    fn lease(&self, py: Python<'_>, max_wait: Option<f64>) -> PyResult<Py<Lease>> {
        let lease = self.core_lease(py, max_wait)?;
        self.to_python(py, lease)
    }

    /// The headers of a token that can be sent now, in a new dict. Waits for the token.
    fn headers(&self, py: Python<'_>) -> PyResult<Py<PyDict>> {
        self.lease(py, None)?.get().own_headers(py)
    }

    /// A token that can be sent now, and the POSIX timestamp of its expiry if that is known. Waits for the token.
    fn token_with_expiry(&self, py: Python<'_>) -> PyResult<(Py<PyAny>, Option<f64>)> {
        let lease = self.core_lease(py, None)?;
        let expires = lease.expires_at().map(to_timestamp);
        let lease = self.to_python(py, lease)?;
        Ok((lease.get().token.clone_ref(py), expires))
    }

    /// A token that can be sent now, if there is one without waiting.
    fn ready_token(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let ready = self.ready(py)?;
        Ok(ready.map(|lease| lease.get().token.clone_ref(py)))
    }

    /// The lease of a token that can be sent now, if there is one without waiting.
    fn ready(&self, py: Python<'_>) -> PyResult<Option<Py<Lease>>> {
        let ready = self.core_ready(py)?;
        ready.map(|lease| self.to_python(py, lease)).transpose()
    }

    /// Another lease in place of one that a server rejected; `None`, with a log record, if there is none.
    fn replace(
        &self,
        py: Python<'_>,
        rejected: &Lease,
        renew: &Renew,
        max_wait: f64,
    ) -> PyResult<Option<Py<Lease>>> {
        let Caller::Other(_waits) = Caller::of(py, self.number)? else {
            return Ok(None);
        };
        let max_wait = seconds("max_wait", max_wait)?;
        let core = Guard::into_inner(self.core(py)?);
        let replaced = core.replace(&rejected.core, &renew.challenges, max_wait);
        let replaced = wait(py, Box::pin(replaced), Some(max_wait))?;
        // After a wait that took too long, this logs the result without waiting again.
        let replaced = replaced.unwrap_or_else(|| {
            core.replace_blocking(&rejected.core, &renew.challenges, Duration::ZERO)
        });
        replaced.map(|lease| self.to_python(py, lease)).transpose()
    }

    /// The lease of a new token, even if the current token is valid.
    fn renew(&self, py: Python<'_>) -> PyResult<Py<Lease>> {
        let Caller::Other(_waits) = Caller::of(py, self.number)? else {
            return Err(waits_for_itself(py));
        };
        let core = Guard::into_inner(self.core(py)?);
        let renewed = uninterrupted(|| core.tokens().renew());
        let renewed = wait(py, Box::pin(renewed), None)?;
        renewed
            .expect("a wait without a limit ends with the renewal")
            .map_err(|error| exception(py, &error))?;
        self.lease(py, None)
    }

    /// Like `lease`, for an event loop. `wake` is called, from any thread, when the result is to be polled again.
    fn lease_on_loop(slf: Py<Self>, py: Python<'_>, wake: Py<PyAny>) -> PyResult<PendingLease> {
        let cache = slf.get();
        let lease: BoxFuture<'static, _> = match Caller::of(py, cache.number)? {
            Caller::OwnHook => {
                let lease = cache.lease_for_own_hook(py)?;
                Box::pin(async move { Ok(Some(lease)) })
            }
            Caller::Other(waits) => {
                let tokens = cache.core(py)?.tokens().clone();
                Box::pin(async move {
                    let _waits = waits;
                    uninterrupted(|| tokens.lease(None)).await.map(Some)
                })
            }
        };
        Ok(pending(slf, lease, wake))
    }

    /// Like `replace`, for an event loop.
    fn replace_on_loop(
        slf: Py<Self>,
        py: Python<'_>,
        rejected: &Lease,
        renew: &Renew,
        wake: Py<PyAny>,
    ) -> PyResult<PendingLease> {
        let core = Guard::into_inner(slf.get().core(py)?);
        let (rejected, challenges) = (rejected.core.clone(), renew.challenges.clone());
        let caller = Caller::of(py, slf.get().number)?;
        let lease: BoxFuture<'static, _> = Box::pin(async move {
            let Caller::Other(_waits) = caller else {
                return Ok(None);
            };
            Ok(core.replace(&rejected, &challenges, Duration::MAX).await)
        });
        Ok(pending(slf, lease, wake))
    }

    /// Whether the tokens are bound to a key, so that each request carries a proof (DPoP).
    #[getter]
    fn proves_possession(&self) -> bool {
        self.prover.is_some()
    }

    /// Whether there is a token outside its leeway. Never calls the hook.
    #[getter]
    fn authenticated(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.core(py)?.tokens().authenticated())
    }

    /// The headers of the current token, unless it has expired, in a new dict. Never calls the hook.
    fn current_headers(&self, py: Python<'_>) -> PyResult<Option<Py<PyDict>>> {
        let current = self.current(py)?;
        current.map(|lease| lease.get().own_headers(py)).transpose()
    }

    /// The lease of the current token, unless it has expired. Never calls the hook.
    fn current(&self, py: Python<'_>) -> PyResult<Option<Py<Lease>>> {
        let current = self.core(py)?.tokens().current();
        current.map(|lease| self.to_python(py, lease)).transpose()
    }

    /// Replaces the current token with one from elsewhere.
    #[pyo3(signature = (jwt, expires=None))]
    fn set_token(&self, py: Python<'_>, jwt: String, expires: Option<f64>) -> PyResult<()> {
        let token = token(py, jwt, expires, self.placement.as_ref())?;
        let core = self.core(py)?;
        // Locked, so that both keep the token of the last caller.
        let caller_token = self.caller_token.as_ref().map(lock);
        if let Some(caller_token) = &caller_token {
            caller_token.set(token.clone());
        }
        let set = core.tokens().set_token(token);
        drop(caller_token);
        set.map_err(|error| exception(py, &error))
    }

    /// The state of the cache without any secret; times are in seconds. See `keyfob.Status`.
    fn status(&self, py: Python<'_>) -> PyResult<Py<PyDict>> {
        let status = self.core(py)?.tokens().status();
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        let dict = PyDict::new(py);
        dict.set_item("authenticated", status.authenticated)?;
        dict.set_item("age", seconds(status.age))?;
        dict.set_item("expires_in", seconds(status.expires_in))?;
        dict.set_item("next_renewal_in", seconds(status.next_renewal_in))?;
        dict.set_item("renewing", status.renewing)?;
        dict.set_item("generation", status.generation)?;
        dict.set_item("renewals", status.renewals)?;
        dict.set_item("failures", status.failures)?;
        dict.set_item("delayed", status.delayed)?;
        dict.set_item("last_error", status.last_error.map(|kind| kind.name()))?;
        Ok(dict.unbind())
    }

    /// Keeps the token of the parent process, and nothing else of it.
    fn after_fork_in_child(&self, py: Python<'_>) -> PyResult<()> {
        let old = self.core.load().tokens().clone();
        let forked = match &self.of_child {
            Some(of_child) => {
                let forked = of_child(py)?;
                if let (Some(lease), None) = (old.current(), forked.current()) {
                    // It was sent before, so it can be set.
                    let _ = forked.set_token(lease.token().clone());
                }
                forked
            }
            None => old.forked(),
        };
        self.process.store(std::process::id(), Ordering::Relaxed);
        reentrancy::after_fork_in_child();
        if let Some(hook) = &self.hook {
            hook.after_fork_in_child();
        }
        // Another token may have the same number in another cache.
        self.last.store(None);
        let forked = authenticator(forked, Origins::default(), self.prover.as_ref());
        let of_parent = self.core.swap(Arc::new(forked));
        // Not dropped: that might take a lock which a thread of the parent held.
        mem::forget((of_parent, old));
        Ok(())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match &self.hook {
            Some(hook) => hook.traverse(&visit),
            None => Ok(()),
        }
    }

    fn __clear__(&self) {
        if let Some(hook) = &self.hook {
            hook.clear();
        }
    }
}

impl TokenCache {
    /// The cache of one key of a pool.
    pub(crate) fn of_pool(tokens: CoreCache, pooled: Pooled) -> Self {
        let authenticator = authenticator(tokens, Origins::default(), pooled.prover.as_ref());
        Self {
            core: ArcSwap::from_pointee(authenticator),
            hook: None,
            of_child: Some(pooled.of_child),
            caller_token: None,
            prover: pooled.prover,
            placement: None,
            rejected: pooled.rejected,
            number: pooled.number,
            process: AtomicU32::new(std::process::id()),
            last: ArcSwapOption::empty(),
        }
    }

    /// What puts this cache's credential on requests to these origins.
    pub(crate) fn authenticator(
        &self,
        py: Python<'_>,
        origins: Origins,
    ) -> PyResult<Authenticator> {
        let tokens = self.core(py)?.tokens().clone();
        let authenticator = authenticator(tokens, origins, self.prover.as_ref());
        Ok(authenticator
            .rejected_statuses(self.rejected.iter().copied())
            .expect("they were checked when the cache was made"))
    }

    /// The token if it is certainly fresh.
    ///
    /// The token of the parent process is as good in a forked child, and reading it takes no lock. So this asks for no
    /// process id, which took a third of the time of a read (bench `package`, goal 0.5 of the reference's shape).
    fn fresh(&self) -> Option<CoreLease> {
        self.core.load().tokens().fresh()
    }

    /// The core of this process. A server such as uWSGI may fork without Python's knowledge.
    fn core(&self, py: Python<'_>) -> PyResult<Guard<Arc<Authenticator>>> {
        if self.process.load(Ordering::Relaxed) != std::process::id() {
            critical_section::notice_fork();
            self.after_fork_in_child(py)?;
        }
        Ok(self.core.load())
    }

    /// The lease as a Python object; the same object for the same token.
    fn to_python(&self, py: Python<'_>, lease: CoreLease) -> PyResult<Py<Lease>> {
        if let Some(last) = &*self.last.load()
            && last.get().core.generation() == lease.generation()
        {
            return Ok(last.clone_ref(py));
        }
        let lease = Py::new(py, Lease::new(py, lease)?)?;
        self.last.store(Some(Arc::new(lease.clone_ref(py))));
        Ok(lease)
    }

    /// The lease of a token that can be sent now. Its renewal starts if it is due.
    ///
    /// Without a token no renewal starts: if a request to exit ended it before its caller waits for it, nobody would get that.
    fn core_ready(&self, py: Python<'_>) -> PyResult<Option<CoreLease>> {
        if let Some(lease) = self.fresh() {
            return Ok(Some(lease));
        }
        let core = self.core(py)?;
        let tokens = core.tokens();
        Ok(tokens.authenticated().then(|| tokens.ready()).flatten())
    }

    fn core_lease(&self, py: Python<'_>, max_wait: Option<f64>) -> PyResult<CoreLease> {
        if let Some(lease) = self.core_ready(py)? {
            return Ok(lease);
        }
        let core = Guard::into_inner(self.core(py)?);
        let Caller::Other(_waits) = Caller::of(py, self.number)? else {
            return self.lease_for_own_hook(py);
        };
        let max_wait = optional_seconds("max_wait", max_wait)?;
        let lease = uninterrupted(|| core.tokens().lease(None));
        let lease = wait(py, Box::pin(lease), max_wait)?;
        // After a wait that took too long, the library returns the current token or the right error without waiting.
        let lease = lease.unwrap_or_else(|| core.tokens().lease_blocking(Some(Duration::ZERO)));
        lease.map_err(|error| exception(py, &error))
    }

    /// The token that this cache's own hook is about to replace, if it is still valid.
    fn lease_for_own_hook(&self, py: Python<'_>) -> PyResult<CoreLease> {
        let current = self.core(py)?.tokens().current();
        current.ok_or_else(|| waits_for_itself(py))
    }
}

/// A pending lease of this cache, which it keeps alive.
fn pending(
    cache: Py<TokenCache>,
    lease: BoxFuture<'static, Result<Option<CoreLease>, Error>>,
    wake: Py<PyAny>,
) -> PendingLease {
    let to_python = move |py: Python<'_>, lease| cache.get().to_python(py, lease);
    PendingLease::new(lease, Box::new(to_python), wake)
}

/// The error of a hook that needs the very token it has to return.
fn waits_for_itself(py: Python<'_>) -> PyErr {
    let error = Error::unavailable(
        "the token hook uses the session or handler that it fetches the token for, directly or through another hook, \
         and would wait for itself; give the hook a session of its own",
    );
    exception(py, &error)
}

/// The settings of a cache that have a default: `keyfob._values.CacheSettings`.
#[derive(Default, FromPyObject)]
pub(crate) struct CacheSettings {
    fetch_timeout: Option<f64>,
    default_lifetime: Option<f64>,
    header: Option<String>,
    scheme: Option<String>,
    rejected_statuses: Option<Codes>,
}

fn authenticator(
    tokens: CoreCache,
    origins: Origins,
    prover: Option<&DpopProver>,
) -> Authenticator {
    let authenticator = Authenticator::new(tokens, origins);
    match prover {
        Some(prover) => authenticator.dpop(prover.clone()),
        None => authenticator,
    }
}

/// The token that a caller set. It fails if the token cannot be sent or its expiry is out of range.
fn token(
    py: Python<'_>,
    jwt: String,
    expires: Option<f64>,
    placement: Option<&Placement>,
) -> PyResult<Token> {
    let token = Token::new(jwt).map(|token| match placement {
        Some(placement) => placement.apply(token),
        None => token,
    });
    let token = token.map_err(|error| exception(py, &error))?;
    Ok(match expires {
        Some(expires) => token.expires_at(from_timestamp(expires)?),
        None => token,
    })
}
