//! All that an error shows, for tests that it shows no secret.

use std::error::Error as StdError;
use std::fmt::Write;

/// The `Display` and `Debug` texts of an error and all its causes.
pub(crate) fn error_texts(error: &(dyn StdError + 'static)) -> String {
    let mut texts = format!("{error} {error:?}");
    let mut cause = error.source();
    while let Some(inner) = cause {
        write!(texts, " {inner} {inner:?}").unwrap();
        cause = inner.source();
    }
    texts
}
