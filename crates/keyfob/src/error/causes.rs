//! The causes of an error, one after the other.

use std::error::Error;
use std::io;
use std::iter;

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
