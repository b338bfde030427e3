//! The events of a proxy's listeners.

use std::fmt::Display;
use std::io;
use std::time::Duration;

use crate::error::printable::printable;
use crate::observe::event_limit::Admitted;

/// A process of another user has connected to a unix socket.
///
/// At most one such event is logged in a minute. `left_out` is the number of events that were not logged since the last one.
pub(crate) fn connection_refused(
    listener: &str,
    peer: impl Display,
    Admitted { left_out }: Admitted,
) {
    tracing::warn!(target: "keyfob", listener, %peer, left_out, "a connection of another user was refused");
}

/// No connection could be accepted, for example because there is no file descriptor left.
pub(crate) fn accept_failed(listener: &str, error: &io::Error, pause: Duration) {
    tracing::warn!(target: "keyfob", listener, %error, ?pause, "a connection could not be accepted; accepting goes on after a pause");
}

/// Lines of the access log are lost.
pub(crate) fn access_log_failed(error: &io::Error) {
    tracing::warn!(target: "keyfob", %error, "the access log cannot be written");
}

/// A program asked for what it may not have.
pub(crate) fn refused(server: &crate::origin::origin::Origin, reason: &str) {
    tracing::warn!(target: "keyfob", %server, reason = %printable(reason), "the proxy refused a request");
}

/// A program does not trust the certificate authority of its run.
pub(crate) fn authority_distrusted(server: &crate::origin::origin::Origin) {
    tracing::warn!(target: "keyfob", %server,
        "the program does not trust the certificate authority of this run; give it the file that SSL_CERT_FILE names in the way its TLS \
         library reads one, as docs/how-to/run.md lists them");
}
