//! The library's errors as Python exceptions, and the exceptions of hooks as the library's errors.

use std::error::Error as StdError;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keyfob::{Error, ErrorKind};
use pyo3::exceptions::PyValueError;
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
    ending: Ending,
}

/// How a call of the hook ended without a token.
#[derive(Debug)]
enum Ending {
    Failed,
    /// By a cancellation, or by a request to exit that a caller has got.
    Interrupted,
    /// By a request to exit, which one caller gets.
    Exit {
        taken: AtomicBool,
        raised: AtomicBool,
    },
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
            ending: Ending::Failed,
        })
    }

    /// The error of a renewal whose hook was interrupted. No cool-down follows, because the source did not fail.
    pub(crate) fn interrupt(py: Python<'_>, exception: PyErr, is_exit: bool) -> Error {
        let _section = CriticalSection::enter_attached(py);
        let class = exception.get_type(py).name();
        let shown = class.map_or_else(|_| "an exception".to_owned(), |name| name.to_string());
        let ending = if is_exit {
            Ending::Exit {
                taken: AtomicBool::new(false),
                raised: AtomicBool::new(false),
            }
        } else {
            Ending::Interrupted
        };
        Error::unavailable("the call of the token hook was interrupted")
            .retry_after(Duration::ZERO)
            .caused_by(Self {
                exception,
                shown,
                ending,
            })
    }

    fn of(error: &Error) -> Option<&Self> {
        error.source()?.downcast_ref()
    }

    /// The request to exit, if no caller has got it.
    fn exit(&self, py: Python<'_>) -> Option<PyErr> {
        match &self.ending {
            Ending::Exit { raised, .. } if !raised.swap(true, Ordering::Relaxed) => {
                Some(self.exception.clone_ref(py))
            }
            _ => None,
        }
    }
}

/// Whether a caller that got this error asks again: the call of the hook was interrupted, and not by a request to exit that
/// this caller has to raise.
pub(crate) fn is_interrupt_of_another(error: &Error) -> bool {
    match HookException::of(error).map(|raised| &raised.ending) {
        None | Some(Ending::Failed) => false,
        Some(Ending::Interrupted) => true,
        Some(Ending::Exit { taken, .. }) => taken.swap(true, Ordering::Relaxed),
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
    let raised = HookException::of(error);
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
    origin_error_with_text(py, text(error))
}

/// An `OriginError` with a text of this crate.
pub(crate) fn origin_error_with_text(py: Python<'_>, text: String) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    with_text(py, &CLASS, "OriginError", text)
}

/// A `ProfileError`: a profile or its file cannot be used.
pub(crate) fn profile_error(py: Python<'_>, error: &Error) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    with_text(py, &CLASS, "ProfileError", text(error))
}

fn with_text(
    py: Python<'_>,
    class: &'static PyOnceLock<Py<PyType>>,
    name: &str,
    text: String,
) -> PyErr {
    let _section = CriticalSection::enter_attached(py);
    let class = class.import(py, "keyfob.errors", name);
    or_its_failure(class.and_then(|class| class.call1((text,))))
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
