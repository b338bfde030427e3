//! The Rust core of the Python package `keyfob`: thin classes over the library, without rules of their own.

use pyo3::prelude::*;

/// What the package's Python code drives; not for use from elsewhere.
#[pymodule(gil_used = true)]
mod _core {}
