//! One renewal: the handle that waiting callers share, and the fetch of a token that has not expired.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::{BoxFuture, Shared};
use jiff::SignedDuration;

use crate::cache::abort::Abort;
use crate::cache::lease::Lease;
use crate::clock::clock;
use crate::clock::clock::Clock;
use crate::error::error::{Error, ErrorKind};
use crate::error::shown_duration::shown_duration;
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
    pub(super) abort: Abort,
    pub(super) step: StepEnd,
    /// When a caller first found that the current step had outlasted its timeout.
    pub(super) overdue_since: Option<Duration>,
}

impl Renewal {
    /// Whether nothing drives the runtime of the renewal any more: its current step has not ended although it has a timeout.
    ///
    /// Not at the first look: if the time has jumped, the task has had no chance to end its step yet.
    pub(super) fn is_abandoned(&mut self, now: Duration) -> bool {
        if !self.step.left(now).is_zero() {
            self.overdue_since = None;
            return false;
        }
        let since = *self.overdue_since.get_or_insert(now);
        now.saturating_sub(since) >= GRACE
    }

    /// How long a caller waits before it looks whether the renewal is abandoned.
    ///
    /// If the renewal waits for its turn, another one may be abandoned that holds it up. Each has this timeout.
    pub(super) fn next_look(&self, now: Duration, timeout: Duration) -> Duration {
        self.step.left(now).min(timeout).saturating_add(GRACE)
    }
}

/// When the current step of a renewal must have ended, because each has a timeout.
#[derive(Clone, Default)]
pub(super) struct StepEnd(Arc<AtomicU64>);

impl StepEnd {
    /// Begins a step that takes at most this long.
    pub(super) fn begin(&self, clock: &dyn Clock, step: Duration) {
        let end = clock.elapsed().saturating_add(step);
        let end = u64::try_from(end.as_nanos()).unwrap_or(u64::MAX);
        self.0.store(end, Ordering::Relaxed);
    }

    /// A step without an end begins: the renewal waits for its turn in a queue.
    pub(super) fn wait(&self) {
        self.0.store(u64::MAX, Ordering::Relaxed);
    }

    /// Whether a step should have ended long ago, so that nothing seems to drive its runtime.
    pub(super) fn is_overdue(&self, now: Duration) -> bool {
        let end = Duration::from_nanos(self.0.load(Ordering::Relaxed));
        now >= end.saturating_add(GRACE)
    }

    /// The time until then.
    fn left(&self, now: Duration) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed)).saturating_sub(now)
    }
}

/// How much later than its timeout a step may end on a busy machine.
const GRACE: Duration = Duration::from_secs(1);

/// The background task of a renewal. It is made under the lock, and spawned when the lock is free.
pub(super) struct RenewalTask {
    pub(super) work: BoxFuture<'static, ()>,
    pub(super) step: StepEnd,
}

/// A token from the source or from a caller, and when it must be renewed.
pub(super) struct ScheduledToken {
    pub(super) token: Token,
    pub(super) schedule: Schedule,
    /// When its lifetime began.
    pub(super) since: SignedDuration,
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
    ) -> Self {
        let at = clock.elapsed();
        let acquired = Acquired {
            age: asked.map(|asked| at.saturating_sub(asked)),
            at,
            wall: clock.coarse_time().wall_time(),
        }
        .obtained(token.obtained());
        let expiry = token.expires().known_at(acquired.wall, default_lifetime);
        Self {
            // Jitter, so that many processes with tokens of one age do not renew at the same moment.
            schedule: Schedule::new(expiry, token.recheck(), acquired, fastrand::f64()),
            since: acquired.began(),
            token,
        }
    }
}

/// Asks the source, up to three times, for a token that has not expired (T4).
pub(super) async fn fetch_unexpired(
    source: &dyn TokenSource,
    request: &TokenRequest,
    step: &StepEnd,
) -> Result<ScheduledToken, Error> {
    let mut pauses = PAUSES.into_iter();
    loop {
        step.begin(request.clock(), request.timeout());
        let fetched = fetch(source, request).await?;
        if fetched.schedule.at(request.clock().elapsed()) != Freshness::Expired {
            return Ok(fetched);
        }
        let Some(pause) = pauses.next() else {
            return Err(expired(&fetched.token));
        };
        step.begin(request.clock(), pause);
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
            "the token source gave no token within {}; raise the fetch timeout if it needs longer",
            shown_duration(timeout)
        )))
    })?;
    Ok(ScheduledToken::new(
        token,
        Some(asked),
        clock,
        request.default_lifetime(),
    ))
}

fn expired(token: &Token) -> Error {
    let when = match token.expires() {
        Expiry::At(time) => match jiff::Timestamp::try_from(time) {
            Ok(time) => format!("at {time:.0}"),
            Err(_) => "long ago".to_owned(),
        },
        Expiry::In(lifetime) => format!("{} after it was asked for", shown_duration(lifetime)),
        Expiry::Hint(_) | Expiry::Unknown => "after the default lifetime".to_owned(),
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
