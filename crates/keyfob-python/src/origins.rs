//! The origins that a session's credential may go to.

use std::sync::{PoisonError, RwLock};

use keyfob::Origin;
use keyfob::origin::Origins as CoreOrigins;
use pyo3::prelude::*;

use crate::error::origin_error;
use crate::sources::Source;

/// The origins of one session or auth object; any https origin that the caller itself names, until one is bound.
#[pyclass(frozen, module = "keyfob._core")]
pub(crate) struct Origins(RwLock<CoreOrigins>);

#[pymethods]
impl Origins {
    /// Those that a source says, if one does.
    #[new]
    #[pyo3(signature = (source=None))]
    fn new(source: Option<&Source>) -> Self {
        let origins = source.map(|source| source.origins.clone());
        Self(RwLock::new(origins.unwrap_or_default()))
    }

    /// Adds the origin of a URL; from the first one on, only the added ones are served.
    fn bind(&self, py: Python<'_>, url: &str) -> PyResult<()> {
        let origin = origin(py, url)?;
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

    /// Adds an origin, also if that is plain http to another host.
    fn allow_plain_http(&self, py: Python<'_>, url: &str) -> PyResult<()> {
        let origin = origin(py, url)?;
        let mut origins = self.0.write().unwrap_or_else(PoisonError::into_inner);
        origins.allow_plain_http(origin.clone());
        origins.bind(origin);
        Ok(())
    }

    /// Whether any https origin is served that the caller itself names.
    #[getter]
    fn unbound(&self) -> bool {
        let origins = self.0.read().unwrap_or_else(PoisonError::into_inner);
        origins.is_unbound()
    }

    /// Raises `OriginError` unless the credential may go to this URL.
    fn check(&self, py: Python<'_>, url: &str) -> PyResult<()> {
        let origin = origin(py, url)?;
        let origins = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let checked = origins.check(&origin);
        // An exception is made by Python code, during which others who have the interpreter's lock may come for this one.
        drop(origins);
        checked.map_err(|error| origin_error(py, &error))
    }
}

/// Whether two URLs have the same scheme, host and port.
#[pyfunction]
pub(crate) fn same_origin(one: &str, other: &str) -> bool {
    match (one.parse::<Origin>(), other.parse::<Origin>()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

fn origin(py: Python<'_>, url: &str) -> PyResult<Origin> {
    url.parse().map_err(|error| origin_error(py, &error))
}
