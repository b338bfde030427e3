//! One renewal: the handle that waiting callers share, and the fetch of a token that has not expired.

use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::{AbortHandle, BoxFuture, Shared};

use crate::cache::lease::Lease;
use crate::clock::clock;
use crate::clock::clock::Clock;
use crate::error::error::{Error, ErrorKind};
use crate::source::reentrancy::poll_inside;
use crate::source::source::{TokenRequest, TokenSource};
use crate::token::freshness::{Acquired, Freshness, Schedule};
use crate::token::token::{Expiry, Token};

/// A renewal that runs, or has just ended. Callers that wait for it hold clones.
#[derive(Clone)]
pub(super) struct Renewal {
    pub(super) number: u64,
    /// Whether it fetches the first token of all, so that it delays no caller that had one.
    pub(super) is_first: bool,
    /// Canceled if there is no result, because the runtime stopped or a caller set a token.
    pub(super) result: Shared<oneshot::Receiver<Result<Lease, Error>>>,
    pub(super) abort: AbortHandle,
}

/// The background task of a renewal. It is made under the lock, and spawned when the lock is free.
pub(super) type RenewalTask = BoxFuture<'static, ()>;

/// A token from the source or from a caller, and when it must be renewed.
pub(super) struct ScheduledToken {
    pub(super) token: Token,
    pub(super) schedule: Schedule,
    /// When its lifetime began.
    pub(super) since: Duration,
}

impl ScheduledToken {
    /// Computes the schedule of a token that is here now, with the default lifetime if its expiry is unknown (T5).
    ///
    /// `asked` is when the source was asked for it, if it was.
    pub(super) fn new(
        token: Token,
        asked: Option<Duration>,
        clock: &dyn Clock,
        default_lifetime: Option<Duration>,
    ) -> Result<Self, Error> {
        let acquired = Acquired {
            asked,
            at: clock.elapsed(),
            wall: clock.coarse_time().wall_time(),
        }
        .obtained(token.obtained());
        let expiry = match (token.expires(), default_lifetime) {
            (Expiry::Unknown, Some(lifetime)) => Expiry::In(lifetime),
            (given, _) => given,
        };
        Ok(Self {
            // Jitter, so that many processes with tokens of one age do not renew at the same moment.
            schedule: Schedule::new(expiry, token.recheck(), acquired, fastrand::f64())?,
            since: acquired.asked.unwrap_or(acquired.at),
            token,
        })
    }
}

/// Asks the source, up to three times, for a token that has not expired (T4).
pub(super) async fn fetch_unexpired(
    source: &dyn TokenSource,
    request: &TokenRequest,
) -> Result<ScheduledToken, Error> {
    let mut pauses = PAUSES.into_iter();
    loop {
        let fetched = fetch(source, request).await?;
        if fetched.schedule.at(request.clock().elapsed()) != Freshness::Expired {
            return Ok(fetched);
        }
        let Some(pause) = pauses.next() else {
            return Err(expired(&fetched.token));
        };
        request.clock().sleep(pause).await;
    }
}

/// Asks the source once. The timeout drops its future; work that must not be cut off is the source's to detach.
async fn fetch(source: &dyn TokenSource, request: &TokenRequest) -> Result<ScheduledToken, Error> {
    let (clock, timeout) = (request.clock(), request.timeout());
    let asked = clock.elapsed();
    // The call of `fetch` is inside as well, because a source may do its work there.
    let fetch = poll_inside(request.cache, async { source.fetch(request).await });
    let token = clock::within(clock, timeout, fetch).await.unwrap_or_else(|| {
        Err(Error::unavailable(format!(
            "the token source gave no token within {timeout:?}; raise the fetch timeout if it needs longer"
        )))
    })?;
    ScheduledToken::new(token, Some(asked), clock, request.default_lifetime())
}

fn expired(token: &Token) -> Error {
    let when = match token.expires() {
        Expiry::At(time) => match jiff::Timestamp::try_from(time) {
            Ok(time) => format!("at {time:.0}"),
            Err(_) => "long ago".to_owned(),
        },
        Expiry::In(lifetime) => format!("{lifetime:?} after it was asked for"),
        Expiry::Unknown => "after the default lifetime".to_owned(),
    };
    Error::new(
        ErrorKind::Expired,
        format!(
            "the source gave {} times a token that had expired {when}; check the source and this machine's clock",
            PAUSES.len() + 1
        ),
    )
}

/// The pauses before a source that returned an expired token is asked again (T4).
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];
