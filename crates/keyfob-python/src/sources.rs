//! The library's own sources, as Python makes them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keyfob::origin::Origins;
use keyfob::{CommandToken, EnvToken, FileToken, FixedToken, Token, TokenSource};
use pyo3::prelude::*;

use crate::error::exception;
use crate::moment::seconds;
use crate::profile_source::ProfileSource;

/// Somewhere that tokens come from, to be given to a handler as its `get_token`.
#[pyclass(frozen, module = "keyfob._core")]
pub(crate) struct Source {
    pub(crate) core: Arc<dyn TokenSource>,
    pub(crate) default_lifetime: Option<Duration>,
    pub(crate) fetch_timeout: Option<Duration>,
    /// Where its tokens may go, if it says so.
    pub(crate) origins: Origins,
    /// The source itself if it is a profile's, which a forked child has to make anew.
    pub(crate) profile: Option<Arc<ProfileSource>>,
    pub(crate) name: &'static str,
}

#[pymethods]
impl Source {
    /// What a command prints.
    #[staticmethod]
    #[pyo3(signature = (argv, timeout, directory, default_lifetime))]
    fn command(
        py: Python<'_>,
        argv: Vec<OsString>,
        timeout: Option<f64>,
        directory: Option<PathBuf>,
        default_lifetime: Option<f64>,
    ) -> PyResult<Self> {
        let command = CommandToken::new(argv).map_err(|error| exception(py, &error))?;
        let command = match timeout {
            Some(limit) => command.timeout(seconds("timeout", limit)?),
            None => command,
        };
        let command = match directory {
            Some(path) => command.directory(path),
            None => command,
        };
        Self::new("command", command, default_lifetime)
    }

    /// What a file holds.
    #[staticmethod]
    fn file(path: PathBuf, default_lifetime: Option<f64>) -> PyResult<Self> {
        Self::new("file", FileToken::new(path), default_lifetime)
    }

    /// What an environment variable holds.
    #[staticmethod]
    fn env(variable: OsString, default_lifetime: Option<f64>) -> PyResult<Self> {
        Self::new("env", EnvToken::new(variable), default_lifetime)
    }

    /// Always the same token.
    #[staticmethod]
    fn fixed(py: Python<'_>, token: String) -> PyResult<Self> {
        let token = Token::new(token).map_err(|error| exception(py, &error))?;
        Self::new("fixed", FixedToken::new(token), None)
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
            profile: None,
            name,
        })
    }
}
