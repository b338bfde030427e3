//! One renewal: a task of its own, whose outcome all who wait for it share.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::Weak;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::FutureExt;
use futures_util::future::AbortHandle;
use futures_util::future::AbortRegistration;
use futures_util::future::Abortable;
use futures_util::future::Shared as SharedFuture;

use crate::cache::lease::Lease;
use crate::cache::settings::Settings;
use crate::cache::state::Shared;
use crate::clock;
use crate::clock::Clock;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::freshness::Acquired;
use crate::freshness::Freshness;
use crate::freshness::Windows;
use crate::observe;
use crate::source::TokenRequest;
use crate::source::TokenSource;
use crate::source::reentry::poll_inside;
use crate::token::Expiry;
use crate::token::Token;

/// Pauses before a source that returned an expired token is asked again (T4).
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];

/// A renewal that is under way, or has just ended.
#[derive(Clone)]
pub(super) struct Flight {
    number: u64,
    outcome: SharedFuture<oneshot::Receiver<Result<Lease, Error>>>,
    abort: AbortHandle,
}

/// What a renewal brought.
pub(super) struct Fetched {
    pub(super) token: Token,
    pub(super) windows: Windows,
    pub(super) acquired: Acquired,
}

impl Flight {
    /// How often one caller takes part in another attempt after a runtime stopped under the last one.
    pub(super) const ABANDONED_AT_MOST: usize = 4;

    /// A flight and the part of it that must be [started](Takeoff::start) when the lock is free.
    pub(super) fn new(number: u64, request: TokenRequest) -> (Self, Takeoff) {
        let (sender, receiver) = oneshot::channel();
        let (abort, registration) = AbortHandle::new_pair();
        let flight = Self {
            number,
            outcome: receiver.shared(),
            abort,
        };
        let takeoff = Takeoff {
            number,
            request,
            sender,
            registration,
            after_step: false,
        };
        (flight, takeoff)
    }

    /// Its outcome; `None` if the task ended before there was one, because its runtime stopped.
    pub(super) async fn outcome(self) -> Option<Result<Lease, Error>> {
        self.outcome.await.ok()
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn abort(&self) {
        self.abort.abort();
    }

    pub(super) fn abandoned() -> Error {
        Error::unavailable(
            "the runtime stopped before the token was there; ask again from one that runs",
        )
    }
}

/// A flight that has not started yet.
pub(super) struct Takeoff {
    number: u64,
    request: TokenRequest,
    sender: oneshot::Sender<Result<Lease, Error>>,
    registration: AbortRegistration,
    after_step: bool,
}

impl Takeoff {
    /// Notes whether it is only the clocks that make this renewal necessary.
    pub(super) fn because_of_step(mut self, stepped: bool) -> Self {
        self.after_step = stepped;
        self
    }

    /// Runs the renewal beside the callers. To be called without the lock.
    pub(super) fn start(self, shared: &Arc<Shared>) {
        let landing = Landing {
            shared: Arc::downgrade(shared),
            number: self.number,
            sender: Some(self.sender),
        };
        let desk = Desk {
            source: Arc::clone(&shared.source),
            clock: Arc::clone(&shared.clock),
            settings: Arc::clone(&shared.settings),
        };
        let (request, after_step) = (self.request, self.after_step);
        let flight = async move {
            let fetch = AssertUnwindSafe(desk.fetch_lasting(&request));
            let fetched = fetch
                .catch_unwind()
                .await
                .unwrap_or_else(|_| Err(panicked()));
            let Some(shared) = landing.shared.upgrade() else {
                return;
            };
            let outcome = AssertUnwindSafe(shared.land(landing.number, &request, fetched));
            let outcome = outcome
                .catch_unwind()
                .await
                .unwrap_or_else(|_| Err(panicked()));
            landing.tell(outcome);
        };
        let flight = Abortable::new(flight, self.registration);
        shared.runtime.spawn(Box::pin(flight.map(drop)));
        if after_step {
            observe::clock_stepped();
        }
    }
}

/// Takes the flight off the cache when its task ends, however it ends, and only then lets those go who wait.
struct Landing {
    shared: Weak<Shared>,
    number: u64,
    sender: Option<oneshot::Sender<Result<Lease, Error>>>,
}

impl Landing {
    fn tell(mut self, outcome: Result<Lease, Error>) {
        let sender = self.sender.take();
        drop(self);
        // Nobody waits for a renewal that ran beside the requests.
        let _ = sender.map(|sender| sender.send(outcome));
    }
}

impl Drop for Landing {
    /// The sender is a field, so it goes after this: whoever wakes finds no flight and takes the attempt over.
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.clear_flight(self.number);
        }
    }
}

/// What a fetch needs; it does not keep the cache alive.
struct Desk {
    source: Arc<dyn TokenSource>,
    clock: Arc<dyn Clock>,
    settings: Arc<Settings>,
}

impl Desk {
    /// Asks the source for a token that has not expired yet, thrice at most.
    async fn fetch_lasting(&self, request: &TokenRequest) -> Result<Fetched, Error> {
        let mut pauses = PAUSES.into_iter();
        loop {
            let fetched = self.fetch(request).await?;
            if fetched.windows.at(self.clock.elapsed()) != Freshness::Expired {
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
        let token = clock::within(&*self.clock, request.deadline(), answer)
            .await
            .unwrap_or_else(|| {
                Err(Error::unavailable(format!(
                    "the token source did not answer within {:?} and was given up",
                    request.deadline()
                )))
            })?;
        let acquired = Acquired {
            asked: Some(asked),
            at: self.clock.elapsed(),
            wall: self.clock.glance().wall_time(),
        };
        Ok(Fetched {
            windows: self.settings.windows(&token, acquired)?,
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

/// What the panic said is not repeated: it may hold the secret.
fn panicked() -> Error {
    Error::unavailable("the token source panicked")
}
