//! The library's own sources, as Python objects.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::{BoxFuture, ready};
use http::StatusCode;
use keyfob::oauth::DpopProver;
use keyfob::origin::Origins;
use keyfob::profile::BasicToken;
use keyfob::source::TokenRequest;
use keyfob::{CommandToken, EnvToken, Error, FileToken, Token, TokenCache, TokenSource};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::convert::seconds;
use crate::error::exception;
use crate::runtime::critical_section::detached;
use crate::runtime::threads::{RenewalClock, RenewalThreads};
use crate::source::remade::{Recipe, RemadeSource};

/// A source of tokens, for a handler's `get_token`.
#[pyclass(frozen, module = "keyfob._core")]
pub(crate) struct Source {
    pub(crate) core: Arc<dyn TokenSource>,
    pub(crate) default_lifetime: Option<Duration>,
    pub(crate) fetch_timeout: Option<Duration>,
    /// The origins that may receive its tokens; unbound unless a profile names them.
    pub(crate) origins: Origins,
    /// The statuses that mean a rejected token, in addition to 401.
    pub(crate) rejected_statuses: Vec<StatusCode>,
    /// Proves possession of the key that its tokens are bound to, if they are.
    pub(crate) prover: Option<DpopProver>,
    /// The same source as `core` if a forked child makes it anew.
    pub(crate) remade: Option<Arc<RemadeSource>>,
    /// The same source as `core` if the caller sets its token.
    pub(crate) caller_token: Option<Arc<CallerToken>>,
    pub(crate) name: &'static str,
}

#[pymethods]
impl Source {
    /// Reads the output of a command.
    #[staticmethod]
    #[pyo3(signature = (argv, timeout, directory, default_lifetime))]
    fn command(
        py: Python<'_>,
        argv: Vec<OsString>,
        timeout: Option<f64>,
        directory: Option<PathBuf>,
        default_lifetime: Option<f64>,
    ) -> PyResult<Self> {
        let mut command = CommandToken::new(argv).map_err(|error| exception(py, &error))?;
        if let Some(timeout) = timeout {
            command = command.timeout(seconds("timeout", timeout)?);
        }
        if let Some(directory) = directory {
            command = command.directory(directory);
        }
        Self::new("command", command, default_lifetime)
    }

    /// Reads a file.
    #[staticmethod]
    fn file(path: PathBuf, default_lifetime: Option<f64>) -> PyResult<Self> {
        Self::new("file", FileToken::new(path), default_lifetime)
    }

    /// Reads an environment variable.
    #[staticmethod]
    fn env(variable: OsString, default_lifetime: Option<f64>) -> PyResult<Self> {
        Self::new("env", EnvToken::new(variable), default_lifetime)
    }

    /// Reads a user and a password, which are sent as `Basic`.
    #[staticmethod]
    #[pyo3(signature = (user, password, default_lifetime))]
    fn basic(
        py: Python<'_>,
        user: &str,
        password: Option<&str>,
        default_lifetime: Option<f64>,
    ) -> PyResult<Self> {
        let basic = BasicToken::new(user, password).map_err(|error| exception(py, &error))?;
        Self::new("basic", basic, default_lifetime)
    }

    /// Returns the token that the caller set last.
    #[staticmethod]
    fn fixed(py: Python<'_>, token: String) -> PyResult<Self> {
        let token = Token::new(token).map_err(|error| exception(py, &error))?;
        let caller_token = Arc::new(CallerToken(ArcSwap::from_pointee(token)));
        let source = Self::new("fixed", Arc::clone(&caller_token), None)?;
        Ok(Self {
            caller_token: Some(caller_token),
            ..source
        })
    }

    fn __repr__(&self) -> String {
        format!("<keyfob source: {}>", self.name)
    }
}

impl Source {
    pub(crate) fn new(
        name: &'static str,
        source: impl TokenSource,
        default_lifetime: Option<f64>,
    ) -> PyResult<Self> {
        let default_lifetime = default_lifetime
            .map(|lifetime| seconds("default_lifetime", lifetime))
            .transpose()?;
        Ok(Self {
            core: Arc::new(source),
            default_lifetime,
            fetch_timeout: None,
            origins: Origins::default(),
            rejected_statuses: Vec::new(),
            prover: None,
            remade: None,
            caller_token: None,
            name,
        })
    }

    /// A source that a forked child makes anew.
    pub(crate) fn remade(
        py: Python<'_>,
        name: &'static str,
        recipe: Recipe,
        default_lifetime: Option<f64>,
    ) -> PyResult<Self> {
        let made = detached(py, || RemadeSource::new(recipe));
        let made = Arc::new(made.map_err(|error| exception(py, &error))?);
        let source = Self::new(name, Arc::clone(&made), default_lifetime)?;
        Ok(Self {
            remade: Some(made),
            ..source
        })
    }

    /// Makes it as a link of a chain: the source of the token with which another one is fetched.
    ///
    /// A link has its own cache, so that it is renewed only when it is due itself. Files and variables of this machine are read
    /// each time.
    pub(crate) fn link(&self, keyword: &str) -> PyResult<Recipe> {
        if self.prover.is_some() {
            return Err(PyValueError::new_err(format!(
                "`{keyword}` is a source whose tokens are bound to a key (DPoP), so another request cannot carry them"
            )));
        }
        let core = Arc::clone(&self.core);
        let recipe = match &self.remade {
            Some(remade) => remade.recipe(),
            None => Arc::new(move || Ok(Arc::clone(&core))),
        };
        if matches!(self.name, "file" | "env" | "basic" | "fixed") {
            return Ok(recipe);
        }
        let (fetch_timeout, default_lifetime) = (self.fetch_timeout, self.default_lifetime);
        Ok(Arc::new(move || {
            let mut cache = TokenCache::builder(recipe()?)
                .clock(RenewalClock)
                .runtime(RenewalThreads);
            if let Some(limit) = fetch_timeout {
                cache = cache.fetch_timeout(limit);
            }
            if let Some(lifetime) = default_lifetime {
                cache = cache.default_lifetime(lifetime);
            }
            Ok(Arc::new(cache.build()?.as_source()))
        }))
    }
}

/// The token that the caller set last. No older one takes its place when a server rejects it.
pub(crate) struct CallerToken(ArcSwap<Token>);

impl CallerToken {
    pub(crate) fn set(&self, token: Token) {
        self.0.store(Arc::new(token));
    }
}

impl TokenSource for CallerToken {
    fn fetch<'a>(&'a self, _: &'a TokenRequest) -> BoxFuture<'a, Result<Token, Error>> {
        Box::pin(ready(Ok(Token::clone(&self.0.load()))))
    }
}
