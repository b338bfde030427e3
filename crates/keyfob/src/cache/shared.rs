//! What all clones of a cache share: it decides under its lock, launches renewals, and puts what they bring in place.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::FutureExt;
use futures_util::future::Abortable;

use crate::cache::builder::{Settings, TokenCacheBuilder, TokenChange};
use crate::cache::current::Current;
use crate::cache::lease::{Anchor, Lease, Snapshot};
use crate::cache::renewal::{Desk, Fetched, Flight, Takeoff};
use crate::cache::state::State;
use crate::cache::status::Status;
use crate::error::error::{Error, ErrorKind};
use crate::exchange::challenge::Challenges;
use crate::observe::events;
use crate::runtime::lock::{Mutex, MutexGuard, interleave, lock};
use crate::runtime::runtime::Runtime;
use crate::source::reentrancy;
use crate::source::source::{Reason, TokenRequest, TokenSource};
use crate::token::freshness::{Acquired, Freshness};
use crate::token::token::Token;

pub(super) struct Shared {
    pub(super) current: Current,
    state: Mutex<State>,
    delayed: AtomicU64,
    settings: Arc<Settings>,
    source: Arc<dyn TokenSource>,
    pub(super) runtime: Arc<dyn Runtime>,
}

/// What a caller gets who asks for the token.
pub(super) enum Look {
    Ready(Lease),
    Wait(Flight),
    Failed(Error),
}

impl Shared {
    pub(super) fn new(builder: TokenCacheBuilder) -> Self {
        Self {
            current: Current::none(builder.clock),
            state: Mutex::new(State::default()),
            delayed: AtomicU64::new(0),
            settings: Arc::new(builder.settings),
            source: builder.source,
            runtime: builder.runtime,
        }
    }

    /// What a forked child may take over; the lock is not touched, for it may stay locked for ever there.
    pub(super) fn forked(&self) -> Self {
        // All children of one parent would draw the same jitter.
        fastrand::seed(fastrand::u64(..) ^ u64::from(std::process::id()).rotate_left(32));
        let (current, generation) = self.current.forked();
        Self {
            current,
            state: Mutex::new(State::at(generation)),
            delayed: AtomicU64::new(0),
            settings: Arc::clone(&self.settings),
            source: Arc::clone(&self.source),
            runtime: Arc::clone(&self.runtime),
        }
    }

    /// The token for a caller who would wait for it; starts a renewal where one is needed.
    pub(super) fn look(self: &Arc<Self>) -> Look {
        if let Some(fresh) = self.current.fresh() {
            return Look::Ready(Lease::new(Arc::clone(&fresh)));
        }
        self.under_lock(|state| self.decide(state))
    }

    /// Another token than the rejected one: it is there, on its way, or not to be had.
    pub(super) fn reject(self: &Arc<Self>, rejected: &Lease, challenges: &Challenges) -> Look {
        self.under_lock(|state| self.decide_rejection(state, rejected, challenges))
    }

    /// A renewal that no remembered failure holds back, unless a token was handed in after the first so many.
    pub(super) fn force(self: &Arc<Self>, hand_ins: u64) -> Look {
        self.under_lock(|state| {
            if state.hand_ins != hand_ins
                && let Some(handed_in) = self.current.usable()
            {
                return (Look::Ready(handed_in), None);
            }
            state.forget_failure();
            self.wait(state, Reason::Forced, &Challenges::default())
        })
    }

    /// How many tokens have been handed in.
    pub(super) fn hand_ins(&self) -> u64 {
        lock(&self.state).hand_ins
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
            tracing::debug!(target: "keyfob", "the initial token has expired; the source is asked");
        }
        Ok(())
    }

    /// Counts a caller that has to wait for a flight though there was a token before.
    pub(super) fn count_wait(&self, flight: &Flight) {
        if !flight.is_first() {
            self.delayed.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn status(&self) -> Status {
        let state = lock(&self.state);
        let now = self.current.clock.elapsed();
        let current = self.current.snapshot();
        let live = current.filter(|snapshot| snapshot.schedule.at(now) != Freshness::Expired);
        let left = |moment: Duration| (moment != Duration::MAX).then(|| moment.saturating_sub(now));
        Status {
            authenticated: self.current.authenticated().is_some(),
            age: live
                .as_ref()
                .map(|snapshot| now.saturating_sub(snapshot.since)),
            expires_in: live
                .as_ref()
                .and_then(|snapshot| left(snapshot.schedule.expired)),
            next_renewal_in: live
                .as_ref()
                .and_then(|snapshot| left(state.next_attempt(snapshot))),
            renewing: state.flight.is_some(),
            generation: state.generation,
            renewals: state.renewals,
            failures: state.failures,
            delayed: self.delayed.load(Ordering::Relaxed),
            last_error: state.last_error(),
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
            self.launch(takeoff);
        }
        decision
    }

    /// The second look: another caller may have renewed the token while this one came for the lock.
    fn decide(&self, state: &mut State) -> (Look, Option<Takeoff>) {
        let anchor = self.current.anchor();
        let cooling = state.cooling(anchor.elapsed);
        let current = self.current.snapshot();
        match (
            current.map(|snapshot| (snapshot.schedule.at(anchor.elapsed), snapshot)),
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
                let due = snapshot.schedule.due;
                (
                    Look::Ready(self.current.publish(snapshot.look_at(due, anchor))),
                    None,
                )
            }
            (Some((_, snapshot)), Some(_)) => {
                let next = state.next_attempt(&snapshot);
                (
                    Look::Ready(self.current.publish(snapshot.look_at(next, anchor))),
                    None,
                )
            }
            (Some((freshness, snapshot)), None) => {
                let (look, mut takeoff) = self.serve_and_renew(state, &snapshot, anchor);
                if let Some(takeoff) = &mut takeoff {
                    takeoff.after_step = freshness == Freshness::Fresh;
                }
                (look, takeoff)
            }
        }
    }

    fn decide_rejection(
        &self,
        state: &mut State,
        rejected: &Lease,
        challenges: &Challenges,
    ) -> (Look, Option<Takeoff>) {
        if let Some(current) = self.current.usable()
            && !current.same_as(rejected)
        {
            return (Look::Ready(current), None);
        }
        let now = self.current.clock.elapsed();
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
        let lease = self
            .current
            .publish(snapshot.look_at(snapshot.schedule.leeway, anchor));
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
        if reentrancy::is_inside(self.identity()) {
            return (Look::Failed(Flight::waits_for_itself()), None);
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
        let max_wait = self.settings.fetch_timeout;
        let request =
            TokenRequest::new(reason, max_wait, Arc::clone(&self.runtime), self.identity())
                .timed_by(
                    Arc::clone(&self.current.clock),
                    self.settings.default_lifetime,
                )
                .previous_token(self.current.token())
                .challenged_by(challenges.clone());
        state.flights += 1;
        let (flight, takeoff) = Flight::new(state.flights, state.hand_ins, request);
        state.flight = Some(flight.clone());
        (flight, takeoff)
    }

    /// Runs a renewal beside the callers. To be called without the lock.
    fn launch(self: &Arc<Self>, takeoff: Takeoff) {
        let landing = Landing {
            shared: Arc::downgrade(self),
            number: takeoff.number,
            sender: Some(takeoff.sender),
        };
        let desk = Desk {
            source: Arc::clone(&self.source),
            clock: Arc::clone(&self.current.clock),
            settings: Arc::clone(&self.settings),
        };
        let (request, hand_ins) = (takeoff.request, takeoff.hand_ins);
        let flight = async move {
            let fetch = AssertUnwindSafe(desk.fetch_lasting(&request));
            let fetched = fetch
                .catch_unwind()
                .await
                .unwrap_or_else(|_| Err(Flight::panicked()));
            let Some(shared) = landing.shared.upgrade() else {
                return;
            };
            let outcome = shared.land(landing.number, hand_ins, &request, fetched);
            let outcome = AssertUnwindSafe(outcome)
                .catch_unwind()
                .await
                .unwrap_or_else(|_| Some(Err(Flight::panicked())));
            if let Some(outcome) = outcome {
                landing.tell(outcome);
            }
        };
        let flight = Abortable::new(flight, takeoff.registration);
        self.runtime.spawn(Box::pin(flight.map(drop)));
        if takeoff.after_step {
            events::clock_stepped();
        }
    }

    /// The renewal's end: puts its token in place, or remembers its failure.
    ///
    /// `None` if a token was handed in meanwhile: that one stays, and whoever waits looks again.
    async fn land(
        &self,
        number: u64,
        hand_ins: u64,
        request: &TokenRequest,
        fetched: Result<Fetched, Error>,
    ) -> Option<Result<Lease, Error>> {
        let reason = request.reason();
        let told = match fetched {
            Ok(fetched) => {
                let told = self.tell(&fetched.token, reason, hand_ins).await;
                told.map(|()| fetched)
            }
            Err(error) => Err(error),
        };
        let mut state = lock(&self.state);
        if state.hand_ins != hand_ins {
            state.land_in_vain(told.is_ok());
            drop(state);
            events::renewal_overruled(reason.name(), told.as_ref().err());
            return None;
        }
        state.end_flight(number);
        Some(match told {
            Ok(fetched) => Ok(self.land_token(state, reason, fetched)),
            Err(error) => Err(self.land_failure(state, reason, error)),
        })
    }

    /// Forgets a flight whose task ended before it landed, so that the next caller starts another.
    fn clear_flight(&self, number: u64) {
        let mut state = lock(&self.state);
        if !state.end_flight(number) {
            return;
        }
        self.current.look_now();
    }

    /// Lets the callbacks see the token, unless it is the one in place or will not be used.
    async fn tell(&self, token: &Token, reason: Reason, hand_ins: u64) -> Result<(), Error> {
        let Some(change) = self.change(token, reason, hand_ins) else {
            return Ok(());
        };
        let clock = &*self.current.clock;
        self.settings.tell(&change, clock, self.identity()).await
    }

    fn change(&self, token: &Token, reason: Reason, hand_ins: u64) -> Option<TokenChange> {
        let mut state = lock(&self.state);
        if state.hand_ins != hand_ins || self.current.is(token) {
            return None;
        }
        Some(TokenChange {
            previous: self.current.token(),
            current: token.clone(),
            reason,
            generation: state.announce(),
        })
    }

    fn land_token(
        &self,
        mut state: MutexGuard<'_, State>,
        reason: Reason,
        fetched: Fetched,
    ) -> Lease {
        let now = self.current.clock.elapsed();
        let asked = fetched.acquired.asked.unwrap_or(fetched.acquired.at);
        let lifetime = (fetched.schedule.expired != Duration::MAX)
            .then(|| fetched.schedule.expired.saturating_sub(asked));
        state.renewals += 1;
        let before = state.generation;
        let lease = self.install(&mut state, fetched);
        if reason == Reason::Rejected {
            state.rejections.count(now);
            state.rejections.same_again = state.generation == before;
        }
        drop(state);
        events::renewed(reason.name(), now.saturating_sub(asked), lifetime);
        lease
    }

    fn land_failure(
        &self,
        mut state: MutexGuard<'_, State>,
        reason: Reason,
        error: Error,
    ) -> Error {
        state.failures += 1;
        let anchor = self.current.anchor();
        let pause = state.remember(&error, anchor.elapsed);
        let usable = self
            .current
            .snapshot()
            .filter(|snapshot| snapshot.schedule.at(anchor.elapsed) != Freshness::Expired);
        if let Some(snapshot) = &usable {
            self.current
                .publish(snapshot.look_at(state.next_attempt(snapshot), anchor));
        }
        drop(state);
        events::renewal_failed(reason.name(), &error, pause, usable.is_some());
        error
    }

    fn install_handed_in(&self, token: Token) -> Result<Freshness, Error> {
        let acquired = Acquired {
            asked: None,
            at: self.current.clock.elapsed(),
            wall: self.current.clock.coarse_time().wall_time(),
        }
        .obtained(token.obtained());
        let schedule = self.settings.schedule(&token, acquired)?;
        let freshness = schedule.at(acquired.at);
        if freshness != Freshness::Expired {
            let handed_in = Fetched {
                token,
                schedule,
                acquired,
            };
            let mut state = lock(&self.state);
            state.hand_ins += 1;
            if !self.current.is(&handed_in.token) {
                state.skip_announced();
            }
            self.install(&mut state, handed_in);
        }
        Ok(freshness)
    }

    /// Makes a token the current one; the same token again keeps its generation.
    fn install(&self, state: &mut State, fetched: Fetched) -> Lease {
        if !self.current.is(&fetched.token) {
            state.generation += 1;
            state.rejections.same_again = false;
        }
        state.forget_failure();
        let anchor = self.current.anchor();
        self.current.publish(Snapshot {
            headers: fetched.token.headers().into(),
            token: fetched.token,
            generation: state.generation,
            schedule: fetched.schedule,
            since: fetched.acquired.asked.unwrap_or(fetched.acquired.at),
            anchor,
            look: anchor.coarse_time_at(fetched.schedule.due),
        })
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
