//! What the error of a service, which may be any, means for an exchange.

use std::error::Error as StdError;
use std::io;

use hyper_util::client::legacy;

use crate::error::error::{Error, ErrorKind, causes};
use crate::exchange::outcome::Failure;

/// Classifies an error by the first known cause in its chain.
///
/// [`Failure::Connect`] is retried for any method, so it is returned only if nothing can have been sent (R4). An unknown error
/// counts as a broken connection, which is retried only for idempotent requests. The client of `hyper-util` says whether
/// there was a connection.
pub(crate) fn classify(error: &(dyn StdError + 'static)) -> Failure {
    causes(error)
        .find_map(|cause| match cause.downcast_ref().map(Error::kind) {
            None | Some(ErrorKind::Transport) => cause
                .downcast_ref()
                .and_then(of_hyper)
                .or_else(|| cause.downcast_ref().and_then(of_io)),
            Some(_) => Some(Failure::Final),
        })
        .unwrap_or(Failure::Broken)
}

fn of_hyper(error: &legacy::Error) -> Option<Failure> {
    error.is_connect().then(|| Failure::of_connect(error))
}

fn of_io(error: &io::Error) -> Option<Failure> {
    match error.kind() {
        // An established connection cannot fail with it. With "unreachable" it can, so that is not listed.
        io::ErrorKind::ConnectionRefused => Some(Failure::ConnectionRefused),
        io::ErrorKind::TimedOut => Some(Failure::Timeout),
        // rustls reports a certificate that is not trusted in this way.
        io::ErrorKind::InvalidData => Some(Failure::Final),
        // It may wrap a cause that says more.
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
            (io::ErrorKind::ConnectionRefused, Failure::ConnectionRefused),
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
    fn r4_a_tls_error_that_is_wrapped_is_final() {
        let untrusted = io::Error::from(io::ErrorKind::InvalidData);
        assert_eq!(classify(&io::Error::other(untrusted)), Failure::Final);
    }

    #[test]
    fn r4_an_error_without_a_known_cause_counts_as_broken() {
        assert_eq!(classify(&std::fmt::Error), Failure::Broken);
    }

    #[test]
    fn an_error_of_another_layer_of_keyfob_is_final() {
        assert_eq!(classify(&Error::unavailable("down")), Failure::Final);
    }
}
