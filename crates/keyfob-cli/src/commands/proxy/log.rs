//! Opens the access log.

use std::fs::OpenOptions;
use std::io::stdout;
use std::path::Path;
use std::sync::Arc;

use keyfob::proxy::AccessLog;

use crate::output::error::CliError;

/// The log in this file, or on standard output for `-`. A new file is for this user alone.
pub(super) fn open_log(path: Option<&Path>) -> Result<Option<Arc<AccessLog>>, CliError> {
    let Some(path) = path else {
        return Ok(None);
    };
    let failed = |error: &std::io::Error| {
        CliError::failed(
            format!("the access log {} cannot be written", path.display()),
            error,
        )
    };
    let log = match path == Path::new("-") {
        true => AccessLog::new(stdout()),
        false => {
            let mut options = OpenOptions::new();
            options.append(true).create(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            AccessLog::new(options.open(path).map_err(|error| failed(&error))?)
        }
    };
    log.map(|log| Some(Arc::new(log)))
        .map_err(|error| failed(&error))
}
