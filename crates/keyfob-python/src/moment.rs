//! Times and pauses as Python counts them: in seconds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pyo3::PyResult;
use pyo3::exceptions::PyValueError;

/// The time of a POSIX timestamp, before or after the epoch.
pub(crate) fn from_timestamp(seconds: f64) -> PyResult<SystemTime> {
    let distance = Duration::try_from_secs_f64(seconds.abs()).ok();
    let time = distance.and_then(|distance| {
        if seconds < 0.0 {
            UNIX_EPOCH.checked_sub(distance)
        } else {
            UNIX_EPOCH.checked_add(distance)
        }
    });
    time.ok_or_else(|| PyValueError::new_err("the time lies outside what this machine can count"))
}

/// The POSIX timestamp of a time.
pub(crate) fn to_timestamp(time: SystemTime) -> f64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}

/// A span of so many seconds; `what` names it in the error.
pub(crate) fn seconds(what: &str, seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|_| {
        PyValueError::new_err(format!(
            "{what} must be a number of seconds from 0 up, not {seconds}"
        ))
    })
}
