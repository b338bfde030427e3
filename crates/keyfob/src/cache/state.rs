//! The cache's state, and what is decided about it under its lock.

use std::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use arc_swap::Guard;
use futures_util::FutureExt;

use crate::backoff::Backoff;
use crate::cache::flight::Fetched;
use crate::cache::flight::Flight;
use crate::cache::flight::Takeoff;
use crate::cache::lease::Anchor;
use crate::cache::lease::Lease;
use crate::cache::lease::Snapshot;
use crate::cache::lease::same_token;
use crate::cache::settings::Settings;
use crate::cache::settings::TokenCacheBuilder;
use crate::cache::settings::TokenChange;
use crate::cache::status::Status;
use crate::challenge::Challenges;
use crate::clock;
use crate::clock::Clock;
use crate::error::BoxError;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::freshness::Acquired;
use crate::freshness::Freshness;
use crate::observe;
use crate::runtime::Runtime;
use crate::source::Reason;
use crate::source::TokenRequest;
use crate::source::TokenSource;
use crate::source::reentry;
use crate::source::reentry::poll_inside;
use crate::sync::Mutex;
use crate::sync::interleave;
use crate::sync::lock;
use crate::token::Token;

/// How long a failed source is left alone (T2).
const COOL_DOWN: Backoff = Backoff {
    first: Duration::from_secs(1),
    cap: Duration::from_secs(60),
};

/// The longest pause that an issuer's `Retry-After` is believed.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// So many tokens in a row may be rejected and replaced at once …
const REJECTIONS_AT_ONCE: u32 = 3;

/// … before each further one has to wait, since the fault is then not the token's. A source that gives the same token
/// again is asked at this pace from the first time on: late rejections of one token cause one renewal (T8).
const REJECTION_PAUSE: Backoff = Backoff {
    first: Duration::from_secs(1),
    cap: Duration::from_secs(30),
};

/// A rejection so long after the last one begins a new row.
const REJECTION_MEMORY: Duration = Duration::from_secs(60);

pub(super) struct Shared {
    current: ArcSwapOption<Snapshot>,
    state: Mutex<State>,
    delayed: AtomicU64,
    pub(super) settings: Arc<Settings>,
    pub(super) source: Arc<dyn TokenSource>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) runtime: Arc<dyn Runtime>,
}

#[derive(Default)]
struct State {
    flight: Option<Flight>,
    flights: u64,
    generation: u64,
    failure: Option<Failure>,
    rejections: Rejections,
    renewals: u64,
    failures: u64,
}

/// The last renewal's failure, as long as none has succeeded since.
struct Failure {
    error: Error,
    in_a_row: u32,
    /// `None` for a refusal, which stays until somebody forces a renewal.
    until: Option<Duration>,
}

/// Renewals caused by rejections, in a row.
#[derive(Default)]
struct Rejections {
    in_a_row: u32,
    last: Duration,
    /// The last one brought the same token again, which is still in place.
    same_again: bool,
}

/// What a caller gets who asks for the token.
pub(super) enum Look {
    Ready(Lease),
    Wait(Flight),
    Failed(Error),
}

/// A look at a token that was fresh, without a lock.
pub(super) struct FreshGuard(Guard<Option<Arc<Snapshot>>>);

impl Deref for FreshGuard {
    type Target = Arc<Snapshot>;

    #[inline]
    fn deref(&self) -> &Arc<Snapshot> {
        self.0.as_ref().expect("a fresh look has a token")
    }
}

impl Shared {
    pub(super) fn new(builder: TokenCacheBuilder) -> Self {
        Self {
            current: ArcSwapOption::empty(),
            state: Mutex::new(State::default()),
            delayed: AtomicU64::new(0),
            settings: Arc::new(builder.settings),
            source: builder.source,
            clock: builder.clock,
            runtime: builder.runtime,
        }
    }

    /// The token, if nothing needs to be decided about it: the way that nearly every read takes.
    #[inline]
    pub(super) fn fresh(&self) -> Option<FreshGuard> {
        interleave();
        let current = self.current.load();
        let look = current.as_ref()?.look;
        let now = self.clock.glance();
        (now.monotonic < look.monotonic && now.wall < look.wall).then_some(FreshGuard(current))
    }

    /// The token for a caller who would wait for it; starts a renewal where one is needed.
    pub(super) fn look(self: &Arc<Self>) -> Look {
        if let Some(fresh) = self.fresh() {
            return Look::Ready(Lease::new(Arc::clone(&fresh)));
        }
        self.under_lock(|state| self.decide(state))
    }

    /// Another token than the rejected one: it is there, on its way, or not to be had.
    pub(super) fn reject(self: &Arc<Self>, rejected: &Lease, challenges: &Challenges) -> Look {
        self.under_lock(|state| self.decide_rejection(state, rejected, challenges))
    }

    /// A renewal that no remembered failure holds back.
    pub(super) fn force(self: &Arc<Self>) -> Look {
        self.under_lock(|state| {
            state.failure = None;
            self.wait(state, Reason::Forced, &Challenges::default())
        })
    }

    /// The renewal's end: puts its token in place, or remembers its failure.
    pub(super) async fn land(
        &self,
        number: u64,
        request: &TokenRequest,
        fetched: Result<Fetched, Error>,
    ) -> Result<Lease, Error> {
        let told = match fetched {
            Ok(fetched) => self
                .tell(&fetched.token, request.reason())
                .await
                .map(|()| fetched),
            Err(error) => Err(error),
        };
        match told {
            Ok(fetched) => Ok(self.land_token(number, request.reason(), fetched)),
            Err(error) => Err(self.land_failure(number, request.reason(), error)),
        }
    }

    /// Forgets a flight whose task ended before it landed, so that the next caller starts another.
    pub(super) fn clear_flight(&self, number: u64) {
        let mut state = lock(&self.state);
        if !state.end_flight(number) {
            return;
        }
        if let Some(snapshot) = self.current.load_full() {
            let anchor = self.anchor();
            self.publish(snapshot.look_at(anchor.elapsed, anchor));
        }
    }

    /// Puts a token in place that did not come from the source.
    pub(super) fn hand_in(&self, token: Token) -> Result<(), Error> {
        match self.install_handed_in(token)? {
            Freshness::Expired => Err(Error::new(
                ErrorKind::Expired,
                "the token that was handed in has expired already; give one that is still valid",
            )),
            _ => Ok(()),
        }
    }

    /// The same for the token that a cache starts with, where an expired one only means that the source is asked.
    pub(super) fn start_with(&self, token: Token) -> Result<(), Error> {
        if self.install_handed_in(token)? == Freshness::Expired {
            tracing::debug!(target: "keyfob", "the initial token has expired; the source will be asked");
        }
        Ok(())
    }

    /// The token, as long as it has not truly expired.
    pub(super) fn usable(&self) -> Option<Lease> {
        self.current_if(|freshness| freshness != Freshness::Expired)
    }

    /// The token, if it lies outside its leeway.
    pub(super) fn authenticated(&self) -> Option<Lease> {
        self.current_if(|freshness| matches!(freshness, Freshness::Fresh | Freshness::Due))
    }

    /// What a caller gets who will not wait any longer.
    pub(super) fn out_of_patience(&self, rejected: Option<&Lease>) -> Result<Lease, Error> {
        let other = |lease: &Lease| rejected.is_none_or(|rejected| !lease.same_as(rejected));
        self.usable().filter(other).ok_or_else(|| {
            Error::new(
                ErrorKind::Deadline,
                "the token did not come before the caller's deadline; the fetch goes on, and a later call may find it",
            )
        })
    }

    /// Counts a caller that has to wait though there was a token before.
    pub(super) fn count_wait(&self) {
        if self.current.load().is_some() {
            self.delayed.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn status(&self) -> Status {
        let state = lock(&self.state);
        let now = self.clock.elapsed();
        let current = self.current.load_full();
        let live = current.filter(|snapshot| snapshot.windows.at(now) != Freshness::Expired);
        let left = |moment: Duration| (moment != Duration::MAX).then(|| moment.saturating_sub(now));
        Status {
            authenticated: self.authenticated().is_some(),
            age: live
                .as_ref()
                .map(|snapshot| now.saturating_sub(snapshot.since)),
            expires_in: live
                .as_ref()
                .and_then(|snapshot| left(snapshot.windows.expired)),
            next_renewal_in: live
                .as_ref()
                .and_then(|snapshot| left(state.next_attempt(snapshot))),
            renewing: state.flight.is_some(),
            generation: state.generation,
            renewals: state.renewals,
            failures: state.failures,
            delayed: self.delayed.load(Ordering::Relaxed),
            last_error: state.failure.as_ref().map(|failure| failure.error.kind()),
        }
    }

    /// Decides under the lock, and starts what was decided when the lock is free again: sources, runtimes, callbacks and
    /// the log run code of others, which may use this cache.
    fn under_lock<T>(
        self: &Arc<Self>,
        decide: impl FnOnce(&mut State) -> (T, Option<Takeoff>),
    ) -> T {
        let mut state = lock(&self.state);
        interleave();
        let (decision, takeoff) = decide(&mut state);
        drop(state);
        if let Some(takeoff) = takeoff {
            takeoff.start(self);
        }
        decision
    }

    /// The second look: another caller may have renewed the token while this one came for the lock.
    fn decide(&self, state: &mut State) -> (Look, Option<Takeoff>) {
        let anchor = self.anchor();
        let cooling = state.cooling(anchor.elapsed);
        let current = self.current.load_full();
        match (
            current.map(|snapshot| (snapshot.windows.at(anchor.elapsed), snapshot)),
            cooling,
        ) {
            (None | Some((Freshness::Expired, _)), Some(error)) => (Look::Failed(error), None),
            (None | Some((Freshness::Expired, _)), None) => {
                self.wait(state, Reason::Missing, &Challenges::default())
            }
            (Some((Freshness::Leeway, _)), None) => {
                self.wait(state, Reason::Due, &Challenges::default())
            }
            (Some((Freshness::Fresh, snapshot)), _) if !snapshot.stepped(anchor) => {
                let due = snapshot.windows.due;
                (
                    Look::Ready(self.publish(snapshot.look_at(due, anchor))),
                    None,
                )
            }
            (Some((_, snapshot)), Some(_)) => {
                let next = state.next_attempt(&snapshot);
                (
                    Look::Ready(self.publish(snapshot.look_at(next, anchor))),
                    None,
                )
            }
            (Some((freshness, snapshot)), None) => {
                let (look, takeoff) = self.serve_and_renew(state, &snapshot, anchor);
                let stepped = freshness == Freshness::Fresh;
                (
                    look,
                    takeoff.map(|takeoff| takeoff.because_of_step(stepped)),
                )
            }
        }
    }

    fn decide_rejection(
        &self,
        state: &mut State,
        rejected: &Lease,
        challenges: &Challenges,
    ) -> (Look, Option<Takeoff>) {
        if let Some(current) = self.usable()
            && !current.same_as(rejected)
        {
            return (Look::Ready(current), None);
        }
        let now = self.clock.elapsed();
        if state.flight.is_none()
            && let Some(error) = state.cooling(now).or_else(|| state.rejections.refusal(now))
        {
            return (Look::Failed(error), None);
        }
        self.wait(state, Reason::Rejected, challenges)
    }

    /// Serves a token that is due, and has it renewed beside; reads look again when its leeway begins.
    fn serve_and_renew(
        &self,
        state: &mut State,
        snapshot: &Snapshot,
        anchor: Anchor,
    ) -> (Look, Option<Takeoff>) {
        let lease = self.publish(snapshot.look_at(snapshot.windows.leeway, anchor));
        let takeoff = match state.flight {
            Some(_) => None,
            None => Some(self.start(state, Reason::Due, &Challenges::default()).1),
        };
        (Look::Ready(lease), takeoff)
    }

    fn wait(
        &self,
        state: &mut State,
        reason: Reason,
        challenges: &Challenges,
    ) -> (Look, Option<Takeoff>) {
        if reentry::is_inside(self.identity()) {
            return (Look::Failed(waits_for_itself()), None);
        }
        if let Some(flight) = &state.flight {
            return (Look::Wait(flight.clone()), None);
        }
        let (flight, takeoff) = self.start(state, reason, challenges);
        (Look::Wait(flight), Some(takeoff))
    }

    fn start(
        &self,
        state: &mut State,
        reason: Reason,
        challenges: &Challenges,
    ) -> (Flight, Takeoff) {
        let previous = self
            .current
            .load()
            .as_ref()
            .map(|snapshot| snapshot.token.clone());
        let patience = self.settings.fetch_timeout;
        let request =
            TokenRequest::new(reason, patience, Arc::clone(&self.runtime), self.identity())
                .previous_token(previous)
                .challenged_by(challenges.clone());
        state.flights += 1;
        let (flight, takeoff) = Flight::new(state.flights, request);
        state.flight = Some(flight.clone());
        (flight, takeoff)
    }

    /// Lets the callbacks see a changed token before anyone uses it.
    async fn tell(&self, token: &Token, reason: Reason) -> Result<(), Error> {
        let previous = self
            .current
            .load_full()
            .map(|snapshot| snapshot.token.clone());
        if previous
            .as_ref()
            .is_some_and(|previous| previous.same_as(token))
        {
            return Ok(());
        }
        let change = TokenChange {
            previous,
            current: token.clone(),
            reason,
            generation: lock(&self.state).generation + 1,
        };
        let callbacks = poll_inside(self.identity(), async {
            for callback in &self.settings.on_change {
                callback(change.clone()).await?;
            }
            Ok::<_, BoxError>(())
        });
        let callbacks = AssertUnwindSafe(callbacks).catch_unwind();
        let failed = |how: &str| {
            Error::unavailable(format!(
                "the callback for a changed token {how}; the token is not used"
            ))
        };
        let limit = self.settings.fetch_timeout;
        match clock::within(&*self.clock, limit, callbacks).await {
            Some(Ok(Ok(()))) => Ok(()),
            Some(Ok(Err(cause))) => Err(failed("failed").caused_by(cause)),
            Some(Err(_)) => Err(failed("panicked")),
            None => Err(failed(&format!("did not end within {limit:?}"))),
        }
    }

    fn land_token(&self, number: u64, reason: Reason, fetched: Fetched) -> Lease {
        let mut state = lock(&self.state);
        state.end_flight(number);
        let now = self.clock.elapsed();
        let asked = fetched.acquired.asked.unwrap_or(fetched.acquired.at);
        let lifetime = (fetched.windows.expired != Duration::MAX)
            .then(|| fetched.windows.expired.saturating_sub(asked));
        state.renewals += 1;
        let before = state.generation;
        let lease = self.install(&mut state, fetched);
        if reason == Reason::Rejected {
            state.rejections.count(now);
            state.rejections.same_again = state.generation == before;
        }
        drop(state);
        observe::renewed(reason.name(), now.saturating_sub(asked), lifetime);
        lease
    }

    fn land_failure(&self, number: u64, reason: Reason, error: Error) -> Error {
        let mut state = lock(&self.state);
        state.end_flight(number);
        state.failures += 1;
        let anchor = self.anchor();
        let pause = state.remember(&error, anchor.elapsed);
        let usable = self
            .current
            .load_full()
            .filter(|snapshot| snapshot.windows.at(anchor.elapsed) != Freshness::Expired);
        if let Some(snapshot) = &usable {
            self.publish(snapshot.look_at(state.next_attempt(snapshot), anchor));
        }
        drop(state);
        observe::renewal_failed(reason.name(), &error, pause, usable.is_some());
        error
    }

    fn install_handed_in(&self, token: Token) -> Result<Freshness, Error> {
        let acquired = Acquired {
            asked: None,
            at: self.clock.elapsed(),
            wall: self.clock.glance().wall_time(),
        };
        let windows = self.settings.windows(&token, acquired)?;
        let freshness = windows.at(acquired.at);
        if freshness != Freshness::Expired {
            let handed_in = Fetched {
                token,
                windows,
                acquired,
            };
            self.install(&mut lock(&self.state), handed_in);
        }
        Ok(freshness)
    }

    /// Makes a token the current one; the same token again keeps its generation.
    fn install(&self, state: &mut State, fetched: Fetched) -> Lease {
        let current = self.current.load();
        if !current
            .as_ref()
            .is_some_and(|current| current.token.same_as(&fetched.token))
        {
            state.generation += 1;
            state.rejections.same_again = false;
        }
        state.failure = None;
        let anchor = self.anchor();
        self.publish(Snapshot {
            headers: fetched.token.headers().into(),
            token: fetched.token,
            generation: state.generation,
            windows: fetched.windows,
            since: fetched.acquired.asked.unwrap_or(fetched.acquired.at),
            anchor,
            look: anchor.glance_at(fetched.windows.due),
        })
    }

    /// Only under the lock, so that no older snapshot takes the place of a newer one.
    fn publish(&self, snapshot: Snapshot) -> Lease {
        let snapshot = Arc::new(snapshot);
        self.current.store(Some(Arc::clone(&snapshot)));
        interleave();
        Lease::new(snapshot)
    }

    fn current_if(&self, wanted: impl FnOnce(Freshness) -> bool) -> Option<Lease> {
        let now = self.clock.elapsed();
        let current = self.current.load_full()?;
        wanted(current.windows.at(now)).then(|| Lease::new(current))
    }

    fn anchor(&self) -> Anchor {
        Anchor {
            elapsed: self.clock.elapsed(),
            glance: self.clock.glance(),
        }
    }

    fn identity(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

impl Drop for Shared {
    /// A fetch that nobody can use any more is not left running.
    fn drop(&mut self) {
        if let Some(flight) = lock(&self.state).flight.take() {
            flight.abort();
        }
    }
}

impl State {
    /// The remembered failure, while its cool-down lasts.
    fn cooling(&self, now: Duration) -> Option<Error> {
        let failure = self.failure.as_ref()?;
        failure
            .until
            .is_none_or(|until| now < until)
            .then(|| failure.error.clone())
    }

    /// When the source is asked again for a token that is there; never, once it has refused.
    fn next_attempt(&self, snapshot: &Snapshot) -> Duration {
        let until = match &self.failure {
            None => snapshot.windows.due,
            Some(failure) => failure.until.unwrap_or(Duration::MAX),
        };
        until.min(snapshot.windows.expired)
    }

    /// Begins the cool-down of a failure, and says how long it lasts.
    fn remember(&mut self, error: &Error, now: Duration) -> Option<Duration> {
        let in_a_row = self.failure.as_ref().map_or(0, |failure| failure.in_a_row) + 1;
        let pause = match error.kind() {
            ErrorKind::Refused => None,
            _ => Some(match error.pause() {
                Some(asked_for) => asked_for.min(LONGEST_PAUSE),
                None => COOL_DOWN.half_jitter(in_a_row, fastrand::f64()),
            }),
        };
        self.failure = Some(Failure {
            error: error.clone(),
            in_a_row,
            until: pause.map(|pause| now.saturating_add(pause)),
        });
        pause
    }

    /// Takes the flight off if it is still this one.
    fn end_flight(&mut self, number: u64) -> bool {
        let this = self.flight.take_if(|flight| flight.number() == number);
        this.is_some()
    }
}

impl Rejections {
    /// Why a further renewal has to wait, if tokens are rejected as fast as they are renewed.
    fn refusal(&self, now: Duration) -> Option<Error> {
        let paced = match self.same_again {
            true => self.in_a_row,
            false => self.in_a_row.checked_sub(REJECTIONS_AT_ONCE)? + 1,
        };
        let until = self.last.saturating_add(REJECTION_PAUSE.ceiling(paced));
        (now < until).then(|| {
            if self.same_again {
                return same_token();
            }
            Error::unavailable(format!(
                "{} renewed tokens in a row were rejected; the fault is not the token's age: \
                 check what the server demands, such as audience and scope",
                self.in_a_row
            ))
        })
    }

    fn count(&mut self, now: Duration) {
        if now.saturating_sub(self.last) > REJECTION_MEMORY {
            self.in_a_row = 0;
        }
        self.in_a_row += 1;
        self.last = now;
    }
}

/// The hook of a session that uses the session would wait for its own end.
fn waits_for_itself() -> Error {
    Error::unavailable(
        "the token hook uses the session whose token it is getting and would wait for itself; \
         give the hook or callback a client of its own",
    )
}
