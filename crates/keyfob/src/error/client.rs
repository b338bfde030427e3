//! What `reqwest` says of its errors.

use std::error::Error;

pub(super) fn timed_out(error: &(dyn Error + 'static)) -> bool {
    error
        .downcast_ref::<reqwest::Error>()
        .is_some_and(reqwest::Error::is_timeout)
}
