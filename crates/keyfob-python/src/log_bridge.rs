//! The core's log as Python's, as long as there is an interpreter that can take it.

use log::{LevelFilter, Log, Metadata, Record};
use pyo3::prelude::*;
use pyo3_log::{Caching, Logger};

use crate::inside::{attached, is_closed};

/// Has the core log through Python's `logging`.
pub(crate) fn install(py: Python<'_>) -> PyResult<()> {
    // Levels are asked for anew each time, for a program may set them at any time.
    let logger = Logger::new(py, Caching::Loggers)?.filter(LevelFilter::Debug);
    // There is one already if the module was taken out of `sys.modules` and is imported again.
    if log::set_boxed_logger(Box::new(UntilTheEnd(logger))).is_ok() {
        log::set_max_level(LevelFilter::Debug);
    }
    Ok(())
}

/// What the libraries below say is for nobody: who knows what of (S1).
fn is_own(metadata: &Metadata<'_>) -> bool {
    metadata.target() == TARGET
}

const TARGET: &str = "keyfob";

/// A renewal may outlast the interpreter, and what it says then is for nobody.
struct UntilTheEnd(Logger);

impl Log for UntilTheEnd {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_own(metadata) && !is_closed() && self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !is_own(record.metadata()) {
            return;
        }
        // Without an interpreter this does nothing, where the logger itself would panic.
        let _ = attached(|_| self.0.log(record));
    }

    fn flush(&self) {}
}
