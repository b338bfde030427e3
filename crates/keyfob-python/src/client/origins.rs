//! The origins that may receive a session's credential.

use std::sync::{PoisonError, RwLock};

use keyfob::Origin;
use keyfob::origin::Origins as CoreOrigins;
use pyo3::prelude::*;

use crate::error::origin_error;
use crate::source::source::Source;

/// The origins of one session or auth object. Until one is bound, these are all https origins that the caller names.
#[pyclass(frozen, module = "keyfob._core")]
pub(crate) struct Origins(RwLock<CoreOrigins>);

#[pymethods]
impl Origins {
    /// The origins of a source, if it has any.
    #[new]
    #[pyo3(signature = (source=None))]
    fn new(source: Option<&Source>) -> Self {
        let origins = source.map(|source| source.origins.clone());
        Self(RwLock::new(origins.unwrap_or_default()))
    }

    /// Binds the credential to the origin of a URL, in addition to those that are already bound.
    fn bind(&self, py: Python<'_>, url: &str) -> PyResult<()> {
        let origin = parse(py, url)?;
        let mut origins = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut bound = origins.clone();
        bound.bind(origin);
        let checked = bound.check_all();
        if checked.is_ok() {
            *origins = bound;
        }
        drop(origins);
        checked.map_err(|error| origin_error(py, &error))
    }

    /// Binds the credential to the origin of a URL, even if that is plain http to another host.
    fn allow_plain_http(&self, py: Python<'_>, url: &str) -> PyResult<()> {
        let origin = parse(py, url)?;
        let mut origins = self.0.write().unwrap_or_else(PoisonError::into_inner);
        origins.allow_plain_http(origin.clone());
        origins.bind(origin);
        Ok(())
    }

    /// Whether no origin is bound.
    #[getter]
    fn unbound(&self) -> bool {
        self.current().is_unbound()
    }
}

impl Origins {
    /// A copy, so that no lock is held while Python code makes an exception.
    pub(crate) fn current(&self) -> CoreOrigins {
        let origins = self.0.read().unwrap_or_else(PoisonError::into_inner);
        origins.clone()
    }
}

/// The origin of a URL.
pub(crate) fn parse(py: Python<'_>, url: &str) -> PyResult<Origin> {
    url.parse().map_err(|error| origin_error(py, &error))
}
