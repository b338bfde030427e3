//! The library's errors as Python exceptions, and the exceptions of hooks as the library's errors.

use std::error::Error as StdError;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keyfob::{Error, ErrorKind};
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use crate::runtime::critical_section::CriticalSection;

/// The exception that a hook raised.
///
/// Its text is shown only if it is an `AuthenticationError`: any other text may contain a secret, and must not reach the log.
/// A caller that catches the error gets the exception itself as the `__cause__`.
#[derive(Debug)]
pub(crate) struct HookException {
    exception: PyErr,
    shown: String,
    /// Whether a request to exit was already raised in a caller; that happens once.
    exit_raised: AtomicBool,
}

impl HookException {
    /// The error of a renewal whose hook raised this exception.
    pub(crate) fn into_error(exception: PyErr, py: Python<'_>) -> Error {
        let _section = CriticalSection::enter_attached(py);
        let value = exception.value(py);
        let attribute = |name| value.getattr(name).ok();
        let permanent =
            attribute("permanent").is_some_and(|flag| flag.is_truthy().unwrap_or(false));
        let retry_after = attribute("retry_after")
            .and_then(|pause| pause.extract().ok())
            .and_then(|pause| Duration::try_from_secs_f64(pause).ok());
        let is_own = authentication_error_class(py).is_ok_and(|own| exception.is_instance(py, own));
        let shown = if is_own {
            value.to_string()
        } else {
            let class = value.get_type().name();
            class.map_or_else(|_| "an exception".to_owned(), |name| name.to_string())
        };
        let error = if permanent {
            Error::refused("the token hook refused permanently")
        } else {
            Error::unavailable("the token hook failed")
        };
        let error = match retry_after {
            Some(pause) => error.retry_after(pause),
            None => error,
        };
        error.caused_by(Self {
            exception,
            shown,
            exit_raised: AtomicBool::new(false),
        })
    }

    /// A `KeyboardInterrupt`, `SystemExit` or similar: a request to exit, not a failure.
    fn exit(&self, py: Python<'_>) -> Option<PyErr> {
        let is_failure = self.exception.is_instance_of::<PyException>(py);
        (!is_failure && !self.exit_raised.swap(true, Ordering::Relaxed))
            .then(|| self.exception.clone_ref(py))
    }
}

impl fmt::Display for HookException {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl StdError for HookException {}

/// The exception that a caller gets instead of a token.
pub(crate) fn exception(py: Python<'_>, error: &Error) -> PyErr {
    let _section = CriticalSection::enter_attached(py);
    let raised = error
        .source()
        .and_then(|cause| cause.downcast_ref::<HookException>());
    if let Some(exit) = raised.and_then(|raised| raised.exit(py)) {
        return exit;
    }
    let exception = match error.kind() {
        kind if kind.is_authentication() => authentication_error(py, error),
        ErrorKind::Origin => origin_error(py, error),
        _ => PyValueError::new_err(text(error)),
    };
    if let Some(raised) = raised {
        exception.set_cause(py, Some(raised.exception.clone_ref(py)));
    }
    exception
}

/// An `OriginError`: the credential may not go to a URL, or the URL is invalid.
pub(crate) fn origin_error(py: Python<'_>, error: &Error) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    with_text(py, &CLASS, "OriginError", error)
}

/// A `ProfileError`: a profile or its file cannot be used.
pub(crate) fn profile_error(py: Python<'_>, error: &Error) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    with_text(py, &CLASS, "ProfileError", error)
}

fn with_text(
    py: Python<'_>,
    class: &'static PyOnceLock<Py<PyType>>,
    name: &str,
    error: &Error,
) -> PyErr {
    let _section = CriticalSection::enter_attached(py);
    let class = class.import(py, "keyfob.errors", name);
    or_its_failure(class.and_then(|class| class.call1((text(error),))))
}

fn authentication_error(py: Python<'_>, error: &Error) -> PyErr {
    or_its_failure(authentication_error_class(py).and_then(|class| {
        let exception = class.call1((text(error),))?;
        exception.setattr(intern!(py, "kind"), error.kind().name())?;
        exception.setattr(intern!(py, "permanent"), error.kind() == ErrorKind::Refused)?;
        if let Some(pause) = error.pause() {
            exception.setattr(intern!(py, "retry_after"), pause.as_secs_f64())?;
        }
        Ok(exception)
    }))
}

fn authentication_error_class(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    CLASS.import(py, "keyfob.errors", "AuthenticationError")
}

/// The exception, or the one that was raised while it was made.
fn or_its_failure(exception: PyResult<Bound<'_, PyAny>>) -> PyErr {
    exception.map_or_else(|error| error, PyErr::from_value)
}

/// The error and its causes in one line, because Python shows only an exception's own text.
fn text(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
