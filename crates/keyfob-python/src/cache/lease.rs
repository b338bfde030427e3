//! A token and its headers, as Python objects.

use keyfob::cache::Lease as CoreLease;
use keyfob::exchange::Challenges;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

use crate::convert::header_text;
use crate::runtime::critical_section::CriticalSection;

/// A token, and the headers that carry it.
#[pyclass(frozen, module = "keyfob._core")]
pub(crate) struct Lease {
    pub(crate) core: CoreLease,
    /// The token, as a `str` whose `repr` hides it.
    #[pyo3(get)]
    pub(crate) token: Py<PyAny>,
    /// The headers, with names in lower case. All users of the lease share the dict, so it must not be changed.
    #[pyo3(get)]
    headers: Py<PyDict>,
}

/// Get another token and, if there is one and the body can be sent again, send the request again.
#[pyclass(frozen, module = "keyfob._core")]
pub(crate) struct Renew {
    pub(crate) challenges: Challenges,
    /// Whether the request is sent again. Otherwise the token is renewed for the caller's next request alone.
    #[pyo3(get)]
    pub(crate) replay: bool,
}

impl Lease {
    pub(crate) fn new(py: Python<'_>, core: CoreLease) -> PyResult<Self> {
        let _section = CriticalSection::enter_attached(py);
        let headers = PyDict::new(py);
        for (name, value) in core.headers() {
            headers.set_item(name.as_str(), secret(py, &header_text(value))?)?;
        }
        Ok(Self {
            token: secret(py, core.token().expose())?.unbind(),
            headers: headers.unbind(),
            core,
        })
    }

    /// The headers in a new dict.
    pub(crate) fn own_headers(&self, py: Python<'_>) -> PyResult<Py<PyDict>> {
        self.headers.bind(py).copy().map(Bound::unbind)
    }
}

/// A `str` whose `repr` hides it.
pub(crate) fn secret<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    CLASS.import(py, "keyfob._values", "Secret")?.call1((text,))
}
