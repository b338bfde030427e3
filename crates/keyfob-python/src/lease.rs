//! A token as it was at one moment, as Python sees it.

use keyfob::cache::Lease as CoreLease;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

use crate::inside::Inside;

/// A token, and the header fields that carry it.
#[pyclass(frozen, module = "keyfob._core")]
pub(crate) struct Lease {
    pub(crate) core: CoreLease,
    /// The token's text; its `repr` hides it.
    #[pyo3(get)]
    pub(crate) token: Py<PyAny>,
    /// The fields, by names in lower case. All who hold the lease share it, so it is not to be changed.
    #[pyo3(get)]
    pub(crate) headers: Py<PyDict>,
}

impl Lease {
    pub(crate) fn new(py: Python<'_>, core: CoreLease) -> PyResult<Self> {
        let _inside = Inside::enter_attached(py);
        let headers = PyDict::new(py);
        for (name, value) in core.headers() {
            // Header values are read as Latin-1 (RFC 9110 §5.5), which each byte is a character of.
            let value: String = value.as_bytes().iter().copied().map(char::from).collect();
            headers.set_item(name.as_str(), secret(py, &value)?)?;
        }
        Ok(Self {
            token: secret(py, core.token().expose())?.unbind(),
            headers: headers.unbind(),
            core,
        })
    }

    /// The fields in a dict for the caller to keep.
    pub(crate) fn own_headers(&self, py: Python<'_>) -> PyResult<Py<PyDict>> {
        self.headers.bind(py).copy().map(Bound::unbind)
    }
}

/// A `str` whose `repr` hides it.
fn secret<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    CLASS.import(py, "keyfob._secret", "Secret")?.call1((text,))
}
