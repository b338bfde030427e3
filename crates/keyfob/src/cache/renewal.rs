//! One renewal: what all who wait for it hold, and how it gets a token from the source.

use std::sync::Arc;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::FutureExt;
use futures_util::future::{AbortHandle, AbortRegistration, Shared as SharedFuture};

use crate::cache::builder::Settings;
use crate::cache::lease::Lease;
use crate::clock::clock;
use crate::clock::clock::Clock;
use crate::error::error::{Error, ErrorKind};
use crate::source::reentrancy::poll_inside;
use crate::source::source::{TokenRequest, TokenSource};
use crate::token::freshness::{Acquired, Freshness, Schedule};
use crate::token::token::{Expiry, Token};

/// A renewal that is under way, or has just ended.
#[derive(Clone)]
pub(super) struct Flight {
    number: u64,
    /// There was no token before.
    first: bool,
    outcome: SharedFuture<oneshot::Receiver<Result<Lease, Error>>>,
    abort: AbortHandle,
}

/// A flight that has not started yet.
pub(super) struct Takeoff {
    pub(super) number: u64,
    /// How many tokens had been handed in before.
    pub(super) hand_ins: u64,
    pub(super) request: TokenRequest,
    pub(super) sender: oneshot::Sender<Result<Lease, Error>>,
    pub(super) registration: AbortRegistration,
    /// It is only the clocks that make this renewal necessary.
    pub(super) after_step: bool,
}

/// What a renewal brought.
pub(super) struct Fetched {
    pub(super) token: Token,
    pub(super) schedule: Schedule,
    pub(super) acquired: Acquired,
}

impl Flight {
    /// Whether it gets the first token of all, so that those who wait for it are not delayed by a renewal.
    pub(super) fn is_first(&self) -> bool {
        self.first
    }

    /// How often one caller takes part in another attempt after a runtime stopped under the last one.
    pub(super) const ABANDONED_AT_MOST: usize = 4;

    /// A flight and the part of it that must be started when the lock is free.
    pub(super) fn new(number: u64, hand_ins: u64, request: TokenRequest) -> (Self, Takeoff) {
        let (sender, receiver) = oneshot::channel();
        let (abort, registration) = AbortHandle::new_pair();
        let flight = Self {
            number,
            first: request.previous().is_none(),
            outcome: receiver.shared(),
            abort,
        };
        let takeoff = Takeoff {
            number,
            hand_ins,
            request,
            sender,
            registration,
            after_step: false,
        };
        (flight, takeoff)
    }

    /// Its outcome; `None` if it has none, because its runtime stopped or a token was handed in meanwhile: look again.
    pub(super) async fn outcome(self) -> Option<Result<Lease, Error>> {
        self.outcome.await.ok()
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn abort(&self) {
        self.abort.abort();
    }

    /// What the panic said is not repeated: it may hold the secret.
    pub(super) fn panicked() -> Error {
        Error::unavailable("the token source panicked")
    }

    /// The hook of a session that uses the session would wait for its own end.
    pub(super) fn waits_for_itself() -> Error {
        Error::unavailable(
            "the token hook uses the session whose token it is getting and would wait for itself; \
             give the hook or callback a client of its own",
        )
    }

    /// What a caller gets whose renewals the runtime dropped each time.
    pub(super) fn abandoned() -> Error {
        Error::unavailable(
            "the runtime stopped before the token was there; ask again from one that runs",
        )
    }
}

/// What a fetch needs; it does not keep the cache alive.
pub(super) struct Desk {
    pub(super) source: Arc<dyn TokenSource>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) settings: Arc<Settings>,
}

impl Desk {
    /// Asks the source for a token that has not expired yet, thrice at most.
    pub(super) async fn fetch_lasting(&self, request: &TokenRequest) -> Result<Fetched, Error> {
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

    async fn fetch(&self, request: &TokenRequest) -> Result<Fetched, Error> {
        let asked = self.clock.elapsed();
        let answer = poll_inside(request.cache(), async { self.source.fetch(request).await });
        let token = clock::within(&*self.clock, request.timeout(), answer)
            .await
            .unwrap_or_else(|| {
                Err(Error::unavailable(format!(
                    "the token source did not answer within {:?} and was given up",
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

/// Pauses before a source that returned an expired token is asked again (T4).
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];
