//! Converts times, pauses and headers between Python and Rust.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;

use crate::runtime::critical_section::CriticalSection;

/// The time of a POSIX timestamp, before or after the epoch. One beyond the range of the clock becomes a time far ahead.
pub(crate) fn from_timestamp(seconds: f64) -> PyResult<SystemTime> {
    let seconds = if seconds > FAR_AHEAD {
        FAR_AHEAD
    } else {
        seconds
    };
    let distance = Duration::try_from_secs_f64(seconds.abs()).ok();
    let time = distance.and_then(|distance| {
        if seconds < 0.0 {
            UNIX_EPOCH.checked_sub(distance)
        } else {
            UNIX_EPOCH.checked_add(distance)
        }
    });
    time.ok_or_else(|| PyValueError::new_err("the time is out of range for this machine"))
}

/// A time after the year 9999, which means never.
const FAR_AHEAD: f64 = 1e12;

/// The POSIX timestamp of a time.
pub(crate) fn to_timestamp(time: SystemTime) -> f64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}

/// A duration in seconds; `name` is the argument that an error names.
pub(crate) fn seconds(name: &str, seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|_| {
        PyValueError::new_err(format!(
            "{name} must be a number of seconds, 0 or more, not {seconds}"
        ))
    })
}

/// The same for a number of seconds that may be missing.
pub(crate) fn optional_seconds(name: &str, number: Option<f64>) -> PyResult<Option<Duration>> {
    number.map(|number| seconds(name, number)).transpose()
}

/// Those of the named headers that a Python mapping contains.
pub(crate) fn header_map(
    headers: &Bound<'_, PyAny>,
    names: impl Iterator<Item = HeaderName>,
) -> PyResult<HeaderMap> {
    let _section = CriticalSection::enter_attached(headers.py());
    let get = headers.getattr(intern!(headers.py(), "get"))?;
    let mut map = HeaderMap::new();
    for name in names {
        let Ok(text) = get.call1((name.as_str(),))?.extract::<String>() else {
            continue;
        };
        // Python's clients decode header values as Latin-1, one character per byte (RFC 9110 §5.5).
        let bytes: Vec<u8> = once(&text)
            .chars()
            .map(|c| u8::try_from(c).unwrap_or(b'?'))
            .collect();
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            map.insert(name, value);
        }
    }
    Ok(map)
}

/// A value that was sent twice, once. Python's clients join the values of a name, and `0, 0` is no number of seconds.
fn once(text: &str) -> &str {
    let half = text.len().saturating_sub(", ".len()) / 2;
    match (text.get(..half), text.get(half..)) {
        (Some(one), Some(rest)) if rest.strip_prefix(", ") == Some(one) => one,
        _ => text,
    }
}

/// A header value as text, decoded as Latin-1.
pub(crate) fn header_text(value: &HeaderValue) -> String {
    value.as_bytes().iter().copied().map(char::from).collect()
}

/// Status codes in any collection, also a set, which is not a sequence.
#[derive(Default)]
pub(crate) struct Codes(Vec<u16>);

impl<'py> FromPyObject<'_, 'py> for Codes {
    type Error = PyErr;

    fn extract(codes: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let codes = codes.try_iter()?.map(|code| code?.extract());
        codes.collect::<PyResult<_>>().map(Self)
    }
}

/// Fails if one of them is no status of HTTP.
pub(crate) fn statuses(codes: Codes) -> PyResult<Vec<StatusCode>> {
    let status = |code| {
        StatusCode::from_u16(code)
            .map_err(|_| PyValueError::new_err(format!("{code} is not an HTTP status code")))
    };
    codes.0.into_iter().map(status).collect()
}
