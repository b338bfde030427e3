//! Where in a request the token of a user's source goes.

use http::HeaderName;
use keyfob::source::Placement;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::error::exception;

/// The placement that a user set. It fails if both are set, or one is not valid in HTTP.
pub(crate) fn placement(
    py: Python<'_>,
    header: Option<String>,
    scheme: Option<String>,
) -> PyResult<Option<Placement>> {
    match (header, scheme) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(PyTypeError::new_err(
            "`header` and `scheme` exclude each other: a scheme goes into `Authorization`",
        )),
        (Some(name), None) => {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
                PyValueError::new_err("`header` is not the name of a header such as X-Api-Key")
            })?;
            Ok(Some(Placement::header(name)))
        }
        (None, Some(scheme)) => {
            let placement = Placement::scheme(scheme);
            placement.map(Some).map_err(|error| exception(py, &error))
        }
    }
}
