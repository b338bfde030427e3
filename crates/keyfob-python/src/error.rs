//! The library's errors as the package's exceptions, and what a hook raised on its way through the library.

use std::error::Error as StdError;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use keyfob::{Error, ErrorKind};
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use crate::inside::Inside;

/// What a hook raised.
///
/// Its text is not repeated, in the log least of all, for it may hold anything, unless it is an error of the package's own. Who
/// catches the error has the exception itself.
#[derive(Debug)]
pub(crate) struct Raised {
    exception: PyErr,
    shown: String,
    /// An exit that was asked for is passed on once.
    passed_on: AtomicBool,
}

impl Raised {
    /// The failure of a renewal whose hook raised this.
    pub(crate) fn failure(exception: PyErr, py: Python<'_>) -> Error {
        let _inside = Inside::enter_attached(py);
        let value = exception.value(py);
        let flag = |name| value.getattr(name).ok();
        let permanent = flag("permanent").is_some_and(|flag| flag.is_truthy().unwrap_or(false));
        let pause = flag("retry_after").and_then(|pause| pause.extract().ok());
        let is_own = authentication_error_class(py).is_ok_and(|own| exception.is_instance(py, own));
        let shown = if is_own {
            value.to_string()
        } else {
            let class = value.get_type().name();
            class.map_or_else(|_| "an exception".to_owned(), |name| name.to_string())
        };
        let error = if permanent {
            Error::refused("the token hook refused for good")
        } else {
            Error::unavailable("the token hook failed")
        };
        let error = match pause.and_then(|pause| std::time::Duration::try_from_secs_f64(pause).ok())
        {
            Some(pause) => error.retry_after(pause),
            None => error,
        };
        error.caused_by(Self {
            exception,
            shown,
            passed_on: AtomicBool::new(false),
        })
    }

    /// `KeyboardInterrupt`, `SystemExit` and their like, which are no failure but a wish to stop.
    fn exit(&self, py: Python<'_>) -> Option<PyErr> {
        let is_failure = self.exception.is_instance_of::<PyException>(py);
        (!is_failure && !self.passed_on.swap(true, Ordering::Relaxed))
            .then(|| self.exception.clone_ref(py))
    }
}

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl StdError for Raised {}

/// What Python's caller gets instead of a token.
pub(crate) fn exception(py: Python<'_>, error: &Error) -> PyErr {
    let _inside = Inside::enter_attached(py);
    let raised = error
        .source()
        .and_then(|cause| cause.downcast_ref::<Raised>());
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

/// A URL that the credential may not or cannot be sent to.
pub(crate) fn origin_error(py: Python<'_>, error: &Error) -> PyErr {
    let _inside = Inside::enter_attached(py);
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    made(
        CLASS
            .import(py, "keyfob.errors", "OriginError")
            .and_then(|class| class.call1((text(error),))),
    )
}

/// A profile file, or what is said in it, that cannot be used.
pub(crate) fn profile_error(py: Python<'_>, error: &Error) -> PyErr {
    let _inside = Inside::enter_attached(py);
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    made(
        CLASS
            .import(py, "keyfob.errors", "ProfileError")
            .and_then(|class| class.call1((text(error),))),
    )
}

fn authentication_error(py: Python<'_>, error: &Error) -> PyErr {
    made(authentication_error_class(py).and_then(|class| {
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

fn made(exception: PyResult<Bound<'_, PyAny>>) -> PyErr {
    exception.map_or_else(|error| error, PyErr::from_value)
}

/// The error and what caused it, in one line: Python shows an exception's own text alone.
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
