//! The causes of an error, one after the other.

use std::error::Error;
use std::{io, iter};

/// The error and all that caused it. What an `io::Error` was made of counts too, though it is not its source.
pub(crate) fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |error| cause(*error))
}

fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref().and_then(io::Error::get_ref) {
        Some(inside) => Some(inside),
        None => error.source(),
    }
}

/// True if the error is a timeout of `reqwest`; false in a build without it.
pub(crate) fn is_client_timeout(error: &(dyn Error + 'static)) -> bool {
    #[cfg(feature = "session")]
    let timed_out = error
        .downcast_ref::<reqwest::Error>()
        .is_some_and(reqwest::Error::is_timeout);
    #[cfg(not(feature = "session"))]
    let timed_out = {
        let _ = error;
        false
    };
    timed_out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_io_error_wraps_is_a_cause() {
        let inner = io::Error::new(io::ErrorKind::InvalidData, "untrusted");
        let outer = io::Error::other(io::Error::other(inner));
        let kinds: Vec<_> = causes(&outer)
            .filter_map(|cause| cause.downcast_ref().map(io::Error::kind))
            .collect();
        assert_eq!(
            kinds,
            [
                io::ErrorKind::Other,
                io::ErrorKind::Other,
                io::ErrorKind::InvalidData
            ]
        );
    }
}
