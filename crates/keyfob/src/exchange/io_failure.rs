//! What an error of a client that is not known here says about its attempt.

use std::error::Error as StdError;
use std::io;

use crate::error::error::causes;
use crate::error::error::{Error, ErrorKind};
use crate::exchange::outcome::Failure;

/// Reads the first cause in the chain that is known.
///
/// Only what cannot have been sent counts as such, because that is sent again whatever its method is (R4). An error
/// that nobody knows counts as a broken connection: it costs an idempotent request a further attempt, and no other.
pub(crate) fn classify(error: &(dyn StdError + 'static)) -> Failure {
    causes(error)
        .find_map(|cause| match cause.downcast_ref().map(Error::kind) {
            None | Some(ErrorKind::Transport) => cause.downcast_ref().and_then(of_io),
            Some(_) => Some(Failure::Final),
        })
        .unwrap_or(Failure::Broken)
}

fn of_io(error: &io::Error) -> Option<Failure> {
    match error.kind() {
        // No established connection fails with it. One may with "unreachable", so that is not here.
        io::ErrorKind::ConnectionRefused => Some(Failure::Connect),
        io::ErrorKind::TimedOut => Some(Failure::Timeout),
        // What rustls reports of a certificate that is not trusted.
        io::ErrorKind::InvalidData => Some(Failure::Final),
        // May wrap what says more.
        io::ErrorKind::Other => None,
        _ => Some(Failure::Broken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(kind: io::ErrorKind) -> Error {
        let inner = Error::new(ErrorKind::Transport, "inner").caused_by(io::Error::from(kind));
        Error::new(ErrorKind::Transport, "outer").caused_by(inner)
    }

    #[test]
    fn r4_only_a_refused_connection_has_sent_nothing() {
        for (kind, failure) in [
            (io::ErrorKind::ConnectionRefused, Failure::Connect),
            (io::ErrorKind::ConnectionReset, Failure::Broken),
            (io::ErrorKind::HostUnreachable, Failure::Broken),
            (io::ErrorKind::TimedOut, Failure::Timeout),
            (io::ErrorKind::InvalidData, Failure::Final),
            (io::ErrorKind::Other, Failure::Broken),
        ] {
            assert_eq!(classify(&wrapped(kind)), failure, "{kind}");
        }
    }

    #[test]
    fn r4_a_refusal_that_is_wrapped_in_another_is_final() {
        let untrusted = io::Error::from(io::ErrorKind::InvalidData);
        assert_eq!(classify(&io::Error::other(untrusted)), Failure::Final);
    }

    #[test]
    fn r4_what_has_no_known_cause_counts_as_broken() {
        assert_eq!(classify(&std::fmt::Error), Failure::Broken);
    }

    #[test]
    fn a_refusal_of_another_layer_of_ours_is_final() {
        assert_eq!(classify(&Error::unavailable("down")), Failure::Final);
    }
}
