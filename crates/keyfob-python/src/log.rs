//! Forwards the library's log to Python's `logging`, while there is an interpreter.

use log::{LevelFilter, Log, Metadata, Record};
use pyo3::prelude::*;
use pyo3_log::{Caching, Logger};

use crate::runtime::critical_section::{attached, is_exiting};

/// Installs Python's `logging` as the library's logger.
pub(crate) fn install(py: Python<'_>) -> PyResult<()> {
    // Caches loggers but not levels, because a program may change levels at any time.
    let logger = Logger::new(py, Caching::Loggers)?.filter(LevelFilter::Debug);
    // This fails if the module was removed from `sys.modules` and imported again; then the first logger stays.
    if log::set_boxed_logger(Box::new(UntilExit(logger))).is_ok() {
        log::set_max_level(LevelFilter::Debug);
    }
    Ok(())
}

/// Whether keyfob itself wrote the record. Records of its dependencies are dropped: they may contain secrets (S1).
fn is_own(metadata: &Metadata<'_>) -> bool {
    metadata.target() == TARGET
}

const TARGET: &str = "keyfob";

/// A logger that drops records once the interpreter exits, because a renewal may run longer than the interpreter.
struct UntilExit(Logger);

impl Log for UntilExit {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_own(metadata) && !is_exiting() && self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !is_own(record.metadata()) {
            return;
        }
        // Without an interpreter, `Logger` would panic.
        let _ = attached(|_| self.0.log(record));
    }

    fn flush(&self) {}
}
