//! The token cache, as Python holds it.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use futures_util::future::BoxFuture;
use keyfob::custom_client::Authenticator;
use keyfob::origin::Origins;
use keyfob::{Error, Token, TokenCache as CoreCache, TokenSource};
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::exception;
use crate::hook::{Hook, HookSource};
use crate::lease::Lease;
use crate::moment::{from_timestamp, seconds, to_timestamp};
use crate::profile_source::ProfileSource;
use crate::reentrancy;
use crate::reentrancy::Asks;
use crate::renew::Renew;
use crate::sources::Source;
use crate::wait::wait;
use crate::waiting::Waiting;
use crate::world::{OwnTimers, Threads};

/// One token that is kept fresh, for all sessions and auth objects of a handler.
#[pyclass(frozen, weakref, module = "keyfob._core")]
pub(crate) struct TokenCache {
    /// Another one in a forked child.
    core: ArcSwap<Authenticator>,
    hook: Option<Arc<Hook>>,
    profile: Option<Arc<ProfileSource>>,
    number: usize,
    /// The last lease that Python saw, so that a read of the same token makes no new objects.
    last: ArcSwapOption<Py<Lease>>,
}

#[pymethods]
impl TokenCache {
    /// A cache over a hook or a source; `expires` is a POSIX timestamp.
    #[new]
    #[pyo3(signature = (source, jwt=None, expires=None, fetch_timeout=None))]
    fn new(
        source: &Bound<'_, PyAny>,
        jwt: Option<String>,
        expires: Option<f64>,
        fetch_timeout: Option<f64>,
    ) -> PyResult<Self> {
        let py = source.py();
        let number = next_number();
        let mut fetch_timeout = fetch_timeout
            .map(|limit| seconds("fetch_timeout", limit))
            .transpose()?;
        let mut profile = None;
        let (builder, hook) = match source.cast::<Source>() {
            Ok(source) => {
                let source = source.get();
                fetch_timeout = source.fetch_timeout.or(fetch_timeout);
                profile.clone_from(&source.profile);
                let builder = CoreCache::builder(Arc::clone(&source.core) as Arc<dyn TokenSource>);
                let builder = match source.default_lifetime {
                    Some(lifetime) => builder.default_lifetime(lifetime),
                    None => builder,
                };
                (builder, None)
            }
            Err(_) => {
                let hook = Arc::new(Hook::new(source.clone().unbind()));
                let source = HookSource {
                    hook: Arc::clone(&hook),
                    cache: number,
                };
                (CoreCache::builder(source), Some(hook))
            }
        };
        let mut builder = builder.clock(OwnTimers::default()).runtime(Threads);
        if let Some(timeout) = fetch_timeout {
            builder = builder.fetch_timeout(timeout);
        }
        if let Some(jwt) = jwt {
            builder = builder.token(token(py, jwt, expires)?);
        }
        let core = builder.build().map_err(|error| exception(py, &error))?;
        Ok(Self {
            core: ArcSwap::from_pointee(Authenticator::new(core, Origins::default())),
            hook,
            profile,
            number,
            last: ArcSwapOption::empty(),
        })
    }

    /// The lease of a token that can be sent now. Waits for it, at most so many seconds.
    #[pyo3(signature = (max_wait=None))]
    fn lease(&self, py: Python<'_>, max_wait: Option<f64>) -> PyResult<Py<Lease>> {
        let lease = self.leased(py, max_wait)?;
        self.in_python(py, lease)
    }

    /// The header fields of a token that can be sent now, in a dict for the caller to keep. Waits for it.
    fn headers(&self, py: Python<'_>) -> PyResult<Py<PyDict>> {
        self.lease(py, None)?.get().own_headers(py)
    }

    /// The text of a token that can be sent now and the POSIX timestamp of its expiry, if that is known. Waits for it.
    fn token_with_expiry(&self, py: Python<'_>) -> PyResult<(Py<PyAny>, Option<f64>)> {
        let lease = self.leased(py, None)?;
        let expires = lease.expires_at().map(to_timestamp);
        let lease = self.in_python(py, lease)?;
        Ok((lease.get().token.clone_ref(py), expires))
    }

    /// The text of a token that can be sent now, if there is one without waiting.
    fn ready_token(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let ready = self.ready(py)?;
        Ok(ready.map(|lease| lease.get().token.clone_ref(py)))
    }

    /// The lease of a token that can be sent now, if there is one without waiting.
    fn ready(&self, py: Python<'_>) -> PyResult<Option<Py<Lease>>> {
        let ready = self.core.load().tokens().ready();
        ready.map(|lease| self.in_python(py, lease)).transpose()
    }

    /// Another lease for one that a server rejected; `None` if there is none to be had, which the log tells.
    fn replace(
        &self,
        py: Python<'_>,
        rejected: &Lease,
        renew: &Renew,
        max_wait: f64,
    ) -> PyResult<Option<Py<Lease>>> {
        let Asks::Another(_waits) = Asks::of(py, self.number)? else {
            return Ok(None);
        };
        let max_wait = seconds("max_wait", max_wait)?;
        let core = self.core.load_full();
        let replaced = core.replace(&rejected.core, &renew.challenges, max_wait);
        let replaced = wait(py, Box::pin(replaced), Some(max_wait))?;
        let replaced = replaced.unwrap_or_else(|| {
            core.replace_blocking(&rejected.core, &renew.challenges, Duration::ZERO)
        });
        replaced.map(|lease| self.in_python(py, lease)).transpose()
    }

    /// A new token, whatever the present one is worth.
    fn renew(&self, py: Python<'_>) -> PyResult<Py<Lease>> {
        let Asks::Another(_waits) = Asks::of(py, self.number)? else {
            return Err(waits_for_itself(py));
        };
        let core = self.core.load_full();
        let renewed = wait(py, Box::pin(core.tokens().renew()), None)?;
        renewed
            .expect("a wait without limit ends with the renewal")
            .map_err(|error| exception(py, &error))?;
        self.lease(py, None)
    }

    /// As `lease`, for an event loop: `woken` is called, from any thread, when the wait is to be polled again.
    fn lease_on_loop(slf: Py<Self>, py: Python<'_>, woken: Py<PyAny>) -> PyResult<Waiting> {
        let cache = slf.get();
        let leased: BoxFuture<'static, _> = match Asks::of(py, cache.number)? {
            Asks::ItsHook => {
                let lease = cache.lease_for_its_hook(py)?;
                Box::pin(async move { Ok(Some(lease)) })
            }
            Asks::Another(waits) => {
                let tokens = cache.core.load().tokens().clone();
                Box::pin(async move {
                    let _waits = waits;
                    tokens.lease(None).await.map(Some)
                })
            }
        };
        Ok(waiting(slf, leased, woken))
    }

    /// As `replace`, for an event loop.
    fn replace_on_loop(
        slf: Py<Self>,
        py: Python<'_>,
        rejected: &Lease,
        renew: &Renew,
        woken: Py<PyAny>,
    ) -> PyResult<Waiting> {
        let core = slf.get().core.load_full();
        let (rejected, challenges) = (rejected.core.clone(), renew.challenges.clone());
        let asks = Asks::of(py, slf.get().number)?;
        let replaced: BoxFuture<'static, _> = Box::pin(async move {
            let Asks::Another(_waits) = asks else {
                return Ok(None);
            };
            Ok(core.replace(&rejected, &challenges, Duration::MAX).await)
        });
        Ok(waiting(slf, replaced, woken))
    }

    /// Whether there is a token outside its leeway. Never calls the hook.
    #[getter]
    fn authenticated(&self) -> bool {
        self.core.load().tokens().authenticated()
    }

    /// The header fields of the token in place, as long as it has not expired; a dict for the caller to keep. Never calls the
    /// hook.
    fn current_headers(&self, py: Python<'_>) -> PyResult<Option<Py<PyDict>>> {
        let current = self.current(py)?;
        current.map(|lease| lease.get().own_headers(py)).transpose()
    }

    /// The lease of the token in place, as long as it has not expired. Never calls the hook.
    fn current(&self, py: Python<'_>) -> PyResult<Option<Py<Lease>>> {
        let current = self.core.load().tokens().current();
        current.map(|lease| self.in_python(py, lease)).transpose()
    }

    /// Puts a token in place that was got elsewhere.
    #[pyo3(signature = (jwt, expires=None))]
    fn set_token(&self, py: Python<'_>, jwt: String, expires: Option<f64>) -> PyResult<()> {
        let token = token(py, jwt, expires)?;
        let set = self.core.load().tokens().set_token(token);
        set.map_err(|error| exception(py, &error))
    }

    /// How things stand, without any secret; times are in seconds.
    fn status(&self, py: Python<'_>) -> PyResult<Py<PyDict>> {
        let status = self.core.load().tokens().status();
        let dict = PyDict::new(py);
        dict.set_item("authenticated", status.authenticated)?;
        dict.set_item("age", status.age.map(|span| span.as_secs_f64()))?;
        dict.set_item(
            "expires_in",
            status.expires_in.map(|span| span.as_secs_f64()),
        )?;
        let next = status.next_renewal_in.map(|span| span.as_secs_f64());
        dict.set_item("next_renewal_in", next)?;
        dict.set_item("renewing", status.renewing)?;
        dict.set_item("generation", status.generation)?;
        dict.set_item("renewals", status.renewals)?;
        dict.set_item("failures", status.failures)?;
        dict.set_item("delayed", status.delayed)?;
        dict.set_item("last_error", status.last_error.map(|kind| kind.name()))?;
        Ok(dict.unbind())
    }

    /// Takes over nothing from the parent process but the token.
    fn after_fork_in_child(&self) {
        reentrancy::after_fork_in_child();
        if let Some(hook) = &self.hook {
            hook.after_fork_in_child();
        }
        if let Some(profile) = &self.profile {
            profile.after_fork_in_child();
        }
        let forked = self.core.load().tokens().forked();
        let parents = self
            .core
            .swap(Arc::new(Authenticator::new(forked, Origins::default())));
        // Its end would lock what a thread that the child lacks may have left locked.
        mem::forget(parents);
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
    pub(crate) fn authenticator(&self) -> Authenticator {
        Authenticator::clone(&self.core.load())
    }

    /// A lease as a Python object; the same one for the same token.
    fn in_python(&self, py: Python<'_>, lease: keyfob::cache::Lease) -> PyResult<Py<Lease>> {
        if let Some(last) = &*self.last.load()
            && last.get().core.generation() == lease.generation()
        {
            return Ok(last.clone_ref(py));
        }
        let lease = Py::new(py, Lease::new(py, lease)?)?;
        self.last.store(Some(Arc::new(lease.clone_ref(py))));
        Ok(lease)
    }

    fn leased(&self, py: Python<'_>, max_wait: Option<f64>) -> PyResult<keyfob::cache::Lease> {
        let core = self.core.load_full();
        if let Some(lease) = core.tokens().ready() {
            return Ok(lease);
        }
        let Asks::Another(_waits) = Asks::of(py, self.number)? else {
            return self.lease_for_its_hook(py);
        };
        let max_wait = max_wait
            .map(|limit| seconds("max_wait", limit))
            .transpose()?;
        let leased = wait(py, Box::pin(core.tokens().lease(None)), max_wait)?;
        // Without any max_wait left the library says what there is.
        let leased = leased.unwrap_or_else(|| core.tokens().lease_blocking(Some(Duration::ZERO)));
        leased.map_err(|error| exception(py, &error))
    }

    /// What this cache's own hook gets: the token that it is to replace, as long as that is valid.
    fn lease_for_its_hook(&self, py: Python<'_>) -> PyResult<keyfob::cache::Lease> {
        let current = self.core.load().tokens().current();
        current.ok_or_else(|| waits_for_itself(py))
    }
}

/// A wait for a lease of this cache, which it keeps alive.
fn waiting(
    cache: Py<TokenCache>,
    lease: BoxFuture<'static, Result<Option<keyfob::cache::Lease>, Error>>,
    woken: Py<PyAny>,
) -> Waiting {
    let in_python = move |py: Python<'_>, lease| cache.get().in_python(py, lease);
    Waiting::new(lease, Box::new(in_python), woken)
}

/// What a hook gets that needs the very token it is to get.
fn waits_for_itself(py: Python<'_>) -> PyErr {
    let error = Error::unavailable(
        "the token hook uses the session or handler whose token it is getting and would wait for itself, \
         perhaps by way of another's hook; give the hook a session of its own",
    );
    exception(py, &error)
}

/// Tells caches apart for as long as the process lives.
fn next_number() -> usize {
    static LAST: AtomicUsize = AtomicUsize::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}

/// The first error of a lease is the caller's mistake: the token cannot be sent, or its expiry cannot be meant.
fn token(py: Python<'_>, jwt: String, expires: Option<f64>) -> PyResult<Token> {
    let token = Token::new(jwt).map_err(|error| exception(py, &error))?;
    Ok(match expires {
        Some(expires) => token.expires_at(from_timestamp(expires)?),
        None => token,
    })
}
