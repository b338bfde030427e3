//! One renewal: the handle that waiting callers share, and the fetch of a token that has not expired.

use std::sync::Arc;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::FutureExt;
use futures_util::future::{AbortHandle, AbortRegistration, Shared};

use crate::cache::builder::Settings;
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
    number: u64,
    is_first: bool,
    result: Shared<oneshot::Receiver<Result<Lease, Error>>>,
    abort: AbortHandle,
}

/// A renewal that was decided on under the lock, and starts when the lock is free.
pub(super) struct PreparedRenewal {
    pub(super) number: u64,
    /// How many tokens callers had set before.
    pub(super) tokens_set: u64,
    pub(super) request: TokenRequest,
    pub(super) sender: oneshot::Sender<Result<Lease, Error>>,
    pub(super) registration: AbortRegistration,
    /// The token is fresh, and is renewed only because the clocks disagree (T6).
    pub(super) is_clock_check: bool,
}

/// A token that a renewal fetched.
pub(super) struct Fetched {
    pub(super) token: Token,
    pub(super) schedule: Schedule,
    pub(super) acquired: Acquired,
}

impl Renewal {
    /// How many renewals one caller waits for, if each is abandoned because its runtime stops.
    pub(super) const MAX_ATTEMPTS: usize = 4;

    pub(super) fn new(
        number: u64,
        tokens_set: u64,
        request: TokenRequest,
    ) -> (Self, PreparedRenewal) {
        let (sender, receiver) = oneshot::channel();
        let (abort, registration) = AbortHandle::new_pair();
        let renewal = Self {
            number,
            is_first: request.previous().is_none(),
            result: receiver.shared(),
            abort,
        };
        let prepared = PreparedRenewal {
            number,
            tokens_set,
            request,
            sender,
            registration,
            is_clock_check: false,
        };
        (renewal, prepared)
    }

    /// Whether it fetches the first token of all, so that it delays no caller that had one.
    pub(super) fn is_first(&self) -> bool {
        self.is_first
    }

    /// Waits for the result. `None` if there is none, because the runtime stopped or a caller set a token: look again.
    pub(super) async fn result(self) -> Option<Result<Lease, Error>> {
        self.result.await.ok()
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn abort(&self) {
        self.abort.abort();
    }

    /// The panic's message is left out, because it may contain the secret.
    pub(super) fn panicked() -> Error {
        Error::unavailable("the token source panicked")
    }

    /// The error of a hook that uses the session it fetches a token for, and would wait for its own end.
    pub(super) fn waits_for_itself() -> Error {
        Error::unavailable(
            "the token hook uses the session whose token it is getting and would wait for itself; \
             give the hook or callback a client of its own",
        )
    }

    pub(super) fn abandoned() -> Error {
        Error::unavailable(
            "the runtime stopped before there was a token; ask again from a runtime that keeps running",
        )
    }
}

/// What a fetch needs. It holds no reference to the cache, so that the cache can be dropped during the fetch.
pub(super) struct Fetcher {
    pub(super) source: Arc<dyn TokenSource>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) settings: Arc<Settings>,
}

impl Fetcher {
    /// Asks the source, up to three times, for a token that has not expired (T4).
    pub(super) async fn fetch_unexpired(&self, request: &TokenRequest) -> Result<Fetched, Error> {
        let mut pauses = PAUSES.into_iter();
        loop {
            let fetched = self.fetch(request).await?;
            if fetched.schedule.at(self.clock.elapsed()) != Freshness::Expired {
                return Ok(fetched);
            }
            let Some(pause) = pauses.next() else {
                return Err(expired(&fetched.token));
            };
            self.clock.sleep(pause).await;
        }
    }

    /// Asks the source once. The timeout drops its future; work that must not be cut off is the source's to detach.
    async fn fetch(&self, request: &TokenRequest) -> Result<Fetched, Error> {
        let asked = self.clock.elapsed();
        let fetch = poll_inside(request.cache(), async { self.source.fetch(request).await });
        let token = clock::within(&*self.clock, request.timeout(), fetch)
            .await
            .unwrap_or_else(|| {
                Err(Error::unavailable(format!(
                    "the token source gave no token within {:?}; raise the fetch timeout if it needs longer",
                    request.timeout()
                )))
            })?;
        let acquired = Acquired {
            asked: Some(asked),
            at: self.clock.elapsed(),
            wall: self.clock.coarse_time().wall_time(),
        }
        .obtained(token.obtained());
        Ok(Fetched {
            schedule: self.settings.schedule(&token, acquired)?,
            token,
            acquired,
        })
    }
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
