//! One command to a server that may be restarting, or failing over to another.

use std::error::Error as StdError;
use std::time::Duration;

use crate::clock::backoff::Backoff;
use crate::clock::clock;
use crate::clock::clock::Clock;
use crate::clock::system::SystemClock;
#[cfg(all(feature = "rustls", feature = "session"))]
use crate::exchange::reqwest_failure::tls;

/// Why a server did not do what it was asked.
pub(super) trait ServerFault {
    fn timed_out() -> Self;

    /// Whether the same command may soon succeed: the server is there again, or another in its place, or a conflict is over.
    fn may_pass(&self) -> bool;
}

/// Tries a command until the server has done it, has refused it, or the timeout is over.
///
/// A process that has no token yet waits here while the server restarts. So the command must be repeatable.
pub(super) async fn within_timeout<T, E, F>(
    timeout: Duration,
    mut attempt: impl FnMut() -> F,
) -> Result<T, E>
where
    E: ServerFault,
    F: Future<Output = Result<T, E>>,
{
    let mut last = None;
    let attempts = async {
        let mut failed = 0;
        loop {
            match attempt().await {
                Err(fault) if fault.may_pass() => last = Some(fault),
                result => return result,
            }
            failed += 1;
            let pause = PAUSES.half_jitter(failed, fastrand::f64());
            SystemClock.sleep(pause).await;
        }
    };
    let result = clock::within(&SystemClock, timeout, attempts).await;
    result.unwrap_or_else(|| Err(last.unwrap_or_else(E::timed_out)))
}

/// What failed in TLS and what to do, if this error or one of its causes is about TLS.
pub(super) fn tls_failure(fault: &(dyn StdError + 'static)) -> Option<String> {
    #[cfg(all(feature = "rustls", feature = "session"))]
    return tls::reason(fault);
    #[cfg(not(all(feature = "rustls", feature = "session")))]
    {
        _ = fault;
        None
    }
}

/// The first one is short: usually an old connection broke, and a new one can be made at once.
pub(super) const PAUSES: Backoff = Backoff {
    first: Duration::from_millis(10),
    cap: Duration::from_millis(200),
};
