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
use keyfob::{CommandToken, EnvToken, Error, FileToken, Token, TokenSource};
use pyo3::prelude::*;

use crate::convert::seconds;
use crate::error::exception;
use crate::source::profile_source::ProfileSource;

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
    /// The same source as `core` if it is a profile's, which a forked child has to replace.
    pub(crate) profile: Option<Arc<ProfileSource>>,
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
    fn new(
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
            profile: None,
            caller_token: None,
            name,
        })
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
