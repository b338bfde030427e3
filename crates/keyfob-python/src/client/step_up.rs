//! What a response asks for in addition to the token that it got, for `keyfob.step_up`.

use http::StatusCode;
use http::header::WWW_AUTHENTICATE;
use keyfob::exchange::StepUp;
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;

use crate::convert::header_map;

/// Reason, scopes, classes, age, realm, metadata URL and words, as `keyfob.StepUp` takes them; `None` if it asks for nothing.
#[pyfunction]
pub(crate) fn step_up(
    py: Python<'_>,
    status: u16,
    headers: &Bound<'_, PyAny>,
) -> PyResult<Option<Py<PyAny>>> {
    let Ok(status) = StatusCode::from_u16(status) else {
        return Ok(None);
    };
    let headers = header_map(headers, [WWW_AUTHENTICATE].into_iter())?;
    let Some(asked) = StepUp::from_response(status, &headers) else {
        return Ok(None);
    };
    let words = asked.to_string();
    (
        asked.reason.code(),
        asked.scopes,
        asked.acr_values,
        asked.max_age.map(|age| age.as_secs()),
        asked.realm,
        asked.resource_metadata.map(String::from),
        words,
    )
        .into_py_any(py)
        .map(Some)
}
